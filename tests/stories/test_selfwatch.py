"""The appliance watches itself: each condition, injected, raises its alert within two minutes, once, and ends it."""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.services.care.alarms import AN_HOUR, CONDITIONS
from signalcraft.services.health import Component
from tests.world import World

WITHIN_S = 120
STEP_S = 10
DAY_MS = 86_400_000


class Watched(World):
    """A world that watches itself: the steady clock goes with the one that the test moves."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        super().__init__(data_dir, **{"monitoring.self_watch": "true"}, **settings)

    def restarted(self) -> Watched:
        super().restarted()
        self.house.selfwatch.vitals.goes_by(lambda: self.clock.at_ms / 1000)
        self.house.deliver.replied = lambda reply: None  # the stand-in's Date goes by another clock
        return self

    def watches(self, seconds: int = WITHIN_S, until: Callable[[], bool] = lambda: False) -> int:
        """Looks every ten seconds, half as often as the program does; how many seconds went by."""
        for passed in range(0, seconds, STEP_S):
            self._call(self.house.selfwatch.tick())
            self.settled()
            if until():
                return passed
            self.clock.at_ms += STEP_S * 1000
        return seconds

    def alarm(self, name: str, status: str = "open") -> list[dict[str, Any]]:
        title = f"SignalCraft: {CONDITIONS[name].title}"
        return [g for g in self.groups(source="self") if g["title"] == title and g["status"] == status]

    def raises(self, name: str) -> dict[str, Any]:
        """The condition's alert is there within two minutes."""
        took = self.watches(until=lambda: bool(self.alarm(name)))
        assert took < WITHIN_S, f"no {name} within {WITHIN_S} s: {self.house.alarms.wrong}"
        return self.alarm(name)[0]

    def resolves(self, name: str) -> None:
        """And is over within two minutes."""
        took = self.watches(until=lambda: bool(self.alarm(name, "resolved")))
        assert took < WITHIN_S, f"{name} is not over: {self.house.alarms.wrong}"


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """One for all whose fault ends with the test."""
    with Watched(tmp_path_factory.mktemp("calm") / "data") as it:
        it.channel("#ops")
        yield it


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path / "data") as it:
        it.channel("#ops")
        yield it


def test_a_box_that_is_well_says_nothing(box: Watched) -> None:
    """Two hours of looking raise no alert, and nothing of the watch is in anybody's lists."""
    box.watches(600)
    assert box.groups() == []
    assert box.told == []


def test_many_errors(box: Watched) -> None:
    box.watches(10)
    for n in range(40):
        box.house.measures.answered("/api/alert-groups", 500 if n % 4 == 0 else 200, 0.01)
    group = box.raises("errors_high")
    assert group["severity"] == "high"
    assert group["environment"] == "production"
    assert group["runbook_url"].endswith("/docs/runbooks/errors.md")
    assert next(one for one in box.told if "Many requests fail" in one.text).channel == "#ops"  # the default route
    # Five minutes later they are no longer among the last five minutes.
    box.watches(330)
    box.resolves("errors_high")


def test_real_requests_are_what_is_counted(calm: Watched) -> None:
    """The rate and the durations come from the edge that every request passes."""
    before = calm.house.measures.requests.count
    calm.get("/api/alert-groups")
    assert calm.house.measures.requests.count == before + 1
    assert calm.house.measures.routes["/api/alert-groups"].sum > 0


def test_a_probe_that_is_told_no_is_no_failed_request(calm: Watched) -> None:
    """Whoever waits for the start asks /ready again and again."""
    before = calm.house.measures.failed
    for route in ("/ready", "/health", "/health/ready"):
        calm.house.measures.answered(route, 503, 0.001)
    assert calm.house.measures.failed == before
    calm.house.measures.answered("/webhooks", 503, 0.001)
    assert calm.house.measures.failed == before + 1


def test_slow_answers(calm: Watched) -> None:
    for _ in range(40):
        calm.house.measures.answered("/api/events/{id}", 200, 3.0)
    calm.raises("responses_slow")


def test_writes_pile_up(calm: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(calm.house.db), "queued", property(lambda db: 3000), raising=True)
    calm.raises("queue_deep")
    monkeypatch.undo()
    calm.resolves("queue_deep")


