"""/api/deliveries: the ledger, and what a person may do with a message that does not get through."""

from __future__ import annotations

from typing import Any

import pytest

from signalcraft.storage import ledger
from tests.http.asking import Other, problem
from tests.http.test_stories import DELIVERY
from tests.world import World

ROW = DELIVERY | {"channel_id", "group_title", "group_severity", "group_status", "reason", "tried_at"}


@pytest.fixture(scope="module")
def stuck(world: World) -> dict[str, Any]:
    """A message that is owed to #down, whose Slack channel is gone; and one that #up took."""
    world.rule("environment == prod", "#up", name="up")
    world.rule("environment == down", "#down", name="down")
    world.slack.archive("down")
    good = world.receives("sentry", "event_alert", issue="1", environment="prod")["group_id"]
    bad = world.receives("sentry", "event_alert", issue="2", environment="down")["group_id"]
    return {"good": good, "bad": bad}


def of(world: World, group: str) -> dict[str, Any]:
    (one,) = [d for d in world.get("/api/deliveries", group=group)["items"] if d["kind"] == "first"]
    return dict(one)


def test_the_list_has_these_names_newest_first(world: World, stuck: dict[str, Any]) -> None:
    items = world.get("/api/deliveries")["items"]
    assert all(item.keys() == ROW for item in items)
    assert [i["id"] for i in items] == sorted((i["id"] for i in items), reverse=True)
    assert world.get(f"/api/deliveries/{items[0]['id']}") == items[0]


def test_what_does_not_get_through_says_why(world: World, stuck: dict[str, Any]) -> None:
    held = of(world, stuck["bad"])
    assert held["state"] == "owed"
    assert "is_archived" in held["last_error"]
    assert held["attempts"] == 1
    assert held["next_attempt_at"] is not None
    assert held["sent_at"] is None
    assert "xoxb" not in world.api.get("/api/deliveries").text
    why = {c["name"]: c for c in world.get(f"/api/alert-groups/{stuck['bad']}/why")["channels"]}
    assert why["#down"]["result"] == "owed"
    assert "archived" in why["#down"]["detail"]


