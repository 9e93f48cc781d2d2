"""Conditions: every operator on every sort of field, what is refused, and equality with a plain reference evaluator."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalcraft.domain.matcher import (
    DEPTH_MAX,
    LEAVES_MAX,
    Condition,
    Facts,
    Leaf,
    ask,
    compile_condition,
    known_of,
    leaves,
    read_condition,
    said_of,
    show_condition,
)
from signalcraft.domain.severity import Severity
from signalcraft.errors import Invalid
from tests.domain.conditions import conditions, facts, questions, reference

FACTS = Facts(
    environment="Production",
    severity=Severity.HIGH,
    project="checkout",
    source="sentry",
    title="TypeError in Checkout",
    message="Straße: cannot read property 'x' of undefined",
    status="open",
    count=12,
    users_affected=None,
    tags={"region": "EU-west-1", "retries": "10", "empty": "", "version": "v2"},
)


def holds(raw: dict[str, Any], facts: Facts = FACTS) -> bool:
    """The answer by the way that ingestion takes: first what the event decides, then the rest."""
    answer = compile_condition(read_condition(raw)).begin(said_of(facts))
    return answer if isinstance(answer, bool) else answer(known_of(facts))


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("environment", "equals", "production", True),
        ("environment", "equals", "PRODUCTION", True),
        ("environment", "equals", "prod", False),
        ("environment", "not_equals", "staging", True),
        ("environment", "in", ["prod", "Production"], True),
        ("environment", "in", [], False),
        ("environment", "not_equals", "PRODUCTION", False),
        ("environment", "not_in", ["prod"], True),
        ("environment", "not_in", ["prod", "Production"], False),
        ("environment", "contains", "PROD", True),
        ("environment", "regex", "^prod", True),
        ("environment", "exists", True, True),
        ("environment", "exists", False, False),
        ("severity", "equals", "High", True),
        ("severity", "not_equals", "high", False),
        ("severity", "in", ["high", "critical"], True),
        ("severity", "gte", "medium", True),
        ("severity", "gt", "high", False),
        ("severity", "lte", "high", True),
        ("severity", "lt", "info", False),
        ("severity", "contains", "ig", True),
        ("severity", "regex", "^(high|critical)$", True),
        ("severity", "exists", True, True),
        ("project", "equals", "Checkout", True),
        ("source", "in", ["sentry", "generic"], True),
        ("title", "contains", "typeerror IN", True),
        ("title", "not_contains", "timeout", True),
        ("title", "not_contains", "CHECKOUT", False),
        ("title", "not_in", ["typeerror in checkout"], False),
        ("title", "regex", r"error in \w+$", True),
        ("title", "regex", r"\D{9}", True),  # the case of \D is meaning, not spelling
        ("title", "regex", r"\d", False),
        ("message", "contains", "STRASSE", True),
        ("message", "regex", "straße", True),
        ("status", "equals", "OPEN", True),
        ("status", "in", ["acknowledged", "snoozed"], False),
        ("count", "equals", 12, True),
        ("count", "equals", "12", True),
        ("count", "equals", "12.0", True),
        ("count", "gt", "9", True),
        ("count", "gte", 12.5, False),
        ("count", "in", ["5", 12], True),
        ("count", "contains", "2", True),
        ("count", "regex", "^1", True),
        ("users_affected", "equals", 0, False),
        ("users_affected", "not_equals", 0, True),
        ("users_affected", "gt", 0, False),
        ("users_affected", "lt", 100, False),
        ("users", "exists", False, True),
        ("tags.region", "equals", "eu-WEST-1", True),
        ("tags.region", "regex", "west-[0-9]$", True),
        ("tags.retries", "gte", 9, True),
        ("tags.retries", "lt", "9", False),
        ("tags.retries", "equals", 10, True),
        ("tags.version", "gt", 1, False),
        ("tags.version", "lte", 1, False),
        ("tags.empty", "exists", True, True),
        ("tags.empty", "equals", "", True),
        ("tags.none", "exists", False, True),
        ("tags.none", "equals", "x", False),
        ("tags.none", "in", ["x"], False),
        ("tags.none", "contains", "", False),
        ("tags.none", "regex", ".*", False),
        ("tags.none", "gt", 0, False),
        ("tags.none", "not_equals", "x", True),
        ("tags.none", "not_in", ["x"], True),
        ("tags.none", "not_contains", "x", True),
    ],
)
def test_one_question(field: str, operator: str, value: object, expected: bool) -> None:
    raw = {"field": field, "operator": operator, "value": value}
    assert holds({"all": [raw]}) is expected
    assert holds({"any": [raw]}) is expected
    (leaf,) = read_condition({"all": [raw]}).all
    assert isinstance(leaf, Leaf)
    assert ask(leaf, FACTS) is expected


def test_an_empty_condition_holds_for_everything() -> None:
    for raw in ({}, {"all": []}, {"any": []}, {"all": [], "any": []}, {"all": [{}]}):
        assert holds(raw)
    assert holds({}, Facts())
    assert read_condition(None) == Condition()


def test_both_blocks_must_hold() -> None:
    yes = {"field": "project", "operator": "equals", "value": "checkout"}
    no = {"field": "count", "operator": "gt", "value": 1000}
    assert holds({"all": [yes], "any": [no, yes]})
    assert not holds({"all": [yes, no], "any": [yes]})
    assert not holds({"all": [yes], "any": [no, no]})
    assert not holds({"all": [no], "any": [yes]})
    assert holds({"all": [{"any": [no, {"all": [yes, yes]}]}]})


DEEP: dict[str, Any] = {}
for _ in range(DEPTH_MAX):
    DEEP = {"all": [DEEP]}
ONE = {"field": "title", "operator": "contains", "value": "x"}


@pytest.mark.parametrize(
    ("raw", "path", "says"),
    [
        ([], "when", "an object"),
        ("all", "when", "an object"),
        ({"and": []}, "when", '"and"'),
        ({"all": {}}, "when.all", "a list"),
        ({"all": ["x"]}, "when.all[0]", "an object"),
        ({"all": [{"field": "titel", "operator": "equals", "value": "x"}]}, "when.all[0].field", "did you mean title?"),
        ({"all": [{"field": "tags.", "operator": "exists"}]}, "when.all[0].field", "no such field"),
        ({"all": [{"operator": "exists"}]}, "when.all[0].field", "no such field: nothing"),
        ({"any": [ONE, {**ONE, "operator": "contain"}]}, "when.any[1].operator", "did you mean contains?"),
        ({"any": [{**ONE, "operator": None}]}, "when.any[0].operator", "no such operator"),
        ({"any": [{**ONE, "caseSensitive": True}]}, "when.any[0]", "caseSensitive"),
        ({"all": [{**ONE, "value": None}]}, "when.all[0].value", "a text or a number"),
        ({"all": [{**ONE, "value": ["x"]}]}, "when.all[0].value", "a text or a number"),
        ({"all": [{**ONE, "value": float("nan")}]}, "when.all[0].value", "a text or a number"),
        ({"all": [{**ONE, "value": float("-inf")}]}, "when.all[0].value", "a text or a number"),
        ({"all": [{**ONE, "value": 10**400}]}, "when.all[0].value", "a text or a number"),
        ({"all": [{**ONE, "value": "x" * 1001}]}, "when.all[0].value", "1000 characters"),
        ({"all": [{**ONE, "operator": "regex", "value": "("}]}, "when.all[0].value", "missing )"),
        ({"all": [{**ONE, "operator": "regex", "value": "((a{99}){99}){99}"}]}, "when.all[0].value", "pattern"),
        ({"all": [{**ONE, "operator": "regex", "value": r"(?=a)"}]}, "when.all[0].value", "invalid perl operator"),
        ({"all": [{**ONE, "operator": "regex", "value": "\ud800"}]}, "when.all[0].value", "Unicode"),
        ({"all": [{**ONE, "operator": "in"}]}, "when.all[0].value", "takes a list"),
        ({"all": [{**ONE, "operator": "in", "value": [[]]}]}, "when.all[0].value[0]", "a text or a number"),
        ({"all": [{**ONE, "operator": "in", "value": ["x"] * 501}]}, "when.all[0].value", "at most 500"),
        ({"all": [{**ONE, "operator": "gt", "value": 5}]}, "when.all[0].value", "not title"),
        ({"all": [{**ONE, "operator": "exists", "value": "yes"}]}, "when.all[0].value", "true or false"),
        ({"all": [{"field": "severity", "operator": "gte", "value": "med"}]}, "when.all[0].value", "mean medium?"),
        ({"all": [{"field": "severity", "operator": "in", "value": ["high", 3]}]}, "when.all[0].value[1]", "severity"),
        ({"all": [{"field": "status", "operator": "equals", "value": "ack"}]}, "when.all[0].value", "acknowledged"),
        ({"all": [{"field": "count", "operator": "equals", "value": "many"}]}, "when.all[0].value", "a number"),
        ({"all": [{"field": "count", "operator": "gt", "value": True}]}, "when.all[0].value", "a number"),
        ({"all": [{"field": "tags.n", "operator": "lt", "value": "1_0"}]}, "when.all[0].value", "a number"),
        (DEEP, "when" + ".all[0]" * DEPTH_MAX, "at most 8 deep"),
        ({"all": [ONE] * (LEAVES_MAX + 1)}, f"when.all[{LEAVES_MAX}]", "at most 200"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(raw: object, path: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        compile_condition(read_condition(raw))
    ((where, sentence),) = caught.value.errors
    assert where == path
    assert says in sentence


def test_the_limits_themselves_are_allowed() -> None:
    assert holds({"all": [ONE | {"operator": "not_contains"}] * LEAVES_MAX})
    assert holds(DEEP["all"][0])


def test_a_hostile_pattern_comes_to_an_end() -> None:
    facts = Facts(message="a" * 3_000 + "!")  # short enough that a pattern sees its end, which fits none of them
    for pattern in ("(a+)+$", "(a|aa)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"):
        assert not holds({"all": [{"field": "message", "operator": "regex", "value": pattern}]}, facts)


def test_a_pattern_sees_the_first_four_kilobytes() -> None:
    end = {"all": [{"field": "message", "operator": "regex", "value": "end"}]}
    assert holds(end, Facts(message="x" * 4_093 + "end"))
    assert not holds(end, Facts(message="x" * 4_094 + "end"))
    assert not holds(end, Facts(message="ü" * 2_047 + "end"))
    assert holds(end, Facts(message="\ud800 end"))


def test_each_question_has_its_place() -> None:
    raw = {"all": [ONE, {"any": [ONE, {"all": [ONE]}]}], "any": [ONE]}
    assert [path for path, _ in leaves(read_condition(raw))] == [
        "all[0]",
        "all[1].any[0]",
        "all[1].any[1].all[0]",
        "any[0]",
    ]


@settings(deadline=None)
@given(conditions, facts)
def test_the_compiled_condition_says_what_the_words_say(raw: dict[str, Any], there: Facts) -> None:
    assert holds(raw, there) is reference(raw, there)


@settings(deadline=None)
@given(conditions)
def test_a_condition_survives_its_json(raw: dict[str, Any]) -> None:
    condition = read_condition(raw)
    assert read_condition(show_condition(condition)) == condition


@settings(deadline=None)
@given(st.lists(questions(), min_size=1, max_size=5), facts)
def test_not_any_is_all_not(some: list[dict[str, Any]], there: Facts) -> None:
    """De Morgan, for the operators that have an opposite."""
    opposites = {"equals": "not_equals", "in": "not_in", "contains": "not_contains"}
    opposites |= {b: a for a, b in opposites.items()}
    kept = [q for q in some if q["operator"] in opposites]
    denied = [{**q, "operator": opposites[q["operator"]]} for q in kept]
    if kept:
        assert holds({"any": kept}, there) is not holds({"all": denied}, there)
