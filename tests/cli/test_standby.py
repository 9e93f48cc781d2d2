"""A standby follows a box's replica, says how far it is, and becomes a box that is held."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stories.test_replica import in_step, replica_of, settings, until
from tests.world import World


def run(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "signalcraft", *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "data", **settings(tmp_path)) as it:
        until(lambda: in_step(it))
        yield it


@pytest.fixture
def standby(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Follows once there is something to follow."""
    url, data = f"file://{tmp_path}/copy", str(tmp_path / "other")
    with (tmp_path / "standby.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "signalcraft", "standby", "--from", url, "--data-dir", data],
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    yield process
    process.kill()
    process.wait()


def status(data: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "signalcraft", "standby", "status", "--json", "--data-dir", str(data)],
        capture_output=True, timeout=60,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    assert done.returncode == (0 if said.get("in_step") else 1)
    return said


@pytest.mark.whole
def test_a_standby_takes_over_and_is_held(world: World, standby: subprocess.Popen[bytes], tmp_path: Path) -> None:
    other = tmp_path / "other"
    world.rule(channel="#oncall")
    event = world.receives("sentry", "event_alert")
    until(lambda: status(other).get("in_step"), 60)
    assert "put the box's master.key" in (tmp_path / "standby.log").read_text()
    # It has the directory to itself, and a box's own directory is none for a standby.
    assert "in use" in run("serve", "--data-dir", str(other), code=1)
    assert "has a box of its own" in run(
        "standby", "--from", f"file://{tmp_path}/copy", "--data-dir", str(tmp_path / "data"), code=1
    )
    time.sleep(1.2)  # the box's last sync has time to arrive: it will be killed
    told = len(world.told)
    world.killed()
    shutil.copy(tmp_path / "data" / "master.key", other)
    said = json.loads(run("standby", "promote", "--json", "--data-dir", str(other)))
    assert said["behind"] == ""
    assert said["master_key"] is True
    assert standby.wait(20) == 0
    assert not (other / "standby").exists()
    with World(other, **settings(tmp_path)) as promoted:
        assert promoted.house.hold.held
        assert promoted.get(f"/api/events/{event['event_id']}")["group_id"] == event["group_id"]
        promoted.after(minutes=5)
        assert promoted.told == []
        promoted.post("/api/hold/resume")
        until(lambda: in_step(promoted))
        assert replica_of(promoted).state().generation == 2
    assert told == 1
    assert "has a box of its own" in run("standby", "promote", "--data-dir", str(other), code=1)


@pytest.mark.whole
def test_a_standby_follows_the_box_that_took_over(
    world: World, standby: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    until(lambda: status(tmp_path / "other").get("generation") == 1, 60)
    world.stopped()
    place = tmp_path / "data" / "replica" / "place.json"
    place.unlink()  # as another box on the same address would be
    world.restarted()
    until(lambda: in_step(world) and replica_of(world).state().generation == 2)
    until(lambda: status(tmp_path / "other") | {} and status(tmp_path / "other")["generation"] == 2, 60)
    until(lambda: status(tmp_path / "other").get("in_step"), 60)
    os.kill(standby.pid, signal.SIGTERM)
    assert standby.wait(20) == 0
    said = status(tmp_path / "other")
    assert said["running"] is False


@pytest.mark.whole
def test_nothing_to_promote_or_follow_is_one_sentence(tmp_path: Path) -> None:
    assert "there is no standby" in run("standby", "status", "--data-dir", str(tmp_path), code=1)
    assert "say which replica" in run("standby", "--data-dir", str(tmp_path), code=2)
    assert "an address without a password" in run(
        "standby", "--from", "sftp://me:secret@host/x", "--data-dir", str(tmp_path), code=2
    )
    url = f"file://{tmp_path}/copy"
    assert "there is no standby" in run("standby", "promote", "--from", url, "--data-dir", str(tmp_path), code=1)
