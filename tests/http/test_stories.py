"""What lies behind an alert group: events with their bytes, deliveries, the timeline and the why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import bodies
from tests.http.asking import Other, problem
from tests.world import World

EVENT = {
    "event_id", "group_id", "integration", "source", "kind", "project", "environment", "severity", "status", "title",
    "message", "source_event_id", "dedup_key", "link", "tags", "occurred_at", "received_at",
}  # fmt: skip
DELIVERY = {
    "id", "group_id", "channel", "kind", "state", "attempts", "last_error", "owed_at", "sent_at", "next_attempt_at",
}  # fmt: skip


@pytest.fixture(scope="module")
def told(world: World) -> dict[str, Any]:
    """A critical group that #oncall was told of, with five events; #leads comes after 15 minutes."""
    world.rule(
        "environment == prod and severity >= high", "#oncall", name="serious", escalate_after=15, escalate_to="#leads"
    )
    world.rule("environment == dev", "#dev", name="dev only")
    first = world.receives("sentry", "event_alert", level="fatal", users=3)
    for _ in range(4):
        world.receives("sentry", "event_alert", level="fatal", users=7)
        world.after(seconds=10)
    return first


def test_an_event_has_these_names_and_no_others(world: World, told: dict[str, Any]) -> None:
    event = world.get(f"/api/events/{told['event_id']}")
    assert event.keys() == EVENT
    assert event["group_id"] == told["group_id"]
    assert (event["integration"], event["source"], event["kind"]) == ("sentry", "sentry", "alert")
    assert (event["severity"], event["status"]) == ("critical", "firing")
    assert event["received_at"] == "2026-03-02T09:00:00.000Z"
    assert event["occurred_at"] == "2026-03-02T08:59:58.500Z"
    assert event["tags"]["level"] == "fatal"


def test_an_event_that_is_silent_says_null(world: World) -> None:
    receipt = world.receives("sentry", "comment", issue="424242")
    event = world.get(f"/api/events/{receipt['event_id']}")
    assert event.keys() == EVENT
    assert (event["kind"], event["severity"], event["status"], event["group_id"]) == ("comment", None, None, None)


def test_the_payload_is_the_bytes_as_they_came(world: World) -> None:
    raw = bodies.body("event_alert", title="bytes ünïcödë \u202e", issue="5005").replace(b'"data":', b'"data" :  ')
    answer = world.sends("sentry", raw, bodies.signed(raw, "event_alert"))
    number = answer.json()["events"][0]["event_id"]
    got = world.api.get(f"/api/events/{number}/payload")
    assert (got.status_code, got.content) == (200, raw)
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"] == f'attachment; filename="event-{number}.bin"'
    assert "default-src 'none'" in got.headers["content-security-policy"]


def test_the_events_of_a_group_come_newest_first_in_pages(world: World, told: dict[str, Any]) -> None:
    path = f"/api/alert-groups/{told['group_id']}/events"
    whole = world.get(path)["items"]
    assert len(whole) == 5
    assert [e["event_id"] for e in whole] == sorted((e["event_id"] for e in whole), reverse=True)
    assert whole[-1]["event_id"] == told["event_id"]
    assert all(e.keys() == EVENT and e["group_id"] == told["group_id"] for e in whole)
    first = world.get(path, limit=3)
    rest = world.get(path, limit=3, cursor=first["next"])
    assert first["items"] + rest["items"] == whole
    assert rest["next"] is None


def test_the_list_of_events_and_its_filters(world: World, told: dict[str, Any]) -> None:
    everything = world.get("/api/events", limit=100)["items"]
    assert {e["kind"] for e in everything} >= {"alert", "comment"}
    assert all(e.keys() == EVENT for e in everything)
    only = world.get("/api/events", kind="comment")["items"]
    assert {e["kind"] for e in only} == {"comment"}
    assert len(world.get("/api/events", group=told["group_id"])["items"]) == 5
    assert len(world.get("/api/events", integration="sentry", limit=100)["items"]) == len(everything)
    integration = world.get("/api/integrations")["items"][0]["id"]
    assert len(world.get("/api/events", integration=integration, limit=100)["items"]) == len(everything)
    assert world.get("/api/events", integration="no such")["items"] == []
    problem(world.api.get("/api/events?kind=gossip"), 422, "invalid", "kind")
    problem(world.api.get("/api/events?group=nonsense"), 404, "not_found")


