"""Which question decides that a rule does not hold, and which operators a field takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from signalcraft.domain.deciding import decided_by
from signalcraft.domain.matcher import (
    FIELDS,
    LISTS,
    OPERATORS,
    Condition,
    Facts,
    Leaf,
    compile_condition,
    operators_of,
    read_condition,
)
from signalcraft.domain.routing import Rule, explain
from signalcraft.errors import Invalid
from tests.domain.conditions import conditions, facts


def leaf(field: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": "equals", "value": value}


SEEN = Facts(environment="prod", project="shop", title="it is down")
YES, NO, NOT = leaf("environment", "prod"), leaf("environment", "test"), leaf("project", "blog")


@pytest.mark.parametrize(
    ("when", "path"),
    [
        ({}, None),
        ({"all": [YES]}, None),
        ({"all": [YES, NO, NOT]}, "all[1]"),
        ({"any": [NO, YES]}, None),
        ({"any": [NO, NOT]}, "any[0]"),
        ({"all": [YES], "any": [NOT, NO]}, "any[0]"),
        ({"all": [NO], "any": [NOT]}, "all[0]"),
        ({"all": [YES, {"any": [NO, {"all": [YES, NOT]}]}]}, "all[1].any[0]"),
        ({"all": [YES, {"any": [{"all": [YES, NOT]}, NO]}]}, "all[1].any[0].all[1]"),
        ({"all": [{"any": [NO, {"all": [YES]}]}, NOT]}, "all[1]"),
    ],
)
def test_the_first_question_that_fails_is_named(when: dict[str, Any], path: str | None) -> None:
    condition = read_condition(when)
    found = decided_by(condition, explain(Rule(id=0, name="x", when=condition), SEEN))
    assert (None if found is None else found.path) == path
    assert found is None or not found.result


@given(conditions, facts)
def test_a_question_decides_exactly_where_the_rule_does_not_hold(raw: dict[str, Any], seen: Facts) -> None:
    condition = read_condition(raw)
    explained = explain(Rule(id=0, name="x", when=condition), seen)
    assert (decided_by(condition, explained) is None) == explained.matched


GOOD = {"severity": "high", "status": "open", "count": 5, "users_affected": 5}


@pytest.mark.parametrize("field", [*FIELDS, "tags.team"])
def test_the_operators_of_a_field_are_those_that_compile(field: str) -> None:
    taken = []
    for operator in OPERATORS:
        value: Any = GOOD.get(field, "5")
        value = True if operator == "exists" else [value] if operator in LISTS else value
        try:
            compile_condition(Condition(all=(Leaf(field, operator, value),)))
        except Invalid:
            continue
        taken.append(operator)
    assert tuple(taken) == operators_of(field)
