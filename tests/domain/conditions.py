"""What the words of conditions mean, written as plainly as can be; random conditions and facts to compare with."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from signalcraft.domain.matcher import Facts
from signalcraft.domain.severity import BY_NAME, Severity

WORDS = ["", "a", "Prod", "prod", "5", "5.0", "07", "x y", "ÄÖ", "ß", "SS", "true", "error 42", "[", "nan", "1e3"]
words = st.sampled_from(WORDS)
numbers = st.one_of(st.integers(-3, 50), st.sampled_from([0.5, 5.0, 1e18]))
PATTERNS = ["prod", "^a$", r"\d+", "x.y", "", "ä", "(a|b)*c?", "[^a]", r"\bERROR\b"]
severity_words = st.sampled_from([*BY_NAME, "HIGH", "Critical"])
status_words = st.sampled_from(["open", "acknowledged", "snoozed", "Resolved"])
TEXTS = ["environment", "project", "source", "title", "message", "tags.a", "tags.B", "tags.n"]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    field = draw(st.sampled_from([*TEXTS, "severity", "status", "count", "users", "users_affected"]))
    ordered = field in ("severity", "count", "users", "users_affected") or field.startswith("tags.")
    operators = ["equals", "not_equals", "in", "not_in", "contains", "not_contains", "regex", "exists"]
    operator = draw(st.sampled_from(operators + ["gt", "gte", "lt", "lte"] * ordered))
    if operator == "exists":
        value: Any = draw(st.booleans())
    elif operator == "regex":
        value = draw(st.sampled_from(PATTERNS))
    elif operator in ("contains", "not_contains"):
        value = draw(words)
    else:
        one: st.SearchStrategy[Any] = words | numbers
        if field == "severity":
            one = severity_words
        elif field == "status":
            one = status_words
        elif field in ("count", "users", "users_affected") or operator in ("gt", "gte", "lt", "lte"):
            one = numbers | st.sampled_from(["5", "12.0", " 7 "])
        value = draw(st.lists(one, max_size=4) if operator in ("in", "not_in") else one)
    return {"field": field, "operator": operator, "value": value}


def blocks(members: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.lists(members, max_size=3)
    return st.fixed_dictionaries({}, optional={"all": lists, "any": lists})


conditions = blocks(st.recursive(questions(), blocks, max_leaves=12)).filter(
    lambda raw: all("field" not in key for key in raw)
)
facts = st.builds(
    Facts,
    environment=st.none() | words,
    severity=st.sampled_from(Severity),
    project=st.none() | words,
    source=st.sampled_from(["sentry", "generic"]),
    title=words,
    message=words,
    status=st.sampled_from(["open", "acknowledged", "snoozed", "resolved"]),
    count=st.integers(1, 50),
    users_affected=st.none() | st.integers(0, 50),
    tags=st.dictionaries(st.sampled_from(["a", "B", "b", "n"]), words, max_size=4),
)


def reference(raw: dict[str, Any], facts: Facts) -> bool:
    if "field" in raw:
        return reference_question(raw["field"], raw["operator"], raw["value"], facts)
    every = all(reference(m, facts) for m in raw.get("all", []))
    some = [reference(m, facts) for m in raw.get("any", [])]
    return every and (not some or any(some))


def spelled(value: object) -> str:
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return str(value).casefold()


def reference_question(field: str, operator: str, value: Any, facts: Facts) -> bool:
    if field.startswith("tags."):
        there: Any = facts.tags.get(field[5:])
    else:
        there = getattr(facts, {"users": "users_affected"}.get(field, field))
        there = None if there == "" else there
    if operator == "exists":
        return (there is not None) == value
    if operator.startswith("not_"):
        return not reference_question(field, operator[4:], value, facts)
    if there is None:
        return False
    if operator == "in":
        return any(reference_question(field, "equals", v, facts) for v in value)
    text = there.name.lower() if field == "severity" else str(there)
    if operator == "contains":
        return spelled(value) in text.casefold()
    if operator == "regex":
        return re.search(value, text, re.IGNORECASE) is not None
    pair = reference_pair(field, operator, value, there, text)
    if pair is None:
        return False
    a, b = pair
    return bool({"equals": a == b, "gt": a > b, "gte": a >= b, "lt": a < b, "lte": a <= b}[operator])


def reference_pair(field: str, operator: str, value: Any, there: Any, text: str) -> tuple[Any, Any] | None:
    """What is compared with what; None where there is nothing to compare."""
    if field == "severity":
        return there, Severity[value.upper()]
    if field in ("count", "users", "users_affected"):
        return float(there), float(value)
    if operator == "equals":
        return text.casefold(), spelled(value)
    try:
        number = float(text)
    except ValueError:
        return None
    return None if number != number else (number, float(value))
