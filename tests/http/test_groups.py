"""/api/alert-groups: the list and its filters, one group, and what people do to it."""

from __future__ import annotations

from typing import Any

import pytest

from signalcraft.domain.group import Actor
from tests.http.asking import Other, asking, key_of, problem
from tests.world import World

ITEM = {
    "id", "group_key", "title", "source", "project", "environment", "severity", "status", "count", "episode",
    "first_seen_at", "last_seen_at", "acknowledged_at", "acknowledged_by", "assignee", "snoozed_until", "resolved_at",
    "runbook_url", "users_affected", "velocity_per_hour",
}  # fmt: skip
"""The names that other people's programs rely on (design, section 6)."""


@pytest.fixture(scope="module")
def six(world: World) -> dict[str, str]:
    """Six groups in every status, a minute apart, by a short name of each."""
    world.rule(channel="#oncall")
    made = {}
    for name, say in {
        "checkout": {"title": "TypeError in checkout", "project": "shop", "environment": "prod", "level": "fatal"},
        "timeout": {"title": "Timeout [db] 100%", "project": "shop", "environment": "prod", "level": "error"},
        "umlaut": {"title": "ÜBERLAUF im Lager", "project": "lager", "environment": "staging", "level": "warning"},
        "acked": {"title": "acked one", "project": "web", "environment": "prod", "level": "error"},
        "snoozed": {"title": "snoozed one", "project": "web", "environment": "dev", "level": "info"},
        "resolved": {"title": "resolved one", "project": "web", "environment": "prod", "level": "error"},
    }.items():
        made[name] = world.receives("sentry", "event_alert", issue=f"7{len(made)}", **say)["group_id"]
        world.after(minutes=1)
    world.post(f"/api/alert-groups/{made['acked']}/ack")
    world.post(f"/api/alert-groups/{made['acked']}/assign", {"assignee": "Kim"})
    world.post(f"/api/alert-groups/{made['snoozed']}/snooze", {"minutes": 600})
    world.post(f"/api/alert-groups/{made['resolved']}/resolve", {"note": "it was DNS"})
    return made


def names(six: dict[str, str], page: dict[str, Any]) -> list[str]:
    by_id = {number: name for name, number in six.items()}
    return [by_id[item["id"]] for item in page["items"] if item["id"] in by_id]


def test_an_item_has_these_names_and_no_others(world: World, six: dict[str, str]) -> None:
    for item in world.get("/api/alert-groups")["items"]:
        assert item.keys() == ITEM
        assert item["velocity_per_hour"] >= 0
        assert item["first_seen_at"].endswith("Z")
        assert len(item["first_seen_at"]) == len("2026-03-02T09:00:00.000Z")


def test_without_a_filter_every_status_is_there_the_latest_seen_first(world: World, six: dict[str, str]) -> None:
    page = world.get("/api/alert-groups")
    assert names(six, page) == ["resolved", "snoozed", "acked", "umlaut", "timeout", "checkout"]
    assert page["next"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "open"}, ["umlaut", "timeout", "checkout"]),
        ({"status": "resolved"}, ["resolved"]),
        ({"status": "snoozed,acknowledged"}, ["snoozed", "acked"]),
        ({"status": ["snoozed", "acknowledged"]}, ["snoozed", "acked"]),
        ({"status": ["snoozed,open", "resolved"]}, ["resolved", "snoozed", "umlaut", "timeout", "checkout"]),
        ({"status": "OPEN"}, ["umlaut", "timeout", "checkout"]),
        ({"status": ""}, ["resolved", "snoozed", "acked", "umlaut", "timeout", "checkout"]),
        ({"severity": "critical"}, ["checkout"]),
        ({"severity": "critical,info"}, ["snoozed", "checkout"]),
        ({"environment": "prod"}, ["resolved", "acked", "timeout", "checkout"]),
        ({"environment": "Prod"}, []),
        ({"environment": "staging,dev"}, ["snoozed", "umlaut"]),
        ({"project": "shop"}, ["timeout", "checkout"]),
        ({"source": "sentry"}, ["resolved", "snoozed", "acked", "umlaut", "timeout", "checkout"]),
        ({"source": "generic"}, []),
        ({"assignee": "Kim"}, ["acked"]),
        ({"assignee": "none"}, ["resolved", "snoozed", "umlaut", "timeout", "checkout"]),
        ({"assignee": "none,Kim"}, ["resolved", "snoozed", "acked", "umlaut", "timeout", "checkout"]),
        ({"q": "typeerror"}, ["checkout"]),
        ({"q": "ONE"}, ["resolved", "snoozed", "acked"]),
        ({"q": "überlauf"}, ["umlaut"]),
        ({"q": "[db] 100%"}, ["timeout"]),
        ({"q": "*"}, []),
        ({"q": "?"}, []),
        ({"q": "_"}, []),
        ({"q": "' or 1=1 --"}, []),
        ({"status": "open", "project": "shop", "severity": "critical", "q": "type"}, ["checkout"]),
        ({"since": "2026-03-02T09:04:00Z"}, ["resolved", "snoozed"]),
        ({"until": "2026-03-02T09:01:30Z"}, ["timeout", "checkout"]),
        ({"since": "2026-03-02T10:01:00+01:00", "until": "2026-03-02T10:02:00+01:00"}, ["umlaut", "timeout"]),
    ],
    ids=str,
)
def test_a_filter_keeps_what_it_says(
    world: World, six: dict[str, str], query: dict[str, Any], expected: list[str]
) -> None:
    assert names(six, world.get("/api/alert-groups", **query)) == expected