def test_deliveries_have_these_names_and_no_others(world: World, told: dict[str, Any]) -> None:
    own = world.get(f"/api/alert-groups/{told['group_id']}/deliveries")["items"]
    assert own
    assert all(d.keys() == DELIVERY for d in own)
    (first,) = [d for d in own if d["kind"] == "first"]
    assert (first["channel"], first["state"], first["attempts"]) == ("#oncall", "sent", 1)
    assert first["sent_at"] is not None
    assert first["next_attempt_at"] is None


def test_the_timeline_is_in_order_and_says_what_comes_next(world: World, told: dict[str, Any]) -> None:
    line = world.get(f"/api/alert-groups/{told['group_id']}/timeline")
    times = [moment["at"] for moment in line["items"]]
    assert times == sorted(times)
    verbs = [(m["kind"], m["verb"]) for m in line["items"]]
    assert verbs[0] == ("journal", "opened")
    assert ("delivery", "first") in verbs
    upcoming = {one["kind"]: one for one in line["upcoming"]}
    assert upcoming["escalation"]["at"] == "2026-03-02T09:15:00.000Z"
    assert upcoming["escalation"]["channels"] == ["#leads"]
    assert upcoming["auto_close"]["at"].startswith("2026-03-09T09:00:")


def test_the_timeline_in_pages_is_the_whole_one(world: World, told: dict[str, Any]) -> None:
    path = f"/api/alert-groups/{told['group_id']}/timeline"
    whole = world.get(path, limit=100)["items"]
    seen: list[Any] = []
    cursor: dict[str, str] = {}
    for _ in range(100):
        page = world.get(path, limit=2, **cursor)
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == whole
    assert len({m["id"] for m in seen}) == len(seen)


def test_why_answers_for_every_rule_and_every_channel(world: World, told: dict[str, Any]) -> None:
    why = world.get(f"/api/alert-groups/{told['group_id']}/why")
    rules = {rule["name"]: rule for rule in why["rules"]}
    assert rules["serious"]["matched"] is True
    assert rules["dev only"]["matched"] is False
    assert [(c["path"], c["expected"], c["actual"], c["result"]) for c in rules["serious"]["conditions"]] == [
        ("all[0]", "prod", "prod", True),
        ("all[1]", "high", "critical", True),
    ]
    assert rules["dev only"]["conditions"][0]["result"] is False
    channels = {channel["name"]: channel for channel in why["channels"]}
    assert channels["#oncall"]["result"] == "told"
    assert "serious" in channels["#oncall"]["detail"]
    assert all(d["channel"] == "#oncall" for d in channels["#oncall"]["deliveries"])
    assert channels["#leads"]["result"] == "to_come"
    assert channels["#dev"]["result"] == "not_routed"


def test_an_escalation_shows_once_in_the_timeline_and_in_the_why(world: World) -> None:
    group = world.receives("sentry", "event_alert", issue="6006", title="Nobody comes", level="fatal")["group_id"]
    world.after(minutes=16)
    line = world.get(f"/api/alert-groups/{group}/timeline")
    (escalated,) = [m for m in line["items"] if m["verb"] == "escalated"]
    assert (escalated["kind"], escalated["channels"]) == ("escalation", ["#leads"])
    assert escalated["data"]["rule"] == "serious"
    why = {c["name"]: c for c in world.get(f"/api/alert-groups/{group}/why")["channels"]}
    assert why["#leads"]["result"] == "told"
    world.act({"id": group}, "ack")
    line = world.get(f"/api/alert-groups/{group}/timeline")
    assert "acknowledgement_timeout" in [one["kind"] for one in line["upcoming"]]


def test_a_cancelled_escalation_and_a_wake_show(world: World) -> None:
    group = world.receives("sentry", "event_alert", issue="6007", title="Later", level="fatal")["group_id"]
    world.after(minutes=1)
    world.act({"id": group}, "snooze", minutes=60)
    line = world.get(f"/api/alert-groups/{group}/timeline")
    assert "escalation_cancelled" in [m["verb"] for m in line["items"]]
    (snoozed,) = [m for m in line["items"] if m["verb"] == "snoozed"]
    woken = {one["kind"]: one["at"] for one in line["upcoming"]}
    assert snoozed["data"]["until"] == woken["wake"]
    assert "escalation" not in woken


@pytest.mark.usefixtures("told")
def test_the_default_route_is_named(world: World) -> None:
    group = world.receives("sentry", "event_alert", issue="6010", environment="staging", level="info")["group_id"]
    why = {c["name"]: c for c in world.get(f"/api/alert-groups/{group}/why")["channels"]}
    assert (why["#oncall"]["result"], why["#dev"]["result"]) == ("told", "not_routed")
    assert "the default route" in why["#oncall"]["detail"]


