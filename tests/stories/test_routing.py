"""Rules decide who is told: their order, their switch, `stop`; and everybody can ask why."""

from __future__ import annotations

from typing import Any

from tests.world import World


def channels_of(world: World, title: str) -> list[str]:
    """The channels that were told of a problem, by name."""
    return sorted({told.channel for told in world.told if title in told.text})


def alert(world: World, title: str, **say: Any) -> dict[str, Any]:
    receipt = world.receives("sentry", "event_alert", title=title, issue=f"issue of {title}", **say)
    world.after(seconds=2)
    return receipt


def test_the_order_of_rules_and_stop_decide_who_is_told(world: World) -> None:
    first = world.rule("environment == prod", "#prod", stop=True)
    second = world.rule("severity >= high", "#serious")
    last = world.rule("", "#everything")
    alert(world, "one")
    assert channels_of(world, "one") == ["#prod"]
    order = world.post("/api/routing-rules/reorder", {"ids": [second["id"]]})["items"]
    assert [r["name"] for r in order] == [r["name"] for r in (second, first, last)]
    assert [r["priority"] for r in order] == [10, 20, 30]
    alert(world, "two")
    assert channels_of(world, "two") == ["#prod", "#serious"]
    alert(world, "three", environment="staging", level="info")
    assert channels_of(world, "three") == ["#everything"]
    world.api.patch(f"/api/routing-rules/{first['id']}", json={"stop": False}).raise_for_status()
    alert(world, "four")
    assert channels_of(world, "four") == ["#everything", "#prod", "#serious"]


def test_a_rule_that_is_switched_off_tells_nobody_and_keeps_its_place(world: World) -> None:
    loud = world.rule("", "#loud", stop=True)
    world.rule("", "#quiet")
    world.post(f"/api/routing-rules/{loud['id']}/disable")
    alert(world, "one")
    assert channels_of(world, "one") == ["#quiet"]
    world.post(f"/api/routing-rules/{loud['id']}/enable")
    alert(world, "two")
    assert channels_of(world, "two") == ["#loud"]
    world.api.delete(f"/api/routing-rules/{loud['id']}").raise_for_status()
    alert(world, "three")
    assert channels_of(world, "three") == ["#quiet"]
    world.killed().restarted()
    alert(world, "four")
    assert channels_of(world, "four") == ["#quiet"]


def test_a_channel_that_two_rules_name_is_told_once(world: World) -> None:
    world.rule("environment == prod", "#oncall")
    world.rule("severity >= high", "#oncall")
    alert(world, "one")
    assert len(world.told) == 1


def test_a_dry_run_explains_and_tells_nobody(world: World) -> None:
    """With the values that are there; the alert that came in answers as it did then."""
    rule = world.rule("environment == prod and severity >= critical and title =~ ^Type", "#oncall")
    receipt = alert(world, "TypeError in checkout")
    told_before = len(world.told)
    by_id = world.post("/api/routing-rules/test", {"rule_id": rule["id"], "event_id": receipt["event_id"]})
    assert by_id["matched"] is False
    assert [(c["field"], c["operator"], c["expected"], c["actual"], c["result"]) for c in by_id["conditions"]] == [
        ("environment", "equals", "prod", "prod", True),
        ("severity", "gte", "critical", "high", False),
        ("title", "regex", "^Type", "TypeError in checkout", True),
    ]
    assert [c["path"] for c in by_id["conditions"]] == ["all[0]", "all[1]", "all[2]"]
    when = {"any": [{"field": "tags.team", "operator": "exists", "value": True}, rule["when"]]}
    said = {"environment": "prod", "severity": "critical", "title": "TypeError", "tags": {}}
    in_words = world.post("/api/routing-rules/test", {"rule": {"when": when}, "event": said})
    assert in_words["matched"] is True
    assert [c["result"] for c in in_words["conditions"]] == [False, True, True, True]
    assert len(world.told) == told_before
    assert len(world.get("/api/events")["items"]) == 1


