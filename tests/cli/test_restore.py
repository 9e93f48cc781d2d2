"""`signalcraft restore` and `resume` as a person runs them: an empty folder, a clean environment, real processes."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from nacl.public import PrivateKey

from signalcraft.storage import bundlekeys
from tests.cli.conftest import Box
from tests.storage.restored import backed_up
from tests.world import START_MS, World


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left of a box: a backup, and the backup key on paper."""
    root = tmp_path_factory.mktemp("lost")
    with World(root / "data") as world:
        world.rule(channel="#oncall")
        world.receives("sentry", "event_alert", title="Before the loss")
        world.receives("sentry", "event_alert", title="Owed at the loss", issue="2", level="fatal", settle=False)
        world.killed()
        key = PrivateKey.generate()
        backed_up(root / "data", root / "signalcraft-20260302-090000.scb", created_ms=START_MS, recipient=key)
        (root / "backup.key").write_text(bundlekeys.show_private(key) + "\n")
    return root


def restored(box: Box, lost: Path, *args: str) -> dict[str, object]:
    done = box.run(
        "restore",
        str(lost / "signalcraft-20260302-090000.scb"),
        "--key-file",
        str(lost / "backup.key"),
        "--json",
        *args,
    )
    said: dict[str, object] = json.loads(done.stdout)
    return said


def test_one_command_from_an_empty_folder_to_a_held_box_and_one_more_to_go_on(box: Box, lost: Path) -> None:
    said = restored(box, lost)
    assert said["data_dir"] == str(box.data)
    assert (said["held"], said["lacks"], said["moved_aside"]) == (True, [], None)
    box.serving()
    health = httpx.get(f"{box.url}/health", trust_env=False).json()
    assert health["components"]["hold"]["status"] == "degraded"
    assert "hold" in box.run("status", code=1).stdout
    shown = box.run("resume", "--dry-run")
    assert "may have sent it" in shown.stdout
    assert "Owed at the loss" in shown.stdout
    assert "Nothing was done" in shown.stderr
    assert "held no longer" in box.run("resume", "--drop-older-than", "1h").stdout
    assert httpx.get(f"{box.url}/health", trust_env=False).json()["components"]["hold"]["status"] == "ok"
    assert "not held" in box.refused("resume", code=1)


def test_it_goes_on_also_while_nothing_serves(box: Box, lost: Path) -> None:
    restored(box, lost)
    plan = json.loads(box.run("resume", "--json").stdout)
    assert plan["resumed"] is True
    assert [m["fate"] for m in plan["plan"]["messages"]] == ["drop"]


def test_what_a_person_reads(box: Box, lost: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    done = box.run(
        "restore", str(lost / "signalcraft-20260302-090000.scb"), "--key-file", str(lost / "backup.key"),
        "--to", str(other),
    )  # fmt: skip
    assert "It tells up to 2026-03-02T09:00:00.000Z" in done.stdout
    assert "2 alert groups" in done.stdout
    assert "signalcraft resume --dry-run" in done.stdout
    assert (other / "signalcraft.db").is_file()
    assert not box.data.exists()


def test_what_is_refused_is_one_line_and_leaves_nothing(box: Box, lost: Path) -> None:
    backup = str(lost / "signalcraft-20260302-090000.scb")
    assert "opens with the master key" in box.refused("restore", backup, code=1)
    assert "say what to restore" in box.refused("restore")
    assert "no replica" in box.refused("restore", "--from-replica")
    assert "cannot be read" in box.refused("restore", backup, "--key-file", "nowhere")
    assert "2026-03-01T10:00:00Z" in box.refused("restore", backup, "--at", "yesterday")
    assert not box.data.exists()
    restored(box, lost)
    key = str(lost / "backup.key")
    assert "--yes" in box.refused("restore", backup, "--key-file", key, code=1)
    assert restored(box, lost, "--yes")["moved_aside"]
    box.serving()
    assert "in use" in box.refused("restore", backup, "--key-file", key, "--yes", code=1)
