"""What the page of an alert group is drawn from: tags, occurrences, kindred groups, the past, who comes next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.asking import Other, problem
from tests.world import World


def shown(world: World, group: dict[str, Any], part: str, **query: Any) -> Any:
    return world.get(f"/api/alert-groups/{group['id']}/{part}", **query)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One box for each test: what began about the same time is part of what is asked."""
    with World(tmp_path / "data") as it:
        yield it


@pytest.fixture
def told(world: World) -> dict[str, Any]:
    """A critical group that #oncall was told of; #leads comes after 15 minutes."""
    world.rule("severity >= high", "#oncall", name="serious", escalate_after=15, escalate_to="#leads")
    world.receives("sentry", "event_alert", issue="7", level="fatal", title="Pool is empty", tags={"region": "eu"})
    return world.group("Pool is empty")


# -- tags -------------------------------------------------------------------------------------------------------------


def test_tags_are_spread_over_the_latest_events(world: World) -> None:
    for n in range(12):
        tags = {"browser": "Firefox" if n % 3 else "Chrome", "trace": f"t{n}", **({"rare": "yes"} if n == 5 else {})}
        world.receives("sentry", "event_alert", issue="7", tags=tags)
        world.after(seconds=1)
    found = shown(world, world.group(), "tags")
    assert (found["events_looked_at"], found["events"]) == (12, 12)
    keys = {one["key"]: one for one in found["keys"]}
    assert keys["browser"]["values"] == [{"value": "Firefox", "count": 8}, {"value": "Chrome", "count": 4}]
    assert (keys["browser"]["events"], keys["browser"]["distinct"]) == (12, 2)
    assert (keys["trace"]["distinct"], len(keys["trace"]["values"])) == (12, 10)
    assert keys["rare"]["events"] == 1
    assert [one["events"] for one in found["keys"]] == sorted((one["events"] for one in found["keys"]), reverse=True)


def test_no_more_than_the_latest_thousand_events_are_looked_at(world: World) -> None:
    world.receives("sentry", "event_alert", issue="7", tags={"era": "old"})
    group = world.group()

    def many(tx: Any) -> None:
        (row,) = tx.all("select * from event where group_id is not null")
        for _ in range(1_000):
            tx.run(f"insert into event values ({', '.join('?' * len(row))})", (tx.new_id(world.clock()), *row[1:]))
        tx.run('update event set tags = \'{"era":"new"}\' where id <> ?', (row[0],))

    world._call(world.house.db.write(many))
    found = shown(world, group, "tags")
    assert found["events_looked_at"] == 1_000
    assert next(one for one in found["keys"] if one["key"] == "era")["values"] == [{"value": "new", "count": 1_000}]


# -- occurrences ------------------------------------------------------------------------------------------------------


def test_occurrences_fall_into_buckets(world: World) -> None:
    for _ in range(3):
        world.receives("sentry", "event_alert", issue="7")
    world.after(hours=2)
    world.receives("sentry", "event_alert", issue="7")
    day = shown(world, world.group(), "occurrences")
    assert (day["range"], day["bucket_minutes"], day["total"], len(day["buckets"])) == ("24h", 15, 4, 96)
    counted = {one["at"]: one["events"] for one in day["buckets"]}
    assert counted["2026-03-02T09:00:00.000Z"] == 3
    assert day["buckets"][-1] == {"at": "2026-03-02T11:00:00.000Z", "events": 1}
    assert counted["2026-03-02T10:00:00.000Z"] == 0
    assert shown(world, world.group(), "occurrences", range="7d")["total"] == 4
    problem(world.api.get(f"/api/alert-groups/{world.group()['id']}/occurrences?range=1y"), 422)


def test_what_is_not_counted_any_more_is_null_and_not_nought(world: World) -> None:
    world.receives("sentry", "event_alert", issue="7")
    young = shown(world, world.group(), "occurrences", range="30d")
    assert {one["events"] for one in young["buckets"]} == {0, 1}, "before its first event there were none"
    world.after(days=20)
    world.receives("sentry", "event_alert", issue="7", level="fatal")
    old = shown(world, world.groups()[-1], "occurrences", range="30d")
    assert old["buckets"][0]["events"] is None
    assert old["buckets"][-1]["events"] is not None
    assert old["counted_since"].startswith("2026-03-08T09:00")


# -- related ----------------------------------------------------------------------------------------------------------


def test_related_groups_and_why(world: World, told: dict[str, Any]) -> None:
    world.after(minutes=3)
    say: dict[str, Any] = {"issue": "8", "title": "Checkout is slow", "level": "error", "environment": "prod"}
    world.receives("sentry", "event_alert", tags={"region": "eu"}, **say)
    world.receives("sentry", "event_alert", issue="9", title="Pool is empty", environment="staging", project="else")
    found = {
        one["group"]["title"] + "/" + one["group"]["environment"]: one for one in shown(world, told, "related")["items"]
    }
    slow = {one["kind"]: one["detail"] for one in found["Checkout is slow/prod"]["reasons"]}
    assert slow["same_project"] == "the same project, began 3 minutes after it"
    assert "region=eu" in slow["same_tags"]
    staging = found["Pool is empty/staging"]["reasons"]
    assert {"kind": "same_title", "detail": "the same title in staging"} in staging
    counts = [len(one["reasons"]) for one in found.values()]
    assert counts == sorted(counts, reverse=True), "more reasons first"