@pytest.mark.whole
def test_a_blocked_loop(calm: Watched) -> None:
    async def blocks() -> None:
        await asyncio.sleep(0)
        time.sleep(2.6)  # noqa: ASYNC251  # that is the fault

    calm._call(blocks())
    time.sleep(0.6)  # the next look at how late it is
    calm.raises("queue_deep")
    calm.resolves("queue_deep")


def test_a_database_that_is_slow_and_one_that_cannot_be_written(calm: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    real = calm.house.health.database

    async def slow() -> Component:
        found = await real()
        await asyncio.sleep(1.05)
        return found

    monkeypatch.setattr(calm.house.health, "database", slow)
    assert calm.raises("database_failing")["severity"] == "critical"
    monkeypatch.undo()
    calm.resolves("database_failing")


def test_what_could_not_be_told_is_told_when_it_is_over(box: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing can be written no alert can be raised; the heartbeat that stops tells it, and afterwards this."""
    real = box.house.db.write

    async def full(*_: Any) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr(box.house.db, "write", full)
    for _ in range(12):
        box._call(box.house.selfwatch.tick())
        box.clock.at_ms += 5_000
    assert "database_failing" in box.house.alarms.wrong
    monkeypatch.setattr(box.house.db, "write", real)
    box.watches(until=lambda: bool(box.alarm("database_failing", "resolved")))
    box.settled()
    assert any("cannot be written" in one.text for one in box.told)


def test_a_sender_with_wrong_signatures(box: Watched) -> None:
    box.integration("sentry")
    for _ in range(6):
        assert box.sends("sentry", b"{}", {"Sentry-Hook-Resource": "event_alert"}).status_code == 401
    box.raises("integration_failing")


def test_a_sender_that_fell_silent(box: Watched) -> None:
    box.integration("generic", "cron")
    for _ in range(25):
        box.sends("cron", b'{"title": "tick", "severity": "info"}')
        box.clock.at_ms += 10 * 60_000
    box.watches(30)
    assert box.alarm("integration_failing") == []
    box.clock.at_ms += 60 * 60_000
    assert "cron" in box.house.alarms.wrong.get("integration_failing", box.raises("integration_failing")).said


def test_a_broken_channel_is_told_through_another_one_and_chases_no_tail(box: Watched) -> None:
    box.rule("source == sentry", "#oncall")
    box.slack.archive("oncall")
    box.receives("sentry", "event_alert")
    box.raises("delivery_failing")
    assert any(one.channel == "#ops" and "do not get through" in one.text for one in box.told)


def test_when_every_channel_is_broken_the_alarm_about_it_raises_no_other(box: Watched) -> None:
    box.receives("sentry", "event_alert")
    box.slack.archive("ops")
    box.receives("sentry", "event_alert", issue="2", title="second")
    box.raises("delivery_failing")
    box.watches(1800)
    own = box.groups(source="self")
    assert len(own) == 1
    assert own[0]["count"] <= 1 + 1800 // 900


def test_failures_of_its_own_alerts_are_no_reason_for_one(box: Watched) -> None:
    """A message about itself that no channel takes is on record; it does not keep an alarm about it up for ever."""
    box.slack.fail(error="msg_too_long", times=1000)
    box._call(box.house.alarms.say("retention_failed", "there is no room"))
    box.watches(1200)
    failed = [d for d in box.get("/api/deliveries", limit=100)["items"] if d["state"] == "failed"]
    assert failed
    assert box.alarm("delivery_failing") == []
    assert [g["title"] for g in box.groups(source="self")] == ["SignalCraft: Old data could not be archived or deleted"]


def test_messages_that_are_owed_for_long(box: Watched) -> None:
    box.receives("sentry", "event_alert")
    box.slack.outage(mode="503")
    box.receives("sentry", "event_alert", issue="2", title="second")
    box.clock.at_ms += 5 * 60_000
    box.raises("delivery_failing")
    assert "1 messages are owed for longer than 5 minutes" in box.house.alarms.wrong["delivery_failing"].said


def test_alerts_that_are_told_late(calm: Watched) -> None:
    for _ in range(3):
        calm.house.measures.told("slack", 200.0)
    calm.raises("latency_high")


def test_a_disk_that_is_nearly_full(calm: Watched) -> None:
    calm.house.selfwatch.vitals.usage = lambda path: (100 << 30, 95 << 30, 5 << 30)
    calm.raises("disk_low")
    assert calm.get("/health")["components"]["disk"]["status"] == "degraded"
    calm.house.selfwatch.vitals.usage = shutil.disk_usage
    calm.resolves("disk_low")


@pytest.mark.whole
def test_a_disk_that_will_be_full_tomorrow(calm: Watched) -> None:
    begun_ms = calm.clock.at_ms
    fills = (100 << 30) / DAY_MS  # as fast as the whole disk in a day

    def usage(path: Path) -> tuple[int, int, int]:
        used = (50 << 30) + math.floor((calm.clock.at_ms - begun_ms) * fills)
        return 100 << 30, used, (100 << 30) - used

    calm.house.selfwatch.vitals.usage = usage
    calm.house.selfwatch.vitals._used.clear()  # what the real disk was is no beginning of this one
    calm.watches(30 * 60)
    assert "hours" in calm.house.alarms.wrong.get("disk_low", calm.raises("disk_low")).said


def test_memory_that_runs_out(calm: Watched) -> None:
    calm.house.selfwatch.vitals.allowed = lambda: (100 << 20, "its control group (MemoryMax)")
    calm.house.selfwatch.vitals.resident = lambda: 95 << 20
    calm.raises("memory_high")


def test_a_certificate_that_ends(calm: Watched) -> None:
    calm.house.selfwatch.vitals.certificate = lambda: calm.clock.at_ms + 5 * DAY_MS
    calm.raises("certificate_ending")
    assert "5 days" in calm.get("/health")["components"]["certificate"]["detail"]


def test_a_clock_that_steps_and_one_that_is_wrong(box: Watched) -> None:
    box.watches(10)
    box.house.selfwatch.vitals.steady = lambda: (box.clock.at_ms - 3_600_000) / 1000
    box.raises("clock_wrong")


@pytest.mark.parametrize("name", ["replica_behind", "backup_failed", "drill_failed"])
def test_what_other_parts_say(calm: Watched, name: str) -> None:
    calm._call(calm.house.alarms.say(name, "it is not as it should be"))
    calm.raises(name)
    calm._call(calm.house.alarms.say(name, None))
    calm.resolves(name)


def test_a_self_check_that_does_not_get_through(calm: Watched) -> None:
    calm.house.canary.patience_s = 0.2
    calm.house.deliver.held = lambda: True
    calm._call(calm.house.canary.check())
    calm.house.deliver.held = lambda: False
    calm.raises("self_check_failed")
    calm.house.canary.patience_s = 10.0
    assert calm._call(calm.house.canary.check()).wrong == ""
    calm.resolves("self_check_failed")


def test_a_restart_neither_forgets_nor_repeats(box: Watched) -> None:
    box._call(box.house.alarms.say("retention_failed", "there is no room for the archive"))
    box.raises("retention_failed")
    box.killed().restarted()
    box.watches(120)
    assert box.alarm("retention_failed")[0]["count"] == 1
    assert len([one for one in box.told if "Old data" in one.text]) == 1
    box._call(box.house.alarms.say("retention_failed", None))
    box.resolves("retention_failed")


@pytest.mark.whole
def test_what_flaps_is_told_a_few_times_an_hour_and_a_blip_never(box: Watched) -> None:
    for _ in range(20):
        box._call(box.house.alarms.say("replica_behind", "a blip"))
        box.watches(10)
        box._call(box.house.alarms.say("replica_behind", None))
        box.watches(10)
    assert box.groups() == []
    for _ in range(20):
        box._call(box.house.alarms.say("replica_behind", "for a minute"))
        box.watches(60)
        box._call(box.house.alarms.say("replica_behind", None))
        box.watches(60)
    assert box.groups(source="self")[0]["count"] <= AN_HOUR + 1


def test_rules_route_it_like_anything(box: Watched) -> None:
    box.rule("source == self", "#platform")
    box._call(box.house.alarms.say("retention_failed", "gone"))
    box.raises("retention_failed")
    assert [one.channel for one in box.told] == ["#platform"]


def test_its_integration_is_in_no_list_and_cannot_be_deleted(box: Watched) -> None:
    box._call(box.house.alarms.say("retention_failed", "gone"))
    group = box.raises("retention_failed")
    assert box.get("/api/integrations")["items"] == []
    event = box.get(f"/api/alert-groups/{group['id']}/events")["items"][0]
    assert box.api.delete(f"/api/integrations/{event['integration']}").status_code == 404
    assert event["source"] == "self"
    noisy = box.get("/api/dashboard/overview")["top_sources"]
    assert [(one["integration"], one["kind"]) for one in noisy] == [("SignalCraft", "self")]
