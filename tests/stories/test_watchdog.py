"""The service manager hears that all is well only while it is, and a part that dies takes the program along."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from signalcraft.config import load
from signalcraft.errors import BadSetting, Busy
from signalcraft.main import open_house
from signalcraft.storage import disks
from signalcraft.storage.lock import DataLock
from tests.world import World


@pytest.fixture
def told(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What systemd is told from now on."""
    said: list[str] = []
    monkeypatch.setattr(world.program._systemd, "tell", lambda *lines: said.extend(lines))  # type: ignore[union-attr]
    return said


def alive(world: World) -> None:
    """The watchdog's turn has come."""
    world._call(world.program._alive())  # type: ignore[union-attr]


def test_the_watchdog_is_fed_only_while_the_delivery_loop_turns(
    world: World, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alive(world)
    assert told == ["WATCHDOG=1"]
    stuck, go_on = asyncio.Event(), asyncio.Event()

    async def never() -> float:
        stuck.set()
        await go_on.wait()
        return 1.0

    monkeypatch.setattr(world.house.deliver, "_turn", never)
    world._call(asyncio.wait_for(stuck.wait(), 10))
    world.house.deliver.turning()  # what turned until then
    told.clear()
    alive(world)
    assert told == []
    world._loop.call_soon_threadsafe(go_on.set)
    deadline = time.monotonic() + 30
    while not told and time.monotonic() < deadline:
        alive(world)
        time.sleep(0.02)
    assert told == ["WATCHDOG=1"]


def test_the_watchdog_is_not_fed_while_nothing_can_be_written(
    world: World, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(work: Any) -> Any:
        raise Busy("the disk is gone")

    with monkeypatch.context() as broken:
        broken.setattr(world.house.db, "write", refused)
        with pytest.raises(Busy):
            alive(world)
    assert told == []
    alive(world)
    assert told == ["WATCHDOG=1"]


def test_a_loop_that_dies_ends_the_program_loudly(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Alerts that nobody is told of are worse than a restart."""
    program = world.program
    assert program is not None
    assert program.failed is None

    async def dies() -> None:
        raise RuntimeError("planted")

    async def plant() -> None:
        program._spawn("planted", dies())
        await asyncio.wait_for(program.wait(), 10)

    with caplog.at_level(logging.CRITICAL):
        world._call(plant())
    assert isinstance(program.failed, RuntimeError)
    assert ("a loop died", "planted") in [(r.getMessage(), getattr(r, "loop", "")) for r in caplog.records]


def test_a_data_directory_on_a_network_disk_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything in it is opened; its lock is given back."""
    data = tmp_path / "data"
    monkeypatch.setattr(disks, "_NETWORK", frozenset({disks.filesystem(tmp_path)}))
    settings = load(overrides={"data.dir": str(data)}, environ={}).settings
    with pytest.raises(BadSetting, match="network file system"):
        open_house(settings)
    assert not (data / "signalcraft.db").exists()
    lock = DataLock(data)
    lock.take("test")
    lock.release()