def test_what_began_hours_apart_is_not_related(world: World, told: dict[str, Any]) -> None:
    world.after(hours=3)
    world.receives("sentry", "event_alert", issue="8", title="Later", tags={"region": "eu"})
    assert shown(world, told, "related")["items"] == []


# -- history ----------------------------------------------------------------------------------------------------------


def test_the_history_of_a_key_tells_every_group_and_episode(world: World, told: dict[str, Any]) -> None:
    world.act(told, "ack")
    world.after(minutes=20)
    world.act(told, "resolve", note="restarted the pool")
    world.after(minutes=10)
    world.receives("sentry", "event_alert", issue="7", level="fatal", title="Pool is empty")
    world.after(minutes=5)
    world.act(told, "resolve", note="added connections")
    world.after(days=2)
    world.receives("sentry", "event_alert", issue="7", level="fatal", title="Pool is empty")
    newest = world.groups()[0]
    assert newest["id"] != told["id"]
    past = shown(world, newest, "history")
    assert past["group_key"] == told["group_key"]
    now, before = past["items"]
    assert (now["this"], now["status"], now["minutes"]) == (True, "open", None)
    assert (before["this"], before["group_id"], before["status"]) == (False, told["id"], "resolved")
    assert (before["resolution_note"], before["minutes"], before["whole"]) == ("added connections", 35, True)
    second, first = before["episodes"]
    assert (first["episode"], first["began_by"], first["end"], first["note"]) == (
        1,
        "opened",
        "resolved",
        "restarted the pool",
    )
    assert first["minutes"] == 20
    assert first["acknowledged_by"].startswith("tests")
    assert (second["episode"], second["began_by"], second["note"]) == (2, "reopened", "added connections")
    assert second["why"] == "it came back after it was resolved"
    assert (now["episodes"][0]["end"], now["episodes"][0]["minutes"]) == (None, None)


def test_an_episode_that_another_one_overtook_ended_unresolved(world: World, told: dict[str, Any]) -> None:
    world.after(hours=2)
    world.receives("sentry", "event_alert", issue="7", level="fatal", title="Pool is empty")
    second, first = shown(world, told, "history")["items"][0]["episodes"]
    assert (first["end"], first["resolved_by"], first["minutes"]) == ("next", None, 120)
    assert (second["began_by"], second["end"]) == ("episode", None)


# -- escalation -------------------------------------------------------------------------------------------------------


def test_the_next_step_is_told_with_its_time_and_whom_it_tells(world: World, told: dict[str, Any]) -> None:
    found = shown(world, told, "escalation")
    assert found["state"] == "pending"
    assert found["next"]["due_at"] == "2026-03-02T09:15:00.000Z"
    assert found["next"]["targets"] == [{"name": "#leads", "usable": True, "why": ""}]
    assert found["next"]["rule"]["name"] == "serious"
    assert found["steps"] == [found["next"]]
    assert "#leads will be told unless" in found["why"]


def test_when_nothing_comes_next_it_says_why(world: World, told: dict[str, Any]) -> None:
    def now() -> tuple[str, str, Any]:
        found = shown(world, told, "escalation")
        return found["state"], found["why"], found["next"]

    world.act(told, "snooze", minutes=5)
    assert now() == ("snoozed", "it is snoozed; escalation starts anew when the snooze ends", None)
    world.act(told, "unsnooze")
    assert now()[0] == "pending"
    world.act(told, "ack")
    state, why, coming = now()
    assert (state, coming) == ("acknowledged", None)
    assert why.startswith("it is acknowledged by tests")
    world.act(told, "resolve")
    assert now()[0] == "resolved"
    world.act(told, "reopen")
    world.after(minutes=16)
    assert now() == ("done", "every step of this episode was carried out", None)
    steps = shown(world, told, "escalation")["steps"]
    assert sorted((one["episode"], one["state"]) for one in steps) == [(1, "cancelled"), (2, "fired")]


def test_a_group_whose_rules_escalate_to_nobody_says_so(world: World) -> None:
    world.rule("", "#oncall")
    world.receives("sentry", "event_alert", issue="7")
    found = shown(world, world.group(), "escalation")
    assert (found["state"], found["next"], found["steps"]) == ("no_rule", None, [])


def test_a_disabled_channel_of_the_next_step_is_said_to_hear_nothing(world: World, told: dict[str, Any]) -> None:
    leads = next(c for c in world.get("/api/channels")["items"] if c["name"] == "#leads")
    world.api.patch(f"/api/channels/{leads['id']}", json={"enabled": False}).raise_for_status()
    found = shown(world, told, "escalation")
    assert found["next"]["targets"] == [{"name": "#leads", "usable": False, "why": "it is disabled"}]
    assert found["why"].startswith("none of its channels can be used")