@pytest.mark.usefixtures("told")
def test_why_nobody_was_told(world: World) -> None:
    world.api.patch("/api/workspace", json={"default_channels": []})
    group = world.receives("sentry", "event_alert", issue="6008", environment="staging", level="info")["group_id"]
    unrouted = world.get("/health")["components"]["unrouted"]
    assert (unrouted["status"], unrouted["detail"][:15]) == ("degraded", "1 open alert gr")
    why = world.get(f"/api/alert-groups/{group}/why")
    assert not any(rule["matched"] for rule in why["rules"])
    assert {channel["result"] for channel in why["channels"]} == {"not_routed"}
    line = world.get(f"/api/alert-groups/{group}/timeline")
    assert "unrouted" in [m["verb"] for m in line["items"]]
    world.api.patch("/api/workspace", json={"default_channels": ["#oncall"]})
    why = {c["name"]: c for c in world.get(f"/api/alert-groups/{group}/why")["channels"]}
    assert why["#oncall"]["result"] == "suppressed"
    assert "did not when" in why["#oncall"]["detail"]


def test_a_rule_with_stop_and_one_that_is_disabled_say_so(world: World) -> None:
    group = world.receives("sentry", "event_alert", issue="6009", environment="qa", level="info")["group_id"]
    stop = world.rule("environment == qa", "#dev", name="qa stops", stop=True)
    later = world.rule("environment == qa", "#dev", name="qa later")
    off = world.rule("environment == qa", "#dev", name="qa off", enabled=False)
    rules = {rule["id"]: rule for rule in world.get(f"/api/alert-groups/{group}/why")["rules"]}
    assert (rules[stop["id"]]["asked"], rules[stop["id"]]["matched"]) == (True, True)
    assert (rules[later["id"]]["asked"], rules[later["id"]]["matched"]) == (False, False)
    assert "qa stops" in rules[later["id"]]["detail"]
    assert rules[off["id"]]["detail"].startswith("it is disabled")
    channel = {c["name"]: c for c in world.get(f"/api/alert-groups/{group}/why")["channels"]}["#dev"]
    assert channel["result"] == "suppressed"
    for rule in (stop, later, off):
        world.api.delete(f"/api/routing-rules/{rule['id']}")


def test_a_deleted_integration_leaves_its_events(world: World) -> None:
    world.integration("generic", "short lived")
    body = json.dumps({"title": "still here", "severity": "low"}).encode()
    receipt = world.sends("short lived", body, {"Content-Type": "application/json"}).json()["events"][0]
    made = world.integrations.pop("short lived")
    world.api.delete(f"/api/integrations/{made['id']}")
    event = world.get(f"/api/events/{receipt['event_id']}")
    assert (event["integration"], event["source"]) == (None, "generic")
    assert world.api.get(f"/api/events/{receipt['event_id']}/payload").content == body


def test_another_workspace_sees_none_of_it(world: World, told: dict[str, Any], other: Other) -> None:
    number = told["event_id"]
    problem(other.api.get(f"/api/events/{number}"), 404, "not_found")
    problem(other.api.get(f"/api/events/{number}/payload"), 404, "not_found")
    assert other.api.get("/api/events").json()["items"] == []
    assert other.api.get(f"/api/events?group={told['group_id']}").json()["items"] == []
    assert other.api.get("/api/events?integration=sentry").json()["items"] == []


@pytest.mark.parametrize("wrong", ["x", "0000000000000", "zzzzzzzzzzzzz"])
def test_what_is_no_event_is_404(world: World, wrong: str) -> None:
    for rest in ("", "/payload"):
        problem(world.api.get(f"/api/events/{wrong}{rest}"), 404, "not_found")


def test_bytes_that_were_not_kept_are_said_to_be(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"limits.webhooks_per_minute": "2"}
    with World(tmp_path_factory.mktemp("sampled") / "data", **settings) as small:
        small.rule(channel="#oncall")
        receipts = [small.receives("sentry", "event_alert") for _ in range(4)]
        assert [r["sampled"] for r in receipts] == [False, False, True, True]
        answer = small.api.get(f"/api/events/{receipts[-1]['event_id']}/payload")
        said = problem(answer, 404, "not_found")
        assert "not kept" in said["detail"]
        assert small.group()["count"] == 4
