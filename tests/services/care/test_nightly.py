"""Care at night: once a day at its local time, caught up after a time off, tried again after a failure."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from signalcraft.services.care.nightly import AGAIN_MS, Nightly, Planned
from signalcraft.services.care.runs import Running, Runs
from signalcraft.storage import migrate, runs
from signalcraft.storage.db import Db

NOON_MS = 1_772_452_800_000  # 2026-03-02T12:00:00Z, a Monday
HOUR_MS = 3_600_000


class Nights:
    """A database, a clock that the test moves, and one sort of care that counts."""

    def __init__(self, folder: Path, zone: str = "UTC", **planned: object) -> None:
        self.db = Db(folder / "t.db")
        migrate.up(self.db)
        self.db.start()
        self.at_ms = NOON_MS
        self.done: list[int] = []
        self.fails = False
        self.again(zone, **planned)

    def again(self, zone: str = "UTC", **planned: object) -> None:
        """A new process on the same database."""
        self.runs = Runs(self.db, lambda: self.at_ms)
        self.nightly = Nightly(self.db, self.runs, zone, lambda: self.at_ms)
        self.nightly.add(Planned(**{"kind": "purge", "what": "It purges.", "at": "02:00", "do": self.do, **planned}))

    async def do(self, running: Running) -> None:
        self.done.append(self.at_ms)
        running.figures["deleted"] = 3
        if self.fails:
            raise OSError("no room")

    def tick(self, *, later_ms: int = 0) -> int:
        self.at_ms += later_ms

        async def once() -> None:
            await self.nightly.tick()
            await self.nightly.settled()

        asyncio.run(once())
        return len(self.done)

    def last(self) -> runs.Run:
        with self.db.reading() as tx:
            found = runs.last(tx, "purge")
        assert found is not None
        return found


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path)


def test_a_new_box_waits_for_its_first_night(nights: Nights) -> None:
    assert nights.tick() == 0
    assert nights.tick(later_ms=13 * HOUR_MS) == 0
    assert nights.tick(later_ms=HOUR_MS) == 1
    assert nights.tick(later_ms=60_000) == 1
    assert nights.last().state == "ok"
    assert nights.last().figures == {"deleted": 3}
    assert nights.tick(later_ms=24 * HOUR_MS) == 2


def test_a_night_without_power_is_caught_up_once(nights: Nights) -> None:
    nights.tick()
    nights.again()
    assert nights.tick(later_ms=5 * 24 * HOUR_MS) == 1
    assert nights.tick(later_ms=60_000) == 1


def test_a_failure_says_why_and_is_tried_again(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    nights.tick()
    nights.fails = True
    assert nights.tick(later_ms=14 * HOUR_MS) == 1
    assert (nights.last().state, nights.last().said) == ("failed", "OSError: no room")
    assert nights.tick(later_ms=AGAIN_MS - 1) == 1
    nights.fails = False
    assert nights.tick(later_ms=1) == 2
    assert nights.last().state == "ok"


def test_what_was_cut_off_is_done_again(nights: Nights) -> None:
    nights.tick()
    nights.tick(later_ms=14 * HOUR_MS)
    with nights.db.reading() as tx:
        before = runs.newest(tx)
    nights.db.call(lambda tx: runs.begin(tx, "purge", nights.at_ms))
    asyncio.run(nights.runs.boot())
    assert nights.last().state == "cut"
    assert nights.tick(later_ms=60_000) == len(before) + 1


def test_the_hour_is_the_zones(tmp_path: Path) -> None:
    nights = Nights(tmp_path, "America/New_York")
    nights.tick()
    assert nights.tick(later_ms=14 * HOUR_MS) == 0  # 02:00 in London is 21:00 there
    assert nights.tick(later_ms=5 * HOUR_MS) == 1


def test_a_weekly_one_waits_for_its_day(tmp_path: Path) -> None:
    nights = Nights(tmp_path, weekday=0)
    nights.tick()
    assert nights.tick(later_ms=6 * 24 * HOUR_MS) == 0
    assert nights.tick(later_ms=24 * HOUR_MS) == 1
    planned = nights.nightly.planned[0]
    assert (
        nights.nightly.next_ms(planned, nights.at_ms) - nights.nightly.latest(planned, nights.at_ms) == 7 * 24 * HOUR_MS
    )
