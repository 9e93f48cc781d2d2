"""A sign of life goes out after a test alert went through the whole pipeline, and stops for what hides one."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from signalcraft.demo.threads import LoopThread
from signalcraft.main.program import HEARTBEAT
from tests.standins.receiver import Receiver
from tests.stillness import without
from tests.world import World

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def dead_man() -> Iterator[Receiver]:
    """The service elsewhere that misses signs of life."""
    with LoopThread(Receiver()) as thread:
        yield thread.it


@pytest.fixture
def box(tmp_path: Path, dead_man: Receiver) -> Iterator[World]:
    dead_man.heal()
    settings = {"heartbeat.url": dead_man.url, "heartbeat.every_seconds": "86400"}
    with World(tmp_path / "data", **settings) as it:
        it._call(without(it.program, HEARTBEAT))  # where it looks first, a test asks for what is under way
        it.channel("#ops")
        beats(it, dead_man)
        yield it


def beats(world: World, dead_man: Receiver) -> int:
    """The next one is due: how many signs of life came."""
    before = len(dead_man.requests)
    world.clock.at_ms += 86_400_000
    world._call(world.house.heartbeat.tick())
    return len(dead_man.requests) - before


def test_a_box_that_is_well_gives_a_sign_of_life_and_nobody_sees_the_test_alert(box: World, dead_man: Receiver) -> None:
    counted = rows(box)
    assert beats(box, dead_man) == 1
    assert dead_man.requests[-1].method == "GET"
    assert box.house.heartbeat.beat.state == "sent"
    assert box.house.canary.last.wrong == ""
    assert 0 < box.house.canary.last.took_s < 10
    assert rows(box) == counted  # not a row is left of it
    assert box.groups() == []
    assert box.told == []
    assert box.get("/api/dashboard/overview")["events"] == 0
    assert box.get("/api/deliveries")["items"] == []


def rows(world: World) -> dict[str, int]:
    names = ("event", "alert_group", "delivery", "conversation", "inbox", "group_minute", "minute_count", "journal")
    return world._call(
        world.house.db.read(lambda tx: {name: tx.value(f"select count(*) from {name}") for name in names})
    )


def test_the_test_alert_goes_every_step_of_the_way(box: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken in, grouped, routed by a rule, owed, composed and taken: without any one of them it does not arrive."""
    box.house.canary.patience_s = 0.3
    from signalcraft.services import own, telling
    from signalcraft.services.deliver import claiming

    check = box.house.canary.check
    assert box._call(check()).wrong == ""

    def gone(*_: Any, **__: Any) -> None:
        raise OSError("taken out")

    with monkeypatch.context() as without:
        without.setattr(telling, "tell", lambda *_: None)
        assert "not taken" in box._call(check()).wrong
    with monkeypatch.context() as without:
        without.setattr(claiming.outbox, "take", gone)
        assert "not taken" in box._call(check()).wrong
    with monkeypatch.context() as without:
        without.setattr(own.CANARY_CHANNEL, "compose", lambda *a: 1 / 0)
        assert box._call(check()).wrong != ""
    assert box._call(check()).wrong == ""


def test_a_self_check_on_its_way_does_not_hold_up_a_stop(box: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delivery loop ends, so nobody would take its message: the box would wait ten seconds for that."""
    under_way = threading.Event()
    box.stopped().restarted()  # its own loop looks again
    box.house.canary.last = None
    monkeypatch.setattr("signalcraft.storage.canary.taken", lambda tx, group_id: under_way.set())
    box.clock.at_ms += 86_400_000
    assert under_way.wait(60), "the loop itself begins one within a second"
    box.stopped()
    assert box.house.canary.last is None, "it was waited for until it gave up"
    with closing(sqlite3.connect(f"file:{box.data_dir / 'signalcraft.db'}?mode=ro", uri=True)) as left:
        assert left.execute("select count(*) from event").fetchone() == (0,)


def test_it_stops_when_nothing_can_be_written(box: World, dead_man: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: Any) -> Any:
        raise OSError("no space left on device")

    with monkeypatch.context() as without:
        without.setattr(box.house.db, "write", full)
        assert beats(box, dead_man) == 0
        assert "OSError" in box.house.heartbeat.beat.why
    assert beats(box, dead_man) == 1


def test_it_stops_while_nobody_takes_the_messages_of_a_channel(box: World, dead_man: Receiver) -> None:
    box.slack.archive("ops")
    box.receives("sentry", "event_alert")
    assert beats(box, dead_man) == 0
    assert box.house.heartbeat.beat.why == "nobody takes the messages for #ops"


def test_it_stops_while_the_box_is_held(box: World, dead_man: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as held:
        held.setattr(type(box.house.hold), "held", property(lambda hold: True))
        assert beats(box, dead_man) == 0
        assert "held" in box.house.heartbeat.beat.why
    assert beats(box, dead_man) == 1


def test_an_address_that_does_not_take_it_is_told(box: World, dead_man: Receiver) -> None:
    dead_man.fail(500)
    beats(box, dead_man)
    assert box.house.heartbeat.beat.state == "refused"
    assert "500" in box.house.heartbeat.beat.why
    dead_man.heal()
    assert beats(box, dead_man) == 1


def test_it_stops_with_the_process(box: World, dead_man: Receiver) -> None:
    """App down: nobody is left to send one."""
    box.killed()
    before = len(dead_man.requests)
    box.clock.at_ms += 10 * 86_400_000
    assert len(dead_man.requests) == before
    box.restarted()
    assert beats(box, dead_man) >= 1


def test_what_a_killed_process_left_of_a_test_alert_goes(box: World) -> None:
    from signalcraft.services import own
    from signalcraft.services.registry import CANARY

    said = own.Said(condition="x", status="firing", severity="info", title="left", message="", environment="production")
    box._call(box.house.ingest.say(CANARY, own.inbound(said)))
    box.killed().restarted()
    left = box._call(box.house.db.read(lambda tx: tx.all("select title from alert_group")))
    assert ("left",) not in left  # the first sign of life of the new process may have one of its own under way
