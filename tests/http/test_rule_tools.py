"""What the editor of routing rules asks: previews, counts, words, both forms, copies, what changed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.domain import ids, matcher
from signalcraft.domain.event import Event
from signalcraft.domain.severity import Severity
from signalcraft.http import ruletools
from signalcraft.services import ruletext
from signalcraft.services.configure import rules
from signalcraft.storage import events
from tests.http.front import Front

PROD = {"field": "environment", "operator": "equals", "value": "prod"}
HIGH = {"field": "severity", "operator": "gte", "value": "high"}
RULE: dict[str, Any] = {"name": "production", "when": {"all": [PROD, {"any": [HIGH]}]}, "channels": ["oncall"]}
PREVIEW, CONVERT = "/api/routing-rules/preview", "/api/routing-rules/convert"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    it = Front(tmp_path)
    with it:
        it.channel()
        yield it


def came(front: Front, number: int, environment: str | None, severity: Severity = Severity.HIGH) -> None:
    event = Event(title=f"event {number}", environment=environment, severity=severity, status="firing")
    event.tags = {"team": "checkout"}
    front.db.call(lambda tx: events.insert(tx, number, 1, 5, "sentry", None, None, event, front.now_ms))


def previewed(front: Front, body: Any) -> Any:
    return front._good(front.ask("POST", PREVIEW, body, scope="alerts:read"))


def test_a_preview_counts_and_explains(front: Front) -> None:
    came(front, 1, "prod")
    came(front, 2, "prod", Severity.LOW)
    came(front, 3, None)
    found = previewed(front, {"rule": {"when": RULE["when"]}, "last": 50})
    assert {k: found[k] for k in ("looked_at", "matched", "stopped", "whole")} == {
        "looked_at": 3, "matched": 1, "stopped": 0, "whole": True,
    }  # fmt: skip
    assert [(one["event_id"], one["matched"]) for one in found["items"]] == [
        (ids.show(1), True), (ids.show(3), False), (ids.show(2), False),
    ]  # fmt: skip
    assert found["items"][0] == {
        "event_id": ids.show(1), "group_id": None, "title": "event 1", "severity": "high", "project": None,
        "environment": "prod", "source": "sentry", "received_at": found["since"], "matched": True, "decided_by": None,
        "stopped_by": None,
    }  # fmt: skip
    assert found["items"][1]["decided_by"]["path"] == "all[0]"
    low = found["items"][2]["decided_by"]
    assert (low["path"], low["expected"], low["actual"]) == ("all[1].any[0]", "high", "low")
    # What the list says of an alert, the dry run of that alert says too.
    for one in found["items"]:
        tried = front.post("/api/routing-rules/test", {"rule": {"when": RULE["when"]}, "event_id": one["event_id"]})
        assert tried["matched"] == one["matched"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"rule": {"when": {"all": [PROD, {"any": [{**HIGH, "value": "bad"}]}]}}}, "rule.when.all[1].any[0].value"),
        ({"rule": {"when": {"all": [PROD, {**PROD, "operator": "regex", "value": "("}]}}}, "rule.when.all[1].value"),
        ({"rule": {"whem": {}}}, "rule.whem"),
        ({"rule": {}, "last": 501}, "last"),
        ({"rule": {}, "last": 0}, "last"),
        ({}, "rule"),
    ],
)
def test_what_is_wrong_with_a_preview_is_told_with_its_place(front: Front, body: Any, path: str) -> None:
    answer = front.ask("POST", PREVIEW, body, scope="alerts:read")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["path"] == path


def test_alerts_are_shown_to_those_who_may_see_alerts(front: Front) -> None:
    assert front.ask("POST", PREVIEW, {"rule": {}}, scope="config:read").status_code == 403
    assert front.ask("GET", "/api/routing-rules/vocabulary", scope="config:read").status_code == 403


def test_each_rule_with_how_many_alerts_it_matches(front: Front) -> None:
    came(front, 1, "prod")
    came(front, 2, "test")
    made = front.post("/api/routing-rules", RULE)
    found = front.get("/api/routing-rules/matches?last=10")
    assert found["items"] == [{"id": made["id"], "matched": 1, "reached": 1}]
    assert (found["looked_at"], found["unrouted"]) == (2, 1)
    assert front.refused(422, "GET", "/api/routing-rules/matches?last=501")["errors"][0]["path"] == "last"


def test_the_vocabulary_is_the_matchers_own(front: Front) -> None:
    front.integration()
    came(front, 1, "prod")
    found = front._good(front.ask("GET", "/api/routing-rules/vocabulary", scope="alerts:read"))
    fields = {one["name"]: one for one in found["fields"]}
    assert list(fields) == list(matcher.FIELDS)
    assert fields["severity"]["values"] == ["info", "low", "medium", "high", "critical"]
    assert fields["source"]["values"] == ["sentry"]
    assert "gt" in fields["count"]["operators"]
    assert "gt" not in fields["title"]["operators"]
    assert found["tags"] == [{"key": "team", "values": ["checkout"]}]
    assert found["operators"] == list(matcher.OPERATORS)
    assert found["limits"]["depth"] == matcher.DEPTH_MAX


def test_a_rule_is_shown_both_ways_and_the_file_is_what_apply_takes(front: Front) -> None:
    shown = front._good(front.ask("POST", CONVERT, {"rule": {**RULE, "repeat_minutes": 60, "runbook": "# Do\nthis"}}))
    back = front._good(front.ask("POST", CONVERT, {"toml": shown["toml"]}))
    assert back == shown
    assert shown["rule"]["when"] == RULE["when"]
    applied = front.apply(shown["toml"])
    assert [step.action for step in applied.steps] == ["create"]
    stored = front.get("/api/routing-rules")["items"][0]
    assert {**shown["rule"], "id": stored["id"], "priority": stored["priority"]} == stored
    assert shown["toml"].splitlines()[1:] == [
        line for line in front.export().split("[[rules]]\n")[1].splitlines() if not line.startswith("priority")
    ]


def test_a_rule_that_cannot_be_saved_yet_has_both_forms(front: Front) -> None:
    shown = front._good(front.ask("POST", CONVERT, {"rule": {}}))
    assert (shown["rule"]["name"], shown["rule"]["channels"], shown["rule"]["priority"]) == ("", [], None)
    assert shown["toml"] == '[[rules]]\nname = ""\n'


@pytest.mark.parametrize(
    ("body", "path", "said"),
    [
        ({"toml": '[[rules]]\nname = "x"\nwhen = {'}, "toml", "this is not TOML"),
        ({"toml": '[[rules]]\nname = "x"\nchanels = []'}, "rules[0].chanels", "did you mean channels?"),
        ({"toml": '[[rules]]\nname = "x"\nchannels = "y"'}, "rules[0].channels", "Expected `array`"),
        ({"toml": '[[rules]]\nwhen = { all = [ { field = "envronment" } ] }'}, "rules[0].when.all[0].field", "no such"),
        ({"toml": 'name = "x"'}, "name", "begins with [[rules]]"),
        ({"toml": "[[rules]]\n[[rules]]"}, "rules", "exactly one rule"),
        ({"toml": ""}, "rules", "exactly one rule"),
        ({"rule": {"when": {"any": [{**HIGH, "value": 5}]}}}, "rule.when.any[0].value", "no such severity"),
        ({}, "rule", "either rule or toml"),
        ({"rule": {}, "toml": ""}, "rule", "either rule or toml"),
    ],
)
def test_what_cannot_be_shown_is_told_with_its_place(front: Front, body: Any, path: str, said: str) -> None:
    answer = front.ask("POST", CONVERT, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["path"] == path
    assert said in answer.json()["errors"][0]["message"]


def test_the_form_has_every_field_of_a_rule() -> None:
    assert set(ruletools.RuleForm.__struct_fields__) == set(rules.Seen.__struct_fields__) - {"id"}
    assert set(ruletext.FIELDS) == set(rules.Seen.__struct_fields__) - {"id", "name", "priority", "enabled"}


def test_a_copy_stands_behind_its_rule_and_is_switched_off(front: Front) -> None:
    first = front.post("/api/routing-rules", {**RULE, "name": "x" * 100})
    front.post("/api/routing-rules", {**RULE, "name": "last"})
    copied = front.ask("POST", f"/api/routing-rules/{first['id']}/duplicate")
    assert copied.status_code == 201
    one, two = copied.json(), front.post(f"/api/routing-rules/{first['id']}/duplicate")
    assert one == {**first, "id": one["id"], "name": "x" * 93 + " (copy)", "enabled": False}
    assert two["name"] == "x" * 91 + " (copy 2)"
    order = [rule["id"] for rule in front.get("/api/routing-rules")["items"]]
    assert order[:3] == [first["id"], one["id"], two["id"]]
    assert front.snapshot.workspaces[1].rules[1].name == "last"
    assert front.refused(404, "POST", f"/api/routing-rules/{ids.show(5)}/duplicate")["code"] == "not_found"


def changed(front: Front, method: str, path: str, body: Any, tag: str) -> Any:
    return front.ask(method, path, body, headers={"If-Match": tag})


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_rule_that_somebody_changed_meanwhile_is_not_overwritten(front: Front, method: str) -> None:
    path = f"/api/routing-rules/{front.post('/api/routing-rules', RULE)['id']}"
    tag = front.ask("GET", path).headers["etag"]
    front.patch(path, {"stop": True})
    answer = changed(front, method, path, {**RULE, "name": "mine"}, tag)
    assert (answer.status_code, answer.json()["code"]) == (412, "changed_meanwhile")
    assert answer.json()["detail"] == 'config:write changed "production" meanwhile; nothing of yours was saved'
    assert (front.get(path)["name"], front.get(path)["stop"]) == ("production", True)
    fresh = front.ask("GET", path).headers["etag"]
    assert fresh != tag
    saved = changed(front, method, path, {**RULE, "name": "mine"}, f'"other", {fresh}')
    assert (saved.status_code, saved.headers["etag"] != fresh) == (200, True)
    assert front.get(path)["name"] == "mine"
    assert changed(front, method, path, {**RULE, "name": "any"}, "*").status_code == 200
    assert changed(front, method, path, {**RULE, "name": "weak"}, f"W/{saved.headers['etag']}").status_code == 412


def test_moving_a_rule_is_no_change_of_it_but_switching_it_off_is(front: Front) -> None:
    first, second = (front.post("/api/routing-rules", {**RULE, "name": name})["id"] for name in "ab")
    path = f"/api/routing-rules/{first}"
    tag = front.ask("GET", path).headers["etag"]
    front.post("/api/routing-rules/reorder", {"ids": [second, first]})
    assert front.ask("GET", path).headers["etag"] == tag
    front.post(f"{path}/disable")
    assert changed(front, "PUT", path, RULE, tag).status_code == 412
