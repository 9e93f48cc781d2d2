"""What the inbox asks: searches, orders and their pages, hour by hour, what to choose from, many at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from signalcraft.domain import ids
from tests.http.asking import Other, asking, key_of, problem
from tests.http.browsing import Browser, browser
from tests.world import World

STATUSES = ("open", "acknowledged", "snoozed", "resolved")


@pytest.fixture(scope="module")
def kim(world: World) -> Iterator[Browser]:
    with browser(world, "kim@example.com") as it:
        yield it


@pytest.fixture(scope="module")
def six(world: World, kim: Browser) -> dict[str, str]:
    """Six groups in every status, ten minutes apart, by a short name of each."""
    world.rule(channel="#oncall")
    made = {}
    for name, events, say in (
        ("checkout", 3, {"title": "TypeError in checkout", "project": "Shop", "environment": "prod", "level": "fatal",
                         "tags": {"release": "1.2.3", "my key": "a b"}}),
        ("timeout", 5, {"title": "Timeout [db] 100%", "project": "Shop", "environment": "prod", "level": "error",
                        "tags": {"release": "1.2.4"}, "message": "nobody answers"}),
        ("umlaut", 1, {"title": "ÜBERLAUF im Lager", "project": "lager", "environment": "staging", "level": "warning"}),
        ("acked", 2, {"title": "acked one", "project": "web app", "environment": "prod", "level": "error"}),
        ("snoozed", 1, {"title": "snoozed one", "project": "web app", "environment": "dev", "level": "info"}),
        ("resolved", 1, {"title": "resolved one", "project": "web app", "environment": None, "level": "error"}),
    ):  # fmt: skip
        for _ in range(events):
            made[name] = world.receives("sentry", "event_alert", issue=f"7{name}", **say)["group_id"]
        world.after(minutes=10)
    kim.post(f"/api/alert-groups/{made['acked']}/ack")
    world.post(f"/api/alert-groups/{made['checkout']}/assign", {"assignee": "Sam"})
    world.post(f"/api/alert-groups/{made['snoozed']}/snooze", {"minutes": 6000})
    world.post(f"/api/alert-groups/{made['resolved']}/resolve", {"note": "it was DNS"})
    return made


def found(who: Any, six: dict[str, str], **query: Any) -> list[str]:
    by_id = {number: name for name, number in six.items()}
    page = who.client.get("/api/alert-groups", params=query).json() if isinstance(who, Browser) else who.get(
        "/api/alert-groups", **query
    )  # fmt: skip
    return [by_id[item["id"]] for item in page["items"]]


EVERYTHING = ["resolved", "snoozed", "acked", "umlaut", "timeout", "checkout"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", EVERYTHING),
        ("severity>=high", ["resolved", "acked", "timeout", "checkout"]),
        ("severity>high", ["checkout"]),
        ("severity<medium", ["snoozed"]),
        ("severity:critical,info", ["snoozed", "checkout"]),
        ("-severity:high", ["snoozed", "umlaut", "checkout"]),
        ("status:open", ["umlaut", "timeout", "checkout"]),
        ("status:open,acknowledged", ["acked", "umlaut", "timeout", "checkout"]),
        ("-status:resolved", ["snoozed", "acked", "umlaut", "timeout", "checkout"]),
        ("status:open -status:open", []),
        ("project:shop", ["timeout", "checkout"]),
        ("project:SHOP,lager", ["umlaut", "timeout", "checkout"]),
        ('project:"web app"', ["resolved", "snoozed", "acked"]),
        ("project:web*", ["resolved", "snoozed", "acked"]),
        ('project:"web*"', []),
        ("-project:*o*", ["resolved", "snoozed", "acked", "umlaut"]),
        ("environment:prod project!=shop", ["acked"]),
        ("env:none", ["resolved"]),
        ("-env:prod", ["resolved", "snoozed", "umlaut"]),
        ("env:none,dev", ["resolved", "snoozed"]),
        ("-env:none", ["snoozed", "acked", "umlaut", "timeout", "checkout"]),
        ("source:sentry", EVERYTHING),
        ("source:generic", []),
        ("assignee:me", ["acked"]),
        ("assignee:sam", ["checkout"]),
        ("assignee:s*", ["checkout"]),
        ("assignee:none", ["resolved", "snoozed", "umlaut", "timeout"]),
        ("-assignee:me", ["resolved", "snoozed", "umlaut", "timeout", "checkout"]),
        ("assignee:none,me -status:resolved", ["snoozed", "acked", "umlaut", "timeout"]),
        ("tag.release:1.2.3", ["checkout"]),
        ("tag.release:1.2.*", ["timeout", "checkout"]),
        ('tag."my key":"a b"', ["checkout"]),
        ("tag.release:none", ["resolved", "snoozed", "acked", "umlaut"]),
        ("-tag.release:*", ["resolved", "snoozed", "acked", "umlaut"]),
        ("count>2", ["timeout", "checkout"]),
        ("count:1,3", ["resolved", "snoozed", "umlaut", "checkout"]),
        ("count<=2 count>1", ["acked"]),
        ("seen<15m", ["resolved"]),
        ("seen>45m", ["timeout", "checkout"]),
        ("age>=1h", ["checkout"]),
        ("typeerror", ["checkout"]),
        ("überlauf", ["umlaut"]),
        ("one -acked", ["resolved", "snoozed"]),
        ("lager", ["umlaut"]),
        ("nobody", ["timeout"]),
        ('"[db] 100%"', ["timeout"]),
        ("title:nobody", []),
        ('message:"body ans"', ["timeout"]),
        ("-title:one", ["umlaut", "timeout", "checkout"]),
        ("' or 1=1 --", []),
        ("*", []),
    ],
    ids=str,
)
def test_a_search_finds_what_it_says(kim: Browser, six: dict[str, str], text: str, expected: list[str]) -> None:
    assert found(kim, six, search=text) == expected


def test_a_search_and_the_parameters_hold_together(world: World, six: dict[str, str]) -> None:
    assert found(world, six, search="one", status="snoozed,open") == ["snoozed"]
    assert found(world, six, search="status:open", status="snoozed") == []
    assert found(world, six, search=six["timeout"]) == ["timeout"]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"search": "severity>=urgent"}, "search"),
        ({"search": "a" * 1001}, "search"),
        ({"search": "assignee:me"}, "search"),
        ({"sort": "age"}, "sort"),
        ({"sort": "count,title"}, "sort"),
        ({"order": "up"}, "order"),
        ({"group_by": "title"}, "group_by"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_named(world: World, query: dict[str, str], path: str) -> None:
    said = problem(world.api.get("/api/alert-groups", params=query), 422, "invalid", path)
    if query.get("search", "").startswith("severity"):
        assert (said["position"], said["length"]) == (10, 6)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("last_seen", EVERYTHING),
        ("first_seen", EVERYTHING),
        ("count", ["timeout", "checkout", "acked", "resolved", "snoozed", "umlaut"]),
        ("severity", ["checkout", "resolved", "acked", "timeout", "umlaut", "snoozed"]),
        ("status", ["resolved", "snoozed", "acked", "umlaut", "timeout", "checkout"]),
        ("title", ["umlaut", "checkout", "timeout", "snoozed", "resolved", "acked"]),
    ],
)
def test_a_list_can_be_sorted_by(world: World, six: dict[str, str], sort: str, expected: list[str]) -> None:
    assert found(world, six, sort=sort) == expected
    upward = found(world, six, sort=sort, order="asc")
    if sort in ("last_seen", "first_seen", "title"):
        assert upward == expected[::-1]
    if sort == "status":
        assert upward == ["umlaut", "timeout", "checkout", "acked", "snoozed", "resolved"]
    if sort == "severity":
        assert upward == ["snoozed", "umlaut", "resolved", "acked", "timeout", "checkout"]


def paged(world: World, limit: int, **query: Any) -> list[str]:
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(20):
        page = world.get("/api/alert-groups", limit=limit, **query, **cursor)
        assert (page["total"] is None) == bool(cursor)
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            return seen
        cursor = {"cursor": page["next"]}
    raise AssertionError("it never ends")


@pytest.mark.parametrize("search", ["", "-status:resolved", "status:open,resolved"])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", ["last_seen", "first_seen", "count", "severity", "status", "title"])
def test_pages_in_any_order_hold_every_group_once(
    world: World, six: dict[str, str], sort: str, order: str, search: str
) -> None:
    asked = {"sort": sort, "order": order, "search": search}
    whole = paged(world, 100, **asked)
    assert len(whole) == len(set(whole)) == {"": 6, "-status:resolved": 5}.get(search, 4)
    for limit in (1, 2, 3, 5):
        assert paged(world, limit, **asked) == whole


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ("project", ["timeout", "checkout", "umlaut", "resolved", "snoozed", "acked"]),
        ("environment", ["snoozed", "acked", "timeout", "checkout", "umlaut", "resolved"]),
        ("severity", ["checkout", "resolved", "acked", "timeout", "umlaut", "snoozed"]),
        ("assignee", ["checkout", "acked", "resolved", "snoozed", "umlaut", "timeout"]),
        ("source", EVERYTHING),
    ],
)
def test_a_list_can_be_grouped_and_its_pages_hold_together(
    world: World, six: dict[str, str], group_by: str, expected: list[str]
) -> None:
    assert found(world, six, group_by=group_by) == expected
    for sort, order in itertools.product(("last_seen", "severity", "title"), ("asc", "desc")):
        asked = {"group_by": group_by, "sort": sort, "order": order, "search": "-status:snoozed"}
        whole = paged(world, 100, **asked)
        assert len(whole) == 5
        assert paged(world, 2, **asked) == whole


def test_a_cursor_of_another_order_is_refused(world: World, six: dict[str, str]) -> None:
    cursor = world.get("/api/alert-groups", sort="count", limit=2)["next"]
    problem(world.api.get(f"/api/alert-groups?cursor={cursor}"), 422, "invalid", "cursor")


def test_the_first_page_says_how_many_there_are(world: World, six: dict[str, str]) -> None:
    assert world.get("/api/alert-groups", limit=1)["total"] == {"count": 6, "capped": False}
    assert [len(world.get("/api/alert-groups", limit=n)["items"]) for n in (1, 2, 5)] == [1, 2, 5]
    assert world.get("/api/alert-groups", limit=1, search="status:open")["total"] == {"count": 3, "capped": False}
    assert world.get("/api/alert-groups", search="nothing-has-this")["total"] == {"count": 0, "capped": False}


# -- to choose from ---------------------------------------------------------------------------------------------------


def test_facets_say_what_there_is_and_how_often(world: World, kim: Browser, six: dict[str, str]) -> None:
    said = kim.get("/api/alert-groups/facets")
    assert {"value": "web app", "count": 3} in said["projects"]
    assert [one["count"] for one in said["projects"]] == sorted(
        (one["count"] for one in said["projects"]), reverse=True
    )
    assert {one["value"] for one in said["environments"]} >= {"prod", "staging", "dev"}
    assert said["without_environment"] == 1
    assert said["sources"] == [{"value": "sentry", "count": said["looked_at"]}]
    release = next(tag for tag in said["tags"] if tag["key"] == "release")
    assert {"value": "1.2.3", "count": 1} in release["values"]
    people = {one["assignee"]["name"]: one for one in said["assignees"]}
    assert people["Sam"]["count"] == 1
    assert people["kim"] == {"assignee": {"kind": "user", "id": kim.who["person"]["id"], "name": "kim"}, "count": 1}


def test_facets_name_people_only_to_whom_may_see_them(world: World, kim: Browser, six: dict[str, str]) -> None:
    browser(world, "idle@example.com").client.close()
    assert "idle" in [one["assignee"]["name"] for one in kim.get("/api/alert-groups/facets")["assignees"]]
    key = asking(world, key_of(world, "alerts:read"))
    assert "idle" not in [one["assignee"]["name"] for one in key.get("/api/alert-groups/facets").json()["assignees"]]


# -- many at once -----------------------------------------------------------------------------------------------------


def fresh(world: World, count: int, start: int = 0) -> list[str]:
    numbers = itertools.count(start)
    return [
        world.receives("sentry", "event_alert", issue=f"bulk{n}", title=f"bulk {n}", environment="prod")["group_id"]
        for n in itertools.islice(numbers, count)
    ]


def test_many_are_answered_at_once_each_with_its_own_result(world: World, kim: Browser) -> None:
    one, two, three = fresh(world, 3)
    world.after(minutes=1)  # their messages are posted, one a second
    world.post(f"/api/alert-groups/{two}/ack")
    gone = "0" * 12 + "1"
    said = kim.post("/api/alert-groups/bulk", {"ids": [one, two, gone, three, one], "verb": "ack", "note": "mine"})
    assert said["done"] == 2
    assert [(item["id"], item["result"], item["state"]) for item in said["items"]] == [
        (one, "done", "acknowledged"),
        (two, "conflict", "acknowledged"),
        (gone, "not_found", None),
        (three, "done", "acknowledged"),
    ]
    assert "already acknowledged" in said["items"][1]["detail"]
    world.settled()
    for number in (one, three):
        lines = world.get(f"/api/alert-groups/{number}/timeline")["items"]
        assert [line["data"] for line in lines if line["verb"] == "acknowledged"] == [{"note": "mine"}]
    edits = {
        number: [d["kind"] for d in world.get(f"/api/alert-groups/{number}/deliveries")["items"]].count("update")
        for number in (one, two, three)
    }
    assert edits == {one: 1, two: 1, three: 1}, "one owed edit each: of its own acknowledgement, not of the conflict"


def test_every_verb_works_for_many(world: World, kim: Browser) -> None:
    some = fresh(world, 2, start=10)

    def all_are(status: str) -> list[dict[str, Any]]:
        now = [world.get(f"/api/alert-groups/{number}") for number in some]
        assert [one["status"] for one in now] == [status] * 2
        return now

    def do(verb: str, **more: Any) -> None:
        assert kim.post("/api/alert-groups/bulk", {"ids": some, "verb": verb, **more})["done"] == 2

    do("snooze", minutes=30)
    assert all_are("snoozed")[0]["snoozed_until"] is not None
    do("snooze", until="2026-03-09T09:00:00Z")
    assert all_are("snoozed")[0]["snoozed_until"] == "2026-03-09T09:00:00.000Z"
    do("unsnooze")
    all_are("open")
    me = kim.who["person"]["id"]
    do("assign", assignee={"kind": "user", "id": me})
    assert all_are("open")[1]["assignee"] == {"kind": "user", "id": me, "name": "kim"}
    do("assign", assignee=None)
    assert all_are("open")[1]["assignee"] is None
    do("resolve", note="over")
    assert all_are("resolved")[0]["resolution_note"] == "over"
    do("reopen")
    all_are("open")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"verb": "ack", "ids": []}, "ids"),
        ({"verb": "ack", "ids": ["x"]}, "ids"),
        ({"verb": "ack", "ids": [ids.show(n) for n in range(501)]}, "ids"),
        ({"verb": "drop"}, "verb"),
        ({"verb": "snooze"}, "minutes"),
        ({"verb": "snooze", "minutes": 1, "until": "2030-01-01T00:00:00Z"}, "minutes"),
        ({"verb": "snooze", "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"verb": "ack", "minutes": 5}, "minutes"),
        ({"verb": "snooze", "minutes": 5, "note": "x"}, "note"),
        ({"verb": "assign", "assignee": {"kind": "user", "id": "0000000000001"}}, "assignee.id"),
        ({"verb": "assign", "assignee": {"kind": "slack", "id": "U1"}}, "assignee.name"),
        ({"verb": "ack", "extra": 1}, ""),
    ],
    ids=str,
)
def test_a_wrong_bulk_is_named(world: World, body: dict[str, Any], path: str) -> None:
    answer = world.api.post("/api/alert-groups/bulk", json={"ids": ["0000000000001"], **body})
    problem(answer, 422, "invalid", path or None)


def test_many_of_another_workspace_are_not_there(world: World, other: Other, six: dict[str, str]) -> None:
    said = other.api.post("/api/alert-groups/bulk", json={"ids": list(six.values()), "verb": "resolve"}).json()
    assert {item["result"] for item in said["items"]} == {"not_found"}
    assert other.api.get("/api/alert-groups/sparklines", params={"ids": six["acked"]}).json()["items"] == []
    assert other.api.get("/api/alert-groups/facets").json()["looked_at"] == 0


def test_many_are_written_a_few_at_a_time(world: World, kim: Browser) -> None:
    """So that webhooks that come meanwhile do not wait for all of them."""
    some = fresh(world, 45, start=100)
    before = world.house.db.works
    assert kim.post("/api/alert-groups/bulk", {"ids": some, "verb": "resolve"})["done"] == 45
    assert world.house.db.works - before >= 3


# -- hour by hour -----------------------------------------------------------------------------------------------------


def test_the_last_day_is_told_hour_by_hour_as_it_was_counted(world: World) -> None:
    say: dict[str, Any] = {"issue": "spark", "title": "spark", "project": "sparks"}
    number = world.receives("sentry", "event_alert", **say)["group_id"]
    world.after(hours=2, minutes=30)
    for _ in range(4):
        world.receives("sentry", "event_alert", **say)
    other = world.receives("sentry", "event_alert", issue="quiet", title="quiet", project="sparks")["group_id"]
    at_minute = world.clock.at_ms // 60_000
    assert len(world.get("/api/alert-groups/sparklines", ids=other)["items"]) == 1
    said = world.get("/api/alert-groups/sparklines", ids=f"{number},{other},{'0' * 13}")
    assert [one["id"] for one in said["items"]] == [number, other]
    counts = said["items"][0]["counts"]
    assert len(counts) == 24
    assert (counts[23], counts[21], sum(counts)) == (4, 1, 5)
    assert sum(said["items"][1]["counts"]) == 1
    world.after(hours=22, minutes=58)
    world.clock.at_ms = (at_minute + 23 * 60) * 60_000 - 1
    for hour in (1, 0):  # a millisecond later it is another hour
        later = world.get("/api/alert-groups/sparklines", ids=number)["items"][0]["counts"]
        assert (later[hour], sum(later)) == (4, 4)
        world.clock.at_ms += 1
    world.post("/api/alert-groups/bulk", {"ids": [number, other], "verb": "resolve"})


@pytest.mark.parametrize("query", ["ids=x", "ids=" + ",".join(ids.show(n) for n in range(101))])
def test_sparklines_of_what_are_no_ids_or_too_many_are_refused(world: World, query: str) -> None:
    problem(world.api.get(f"/api/alert-groups/sparklines?{query}"), 422, "invalid", "ids")
    assert world.get("/api/alert-groups/sparklines")["items"] == []