def test_every_field_and_operator_routes_a_real_alert(world: World) -> None:
    """What the rules can ask is what a Sentry alert can answer."""
    leaves = [
        ("environment", "in", ["prod", "live"]), ("environment", "not_equals", "staging"),
        ("severity", "gt", "medium"), ("severity", "lte", "critical"), ("project", "equals", "shop"),
        ("source", "not_in", ["generic"]), ("title", "contains", "checkout"), ("title", "not_contains", "cart"),
        ("message", "regex", "order \\d+"), ("status", "equals", "open"), ("count", "lt", 2),
        ("users_affected", "gte", 5), ("tags.release", "exists", True), ("tags.nothing", "exists", False),
        ("tags.release", "equals", "1.2.3"),
    ]  # fmt: skip
    for number, (field, operator, value) in enumerate(leaves):
        world.channel(f"#c{number}")
        when = {"all": [{"field": field, "operator": operator, "value": value}]}
        world.post("/api/routing-rules", {"name": f"{number}", "when": when, "channels": [f"#c{number}"]})
    alert(world, "TypeError in checkout", message="order 66 failed", users=7, tags={"release": "1.2.3"})
    assert channels_of(world, "TypeError in checkout") == sorted(f"#c{n}" for n in range(len(leaves)))


def test_why_and_the_timeline_tell_what_comes_next(world: World) -> None:
    world.rule("severity >= high", escalate_after=15, escalate_to="#leads", repeat_minutes=60)
    world.rule("environment == staging", "#elsewhere")
    alert(world, "one", level="fatal")
    group = world.group()
    path = f"/api/alert-groups/{group['id']}"
    upcoming = {u["kind"]: (u["at"][11:16], u["channels"]) for u in world.get(path + "/timeline")["upcoming"]}
    assert upcoming["escalation"] == ("09:15", ["#leads"])
    assert upcoming["repeat"] == ("10:00", ["#oncall"])
    assert upcoming["auto_close"][0] == "09:00"
    why = {c["name"]: (c["result"], c["detail"]) for c in world.get(path + "/why")["channels"]}
    assert why["#oncall"] == ("told", 'told 1 time: rule "rule 1" leads here')
    assert why["#leads"] == ("to_come", "it will be told by escalation unless somebody answers")
    assert why["#elsewhere"] == ("not_routed", "no rule that holds leads here")
    world.act(group, "snooze", minutes=30)
    upcoming = {u["kind"]: u["at"][11:16] for u in world.get(path + "/timeline")["upcoming"]}
    assert upcoming["wake"] == "09:30"
    assert not {"escalation", "repeat"} & upcoming.keys()
    assert "to_come" not in {c["result"] for c in world.get(path + "/why")["channels"]}
    world.after(minutes=31)
    world.act(group, "ack")
    upcoming = {u["kind"]: u["at"][11:16] for u in world.get(path + "/timeline")["upcoming"]}
    assert upcoming["acknowledgement_timeout"] == "13:31"
    world.after(hours=4, minutes=1)
    assert "still not resolved" in world.told[-1].text
    world.slack.outage(True)
    alert(world, "one", level="fatal")
    world.act(world.group(), "resolve")
    world.after(seconds=20)
    upcoming = [u for u in world.get(path + "/timeline")["upcoming"] if u["kind"] == "delivery"]
    assert upcoming
    assert any("resolved message to #oncall" in u["detail"] for u in upcoming)


def test_a_wait_for_an_environment_is_among_what_comes_next(world: World) -> None:
    world.rule("environment == prod")
    world.receives("sentry", "issue", action="created")
    (settle,) = [
        u for u in world.get(f"/api/alert-groups/{world.group()['id']}/timeline")["upcoming"] if u["kind"] == "settle"
    ]
    assert settle["at"] == "2026-03-02T09:00:05.000Z"