def test_the_id_finds_its_group(world: World, six: dict[str, str]) -> None:
    assert names(six, world.get("/api/alert-groups", q=six["timeout"])) == ["timeout"]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("status=closed", "status"),
        ("severity=urgent", "severity"),
        ("severity=4", "severity"),
        ("since=yesterday", "since"),
        ("until=2026-03-02", "until"),
        ("until=2026-13-02T00:00:00Z", "until"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=zzzzzzzzzzzzzzzzzzzzzzzzzz", "cursor"),
        ("cursor=0000000000000", "cursor"),
        ("q=" + "x" * 201, "q"),
    ],
)
def test_a_wrong_parameter_is_named(world: World, query: str, path: str) -> None:
    problem(world.api.get(f"/api/alert-groups?{query}"), 422, "invalid", path)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7])
def test_pages_hold_every_group_once_and_in_order(world: World, six: dict[str, str], limit: int) -> None:
    whole = [item["id"] for item in world.get("/api/alert-groups")["items"]]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(20):
        page = world.get("/api/alert-groups", limit=limit, **cursor)
        assert len(page["items"]) <= limit
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == whole


def test_a_filter_and_a_cursor_go_together(world: World, six: dict[str, str]) -> None:
    first = world.get("/api/alert-groups", status="open", limit=2)
    rest = world.get("/api/alert-groups", status="open", limit=2, cursor=first["next"])
    assert names(six, first) + names(six, rest) == ["umlaut", "timeout", "checkout"]
    assert rest["next"] is None


def test_one_group_has_more_than_its_item(world: World, six: dict[str, str]) -> None:
    group = world.get(f"/api/alert-groups/{six['resolved']}")
    assert group.keys() == ITEM | {"message", "link", "tags", "resolved_by", "resolution_note", "memory", "runbook"}
    assert group["status"] == "resolved"
    assert group["resolution_note"] == "it was DNS"
    assert group["resolved_at"] == "2026-03-02T09:06:00.000Z"
    assert isinstance(group["tags"], dict)


@pytest.mark.parametrize("wrong", ["1", "x" * 13, "zzzzzzzzzzzzz", "0000000000001", "0" * 40, "%20", "ünïcödë"])
@pytest.mark.parametrize("rest", ["", "/events", "/timeline", "/deliveries", "/why"])
def test_what_is_no_group_is_404(world: World, wrong: str, rest: str) -> None:
    problem(world.api.get(f"/api/alert-groups/{wrong}{rest}"), 404, "not_found")