@pytest.mark.parametrize(
    ("query", "groups"),
    [
        ({"state": "owed"}, {"bad"}),
        ({"state": "sent"}, {"good"}),
        ({"state": "owed,sent"}, {"good", "bad"}),
        ({"state": "failed"}, set()),
        ({"kind": "first"}, {"good", "bad"}),
        ({"kind": "escalation"}, set()),
        ({"channel": "#up"}, {"good"}),
        ({"channel": "#up,#down"}, {"good", "bad"}),
        ({"channel": "#nowhere"}, set()),
        ({"q": "IS_ARCHIVED"}, {"bad"}),
        ({"q": "no such words"}, set()),
        ({"q": "archived", "state": "sent"}, set()),
        ({"until": "2026-03-02T08:59:59Z"}, set()),
        ({"since": "2026-03-02T09:00:00Z", "until": "2026-03-02T09:01:00Z"}, {"good", "bad"}),
        ({"since": "2026-03-02T09:01:00Z"}, set()),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
def test_a_filter_keeps_what_it_says(
    world: World, stuck: dict[str, Any], query: dict[str, str], groups: set[str]
) -> None:
    found = {d["group_id"] for d in world.get("/api/deliveries", **query)["items"]}
    assert found == {stuck[name] for name in groups}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("state=stuck", "state"),
        ("kind=shout", "kind"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("since=x", "since"),
        ("until=9", "until"),
    ],
)
def test_a_wrong_parameter_is_named(world: World, query: str, path: str) -> None:
    problem(world.api.get(f"/api/deliveries?{query}"), 422, "invalid", path)


def test_pages_hold_every_delivery_once(world: World, stuck: dict[str, Any]) -> None:
    whole = [d["id"] for d in world.get("/api/deliveries", limit=100)["items"]]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(50):
        page = world.get("/api/deliveries", limit=1, **cursor)
        seen += [d["id"] for d in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == whole


def test_a_person_tries_again_once_it_is_mended(world: World, stuck: dict[str, Any]) -> None:
    group = world.receives("sentry", "event_alert", issue="3", environment="down")["group_id"]
    held = of(world, group)
    world.slack.archive("down", archived=False)
    again = world.post(f"/api/deliveries/{held['id']}/retry")
    assert (again["id"], again["state"]) == (held["id"], "owed")
    channel = next(c for c in world.get("/api/channels")["items"] if c["name"] == "#down")
    world.post(f"/api/channels/{channel['id']}/test")
    world.after(minutes=10)
    assert of(world, group)["state"] == "sent"
    problem(world.api.post(f"/api/deliveries/{held['id']}/retry"), 409, "conflict")
    problem(world.api.post(f"/api/deliveries/{held['id']}/drop"), 409, "conflict")


def test_a_row_says_what_it_is_about(world: World, stuck: dict[str, Any]) -> None:
    held, group = of(world, stuck["bad"]), world.get(f"/api/alert-groups/{stuck['bad']}")
    assert (held["group_title"], held["group_severity"], held["group_status"]) == (
        group["title"], group["severity"], group["status"],
    )  # fmt: skip
    assert held["tried_at"] >= held["owed_at"]
    channels = {c["id"]: c["name"] for c in world.get("/api/channels")["items"]}
    assert channels[held["channel_id"]] == "#down"


def test_the_summary_counts_every_state_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    with World(tmp_path_factory.mktemp("counted") / "data") as world:
        world.rule(channel="#up")
        for n in range(3):
            world.receives("sentry", "event_alert", issue=str(n))
        world.after(minutes=1)
        first = world.get("/api/deliveries", limit=1, state="failed")
        assert first["summary"] == {"owed": 0, "sending": 0, "sent": 3, "failed": 0, "dropped": 0}
        page = world.get("/api/deliveries", limit=1)
        assert world.get("/api/deliveries", limit=1, cursor=page["next"])["summary"] is None
        assert ledger.COUNTED_MAX == 10_000, "the description of LedgerSummary says so"


def test_what_failed_at_a_channel_is_tried_again_all_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    with World(tmp_path_factory.mktemp("again") / "data") as world:
        world.rule("environment == prod", "#down")
        world.rule("environment == other", "#up")
        world.slack.fail("chat.postMessage", error="msg_too_long")
        for n in range(3):
            world.receives("sentry", "event_alert", issue=str(n), environment="prod")
        world.after(minutes=5)
        failed = world.get("/api/deliveries", state="failed")["items"]
        assert [d["channel"] for d in failed] == ["#down"] * 3
        assert all("msg_too_long" in d["last_error"] for d in failed)
        problem(world.api.post("/api/deliveries/retry", json={}), 422, "invalid", "channel")
        problem(world.api.post("/api/deliveries/retry", json={"channel": "#up", "ids": []}), 422, "invalid", "channel")
        problem(world.api.post("/api/deliveries/retry", json={"channel": "#no"}), 404, "not_found")
        assert world.post("/api/deliveries/retry", {"channel": "#up"}) == {"retried": 0, "skipped": [], "more": False}
        world.slack.heal()
        assert world.post("/api/deliveries/retry", {"ids": [failed[0]["id"]]})["retried"] == 1
        world.after(minutes=5)
        assert world.get(f"/api/deliveries/{failed[0]['id']}")["state"] == "sent"
        again = world.post("/api/deliveries/retry", {"channel": "#down"})
        assert (again["retried"], again["skipped"], again["more"]) == (2, [], False)
        world.after(minutes=5)
        assert {d["state"] for d in world.get("/api/deliveries", kind="first")["items"]} == {"sent"}
        skipped = world.post("/api/deliveries/retry", {"ids": [d["id"] for d in failed]})["skipped"]
        assert [one["why"] for one in skipped] == ["it is already sent"] * 3


def test_a_person_drops_what_need_not_be_told(world: World, stuck: dict[str, Any]) -> None:
    world.slack.archive("down")
    group = world.receives("sentry", "event_alert", issue="4", environment="down")["group_id"]
    held = of(world, group)
    dropped = world.post(f"/api/deliveries/{held['id']}/drop")
    assert dropped["state"] == "dropped"
    assert dropped["last_error"].startswith("dropped by tests")
    assert dropped["next_attempt_at"] is None
    (line,) = [m for m in world.get(f"/api/alert-groups/{group}/timeline")["items"] if m["verb"] == "delivery_dropped"]
    assert line["actor"]["kind"] == "api_key"
    why = {c["name"]: c for c in world.get(f"/api/alert-groups/{group}/why")["channels"]}
    assert why["#down"]["result"] == "dropped"


def test_another_workspace_sees_none_of_it(world: World, stuck: dict[str, Any], other: Other) -> None:
    held = of(world, stuck["bad"])
    assert other.api.get("/api/deliveries").json()["items"] == []
    assert other.api.get("/api/deliveries", params={"channel": "#down"}).json()["items"] == []
    problem(other.api.get(f"/api/deliveries/{held['id']}"), 404, "not_found")
    problem(other.api.post("/api/deliveries/retry", json={"channel": "#down"}), 404, "not_found")
    problem(other.api.post("/api/deliveries/retry", json={"ids": [held["id"]]}), 404, "not_found")
    for verb in ("retry", "drop"):
        problem(other.api.post(f"/api/deliveries/{held['id']}/{verb}"), 404, "not_found")
    assert of(world, stuck["bad"])["state"] == held["state"]
