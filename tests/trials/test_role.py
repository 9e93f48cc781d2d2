"""The Ansible role on a fresh Debian with a booted systemd: it sets the box up, and a second run changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trials.machine import Machine
from tests.trials.tools import ROOT, ran

pytestmark = pytest.mark.trial
PACKAGING = ROOT / "packaging"

STAND_IN = """#!/usr/bin/python3
import http.server, sys
if sys.argv[1] == "check-config":
    import tomllib
    sys.exit(0 if tomllib.load(open(sys.argv[3], "rb")) else 1)
http.server.ThreadingHTTPServer(("127.0.0.1", 8080), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
UNIT = """[Unit]
Description=A stand-in for SignalCraft
[Service]
ExecStart=/usr/bin/signalcraft serve
User=signalcraft
[Install]
WantedBy=multi-user.target
"""
CONTROL = """Package: signalcraft
Version: 0
Architecture: all
Maintainer: The SignalCraft project <signalcraft@localhost>
Depends: python3
Description: a stand-in
"""
POSTINST = """#!/bin/sh
set -e
useradd --system --user-group signalcraft 2>/dev/null || true
chgrp signalcraft /etc/signalcraft && chmod 0750 /etc/signalcraft
"""


def package(folder: Path) -> Path:
    """The .deb of `make packages`; where none was built, one with a program that answers instead of SignalCraft."""
    built = sorted((ROOT / ".build/dist").glob("*.deb"))
    if built:
        return built[-1]
    tree = folder / "tree"
    for path, text, mode in (
        ("DEBIAN/control", CONTROL, 0o644),
        ("DEBIAN/postinst", POSTINST, 0o755),
        ("DEBIAN/conffiles", "/etc/signalcraft/signalcraft.toml\n", 0o644),
        ("etc/signalcraft/signalcraft.toml", "# nothing\n", 0o640),
        ("usr/bin/signalcraft", STAND_IN, 0o755),
        ("usr/lib/systemd/system/signalcraft.service", UNIT, 0o644),
    ):  # fmt: skip
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
    ran("dpkg-deb", "--root-owner-group", "-b", tree, folder / "signalcraft.deb")
    return folder / "signalcraft.deb"


@pytest.fixture
def machine() -> Iterator[Machine]:
    it = Machine("door-role")
    it.up("--include", "python3,curl,ca-certificates", "--memory", "1G")
    try:
        yield it
    finally:
        it.down()


def test_the_role_sets_a_box_up_and_a_second_run_changes_nothing(machine: Machine, tmp_path: Path) -> None:
    """Debian 12's own Ansible, on the machine itself. Without the firewall: the machine has its host's network."""
    deb = package(tmp_path)
    machine.put(deb, "/srv/signalcraft.deb")
    machine.sh("mkdir -p /srv/packaging")
    machine.put(PACKAGING / "ansible", "/srv/packaging/ansible")
    machine.put(ROOT / "config", "/srv/config")
    machine.sh("apt-get update -qq && apt-get install -y -qq --no-install-recommends ansible-core python3-apt")
    # A name below localhost: Caddy asks no authority outside for it.
    words = (
        "signalcraft_host=alerts.localhost signalcraft_package_file=/srv/signalcraft.deb signalcraft_firewall=false "
        "signalcraft_memory_max=512M"
    )
    play = (
        "cd /srv/packaging/ansible && printf '[signalcraft]\\nbox ansible_connection=local\\n' > /srv/inventory && "
        f"LC_ALL=C.UTF-8 ansible-playbook -i /srv/inventory site.yml -e '{words}'"
    )
    first = machine.sh(play)
    assert re.search(r"box .*failed=0", first)
    again = machine.sh(play)
    (recap,) = re.findall(r"(?m)^box .*$", again)
    assert "changed=0" in recap, again
    assert "failed=0" in recap
    said = machine.sh("systemctl show -p MemoryMax --value signalcraft; systemctl is-active signalcraft caddy")
    assert str(512 * 1024 * 1024) in said
    assert said.count("active") == 2
    served = machine.sh("curl -sk -o /dev/null -w '%{http_code}' --retry 20 --retry-all-errors --retry-delay 1 "
                        "--resolve alerts.localhost:443:127.0.0.1 https://alerts.localhost/health/live")  # fmt: skip
    changed = re.findall(r"changed=[0-9]+", first)[-1]
    print(f"{deb.name}: first run {changed}, second run {recap.split(':')[1].strip()}, through Caddy {served}")
    assert served in (("200",) if deb.parent.name == "dist" else ("200", "404"))
    broken = play.replace("signalcraft_memory_max=512M", "").replace(
        f"'{words}'", '\'{"signalcraft_settings": {"http": {"no_such": 1}}}\' -e \'' + words + "'"
    )
    if deb.parent.name == "dist":
        before = machine.sh("cat /etc/signalcraft/signalcraft.toml")
        assert "no_such" in machine.sh(broken, code=2)
        assert machine.sh("cat /etc/signalcraft/signalcraft.toml") == before
