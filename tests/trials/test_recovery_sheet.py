"""On a clean Debian with a booted systemd, by the recovery sheet alone: each way of it, and what its disks may do."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Box, free_port
from tests.cli.test_recovery_sheet import Lost
from tests.trials import machine as machines
from tests.trials.sheet import commands

pytestmark = pytest.mark.trial

NAME = "recovery-sheet"
PACKAGES = "libssl3,libffi8,zlib1g,libbz2-1.0,liblzma5,libsqlite3-0,ca-certificates"
ROOT = Path(__file__).parents[2]
USB = "/srv/usb"


class Machine(machines.Machine):
    """A Debian that has nothing but SignalCraft: no data, no settings, no keys."""

    def sh(self, command: str, code: int | None = 0) -> str:
        """A line that a person types there."""
        return super().sh(f"PATH=/usr/local/bin:$PATH; {command}", code)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    it = Machine(NAME)
    python = Path(sys.executable).resolve().parents[1]
    binds = [f"{where}:{where}" for where in (str(python), str(ROOT))]
    it.up("--include", PACKAGES, *(word for bind in binds for word in ("--bind", bind)))
    try:
        setting = f"export PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1"
        program = f'#!/bin/sh\n{setting}\nexec {sys.executable} -m signalcraft "$@"\n'
        it.sh(f"printf %s {shlex.quote(program)} > /usr/local/bin/signalcraft && chmod 755 /usr/local/bin/signalcraft")
        yield it
    finally:
        it.down()


def lost(tmp_path: Path, machine: Machine, *, replica: bool = False) -> Lost:
    """A box that is gone; what a person carries to the new machine lies in its folder `usb`."""
    box = Box(tmp_path)
    try:
        it = Lost(box, replica=replica)
    finally:
        box.close()
    usb = tmp_path / "usb"
    usb.mkdir()
    for path in it.elsewhere.iterdir():
        shutil.copy(path, usb)
    shutil.copy(it.paper, usb / "paper.txt")
    shutil.copy(it.master, usb / "master-copy.key")
    os.chmod(usb / "master-copy.key", 0o600)
    machine.sh(f"rm -rf {USB} {tmp_path}")
    machine.do("put", str(usb), USB)
    if replica:
        machine.sh(f"mkdir -p {tmp_path}")
        machine.do("put", str(tmp_path / "replica"), str(tmp_path / "replica"))
    return it


def recovered(machine: Machine, it: Lost, command: str, began_s: float) -> None:
    """What the sheet says after the one command: start it, look, go on."""
    data, port = it.box.data, free_port()
    serve = f"/usr/local/bin/signalcraft serve --data-dir {data} --listen 127.0.0.1:{port}"
    machine.sh(f"systemd-run --quiet --unit=signalcraft {serve}")
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                health = httpx.get(f"{url}/health", trust_env=False, timeout=5).json()
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, machine.sh("journalctl -u signalcraft | tail -50", code=None)
                time.sleep(0.2)
        assert health["components"]["hold"]["status"] == "degraded"
        for line in commands(it.sheet, "resume"):
            machine.sh(line)
        health = httpx.get(f"{url}/health", trust_env=False, timeout=5).json()
        assert health["components"]["hold"]["status"] == "ok"
        took_s = time.monotonic() - began_s
        print(f"{command.split(' --data')[0]}: from an empty Debian to telling people again in {took_s:.1f} s")
    finally:
        machine.sh("systemctl stop signalcraft", code=None)
        machine.sh(f"rm -rf {data} {data}.*")


def test_by_the_sheet_alone(machine: Machine, tmp_path: Path) -> None:
    """The master key and the replica are missing; then the backup key and the replica."""
    it = lost(tmp_path, machine)
    (command,) = commands(it.sheet, "restore")
    for key in ("paper.txt", "master-copy.key"):
        began_s = time.monotonic()
        said = machine.sh(f"cd {USB} && {command.replace('KEYFILE', key)}")
        assert "Restored from the backup" in said
        assert "Does not work" not in said
        recovered(machine, it, command, began_s)
    said = machine.sh(f"cd {USB} && {command.replace(' --key-file KEYFILE', '')}", code=1)
    assert "opens with the master key" in said


def test_by_the_replica_alone(machine: Machine, tmp_path: Path) -> None:
    """Every backup is missing; then the master key too."""
    it = lost(tmp_path, machine, replica=True)
    (_, command) = commands(it.sheet, "restore")
    began_s = time.monotonic()
    said = machine.sh(f"cd {USB} && rm -f *.scb && {command.replace('KEYFILE', 'master-copy.key')}")
    assert "Restored from the replica" in said
    recovered(machine, it, command, began_s)
    bare = command.replace(" --master-key-file KEYFILE", "")
    assert "--without-secrets" in machine.sh(f"cd {USB} && {bare}", code=1)
    said = machine.sh(f"cd {USB} && {bare} --without-secrets")
    assert "integration sentry-prod" in said
    assert "entered again" in said
    recovered(machine, it, bare, began_s)


def test_disks_that_are_full_or_read_only(machine: Machine, tmp_path: Path) -> None:
    """One sentence, exit code 1, and nothing half-made."""
    it = lost(tmp_path, machine)
    (command,) = commands(it.sheet, "restore")
    command = command.replace("KEYFILE", "paper.txt").replace(str(it.box.data), "/mnt/data")
    for options, said_of in (
        ("size=100k", "full|are needed"),
        ("size=300k", "full|are needed"),
        ("ro", "only be read"),
    ):
        machine.sh(f"mount -t tmpfs -o {options} none /mnt")
        try:
            said = machine.sh(f"cd {USB} && {command}", code=1)
            assert any(words in said for words in said_of.split("|")), said
            assert len([line for line in said.splitlines() if line.startswith("signalcraft: ")]) == 1, said
            assert machine.sh("ls -A /mnt").strip() == ""
        finally:
            machine.sh("umount /mnt")