# -- the runbook ------------------------------------------------------------------------------------------------------


def test_the_runbook_is_that_of_the_rule_which_routed_it(world: World) -> None:
    text = "# Pool\n\nRestart *it*. <script>alert(1)</script>"
    world.rule("severity >= critical", "#oncall", name="first", escalate_after=5, escalate_to="#leads")
    rule = world.rule("severity >= high", "#oncall", name="second", runbook=text, runbook_url="https://wiki.example/x")
    assert rule["runbook"] == text
    world.receives("sentry", "event_alert", issue="7", level="fatal")
    group = world.group()
    path = f"/api/alert-groups/{group['id']}"
    of_second = {"text": text, "url": "https://wiki.example/x", "rule": {"id": rule["id"], "name": "second"}}
    assert world.get(path)["runbook"] == of_second
    world.api.patch(f"/api/routing-rules/{rule['id']}", json={"runbook": "new words"}).raise_for_status()
    assert world.get(path)["runbook"]["text"] == "new words"
    world.api.delete(f"/api/routing-rules/{rule['id']}").raise_for_status()
    assert world.get(path)["runbook"] == {"text": None, "url": "https://wiki.example/x", "rule": None}


def test_a_runbook_written_after_the_group_began_is_found(world: World) -> None:
    rule = world.rule("", "#oncall", name="late")
    world.receives("sentry", "event_alert", issue="7")
    path = f"/api/alert-groups/{world.group()['id']}"
    assert world.get(path)["runbook"] is None
    world.api.patch(f"/api/routing-rules/{rule['id']}", json={"runbook": "at last"}).raise_for_status()
    assert world.get(path)["runbook"]["text"] == "at last"


# -- the timeline, newest first ---------------------------------------------------------------------------------------


def test_the_timeline_newest_first_in_pages_is_the_oldest_first_one_turned_round(world: World, told: Any) -> None:
    world.act(told, "ack")
    world.after(minutes=1)
    world.act(told, "resolve", note="x")
    whole = shown(world, told, "timeline", limit=100)["items"]
    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = shown(world, told, "timeline", limit=2, order="newest", **cursor)
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen[::-1] == whole


def test_events_are_folded_between_what_else_happened(world: World, told: dict[str, Any]) -> None:
    for _ in range(3):
        world.after(seconds=20)
        world.receives("sentry", "event_alert", issue="7", level="fatal", title="Pool is empty")
    world.after(seconds=20)
    world.act(told, "ack")
    world.after(seconds=20)
    for _ in range(2):
        world.receives("sentry", "event_alert", issue="7", level="fatal", title="Pool is empty")
    for limit in (100, 2):
        seen: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = shown(world, told, "timeline", limit=limit, order="newest", fold=True, **cursor)
            seen += page["items"]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        runs = [one for one in seen if one["kind"] == "events"]
        assert sum(one["data"]["events"] for one in runs) == 6, limit
        verbs = [one["verb"] for one in seen]
        ack = verbs.index("acknowledged")
        assert "events" in verbs[:ack]
        assert sum(one["data"]["events"] for one in runs if one["at"] > seen[ack]["at"]) == 2
        assert all(one["data"]["until"] >= one["at"] for one in runs)


def test_a_delivery_in_the_timeline_says_why_it_was_owed(world: World, told: dict[str, Any]) -> None:
    world.after(minutes=16)
    line = shown(world, told, "timeline", limit=100)["items"]
    first = next(one for one in line if one["kind"] == "delivery" and one["verb"] == "first")
    assert first["data"] == {"rule": "serious"}
    escalation = next(one for one in line if one["kind"] == "delivery" and one["verb"] == "escalation")
    assert escalation["data"] == {"rule": "serious", "reason": "nobody acknowledged for 15 minutes"}


# -- the page in messages ---------------------------------------------------------------------------------------------


def test_a_message_leads_to_the_page(world: World, told: dict[str, Any]) -> None:
    url = f"{str(world.api.base_url).rstrip('/')}/alert-groups/{told['id']}"
    assert f"<{url}|Open in SignalCraft>" in world.told[0].now or url in world.told[0].now


def test_without_a_public_address_no_message_leads_anywhere(tmp_path: Path) -> None:
    with World(tmp_path / "data", **{"http.public_url": ""}) as it:
        it.rule("", "#oncall")
        it.receives("sentry", "event_alert", issue="7")
        assert "/alert-groups/" not in it.told[0].now
        assert "Open in SignalCraft" not in it.told[0].now


def test_nothing_of_another_workspace_is_shown(world: World, told: dict[str, Any]) -> None:
    with Other(world) as other:
        parts = ("tags", "occurrences", "related", "history", "escalation", "comments", "shares", "timeline")
        for part in parts:
            problem(other.api.get(f"/api/alert-groups/{told['id']}/{part}"), 404, "not_found")
