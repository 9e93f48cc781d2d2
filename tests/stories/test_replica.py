"""The replica beside a whole box: in step, told when it is not, and never the old one after a restore."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.config import load
from signalcraft.errors import BadSetting
from signalcraft.services.care import replica as replica_module
from signalcraft.storage import children, hold, litestream
from signalcraft.storage.db import Db, Tx
from tests import bodies
from tests.standins.s3 import S3
from tests.world import BOT_TOKEN, SIGNING_SECRET, World

ALARM = "replica.behind_alarm_seconds"


def until(what: Callable[[], Any], seconds: float = 30) -> Any:
    """Waits for real: the child has a clock of its own."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return found


def replica_of(world: World) -> Any:
    return world.house.replica


def in_step(world: World) -> bool:
    return bool(replica_of(world).state().state == "in_step")


def settings(folder: Path, **more: str) -> dict[str, str]:
    return {"replica.url": f"file://{folder}/copy", **{f"replica.{name}": value for name, value in more.items()}}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "data", **settings(tmp_path, behind_alarm_seconds="5")) as it:
        until(lambda: in_step(it))
        yield it


def alarm(world: World) -> str:
    """What is said of it; "" while nothing is wrong."""
    wrong = world.house.alarms.wrong.get("replica_behind")
    return "" if wrong is None else str(wrong.said)


def component(world: World) -> dict[str, str]:
    said: dict[str, str] = world.get("/health")["components"]["replica"]
    return said


def test_a_box_says_how_its_replica_is(world: World) -> None:
    world.receives("sentry", "event_alert")
    said = component(world)
    assert said["status"] == "ok"
    assert "in step" in said["detail"]
    assert "generation 1" in said["detail"]
    metrics = world.api.get("/metrics").text
    for name in ("replica_up 1.0", "replica_lag_seconds", "replica_last_sync_timestamp_seconds", "database_wal_bytes"):
        assert f"signalcraft_{name}" in metrics


def test_what_was_taken_in_is_in_the_replica_when_the_box_has_stopped(world: World, tmp_path: Path) -> None:
    world.rule(channel="#oncall")
    event = world.receives("sentry", "event_alert")
    world.stopped()
    litestream.restore(load(overrides=settings(tmp_path), environ={}).settings.replica, tmp_path / "back.db")
    db = Db(tmp_path / "back.db")
    with db.direct() as tx:
        assert tx.value("select count(*) from event") == 1
        assert tx.value("pragma integrity_check") == "ok"
    db.stop()
    assert event["event_id"]
    # Who finds the copy finds no secret in it: they are sealed under a key that is not there.
    found = (tmp_path / "back.db").read_bytes() + b"".join(f.read_bytes() for f in (tmp_path / "copy").rglob("*.ltx"))
    for secret in (BOT_TOKEN, SIGNING_SECRET, bodies.SECRET):
        assert secret.encode() not in found


def test_a_child_that_is_killed_comes_back_by_itself(world: World) -> None:
    first = replica_of(world).child.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: replica_of(world).child.pid not in (None, first) and in_step(world))
    assert replica_of(world).restarts == 1
    world.receives("sentry", "event_alert")  # the box went on meanwhile
    assert replica_of(world).state().generation == 1