def test_another_workspace_sees_nothing_of_it(world: World, six: dict[str, str], other: Other) -> None:
    nothing = {"items": [], "next": None, "total": {"count": 0, "capped": False}}
    assert other.api.get("/api/alert-groups").json() == nothing
    for number in six.values():
        for rest in ("", "/events", "/timeline", "/deliveries", "/why"):
            answer = other.api.get(f"/api/alert-groups/{number}{rest}")
            problem(answer, 404, "not_found")
            assert "checkout" not in answer.text
        for verb, body in (
            ("ack", {}), ("snooze", {"minutes": 5}), ("unsnooze", {}), ("resolve", {}), ("reopen", {}),
            ("assign", {"assignee": "me"}),
        ):  # fmt: skip
            problem(other.api.post(f"/api/alert-groups/{number}/{verb}", json=body), 404, "not_found")
    assert other.api.get("/api/alert-groups", params={"q": six["checkout"]}).json()["items"] == []
    # And a cursor of one workspace opens nothing of it to another.
    cursor = world.get("/api/alert-groups", limit=1)["next"]
    assert other.api.get("/api/alert-groups", params={"cursor": cursor}).json()["items"] == []


class TestActing:
    """What people do, and what becomes of it."""

    @pytest.fixture
    def fresh(self, world: World) -> str:
        """A new open group."""
        self.n = getattr(world, "fresh_groups", 0) + 1
        world.fresh_groups = self.n  # type: ignore[attr-defined]
        title, issue = f"Fresh failure {self.n}", f"8{self.n:03d}"
        return str(world.receives("sentry", "event_alert", title=title, issue=issue, environment="prod")["group_id"])

    def test_ack(self, world: World, fresh: str) -> None:
        group = world.post(f"/api/alert-groups/{fresh}/ack", {"note": "on it"})
        assert (group["status"], group["acknowledged_by"]) == ("acknowledged", group["acknowledged_by"])
        assert group["acknowledged_by"].startswith("tests")  # the name of the key
        assert group["acknowledged_at"] is not None
        (line,) = [m for m in world.get(f"/api/alert-groups/{fresh}/timeline")["items"] if m["verb"] == "acknowledged"]
        assert line["actor"]["kind"] == "api_key"
        assert line["data"]["note"] == "on it"

    def test_an_action_needs_no_body_where_nothing_must_be_said(self, world: World, fresh: str) -> None:
        assert world.api.post(f"/api/alert-groups/{fresh}/ack").json()["status"] == "acknowledged"
        assert world.api.post(f"/api/alert-groups/{fresh}/resolve", content=b"null").json()["status"] == "resolved"
        assert world.api.post(f"/api/alert-groups/{fresh}/reopen").json()["status"] == "open"

    def test_snooze_for_minutes_and_until(self, world: World, fresh: str) -> None:
        group = world.post(f"/api/alert-groups/{fresh}/snooze", {"minutes": 30})
        assert group["status"] == "snoozed"
        first = group["snoozed_until"]
        group = world.post(f"/api/alert-groups/{fresh}/snooze", {"until": "2026-03-03T09:00:00+01:00"})
        assert group["snoozed_until"] == "2026-03-03T08:00:00.000Z" != first
        group = world.post(f"/api/alert-groups/{fresh}/unsnooze")
        assert (group["status"], group["snoozed_until"]) == ("open", None)

    def test_resolve_and_reopen(self, world: World, fresh: str) -> None:
        group = world.post(f"/api/alert-groups/{fresh}/resolve", {"note": "restarted it"})
        assert (group["status"], group["resolution_note"]) == ("resolved", "restarted it")
        group = world.post(f"/api/alert-groups/{fresh}/reopen")
        assert (group["status"], group["resolved_at"], group["episode"]) == ("open", None, 2)

    @pytest.mark.parametrize(
        ("said", "is_then"),
        [
            ("Sam Doe", {"kind": "person", "id": "Sam Doe", "name": "Sam Doe"}),
            (
                {"kind": "slack", "id": "U012AB3CD", "name": "sam"},
                {"kind": "slack", "id": "U012AB3CD", "name": "sam"},
            ),
            (None, None),
        ],
    )
    def test_assign(self, world: World, fresh: str, said: Any, is_then: Any) -> None:
        group = world.post(f"/api/alert-groups/{fresh}/assign", {"assignee": said})
        assert group["assignee"] == is_then

    @pytest.mark.parametrize(
        ("before", "verb", "body", "state"),
        [
            ([("ack", {})], "ack", {}, "acknowledged"),
            ([("resolve", {})], "ack", {}, "resolved"),
            ([("resolve", {})], "resolve", {}, "resolved"),
            ([("resolve", {})], "snooze", {"minutes": 5}, "resolved"),
            ([], "unsnooze", {}, "open"),
            ([], "reopen", {}, "open"),
            ([("snooze", {"minutes": 5})], "reopen", {}, "snoozed"),
            ([("ack", {})], "unsnooze", {}, "acknowledged"),
        ],
    )
    def test_what_makes_no_sense_is_409_with_the_state(
        self, world: World, fresh: str, before: list[tuple[str, Any]], verb: str, body: Any, state: str
    ) -> None:
        for earlier, said in before:
            world.post(f"/api/alert-groups/{fresh}/{earlier}", said)
        answer = world.api.post(f"/api/alert-groups/{fresh}/{verb}", json=body)
        said = problem(answer, 409, "conflict")
        assert said["state"] == state
        assert state in said["detail"]

    @pytest.mark.parametrize(
        ("verb", "body", "path"),
        [
            ("snooze", {}, "minutes"),
            ("snooze", {"minutes": 5, "until": "2026-03-03T09:00:00Z"}, "minutes"),
            ("snooze", {"minutes": 0}, "minutes"),
            ("snooze", {"minutes": -5}, "minutes"),
            ("snooze", {"minutes": "5"}, "minutes"),
            ("snooze", {"minutes": 5.5}, "minutes"),
            ("snooze", {"minutes": True}, "minutes"),
            ("snooze", {"minutes": 10**12}, "minutes"),
            ("snooze", {"until": "2020-01-01T00:00:00Z"}, "until"),
            ("snooze", {"until": "2999-01-01T00:00:00Z"}, "until"),
            ("snooze", {"until": "tomorrow"}, "until"),
            ("snooze", {"hours": 1}, "hours"),
            ("ack", {"note": 5}, "note"),
            ("ack", {"note": "x" * 2001}, "note"),
            ("ack", {"nota": "x"}, "nota"),
            ("resolve", {"note": ["x"]}, "note"),
            ("assign", {}, "assignee"),
            ("assign", {"assignee": ""}, "assignee"),
            ("assign", {"assignee": "  "}, "assignee"),
            ("assign", {"assignee": 7}, "assignee"),
            ("assign", {"assignee": {"kind": "root", "id": "x", "name": "x"}}, "assignee.kind"),
            ("assign", {"assignee": {"kind": "slack", "id": "x"}}, "assignee.name"),
        ],
    )
    def test_a_wrong_body_changes_nothing(self, world: World, fresh: str, verb: str, body: Any, path: str) -> None:
        answer = world.api.post(f"/api/alert-groups/{fresh}/{verb}", json=body)
        problem(answer, 422, "invalid", path)
        assert world.get(f"/api/alert-groups/{fresh}")["status"] == "open"

    def test_get_never_acts(self, world: World, fresh: str) -> None:
        for verb in ("ack", "snooze", "unsnooze", "resolve", "reopen", "assign"):
            assert world.api.get(f"/api/alert-groups/{fresh}/{verb}").status_code == 405
            assert world.api.head(f"/api/alert-groups/{fresh}/{verb}").status_code == 405
        assert world.get(f"/api/alert-groups/{fresh}")["status"] == "open"

    def test_what_people_wrote_comes_back_as_it_was(self, world: World, fresh: str) -> None:
        note = "<script>alert(1)</script> \u202e \U0001f525 'quoted' \"twice\" \\ \n connection=keep"
        world.post(f"/api/alert-groups/{fresh}/resolve", {"note": note})
        assert world.get(f"/api/alert-groups/{fresh}")["resolution_note"] == note

    def test_the_key_is_who_did_it(self, world: World, fresh: str) -> None:
        world.post("/api/api-keys", {"name": "pager bot", "scopes": ["alerts:write"]})
        client = asking(world, key_of(world, "alerts:write"))
        assert client.post(f"/api/alert-groups/{fresh}/ack").json()["acknowledged_by"] == "a test"

    def test_a_slack_person_who_acknowledged_is_the_assignee(self, world: World, fresh: str) -> None:
        world.after(minutes=2)  # Slack takes about one message a second
        (told,) = [t for t in world.told if f"Fresh failure {self.n} " in t.text]
        world.press(told, "ack", by="Sam")
        group = world.get(f"/api/alert-groups/{fresh}")
        assert group["assignee"]["kind"] == "slack"
        assert Actor(**group["assignee"]).name == group["acknowledged_by"]
        listed = world.get("/api/alert-groups", assignee=group["assignee"]["id"])["items"]
        assert fresh in [item["id"] for item in listed]
