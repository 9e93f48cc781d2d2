"""Rules: order, stop, the split between before and inside the transaction, the dry run, mentions, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalcraft.domain.event import Event
from signalcraft.domain.matcher import Facts, read_condition
from signalcraft.domain.routing import (
    CompiledRule,
    Rule,
    compile_rule,
    explain,
    mention_for,
    prepare,
    route,
    route_facts,
)
from signalcraft.domain.severity import Severity
from signalcraft.errors import Invalid
from tests.domain.conditions import conditions, facts, reference


def rule(number: int = 1, when: dict[str, Any] | None = None, **fields: Any) -> Rule:
    fields = {"channels": [7], **fields}
    return Rule(id=number, name=f"rule {number}", when=read_condition(when or {}), **fields)


def said(field: str, value: object, operator: str = "equals") -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def event_of(there: Facts) -> Event:
    return Event(title=there.title, message=there.message, project=there.project, tags=there.tags)


def names(rules: list[CompiledRule]) -> list[int]:
    return [r.id for r in rules]


def test_every_rule_that_holds_applies_in_order() -> None:
    rules = [
        compile_rule(rule(1, {"all": [said("title", "Boom")]})),
        compile_rule(rule(2, {"all": [said("environment", "prod")]})),
        compile_rule(rule(3, {"all": [said("title", "Boom"), said("severity", "high", "gte")]})),
        compile_rule(rule(4)),
    ]
    prepared = prepare(rules, Event(title="boom"), "sentry")
    assert names(route(prepared, Facts(environment="prod", severity=Severity.HIGH))) == [1, 2, 3, 4]
    assert names(route(prepared, Facts(environment="test", severity=Severity.HIGH))) == [1, 3, 4]
    assert names(route(prepared, Facts(environment="test", severity=Severity.LOW))) == [1, 4]
    assert names(route(prepare(rules, Event(title="bang"), "sentry"), Facts(environment="prod"))) == [2, 4]
    assert route(prepare(rules[:1], Event(title="bang"), "sentry"), Facts()) == []


@pytest.mark.parametrize("when", [{}, {"all": [said("environment", "prod")]}])
def test_stop_ends_the_list(when: dict[str, Any]) -> None:
    rules = [compile_rule(rule(1)), compile_rule(rule(2, when, stop=True)), compile_rule(rule(3))]
    prod = Facts(environment="prod", title="x")
    assert names(route(prepare(rules, Event(title="x"), "sentry"), prod)) == [1, 2]
    assert names(route_facts(rules, prod)) == [1, 2]


def test_a_stop_that_does_not_hold_stops_nothing() -> None:
    rules = [compile_rule(rule(1, {"all": [said("environment", "prod")]}, stop=True)), compile_rule(rule(2))]
    assert names(route(prepare(rules, Event(title="x"), "sentry"), Facts(environment="test"))) == [2]


@pytest.mark.parametrize("event", [Event(title=None), Event(title="other", any_project=True)])
def test_an_event_that_leaves_things_out_is_routed_by_its_group(event: Event) -> None:
    rules = [compile_rule(rule(1, {"all": [said("title", "disk full"), said("project", "shop")]}))]
    there = Facts(title="Disk full", project="shop")
    assert names(route(prepare(rules, event, "sentry"), there)) == [1]
    assert route(prepare(rules, event, "sentry"), Facts(title="Disk full", project="blog")) == []


rules = st.lists(st.tuples(conditions, st.booleans()), max_size=6)


@settings(deadline=None)
@given(rules, facts)
def test_prepare_and_route_agree_with_the_reference(some: list[tuple[dict[str, Any], bool]], there: Facts) -> None:
    compiled = [compile_rule(rule(i, when, stop=stop)) for i, (when, stop) in enumerate(some)]
    expected = []
    for i, (when, stop) in enumerate(some):
        if reference(when, there):
            expected.append(i)
            if stop:
                break
    assert names(route(prepare(compiled, event_of(there), there.source), there)) == expected
    assert names(route_facts(compiled, there)) == expected


@settings(deadline=None)
@given(conditions, facts)
def test_the_dry_run_agrees_with_the_reference(when: dict[str, Any], there: Facts) -> None:
    explanation = explain(rule(1, when), there)
    assert explanation.matched is reference(when, there)
    for asked in explanation.conditions:
        question = {"field": asked.field, "operator": asked.operator, "value": asked.expected}
        assert asked.result is reference(question, there)


def test_the_dry_run_shows_every_question() -> None:
    when = {
        "all": [said("severity", "high", "gte"), {"any": [said("tags.team", "core"), said("users", 5, "gt")]}],
        "any": [said("environment", ["prod"], "in")],
    }
    there = Facts(severity=Severity.MEDIUM, environment="prod", users_affected=9, title="x")
    explanation = explain(rule(1, when), there)
    assert explanation.matched is False
    assert [(a.path, a.field, a.operator, a.expected, a.actual, a.result) for a in explanation.conditions] == [
        ("all[0]", "severity", "gte", "high", "medium", False),
        ("all[1].any[0]", "tags.team", "equals", "core", None, False),
        ("all[1].any[1]", "users_affected", "gt", 5, 9, True),
        ("any[0]", "environment", "in", ["prod"], "prod", True),
    ]


@pytest.mark.parametrize(
    ("mention", "severity", "expected"),
    [
        (None, Severity.CRITICAL, "here"),
        (None, Severity.HIGH, "here"),
        (None, Severity.MEDIUM, ""),
        ("none", Severity.CRITICAL, ""),
        ("here", Severity.INFO, "here"),
        ("channel", Severity.LOW, "channel"),
        ("S0ONCALL", Severity.LOW, "S0ONCALL"),
    ],
)
def test_mentions(mention: str | None, severity: Severity, expected: str) -> None:
    assert mention_for(compile_rule(rule(mention=mention)), severity) == expected


def test_the_default_route_mentions_by_severity() -> None:
    assert mention_for(None, Severity.HIGH) == "here"
    assert mention_for(None, Severity.LOW) == ""


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"channels": []}, "channels"),
        ({"channels": list(range(21))}, "channels"),
        ({"escalate_after_minutes": 0, "escalate_to": [1]}, "escalate_after_minutes"),
        ({"escalate_after_minutes": 20_000, "escalate_to": [1]}, "escalate_after_minutes"),
        ({"escalate_after_minutes": 5}, "escalate_to"),
        ({"escalate_to": [1]}, "escalate_after_minutes"),
        ({"repeat_minutes": 0}, "repeat_minutes"),
        ({"mention": ""}, "mention"),
        ({"mention": "<!here>"}, "mention"),
        ({"runbook_url": "javascript:alert(1)"}, "runbook_url"),
        ({"runbook_url": "https://x/\n"}, "runbook_url"),
        ({"runbook": "x" * 20_001}, "runbook"),
        ({"priority": 10_000_000}, "priority"),
    ],
)
def test_what_no_rule_can_say(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        compile_rule(rule(**fields))
    assert [p for p, _ in caught.value.errors] == [path]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        compile_rule(rule(1, {"all": [said("title", "(", "regex")]}, channels=[], repeat_minutes=-1))
    assert [p for p, _ in caught.value.errors] == ["channels", "repeat_minutes", "when.all[0].value"]
