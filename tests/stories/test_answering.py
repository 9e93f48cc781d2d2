"""People answer: acknowledge, snooze, resolve, from Slack and from the API, and everybody sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from tests.world import World


def test_ack_in_slack_shows_in_the_api_and_edits_the_message(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    pressed = world.press(world.told[0], "ack", by="Kim")
    assert (pressed.status, pressed.in_time) == (200, True)
    group = world.group()
    assert (group["status"], group["acknowledged_by"], group["assignee"]["name"]) == ("acknowledged", "kim", "kim")
    world.after(seconds=5)
    assert "kim" in world.told[0].now
    assert len(world.told) == 1
    timeline = world.get(f"/api/alert-groups/{group['id']}/timeline")["items"]
    assert any(e["verb"] == "acknowledged" and e["actor"]["kind"] == "slack" for e in timeline)


def test_ack_in_the_api_edits_the_slack_message(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    world.act(world.group(), "ack", note="on it")
    world.after(seconds=5)
    assert "cknowledged" in world.told[0].now


def test_resolve_in_slack_says_so_in_the_thread(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    world.press(world.told[0], "resolve", by="Sam")
    world.after(seconds=10)
    assert world.group()["status"] == "resolved"
    assert len(world.told) == 2
    assert world.told[1].in_thread
    assert "sam" in world.told[1].text
    assert "esolved" in world.told[0].now


def test_a_snoozed_group_is_silent_until_it_turns_worse(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert", level="error")
    world.press(world.told[0], "snooze")
    assert world.group()["status"] == "snoozed"
    for _ in range(10):
        world.receives("sentry", "event_alert", level="error")
        world.after(minutes=1)
    assert len(world.told) == 1
    world.receives("sentry", "event_alert", level="fatal")
    world.after(minutes=1)
    assert world.group()["status"] == "open"
    assert len(world.told) == 2
    assert "critical" in world.told[1].text


def test_a_snooze_ends_with_one_message(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    world.act(world.group(), "snooze", minutes=30)
    world.after(minutes=29)
    assert len(world.told) == 1
    world.after(minutes=2)
    assert world.group()["status"] == "open"
    assert len(world.told) == 2
    world.after(hours=5)
    assert len(world.told) == 2


def test_a_snooze_that_ended_while_the_box_was_down_is_told_at_the_start(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    world.act(world.group(), "snooze", minutes=30)
    world.killed()
    world.after(hours=2)
    world.restarted().after(minutes=1)
    assert world.group()["status"] == "open"
    assert len(world.told) == 2


def test_unsnooze_wakes_at_once(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    world.press(world.told[0], "snooze")
    world.after(seconds=10)
    world.press(world.told[0], "unsnooze")
    assert world.group()["status"] == "open"


def test_snooze_until_nine_in_the_workspace_timezone(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with World(tmp_path / "data", **{"workspace.timezone": "Europe/Berlin"}) as world:
        world.rule("")
        world.receives("sentry", "event_alert")
        message = world.told[0].message
        choices = [
            (block, element, option)
            for block in message.blocks
            for element in block.get("elements", [])
            for option in element.get("options", [])
            if "9" in option["text"]["text"] and "until" in option["text"]["text"].lower()
        ]
        assert choices, "no choice of 'until 9:00'"
        _, element, option = choices[0]
        world.press(world.told[0], element["action_id"], option=option["value"])
        # Monday 09:00 UTC is 10:00 in Berlin: the next nine o'clock there is Tuesday 08:00 UTC.
        assert world.group()["snoozed_until"].startswith("2026-03-03T08:00:00")


def test_a_stale_button_is_answered_kindly_and_changes_nothing(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    world.press(world.told[0], "ack", by="Kim")
    stale = world.told[0]
    world.slack.fail("chat.update")  # no edit reaches Slack: the old buttons are still there
    world.act(world.group(), "resolve")
    group_before = world.group()
    answer = world.standin.press(stale.message.channel, stale.message.ts, "resolve", "Sam")
    world.settled()
    assert answer.status == 200
    assert world.group()["resolved_at"] == group_before["resolved_at"]
    assert any("already resolved" in text for text in world.whispered())


def test_a_forged_or_old_press_does_nothing(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    forged = world.press(world.told[0], "ack", signed_with="not-the-secret")
    old = world.press(world.told[0], "ack", signed_at_ms=world.clock.at_ms - 301_000)
    assert (forged.status, old.status) == (401, 401)
    assert world.group()["status"] == "open"


def test_what_makes_no_sense_is_a_conflict_with_the_state(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    group = world.group()
    world.act(group, "resolve")
    for verb, body in (("ack", {}), ("snooze", {"minutes": 5}), ("resolve", {}), ("unsnooze", {})):
        answer = world.api.post(f"/api/alert-groups/{group['id']}/{verb}", json=body)
        assert answer.status_code == 409, verb
        assert "resolved" in answer.json()["detail"]


def test_an_acknowledgement_does_not_outlive_a_day_of_quiet(world: World) -> None:
    """A new failure days later is not swallowed by an old acknowledgement."""
    world.rule("")
    world.receives("sentry", "event_alert", level="warning")
    world.press(world.told[0], "ack", by="Kim")
    world.after(days=2)
    before = len(world.told)
    world.receives("sentry", "event_alert", level="warning")
    world.after(minutes=1)
    assert world.group()["status"] == "open"
    assert len(world.told) == before + 1
    assert "kim" in world.told[-1].text


def test_an_acknowledged_critical_asks_again_after_four_hours(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert", level="fatal")
    world.press(world.told[0], "ack", by="Kim")
    world.after(hours=3, minutes=50)
    assert len(world.told) == 1
    world.after(minutes=15)
    assert len(world.told) == 2
    assert "kim" in world.told[1].text


def test_seven_silent_days_close_a_group(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert", level="warning")
    world.after(days=6, hours=23)
    assert world.group()["status"] == "open"
    world.after(hours=2)
    group = world.group()
    assert group["status"] == "resolved"
    timeline = world.get(f"/api/alert-groups/{group['id']}/timeline")["items"]
    assert any(e["verb"] == "resolved" and e["actor"]["kind"] == "system" for e in timeline)


def test_reopen_and_assign(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    group = world.group()
    world.act(group, "resolve")
    assert world.act(group, "reopen")["status"] == "open"
    after = world.act(group, "assign", assignee={"kind": "slack", "id": "U0KIM", "name": "Kim"})
    assert after["assignee"]["name"] == "Kim"
    assert world.groups(assignee="Kim")
    assert world.act(group, "assign", assignee=None)["assignee"] is None


def test_times_are_rfc_3339(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    seen = datetime.fromisoformat(world.group()["first_seen_at"])
    assert seen == datetime.fromtimestamp(world.clock.at_ms / 1000, UTC)


def _until(holds: Callable[[], bool]) -> None:
    """A socket has its own pace: waits ten real seconds at most."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)


def test_buttons_work_through_socket_mode_without_a_public_address(world: World) -> None:
    world.channel("#quiet-box", app_token="xapp-tests")
    world.rule("", "#quiet-box")
    world.receives("sentry", "event_alert")
    _until(lambda: world.slack.sockets == 1)
    pressed = world.press(world.told[0], "ack", by="Kim")
    assert pressed.via == "socket"
    _until(lambda: world.group()["status"] == "acknowledged")
    assert world.group()["acknowledged_by"] == "kim"
