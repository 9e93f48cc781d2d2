"""The OpenTofu module applied, applied again, changed and destroyed by the real program, on a cloud that is a file
(tests/trials/cloud.py): what it says is what a provider takes, and what a machine is told is a whole first start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped,unused-ignore]

from signalcraft.config import load
from tests.trials.tools import ROOT, environment

pytestmark = pytest.mark.trial
STATE = "terraform.tfstate"


class Module:
    """A copy of packaging/tofu with its cloud."""

    def __init__(self, folder: Path) -> None:
        tool = shutil.which("tofu") or shutil.which("terraform")
        if tool is None:
            pytest.skip("!! neither tofu nor terraform is installed: NOT CHECKED: applying packaging/tofu")
        self.tool = tool
        python = environment(folder / "env", "tf==1.2.0") / "python"
        for part in ("tofu", "cloud-init"):
            shutil.copytree(ROOT / "packaging" / part, folder / "packaging" / part)
        self.folder = folder / "packaging/tofu"
        self.file = folder / "cloud.json"
        program = folder / "bin/terraform-provider-digitalocean"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\nexec {python} {ROOT / 'tests/trials/cloud.py'}\n")
        program.chmod(0o755)
        settings = folder / "cli.rc"
        mirror = f'dev_overrides {{\n "digitalocean/digitalocean" = "{program.parent}"\n }}'
        settings.write_text(f"provider_installation {{\n {mirror}\n}}\n")
        self.env = {
            **os.environ, "TF_CLI_CONFIG_FILE": str(settings), "CLOUD_FILE": str(self.file), "HOME": str(folder),
            "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1",
        }  # fmt: skip

    def do(self, *words: str, code: int = 0, name: str = "") -> str:
        more = [f"-var-file=environments/{name}.tfvars", "-input=false", f"-state={name}.{STATE}"] if name else []
        done = subprocess.run(
            [self.tool, words[0], "-no-color", *words[1:], *more],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def cloud(self) -> dict[str, list[dict[str, Any]]]:
        """What is there, by kind."""
        found: dict[str, list[dict[str, Any]]] = {}
        for name, thing in json.loads(self.file.read_text()).items():
            found.setdefault(name.split()[0], []).append(thing)
        return found

    def exchanged(self, file: str, old: str, new: str) -> None:
        text = (self.folder / file).read_text("utf-8")
        assert old in text
        (self.folder / file).write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Module:
    return Module(tmp_path_factory.mktemp("tofu"))


def test_it_is_applied_changed_and_destroyed(module: Module, tmp_path: Path) -> None:
    said = module.do("apply", "-auto-approve", name="production")
    assert "11 added, 0 changed, 0 destroyed" in said
    assert "https://alerts.example.com" in said
    made = module.cloud()
    first_start(made["droplet"][0]["user_data"], tmp_path)
    print(
        module.do("version").splitlines()[0], "·", next(line for line in said.splitlines() if "Apply complete" in line)
    )
    assert "No changes" in module.do("plan", "-detailed-exitcode", name="production")
    # A larger machine is the same machine, and nothing that is worth keeping is touched.
    module.exchanged("main.tf", 'droplet = "s-2vcpu-4gb"', 'droplet = "s-4vcpu-8gb"')
    said = module.do("apply", "-auto-approve", name="production")
    assert "0 added, 1 changed, 0 destroyed" in said
    assert module.cloud()["droplet"][0]["id"] == made["droplet"][0]["id"]
    # The volume is not destroyed by mistake.
    assert "prevent_destroy" in module.do("destroy", "-auto-approve", code=1, name="production")
    assert set(module.cloud()) == set(made)
    module.exchanged("main.tf", "prevent_destroy = true", "prevent_destroy = false")
    assert "11 destroyed" in module.do("destroy", "-auto-approve", name="production")
    assert module.cloud() == {}


def first_start(user_data: str, tmp_path: Path) -> None:
    """What a machine of this module is told: the user data of packaging/cloud-init with its own words in them."""
    assert user_data.startswith("#cloud-config\n")
    told = yaml.safe_load(user_data)
    plain = yaml.safe_load((ROOT / "packaging/cloud-init/user-data.yaml").read_text("utf-8"))
    assert set(told) == {*plain, "mounts"}
    files = {file["path"]: file["content"] for file in told["write_files"]}
    assert set(files) == {file["path"] for file in plain["write_files"]}
    settings = tmp_path / "signalcraft.toml"
    settings.write_text(files["/etc/signalcraft/signalcraft.toml"])
    found = load(settings, environ={"HOME": str(tmp_path)}).settings
    assert found.profile == "production"
    assert found.http.public_url == "https://alerts.example.com"
    assert found.replica.url.startswith("s3://signalcraft-production-example-com/")
    assert "fra1.digitaloceanspaces.com" in found.replica.url
    assert told["mounts"][0][1] == "/var/lib/signalcraft"


def test_the_smaller_ones_leave_out_what_they_do_not_need(module: Module) -> None:
    """dev has no bucket; staging has everything but the provider's backups of the machine."""
    said = module.do("plan", name="dev")
    assert "9 to add" in said
    assert "spaces_bucket" not in said
    said = module.do("plan", name="staging")
    assert "11 to add" in said
    assert "alerts-staging" in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"dev"', '"test"', "dev, staging or production"),
        ('["198.51.100.0/24"]', '["0.0.0.0/0"]', "not the whole internet"),
        ("https://releases", "http://releases", "An https:// address"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_made(module: Module, old: str, new: str, words: str) -> None:
    wrong = module.folder / "environments/wrong.tfvars"
    wrong.write_text((module.folder / "environments/dev.tfvars").read_text().replace(old, new))
    assert words in " ".join(module.do("plan", code=1, name="wrong").split())


def test_a_word_that_no_provider_knows_is_refused(module: Module) -> None:
    module.do("validate")
    module.exchanged("dns.tf", "ttl    = 300", "tttl   = 300")
    try:
        assert "tttl" in module.do("validate", code=1)
    finally:
        module.exchanged("dns.tf", "tttl   = 300", "ttl    = 300")
