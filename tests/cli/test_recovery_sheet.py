"""The recovery sheet is enough: what stands on it is typed on an empty machine, and nothing else.

A backup made by the program, a key on paper, a machine that is gone; then each way of the sheet. The same on a clean
Debian: tests/trials/test_recovery_sheet.py.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import httpx
import pytest

from tests.bodies import SECRET
from tests.cli.conftest import Box, free_port, wait_ready
from tests.trials.sheet import commands, typed

APPLY = """
[[integrations]]
name = "sentry-prod"
kind = "sentry"
token = "a-token-that-is-long-enough-for-a-test"
secret = "{secret}"
[[integrations]]
name = "jobs"
kind = "generic"
token = "another-token-that-is-long-enough-too"
"""


class Lost:
    """A box with alerts, a second place for its backups, a key on paper, and its sheet; then the machine is gone."""

    def __init__(self, box: Box, *, replica: bool = False) -> None:
        self.box = box
        self.elsewhere = box.root / "elsewhere"
        self.elsewhere.mkdir()
        key = json.loads(box.run("backup", "keygen", "--json").stdout)
        env = {"SIGNALCRAFT_BACKUP__RECIPIENT": key["public"], "SIGNALCRAFT_BACKUP__COPY_TO": str(self.elsewhere)}
        if replica:
            env["SIGNALCRAFT_REPLICA__URL"] = f"file://{box.root / 'replica'}"
        self.env = env
        port = free_port()
        box.url = f"http://127.0.0.1:{port}"
        process = box.start("serve", "--listen", f"127.0.0.1:{port}", env=env)
        wait_ready(box.url, process)
        (box.root / "config.toml").write_text(APPLY.format(secret=SECRET))
        box.run("apply", "config.toml", env=env)
        answer = httpx.post(
            f"{box.url}/webhooks/generic/another-token-that-is-long-enough-too",
            json={"title": "Before the loss", "severity": "critical"}, trust_env=False,
        )  # fmt: skip
        assert answer.status_code == 202, answer.text
        box.run("backup", env=env)
        self.sheet = box.run("backup", "sheet", env=env).stdout
        self.paper = box.root / "paper.txt"
        self.paper.write_text(key["private"] + "\n")
        self.master = box.root / "master-copy.key"
        shutil.copy(box.data / "master.key", self.master)
        box.ended(process)
        shutil.rmtree(box.data)

    def typed(self, command: str, key: Path) -> str:
        """What a person types, in the folder of the backups, with an environment that knows nothing."""
        return typed(command.replace("KEYFILE", str(key)), self.elsewhere, self.box.root)

    def well(self) -> None:
        """The box is there again, held; it goes on by the sheet's last commands."""
        self.box.serving()
        titles = self.box.run("status", code=1).stdout
        assert "hold" in titles
        for command in commands(self.sheet, "resume"):
            self.typed(command, self.paper)
        health = httpx.get(f"{self.box.url}/health", trust_env=False).json()
        assert health["components"]["hold"]["status"] == "ok"


@pytest.fixture
def lost(box: Box) -> Lost:
    return Lost(box)


@pytest.mark.whole
def test_a_backup_and_the_paper_are_enough(lost: Lost) -> None:
    """The master key is gone with the machine; there is no replica."""
    (command,) = commands(lost.sheet, "restore")
    said = lost.typed(command, lost.paper)
    assert "Restored from the backup" in said
    assert "Does not work" not in said
    lost.well()


@pytest.mark.whole
def test_the_paper_is_lost_and_the_master_key_was_kept(lost: Lost) -> None:
    (command,) = commands(lost.sheet, "restore")
    assert "Restored from the backup" in lost.typed(command, lost.master)
    lost.well()


@pytest.mark.whole
def test_the_backups_are_gone_and_the_replica_is_there(box: Box) -> None:
    lost = Lost(box, replica=True)
    shutil.rmtree(lost.elsewhere)
    lost.elsewhere.mkdir()
    (_, command) = commands(lost.sheet, "restore")
    assert "--from-replica" in command
    said = lost.typed(command, lost.master)
    assert "Restored from the replica" in said
    assert "the archive of old months" in said
    lost.well()


def test_the_sheet_is_readable_without_this_program(lost: Lost) -> None:
    assert all(len(line) < 100 for line in lost.sheet.splitlines() if str(lost.box.root) not in line)
    assert lost.paper.read_text().strip() not in lost.sheet
    assert sys.executable not in lost.sheet
