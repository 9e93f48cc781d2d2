"""cloud-init, OpenTofu, Ansible and the container: what can be known of them without a machine to set up.

Schemas, linters and real machines: tests/trials/test_infrastructure.py.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml  # type: ignore[import-untyped]  # it carries no types

from signalcraft.config import load

ROOT = Path(__file__).parents[2]
CLOUD = ROOT / "packaging/cloud-init/user-data.yaml"
TOFU = ROOT / "packaging/tofu"
ROLE = ROOT / "packaging/ansible/roles/signalcraft"
CONTAINER = ROOT / "packaging/container"
PUBLIC = {80, 443}


def cloud() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(CLOUD.read_text("utf-8"))
    return made


def written(path: str) -> str:
    (content,) = [file["content"] for file in cloud()["write_files"] if file["path"] == path]
    return str(content)


def accepted(text: str, tmp_path: Path) -> Any:
    """The settings of a signalcraft.toml; it raises where one is wrong."""
    file = tmp_path / "signalcraft.toml"
    file.write_text(text)
    return load(file, environ={"HOME": str(tmp_path)}).settings


# -- cloud-init --------------------------------------------------------------------------------------------------------


def test_the_first_start_sets_up_what_the_guides_say(tmp_path: Path) -> None:
    """The header that providers look for, the samples as they lie in config/, settings that are taken."""
    assert CLOUD.read_text("utf-8").startswith("#cloud-config\n")
    assert written("/etc/caddy/Caddyfile") == (ROOT / "config/Caddyfile").read_text("utf-8")
    settings = accepted(written("/etc/signalcraft/signalcraft.toml"), tmp_path)
    assert settings.http.listen == "127.0.0.1:8080"
    assert settings.http.trusted_proxies == ["127.0.0.1/32"] or settings.http.trusted_proxies == ["127.0.0.1"]
    assert cloud()["ssh_pwauth"] is False
    assert "caddy" in cloud()["packages"]
    assert "unattended-upgrades" in cloud()["packages"]


def test_only_the_doors_are_open() -> None:
    """Everything else is dropped, forwarding too; SSH is slowed down; the role says the same."""
    rules = written("/etc/nftables.conf")
    assert rules.count("policy drop;") == 2
    opened = {
        int(n) for found in re.findall(r"(?:tcp|udp) dport (\{[^}]*\}|\d+)", rules) for n in re.findall(r"\d+", found)
    }
    assert opened == PUBLIC | {22, 68, 546}  # the last two: its own address from the provider
    assert re.search(r"dport 22 ct state new limit rate \d+/minute", rules)
    role = (ROLE / "templates/nftables.conf.j2").read_text("utf-8").replace("{{ signalcraft_ssh_port }}", "22")
    chain = re.compile(r"(?s)table inet.*")
    assert chain.findall(role)[0].split() == chain.findall(rules)[0].split()


@pytest.mark.parametrize("right", [True, False])
def test_a_package_that_is_not_the_one_is_not_installed(tmp_path: Path, right: bool) -> None:
    """The script of the first start, with a curl and an apt-get that note what they were asked for."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "curl").write_text('#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\nprintf package > "$2"\n')
    for name in ("apt-get", "chgrp", "chmod"):
        (bin_ / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/ran\n')
    for tool in bin_.iterdir():
        tool.chmod(0o755)
    script = tmp_path / "install"
    script.write_text(written("/usr/local/sbin/signalcraft-install"))
    digest = subprocess.run(["sha256sum"], input=b"package", capture_output=True).stdout.decode().split()[0]
    digest = digest if right else digest[::-1]
    done = subprocess.run(
        ["/bin/sh", str(script), "https://releases.example.com/x.deb", digest],
        env={"PATH": f"{bin_}:/usr/bin:/bin"}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode == 0) is right, done.stderr
    assert (tmp_path / "ran").exists() is right
    if right:
        assert "--force-confold" in (tmp_path / "ran").read_text()


@pytest.mark.parametrize("script", ["cloud-init", "acme"])
def test_scripts_are_clean(script: str, tmp_path: Path) -> None:
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip(
            "!! shellcheck is not installed (Debian's package shellcheck): NOT CHECKED: scripts of a first start"
        )
    file = ROOT / "packaging/acme/deploy-hook"
    if script == "cloud-init":
        file = tmp_path / "signalcraft-install"
        file.write_text(written("/usr/local/sbin/signalcraft-install"))
    done = subprocess.run([checker, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# -- OpenTofu ----------------------------------------------------------------------------------------------------------


def hcl() -> str:
    """Every file of the module, without comments."""
    text = "\n".join(file.read_text("utf-8") for file in sorted(TOFU.glob("*.tf")))
    return re.sub(r"(?m)^\s*#.*$", "", text)


def test_the_module_is_laid_out_as_tofu_lays_it_out() -> None:
    """`fmt` reads the whole language: what does not parse fails too."""
    tool = shutil.which("tofu") or shutil.which("terraform")
    if tool is None:
        pytest.skip("!! neither tofu nor terraform is installed: NOT CHECKED: the module's syntax and layout")
    done = subprocess.run([tool, "fmt", "-check", "-diff", "-recursive", str(TOFU)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_module_speaks_of_is_there() -> None:
    """Each variable, local and resource that is used is declared, and each that is declared is used and described."""
    text = hcl()
    declared = set(re.findall(r'(?m)^variable "(\w+)"', text))
    assert declared == set(re.findall(r"\bvar\.(\w+)", text))
    for block in re.findall(r'(?ms)^variable "\w+" \{.*?^\}', text):
        assert "description" in block
        assert "type" in block
    resources = set(re.findall(r'(?m)^resource "(\w+)" "(\w+)"', text))
    used = set(re.findall(r"\b(digitalocean_\w+)\.(\w+)\b", text))
    assert used <= resources
    assert {kind.removeprefix("digitalocean_") for kind, _ in resources} >= {
        "droplet", "volume", "firewall", "record", "spaces_bucket", "spaces_key", "vpc", "reserved_ip",
    }  # fmt: skip
    (locals_,) = re.findall(r"(?ms)^locals \{(.*?)^\}", text)
    assert set(re.findall(r"(?m)^  (\w+) +=", locals_)) == set(re.findall(r"\blocal\.(\w+)", text))


def test_the_environments_differ_as_they_should() -> None:
    """The same module, three files; production is the one that is backed up and strict."""
    sizes = {
        name: dict(re.findall(r"(\w+) += (\"[^\"]*\"|\w+)", values))
        for name, values in re.findall(r"(?m)^    (\w+) += \{ (droplet.*) \}$", hcl())
    }
    assert set(sizes) == {"dev", "staging", "production"}
    assert len({frozenset(values) for values in sizes.values()}) == 1
    assert sizes["production"]["machine_backups"] == sizes["production"]["replica"] == "true"
    assert sizes["production"]["profile"] == '"production"'
    assert sizes["staging"]["replica"] == "true"
    assert len({values["droplet"] for values in sizes.values()}) == 3
    declared = set(re.findall(r'(?m)^variable "(\w+)"', hcl()))
    for name in sizes:
        file = (TOFU / f"environments/{name}.tfvars").read_text("utf-8")
        given = dict(re.findall(r"(?m)^(\w+) += (.*)$", file))
        assert set(given) == declared
        assert given["environment"] == f'"{name}"'
    files = {path.stem for path in (TOFU / "environments").iterdir()}
    assert files == set(sizes)


def test_the_module_exchanges_words_that_the_first_start_says() -> None:
    """It takes packaging/cloud-init as it is; a word that is gone there would stay unexchanged in silence."""
    for word in re.findall(r'(?m)^ +"([^"]+)", (?:var|local)\.\w+$', hcl()):
        assert word in CLOUD.read_text("utf-8"), word
    assert len(re.findall(r'(?m)^ +"([^"]+)", (?:var|local)\.\w+$', hcl())) == 3
    assert {"write_files", "runcmd", "packages"} <= set(cloud())


def test_the_firewall_of_the_module_opens_the_doors_alone() -> None:
    rules = re.findall(r"(?ms)inbound_rule \{(.*?)\}", hcl())
    ports = {re.findall(r'port_range\s+= "(.*?)"', rule)[0]: rule for rule in rules}
    assert set(ports) == {"443", "80", "22"}
    assert "var.admin_networks" in ports["22"]
    assert '"private"' in hcl()
    assert 'permission = "readwrite"' in hcl()


# -- Ansible -----------------------------------------------------------------------------------------------------------


def test_the_role_declares_each_word_that_it_uses() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text("utf-8"))
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text("utf-8"))["argument_specs"]["main"]["options"]
    text = "\n".join(file.read_text("utf-8") for file in ROLE.rglob("*") if file.is_file() and "meta" not in file.parts)
    used = set(re.findall(r"\bsignalcraft_\w+", text))
    assert used == set(specs)
    assert set(defaults) | {"signalcraft_host"} == set(specs)
    assert {name: spec.get("default") for name, spec in specs.items() if name != "signalcraft_host"} == defaults
    for file in [*ROLE.rglob("*.yml"), *ROLE.parents[1].glob("*.yml")]:
        assert yaml.safe_load(file.read_text("utf-8")), file.name


@pytest.mark.parametrize("caddy", [True, False])
def test_the_settings_that_the_role_writes_are_taken(tmp_path: Path, caddy: bool) -> None:
    import json

    env = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    env.filters["to_json"] = json.dumps
    env.filters["bool"] = bool
    env.filters["combine"] = lambda a, b, recursive=False: {
        **a, **{k: {**a[k], **v} if recursive and k in a and isinstance(v, dict) else v for k, v in b.items()}
    }  # fmt: skip
    own = {"profile": "staging", "limits": {"webhooks_per_minute": 300}, "http": {"hsts_seconds": 60}}
    if not caddy:
        own["outbound"] = {"allow": ["10.0.0.0/8", 'a"b.example.com'][:1]}
    text = env.from_string((ROLE / "templates/signalcraft.toml.j2").read_text("utf-8")).render(
        signalcraft_host="alerts.example.com", signalcraft_caddy=caddy, signalcraft_settings=own
    )
    said = tomllib.loads(text)
    assert said["http"]["hsts_seconds"] == 60
    assert ("trusted_proxies" in said["http"]) is caddy
    settings = accepted(text, tmp_path)
    assert settings.http.public_url == "https://alerts.example.com"
    assert settings.limits.webhooks_per_minute == 300
    assert settings.profile == "staging"


# -- the container -----------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """Of the Containerfile, in order."""
    text = re.sub(r"(?m)^#.*\n", "", (CONTAINER / "Containerfile").read_text("utf-8")).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def test_the_container_is_one_process_without_rights() -> None:
    """No root, no package, no download; health as the other places ask for it."""
    said = instructions()
    last = dict(said)
    user, _, group = last["USER"].partition(":")
    assert int(user) > 1000
    assert int(group) > 1000
    assert [name for name, _ in said].count("FROM") == 2
    assert [words for name, words in said if name == "RUN"] == [
        f"install -d -m 0700 -o {user} -g {group} /made/var/lib/signalcraft"
    ]
    assert {name for name, _ in said} & {"ADD", "SHELL", "MAINTAINER"} == set()
    assert last["ENTRYPOINT"] == '["signalcraft"]'
    assert last["CMD"].startswith('["serve"]')
    checks = dict(re.findall(r"--([\w-]+)=(\d+)", last["HEALTHCHECK"]))
    assert (checks["interval"], checks["timeout"], checks["retries"]) == ("10", "5", "5")
    ignored = (CONTAINER / "Containerfile.dockerignore").read_text("utf-8").split("\n")
    assert "*" in ignored
    assert [line for line in ignored if line.startswith("!")] == [
        "!.build",
        "!.build/dist",
        "!.build/dist/signalcraft-dir",
    ]


def test_the_compose_file_gives_no_rights_either(tmp_path: Path) -> None:
    service = yaml.safe_load((CONTAINER / "compose.yaml").read_text("utf-8"))["services"]["signalcraft"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["mem_limit"] == "512m"
    assert service["cpus"] == 0.5
    assert service["restart"] == "on-failure:3"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    settings = load(overrides={}, environ={"HOME": str(tmp_path), **service["environment"]}).settings
    assert settings.http.public_url == "https://alerts.example.com"