@pytest.mark.whole
def test_a_replica_that_cannot_be_written_raises_the_alarm_and_ends_it(world: World, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.rename(tmp_path / "away")
    copy.write_text("a file stands where the folder was")
    # A slow machine may say so before the cause is known, and take it back: its words are waited for.
    said = until(lambda: alarm(world) if replica_of(world)._doubt else "")
    assert "has not been in step" in said
    assert "runbooks/replica.md" in said
    assert component(world)["status"] == "degraded"
    world.receives("sentry", "event_alert")  # alerts are taken all the same
    copy.unlink()
    (tmp_path / "away").rename(copy)
    until(lambda: not alarm(world) and component(world)["status"] == "ok", 60)


@pytest.mark.whole
def test_what_waits_for_a_replica_that_is_away_does_not_fill_the_disk(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    copy.rename(tmp_path / "away")
    copy.write_text("a file stands where the folder was")
    monkeypatch.setattr(replica_module, "WAITING_BYTES", 4096)
    world.receives("sentry", "event_alert")
    until(lambda: "were dropped" in replica_of(world).why, 60)
    assert litestream.waiting(tmp_path / "data") == 0
    monkeypatch.undo()
    copy.unlink()
    (tmp_path / "away").rename(copy)
    until(lambda: in_step(world) and replica_of(world).state().generation == 2, 90)
    world.stopped()
    litestream.restore(replica_of(world).replica, tmp_path / "back.db")
    back = Db(tmp_path / "back.db")
    with back.direct() as tx:
        assert tx.value("pragma integrity_check") == "ok"
        assert tx.value("select count(*) from event") == 1
    back.stop()


@pytest.mark.whole
def test_a_replica_that_was_emptied_is_begun_anew_in_a_place_of_its_own(world: World, tmp_path: Path) -> None:
    world.receives("sentry", "event_alert")
    shutil.rmtree(tmp_path / "copy")
    (tmp_path / "copy" / "0003" / "db").mkdir(parents=True)  # what lies there now is somebody else's
    until(lambda: replica_of(world).state().generation == 4 and in_step(world), 60)
    world.stopped()
    restored = litestream.restore(replica_of(world).replica, tmp_path / "back.db")
    assert restored.generation == 4


@pytest.mark.whole
def test_a_server_that_goes_is_an_alarm_and_nothing_more(tmp_path: Path) -> None:
    with S3() as server:
        said = {"url": server.url(), "access_key_id": server.key_id, "secret_access_key": server.secret}
        with World(
            tmp_path / "data", **{f"replica.{name}": text for name, text in said.items()}, **{ALARM: "5"}
        ) as world:
            until(lambda: in_step(world), 60)
            server.stop()
            world.receives("sentry", "event_alert")  # alerts are taken all the same
            said = until(lambda: alarm(world), 60)
            assert server.secret not in said
            assert world.house.db.wal.bytes() < 2 * world.house.db.wal.bound


@pytest.mark.whole
def test_a_wrong_key_is_an_alarm_that_says_so(tmp_path: Path) -> None:
    with S3() as server:
        said = {"url": server.url(), "access_key_id": server.key_id, "secret_access_key": "wrong"}
        with World(
            tmp_path / "data", **{f"replica.{name}": text for name, text in said.items()}, **{ALARM: "5"}
        ) as world:
            until(lambda: "secret is wrong" in alarm(world), 60)
            world.receives("sentry", "event_alert")


def test_a_missing_program_is_an_alarm_and_the_box_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Any:
        raise BadSetting("the program litestream is missing", path="replica")

    monkeypatch.setattr(children, "litestream", none)
    with World(tmp_path / "data", **settings(tmp_path)) as world:
        until(lambda: "litestream is missing" in alarm(world))
        world.receives("sentry", "event_alert")
        assert world.house.db.wal.bytes() < world.house.db.wal.bound


@pytest.mark.whole
def test_a_restored_box_waits_while_it_is_held_and_then_takes_a_new_place(world: World, tmp_path: Path) -> None:
    world.receives("sentry", "event_alert")
    world.stopped()
    copy = load(overrides=settings(tmp_path), environ={}).settings.replica
    first = litestream.newest(copy)
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tmp_path / "data" / "master.key", other)
    litestream.restore(copy, other / "signalcraft.db")
    db = Db(other / "signalcraft.db")
    with db.direct() as tx:
        hold.put(tx, now_ms=world.clock.at_ms, why="of the tests", copy_ms=world.clock.at_ms)
    db.stop()
    with World(other, **settings(tmp_path)) as restored:
        time.sleep(2.5)
        assert replica_of(restored).state().state == "held"
        assert replica_of(restored).child.pid is None
        assert not (tmp_path / "copy" / "0002").exists()
        restored.post("/api/hold/resume")
        until(lambda: in_step(restored))
        assert replica_of(restored).state().generation == 2
    assert litestream.newest(copy, 1).txid == first.txid, "the restored box wrote where the earlier one had"
    # And the earlier one, should it come back, says so.
    world.restarted()
    until(lambda: in_step(world))
    assert replica_of(world).state().generation == 1
    said = component(world)
    assert said["status"] == "degraded"
    assert "generation 2" in said["detail"]


def hammer(db: Db, seconds: float) -> int:
    """Writes as fast as commits go, in random order, so that pages change all over; how many rows."""
    rows, end = 0, time.monotonic() + seconds

    def work(tx: Tx) -> None:
        for _ in range(5):
            tx.run("insert into fact (name, value) values (hex(randomblob(16)), hex(randomblob(300)))")

    while time.monotonic() < end:
        db.call(work)
        rows += 5
    return rows


@pytest.mark.whole
def test_a_busy_box_has_a_whole_replica_and_a_small_log(world: World, tmp_path: Path) -> None:
    """With our own checkpoints beside Litestream's, four of five such copies were damaged."""
    db: Db = world.house.db
    assert db.wal.handed_over
    rows = hammer(db, 3)
    os.kill(replica_of(world).child.pid, signal.SIGKILL)
    until(lambda: not db.wal.handed_over)
    rows += hammer(db, 1)
    until(lambda: db.wal.handed_over and in_step(world))
    rows += hammer(db, 3)
    assert db.wal.bytes() < 2 * db.wal.bound
    until(lambda: in_step(world))
    world.stopped()
    litestream.restore(replica_of(world).replica, tmp_path / "back.db")
    back = Db(tmp_path / "back.db")
    with back.direct() as tx:
        assert tx.value("pragma integrity_check") == "ok"
        assert tx.value("select count(*) from fact where length(name) = 32") == rows
    back.stop()


def test_without_a_replica_nothing_is_wrong(tmp_path: Path) -> None:
    with World(tmp_path / "data") as world:
        assert component(world) == {"status": "ok", "detail": component(world)["detail"]}
        assert "off" in component(world)["detail"]
        assert replica_of(world).child.pid is None
