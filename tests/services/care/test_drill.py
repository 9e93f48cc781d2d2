"""The restore drill: real restores in a process of their own, markers, figures, the alarm, the quarterly report."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.domain import drillreport
from signalcraft.domain.drillreport import Tried
from signalcraft.services.care.drill import judged
from signalcraft.storage import drilling
from signalcraft.storage.drilling import Exercise, Outcome, Worker
from tests.storage.restored import backed_up
from tests.world import START_MS, World

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
def own(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "data") as it:
        it.rule(channel="#oncall")
        it.receives("sentry", "event_alert", title="Kept")
        it._call(it.house.drill.tend())
        it.clock.at_ms += 10 * MINUTE_MS
        yield it


def backup(world: World) -> Path:
    """A backup of now, where the drill looks for it."""
    folder = world.data_dir / "backups"
    folder.mkdir(exist_ok=True)
    target = folder / f"signalcraft-{world.clock.at_ms}.scb"
    return backed_up(world.data_dir, target, created_ms=world.clock.at_ms)


def drilled(world: World) -> dict[str, Any]:
    """A drill from its beginning to its end."""
    world.post("/api/drill")
    for _ in range(10):
        said: dict[str, Any] = world.get("/api/drill", wait_seconds=10)
        if not said["running"]:
            return said
    raise AssertionError("the drill does not end")


def test_the_newest_backup_is_restored_and_measured(own: World) -> None:
    backup(own)
    own.clock.at_ms += HOUR_MS
    said = drilled(own)
    assert (said["state"], said["said"]) == ("ok", "the newest backup can be restored")
    (part,) = said["parts"]
    assert (part["source"], part["well"], part["data_loss_seconds"]) == ("backup", True, 3600)
    assert 0 < part["restore_seconds"] < 60
    assert not (own.data_dir / "drill").exists()
    assert own.get("/health")["components"]["drill"] == {"status": "ok", "detail": said["said"]}
    metrics = own.api.get("/metrics").text
    assert 'signalcraft_drill_ok{source="backup"} 1.0' in metrics
    assert 'signalcraft_drill_data_loss_seconds{source="backup"} 3600.0' in metrics
    assert "drill.begun" in [row["verb"] for row in own.get("/api/audit")["items"]]


def test_a_damaged_backup_fails_the_drill_and_raises_the_alarm(own: World) -> None:
    target = backup(own)
    raw = bytearray(target.read_bytes())
    raw[-2_000] ^= 1
    target.write_bytes(bytes(raw))
    said = drilled(own)
    assert said["state"] == "failed"
    assert "damaged" in said["said"]
    health = own.get("/health")["components"]["drill"]
    assert health["status"] == "degraded"
    assert "damaged" in own.house.alarms.wrong["drill_failed"].said
    backup_again = target.with_name("signalcraft-later.scb")
    own.clock.at_ms += 1000
    backed_up(own.data_dir, backup_again, created_ms=own.clock.at_ms)
    assert drilled(own)["state"] == "ok"
    assert "drill_failed" not in own.house.alarms.wrong


def test_it_is_done_each_night_and_an_old_one_is_an_alarm(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = {one.kind: one for one in own.house.nightly.planned}
    assert planned["drill"].at == "03:30"
    backup(own)
    drilled(own)
    own.clock.at_ms += 27 * HOUR_MS
    own._call(own.house.drill.tend())
    assert "27 hours old" in own.house.alarms.wrong["drill_failed"].said
    assert own.get("/health")["components"]["drill"]["status"] == "degraded"


def test_a_box_with_nothing_to_restore_from_says_so(own: World) -> None:
    said = drilled(own)
    assert said["sources"] == []
    assert "nothing to restore from" in said["said"]


def test_the_quarters_report_is_written_and_told(own: World) -> None:
    backup(own)
    drilled(own)
    said = own.get("/api/drill")
    assert said["reports"] == ["drill-2026-Q1.md"]
    text = own.get("/api/drill/reports/drill-2026-Q1.md")["text"]
    assert text == (own.data_dir / "reports/drill-2026-Q1.md").read_text()
    assert "| the newest backup | 1 | 1 |" in text
    assert own.api.get("/api/drill/reports/other.md").status_code == 404


def test_two_at_once_are_refused(own: World) -> None:
    backup(own)
    own.post("/api/drill")
    assert own.api.post("/api/drill").status_code == 409
    assert own.get("/api/drill", wait_seconds=30)["state"] == "ok"


# -- the replica ------------------------------------------------------------------------------------------------------


def replicated(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "data", **{"replica.url": f"file://{tmp_path / 'replica'}"}) as world:
        world.rule(channel="#oncall")
        world.receives("sentry", "event_alert", title="Kept")
        world._call(world.house.drill.tend())
        yield world


def in_step(world: World) -> None:
    """Until all that is written now is known to be in the replica."""
    written_s = time.monotonic()
    while True:
        now = world.house.replica.state()
        if now.state == "in_step" and now.lag_s < time.monotonic() - written_s:
            return
        assert time.monotonic() < written_s + 60, now
        time.sleep(0.1)


@pytest.mark.whole
def test_the_replica_is_restored_with_the_marker_of_minutes_before(tmp_path: Path) -> None:
    for world in replicated(tmp_path):
        in_step(world)
        world.clock.at_ms += 10 * MINUTE_MS
        said = drilled(world)
        assert said["state"] == "ok", said
        (part,) = said["parts"]
        assert (part["source"], part["well"]) == ("replica", True)
        assert part["data_loss_seconds"] <= 10 * 60


# -- what is judged ---------------------------------------------------------------------------------------------------


def test_a_copy_without_the_marker_is_none() -> None:
    known = [START_MS, START_MS + 5 * MINUTE_MS]
    at_ms = START_MS + 30 * MINUTE_MS
    whole = Outcome(copy_ms=at_ms, alive_ms=at_ms - 1500, markers=known, restore_s=2.0)
    assert judged("replica", at_ms, whole, known) == Tried(
        source="replica", at_ms=at_ms, well=True, rto_s=2.0, rpo_s=1.5, said=""
    )
    stale = Outcome(copy_ms=at_ms, alive_ms=START_MS, markers=known[:1], restore_s=2.0)
    found = judged("replica", at_ms, stale, known)
    assert not found.well
    assert "300 s older" in found.said
    assert found.rpo_s == 1800
    assert not judged("backup", at_ms, Outcome(copy_ms=at_ms, markers=[]), known).well


def test_the_worker_answers_also_where_it_fails(tmp_path: Path) -> None:
    exercise = Exercise(folder=str(tmp_path / "x"), now_ms=START_MS, memory_mb=256, file=str(tmp_path / "nothing.scb"))
    assert "cannot be read" in Worker().run(exercise).said
    assert not (tmp_path / "x").exists()


def test_markers_are_few_and_grow(own: World) -> None:
    for _ in range(3):
        own.clock.at_ms += drilling.MARK_MS
        own._call(own.house.drill.mark())
        own._call(own.house.drill.mark())
    known = own.house.db.call(drilling.markers)
    assert len(known) == 4
    assert known == sorted(known)


def test_the_report_of_a_quarter() -> None:
    assert drillreport.quarter(START_MS, "Europe/Berlin") == (2026, 1)
    from_ms, until_ms = drillreport.bounds_ms(2026, 4, "UTC")
    assert until_ms - from_ms == 92 * 24 * HOUR_MS
    tried = [
        Tried(source="replica", at_ms=START_MS, well=True, rto_s=1.4, rpo_s=0.8, said=""),
        Tried(source="backup", at_ms=START_MS, well=False, rto_s=None, rpo_s=None, said="it is | damaged"),
    ]
    text = drillreport.report(2026, 1, "UTC", tried, "0.1.0")
    assert "| the replica | 1 | 1 | 1.4 s | 0.8 s (aim ≤ 10 s) |" in text
    assert "| 2026-03-02 09:00 UTC | the newest backup | **failed**: it is / damaged | – | – |" in text
    assert json.dumps(text)


def test_it_ends_with_the_program(own: World) -> None:
    backup(own)

    async def begun() -> None:
        house = own.house
        await house.drill.begin(house_actor())
        await asyncio.sleep(0.2)

    own._call(begun())
    own.stopped()
    own.restarted()
    states = own.house.db.call(lambda tx: tx.all("select state from maintenance_run where kind = 'drill' order by id"))
    assert states[0] == ("cut",)  # and it is done again


def house_actor() -> Any:
    from signalcraft.domain.group import SYSTEM

    return SYSTEM
