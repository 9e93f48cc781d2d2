"""The weekly digest: on Monday at 8:00 local time, to the chosen channels, what the week was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from signalcraft.domain.group import Actor
from signalcraft.services.care.digest import KIND
from tests.world import World

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A week with noise, a late answer, a failure and an error of its own."""
    settings = {"digest.channels": "#leads", "workspace.timezone": "Europe/Berlin"}
    with World(tmp_path_factory.mktemp("week") / "data", **settings) as world:
        world.rule("source == sentry", "#oncall")
        world.channel("#leads")
        world._call(world.house.nightly.tick())
        for _ in range(5):
            world.receives("sentry", "event_alert", title="Noisy checkout")
        world.receives("sentry", "event_alert", issue="2", title="Slow to answer")
        world.after(hours=3)
        for group in world.groups():
            if group["title"] == "Slow to answer":
                world.act(group, "ack")
        world.slack.fail(error="msg_too_long", times=2)
        world.receives("sentry", "event_alert", issue="3", title="Never told")
        world.after(minutes=5)
        world.sends("sentry", b"{}", {"Sentry-Hook-Resource": "event_alert"})
        world.house.security.saw("limit", "203.0.113.9", route="webhooks")
        world._call(world.house.security.flush())
        yield world


def test_it_says_what_the_week_was(week: World) -> None:
    text = week._call(week.house.digests.made()).text
    assert "7 events in 3 new alert groups; 2 messages" in text
    assert "Noise reduced: 71.4 %" in text
    assert "Acknowledged: 1, on the average after 3 hours" in text
    assert "Waited longest for an answer: Slow to answer (3 hours)" in text
    assert "Noisiest: Noisy checkout (5 events)" in text
    assert "Messages that no channel took: 1" in text
    assert "Security events: " in text
    assert "Backup: none yet" in text
    assert "SignalCraft itself is well" in text


def test_own_errors_are_in_it(week: World) -> None:
    """LOG-8: the week's top errors."""
    week._call(_fails(week))
    assert "ZeroDivisionError in signalcraft.test" in week._call(week.house.digests.made()).text


async def _fails(world: World) -> None:
    import logging

    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("signalcraft.test").exception("planted")
    await world.house.faults.flush()


def test_it_goes_out_on_monday_at_eight_local_time_and_once(week: World) -> None:
    planned = next(one for one in week.house.nightly.planned if one.kind == KIND)
    monday_ms = week.house.nightly.next_ms(planned, week.clock.at_ms)
    assert datetime.fromtimestamp(monday_ms / 1000, UTC).strftime("%A %H:%M") == "Monday 07:00"  # 8:00 in Berlin
    week.after(seconds=(monday_ms - week.clock.at_ms) / 1000 - 60)
    tick(week)
    assert sent(week) == []
    week.after(seconds=120)
    tick(week)
    assert len(sent(week)) == 1
    assert "events in" in sent(week)[0].now
    tick(week)
    assert len(sent(week)) == 1


def test_the_next_one_ends_the_last_without_a_word(week: World) -> None:
    week.clock.at_ms += HOUR_MS
    before = len(week.told)
    assert week._call(week.house.digests.send()) == ["#leads"]
    week.settled()
    assert len(week.told) == before + 1
    assert "digest.sent" not in [row["verb"] for row in week.get("/api/audit")["items"]], "the plan is nobody"
    states = [g["status"] for g in week.groups(source="self") if "the week from" in g["title"]]
    assert states.count("open") == 1


def test_who_asks_for_one_now_stands_in_the_audit_log(week: World) -> None:
    assert week._call(week.house.digests.send(Actor("user", "local:root", "root"))) == ["#leads"]
    first = week.get("/api/audit")["items"][0]
    assert (first["verb"], first["actor"]["name"]) == ("digest.sent", "root")


def test_a_channel_that_is_not_there_is_named(week: World) -> None:
    """A failed run is on record and tried again; nothing is sent to the others."""
    made = week.get("/api/channels")["items"]
    leads = next(one for one in made if one["name"] == "#leads")
    assert week.api.patch(f"/api/channels/{leads['id']}", json={"enabled": False}).status_code == 200
    with pytest.raises(Exception, match="names #leads"):
        week._call(week.house.digests.send())


def tick(world: World) -> None:
    world._call(world.house.nightly.tick())
    world._call(world.house.nightly.settled(), 60)
    world.settled()


def sent(world: World) -> list:  # type: ignore[type-arg]
    return [one for one in world.told if one.channel == "#leads" and "the week from" in one.text]