# -- channels that are gone -------------------------------------------------------------------------------------------


def id_of(world: World, name: str) -> str:
    return str(next(c["id"] for c in world.get("/api/channels")["items"] if c["name"] == name))


def test_a_channel_that_is_switched_off_holds_what_it_is_owed_and_says_so(world: World) -> None:
    world.rule("")
    world.slack.outage(True)
    alert(world, "owed before")
    path = f"/api/channels/{id_of(world, '#oncall')}"
    world.api.patch(path, json={"enabled": False}).raise_for_status()
    world.slack.outage(False)
    alert(world, "while it is off")
    world.after(hours=1)
    assert world.told == []
    health = world.get("/health")["components"]
    assert health["channels"]["status"] == "failing"
    assert "#oncall is held: the channel is disabled" in health["channels"]["detail"]
    group = next(g for g in world.groups() if "while it is off" in g["title"])
    why = {c["name"]: c for c in world.get(f"/api/alert-groups/{group['id']}/why")["channels"]}
    assert "the channel is disabled" in why["#oncall"]["detail"]
    world.api.patch(path, json={"enabled": True}).raise_for_status()
    world.after(minutes=1)
    assert channels_of(world, "owed before") == ["#oncall"]
    alert(world, "while it is off")
    assert channels_of(world, "while it is off") == ["#oncall"], "its next event tells who was not there before"


def test_a_channel_that_something_needs_is_not_deleted_and_one_that_is_deleted_owes_nothing(world: World) -> None:
    rule = world.rule("", escalate_after=15, escalate_to="#leads")
    world.channel("#default")
    world.api.patch("/api/workspace", json={"default_channels": ["#default"]}).raise_for_status()
    for name, needs in (("#oncall", "rule 1"), ("#leads", "rule 1"), ("#default", "default")):
        refused = world.api.delete(f"/api/channels/{id_of(world, name)}")
        assert refused.status_code == 409, name
        assert needs in refused.json()["detail"]
    world.slack.outage(True)
    alert(world, "one")
    world.api.patch(f"/api/routing-rules/{rule['id']}", json={"channels": ["#default"], "escalate_to": ["#default"]})
    assert world.api.delete(f"/api/channels/{id_of(world, '#oncall')}").status_code == 204
    assert world.api.delete(f"/api/channels/{id_of(world, '#leads')}").status_code == 204
    assert world.owed() == []
    world.slack.outage(False)
    alert(world, "one", level="fatal")
    world.after(minutes=20)
    assert channels_of(world, "one") == ["#default"]
    assert len([t for t in world.told if "nobody" in t.text.lower() or "answered" in t.text.lower()]) >= 1


def test_a_default_route_to_an_unknown_channel_is_refused(world: World) -> None:
    world.channel("#oncall")
    refused = world.api.patch("/api/workspace", json={"default_channels": ["#oncal"]})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["path"] == "default_channels[0]"
    assert "#oncall" in refused.json()["detail"], "the nearest name"
    refused = world.api.patch("/api/workspace", json={"fallback_channel": "nowhere"})
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "fallback_channel")
    assert world.get("/api/workspace")["fallback_channel"] is None


def test_a_default_route_whose_channels_are_all_off_is_said_loudly_and_healed_by_the_next_event(world: World) -> None:
    world.channel("#default")
    world.api.patch("/api/workspace", json={"default_channels": ["#default"]}).raise_for_status()
    path = f"/api/channels/{id_of(world, '#default')}"
    world.api.patch(path, json={"enabled": False}).raise_for_status()
    alert(world, "one", level="fatal")
    assert world.get("/health")["components"]["unrouted"]["status"] == "degraded"
    world.api.patch(path, json={"enabled": True}).raise_for_status()
    alert(world, "one", level="fatal")
    assert channels_of(world, "one") == ["#default"]
    assert world.get("/health")["components"]["unrouted"]["status"] == "ok"
