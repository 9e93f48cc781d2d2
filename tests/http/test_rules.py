"""/api/routing-rules over HTTP: shapes, order, refusals, the dry run, who may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.domain import ids
from signalcraft.domain.event import Event
from signalcraft.domain.severity import Severity
from signalcraft.storage import events
from tests.http.front import Front

PROD = {"field": "environment", "operator": "equals", "value": "prod"}
SERIOUS = {"all": [PROD, {"field": "severity", "operator": "gte", "value": "high"}]}
RULE: dict[str, Any] = {
    "name": "production and serious",
    "priority": 10,
    "when": SERIOUS,
    "channels": ["oncall"],
    "escalate_after_minutes": 15,
    "escalate_to": ["leads"],
}


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    with Front(tmp_path) as it:
        it.channel()
        it.channel("leads")
        yield it


def names(front: Front) -> list[str]:
    return [rule["name"] for rule in front.get("/api/routing-rules")["items"]]


def test_a_rule_is_made_shown_changed_and_deleted(front: Front) -> None:
    made = front.ask("POST", "/api/routing-rules", RULE)
    assert made.status_code == 201
    rule = made.json()
    assert rule == {
        **RULE,
        "id": rule["id"],
        "enabled": True,
        "mention": None,
        "stop": False,
        "repeat_minutes": None,
        "runbook_url": None,
        "runbook": None,
    }
    path = f"/api/routing-rules/{rule['id']}"
    assert front.get(path) == rule
    assert front.get("/api/routing-rules") == {"items": [rule], "next": None}
    assert front.patch(path, {"stop": True, "mention": "none"}) == {**rule, "stop": True, "mention": "none"}
    # What was shown can be sent back whole.
    assert front.put(path, {**rule, "name": "other"}) == {**rule, "name": "other"}
    assert front.put(path, {"name": "short", "channels": ["leads"]})["when"] == {}
    answer = front.ask("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert front.refused(404, "GET", path)["code"] == "not_found"
    assert names(front) == []


def test_rules_are_switched_and_moved(front: Front) -> None:
    made = [front.post("/api/routing-rules", {"name": n, "channels": ["oncall"]})["id"] for n in "abc"]
    assert front.post(f"/api/routing-rules/{made[0]}/disable")["enabled"] is False
    assert front.post(f"/api/routing-rules/{made[0]}/disable")["enabled"] is False
    assert [rule.name for rule in front.snapshot.workspaces[1].rules] == ["b", "c"]
    assert front.post(f"/api/routing-rules/{made[0]}/enable")["enabled"] is True
    moved = front.post("/api/routing-rules/reorder", {"ids": [made[2], made[0]]})
    assert [(rule["name"], rule["priority"]) for rule in moved["items"]] == [("c", 10), ("a", 20), ("b", 30)]
    assert names(front) == ["c", "a", "b"]
    problem = front.refused(422, "POST", "/api/routing-rules/reorder", {"ids": [made[0], "nonsense"]})
    assert problem["errors"][0]["path"] == "ids[1]"


def test_the_list_comes_in_pages(front: Front) -> None:
    for n in "abcde":
        front.post("/api/routing-rules", {"name": n, "channels": ["oncall"]})
    seen, cursor = [], ""
    while True:
        page = front.get(f"/api/routing-rules?limit=2{cursor}")
        seen.append([rule["name"] for rule in page["items"]])
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [["a", "b"], ["c", "d"], ["e"]]
    assert front.refused(422, "GET", f"/api/routing-rules?cursor={ids.show(5)}")["errors"][0]["path"] == "cursor"


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({**RULE, "when": {"all": [{**PROD, "operator": "regex", "value": "("}]}}, ["when.all[0].value"]),
        ({**RULE, "when": {"any": [{**PROD, "field": "enviroment"}]}}, ["when.any[0].field"]),
        ({**RULE, "channels": ["oncal"]}, ["channels[0]"]),
        ({**RULE, "channels": "oncall"}, ["channels"]),
        ({**RULE, "priority": "high"}, ["priority"]),
        ({**RULE, "priority": 10**400}, ["priority"]),
        ({**RULE, "repeat_minutes": 10**30}, ["repeat_minutes"]),
        ({**RULE, "colour": "red"}, ["colour"]),
        ({**RULE, "mention": "<@here>", "repeat_minutes": -1}, ["repeat_minutes", "mention"]),
        ({"when": {}}, ["name", "channels"]),
        ([], [""]),
    ],
)
def test_what_is_wrong_is_told_with_its_place(front: Front, body: Any, paths: list[str]) -> None:
    problem = front.refused(422, "POST", "/api/routing-rules", body)
    assert [error["path"] for error in problem["errors"]] == paths
    assert names(front) == []


def test_a_taken_name_is_a_conflict(front: Front) -> None:
    front.post("/api/routing-rules", RULE)
    problem = front.refused(409, "POST", "/api/routing-rules", RULE)
    assert (problem["code"], problem["errors"][0]["path"]) == ("conflict", "name")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PUT", "", {"name": "x", "channels": ["oncall"]}),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("POST", "/enable", None),
        ("POST", "/disable", None),
    ],
)
@pytest.mark.parametrize("number", [ids.show(5), "nonsense", "0000000000000000000000"])
def test_an_unknown_rule_is_not_found(front: Front, method: str, path: str, body: Any, number: str) -> None:
    assert front.refused(404, method, f"/api/routing-rules/{number}{path}", body)["code"] == "not_found"


def test_a_dry_run_explains_each_question(front: Front) -> None:
    event = {"environment": "prod", "severity": "medium", "title": "x", "tags": {}}
    said = front.post("/api/routing-rules/test", {"rule": RULE, "event": event})
    assert said == {
        "matched": False,
        "conditions": [
            {
                "path": "all[0]",
                "field": "environment",
                "operator": "equals",
                "expected": "prod",
                "actual": "prod",
                "result": True,
            },
            {
                "path": "all[1]",
                "field": "severity",
                "operator": "gte",
                "expected": "high",
                "actual": "medium",
                "result": False,
            },
        ],
    }
    assert front.post("/api/routing-rules/test", {"rule": {"when": {}}, "event": {}}) == {
        "matched": True,
        "conditions": [],
    }


def test_a_dry_run_of_what_is_stored(front: Front) -> None:
    rule = front.post("/api/routing-rules", RULE)
    event = Event(title="x", environment="prod", severity=Severity.CRITICAL, status="firing")
    front.db.call(lambda tx: events.insert(tx, 77, 1, 5, "sentry", None, None, event, front.now_ms))
    body = {"rule_id": rule["id"], "event_id": ids.show(77)}
    assert front.post("/api/routing-rules/test", body)["matched"] is True
    # As GET /api/events/{id} tells it.
    told = {"event_id": ids.show(77), "kind": "alert", "environment": "prod", "severity": None, "status": "firing"}
    told |= {"group_id": None, "message": None, "link": None, "occurred_at": None, "tags": {"a": "b"}}
    assert front.post("/api/routing-rules/test", {"rule_id": rule["id"], "event": told})["matched"] is False


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"event": {}}, 422, "rule"),
        ({"rule": {}}, 422, "event"),
        ({"rule": {}, "rule_id": ids.show(5), "event": {}}, 422, "rule"),
        ({"rule_id": ids.show(5), "event": {}}, 404, None),
        ({"rule": {}, "event_id": ids.show(5)}, 404, None),
        ({"rule": {}, "event": {"enviroment": "prod"}}, 422, "event.enviroment"),
        ({"rule": {}, "event": {"severity": "bad"}}, 422, "event.severity"),
        ({"rule": {}, "event": {"tags": 5}}, 422, "event.tags"),
        ({"rule": {}, "event": {"tags": {"n": 10**400}}}, 422, "event.tags[...]"),
        ({"rule": {}, "event": {"count": 10**30}}, 422, "event.count"),
        ({"rule": {}, "event": {"count": -1}}, 422, "event.count"),
        ({"rule": {"when": {"all": [5]}}, "event": {}}, 422, "rule.when.all[0]"),
        ({"rule": {"whem": {}}, "event": {}}, 422, "rule.whem"),
    ],
)
def test_a_dry_run_of_what_cannot_be_meant(front: Front, body: Any, status: int, path: str | None) -> None:
    problem = front.refused(status, "POST", "/api/routing-rules/test", body)
    assert [error["path"] for error in problem["errors"]] == ([] if path is None else [path])


def test_only_keys_with_the_scope_may(front: Front) -> None:
    assert front.ask("GET", "/api/routing-rules", key="").status_code == 401
    assert front.ask("GET", "/api/routing-rules", scope="alerts:write").status_code == 403
    assert front.ask("POST", "/api/routing-rules", RULE, scope="config:read").status_code == 403
    assert names(front) == []
