"""The watch over the appliance: where each condition begins, what is told again, and what it says nothing of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from signalcraft.domain.delivery import Reply
from signalcraft.services.care.alarms import SAY_AGAIN_MS
from signalcraft.services.care.vitals import size
from tests.stories.test_selfwatch import Watched
from tests.world import World

FULL: Callable[..., Any] = lambda path: (100 << 30, 99 << 30, 1 << 30)  # noqa: E731 -- what shutil.disk_usage says
ROOM: Callable[..., Any] = lambda path: (100 << 30, 50 << 30, 50 << 30)  # noqa: E731


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Watched]:
    it = Watched(tmp_path / "data")
    with it:
        it.channel("#ops")
        yield it


def answered(box: Watched, failed: int, well: int) -> None:
    for number in range(failed + well):
        box.house.measures.answered("/api/alert-groups", 500 if number < failed else 200, 0.01)


@pytest.mark.parametrize(("failed", "well", "wrong"), [(2, 38, True), (1, 39, False), (10, 9, False), (10, 10, True)])
def test_errors_begin_at_five_of_a_hundred_of_at_least_twenty(
    box: Watched, failed: int, well: int, wrong: bool
) -> None:
    for _ in range(2):  # what was asked until now is no longer among the last five minutes
        box._call(box.house.selfwatch.tick())
        box.clock.at_ms += 6 * 60_000
    answered(box, failed, well)
    box._call(box.house.selfwatch.tick())
    assert ("errors_high" in box.house.alarms.wrong) == wrong


def test_a_test_alert_that_takes_long_is_an_alert_told_late(box: Watched) -> None:
    box._call(box.house.canary.check())
    box._call(box.house.selfwatch.tick())
    assert "latency_high" not in box.house.alarms.wrong
    last = box.house.canary.last
    box.house.canary.last = type(last)(last.at_ms, 61.0)
    assert "61 s" in box.raises("latency_high")["title"] + box.house.alarms.wrong["latency_high"].said


def test_a_message_that_was_given_up(box: Watched) -> None:
    box.slack.fail(error="msg_too_long", times=1000)
    box.receives("sentry", "event_alert")
    box.raises("delivery_failing")
    assert "1 messages were given up" in box.house.alarms.wrong["delivery_failing"].said
    assert len(box.groups(source="self")) == 1


def test_a_message_that_is_just_being_tried_is_owed(box: Watched) -> None:
    """Who looks while a channel keeps a try waiting sees what is owed, and does not take the condition for over."""
    box.receives("sentry", "event_alert")
    assert box.house.deliver.idle
    late = "update delivery set state = 'sending', sent_ms = null, owed_ms = owed_ms - 1"
    box._call(box.house.db.write(lambda tx: tx.run(late)))
    box.clock.at_ms += 5 * 60_000
    box._call(box.house.selfwatch.tick())
    assert "1 messages are owed for longer than 5 minutes" in box.house.alarms.wrong["delivery_failing"].said


def test_a_vendors_clock_that_is_far_from_ours(box: Watched) -> None:
    def says(ahead_s: int) -> None:
        date = formatdate(box.clock.at_ms / 1000 + ahead_s, usegmt=True)
        box.house.selfwatch.replied(Reply(status=200, headers={"date": date}))

    says(20)
    box.watches(60)
    assert box.groups() == []
    says(-40)
    box.raises("clock_wrong")
    assert "-40 s away" in box.house.alarms.wrong["clock_wrong"].said
    says(0)
    box.resolves("clock_wrong")
    box.house.selfwatch.replied(Reply(status=200, headers={"date": "soon"}))
    assert box.house.selfwatch.skew[0] == 0


def test_what_channels_answer_is_looked_at(tmp_path: Path) -> None:
    with World(tmp_path / "data", **{"monitoring.self_watch": "true"}) as world:
        world.rule(channel="#oncall")
        real = world.house.deliver._reply

        async def dated(step: Any) -> Reply:
            date = formatdate(world.clock.at_ms / 1000 + 60, usegmt=True)
            return structs.replace(await real(step), headers={"date": date})

        world.house.deliver._reply = dated
        world.receives("sentry", "event_alert")
        assert world.house.selfwatch.skew == (60.0, world.clock.at_ms)


def test_the_memory_that_it_may_take_can_be_set(tmp_path: Path) -> None:
    box = Watched(tmp_path / "data", **{"monitoring.memory_mb": "100"})
    with box:
        box.house.selfwatch.vitals.allowed = lambda: (1 << 40, "the box")
        box.house.selfwatch.vitals.resident = lambda: 89 << 20
        box._call(box.house.selfwatch.tick())
        assert "memory_high" not in box.house.alarms.wrong
        box.house.selfwatch.vitals.resident = lambda: 91 << 20
        box._call(box.house.selfwatch.tick())
        assert "91 % of the 100 MB that monitoring.memory_mb allows" in box.house.alarms.wrong["memory_high"].said


def test_it_is_over_once_it_was_well_for_as_long(box: Watched) -> None:
    box.house.selfwatch.vitals.usage = FULL
    box.raises("disk_low")
    box.house.selfwatch.vitals.usage = ROOM
    box.watches(20)
    assert box.alarm("disk_low"), "not yet"
    box.resolves("disk_low")


def test_what_changed_about_it_is_told_again_after_a_quarter_of_an_hour(box: Watched) -> None:
    def says(words: str, minutes: int) -> int:
        box._call(box.house.alarms.say("disk_low", words))
        box.clock.at_ms += minutes * 60_000
        box._call(box.house.alarms.tick())
        box.settled()
        return int(box.alarm("disk_low")[0]["count"])

    box.house.selfwatch.vitals.usage = ROOM
    assert says("there is little room: 9 GB", 1) == 1
    assert says("there is little room: 8 GB", 60) == 1, "other numbers are no news"
    assert says("there is no room at all", 0) == 2
    assert says("there is some room", SAY_AGAIN_MS // 60_000 - 1) == 2, "not so soon again"
    assert says("there is some room", 1) == 3
    assert re.search("some room", str(box.get(f"/api/alert-groups/{box.alarm('disk_low')[0]['id']}")))


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    """The disk stays full for whoever looks: what is merely said is soon said otherwise by the minute's care."""

    def looks(box: World) -> list[dict[str, Any]]:
        box.house.selfwatch.vitals.usage = FULL
        box._call(box.house.selfwatch.tick())
        assert "disk_low" in box.house.alarms.wrong, "the pages of the box show it, told or not"
        box.settled()
        return box.groups(source="self")

    with Watched(tmp_path / "data", **{"monitoring.hold_seconds": "0"}) as box:
        assert len(looks(box)) == 1
    with World(tmp_path / "other", **{"monitoring.hold_seconds": "0"}) as world:
        assert looks(world) == []


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_530_000, "1.5 MB"),
        (72_600_000_000, "72.6 GB"),
        (270_000_000_000, "270 GB"),
        (2_000_000_000_000_000, "2000 TB"),
    ],
)
def test_sizes_are_told_as_the_dashboard_tells_them(count: int, words: str) -> None:
    assert size(count) == words


def test_a_disk_is_told_in_gigabytes(box: Watched) -> None:
    box.house.selfwatch.vitals.usage = lambda path: (270_000_000_000, 265_000_000_000, 5_000_000_000)
    box._call(box.house.selfwatch.tick())
    assert "5.0 GB of 270 GB are free (1.9 %)" in box.house.alarms.wrong["disk_low"].said
    assert "5.0 GB of 270 GB are free" in box.get("/health")["components"]["disk"]["detail"]


@pytest.mark.parametrize(
    ("limit", "words"),
    [(512 << 20, "83 MB of the 512 MB of the box"), (24105 << 20, "83 MB of the 23.5 GB of the box")],
)
def test_memory_is_told_as_the_settings_say_it(box: Watched, limit: int, words: str) -> None:
    box.house.selfwatch.vitals.allowed = lambda: (limit, "the box")
    box.house.selfwatch.vitals.resident = lambda: 83 << 20
    box._call(box.house.selfwatch.tick())
    assert box.get("/health")["components"]["memory"]["detail"] == words
