"""The nouns of conditions: fields, operators, facts, leaves; and their JSON."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from signalcraft.domain import severity as severities
from signalcraft.domain.severity import Severity
from signalcraft.errors import Invalid

DEPTH_MAX = 8
LEAVES_MAX = 200
LIST_MAX = 500
TEXT_MAX = 1_000
"""Characters of one value, so also of one pattern."""
INPUT_MAX = 4_096
"""Bytes of UTF-8 that a pattern is shown."""
NUMBER_MAX = 2**63 - 1
PATTERN_MEMORY = 1 << 20

STATUSES = ("open", "acknowledged", "snoozed", "resolved")
OPERATORS = (
    "equals", "not_equals", "in", "not_in", "contains", "not_contains", "regex", "exists", "gt", "gte", "lt", "lte",
)  # fmt: skip
FIELDS = ("environment", "severity", "project", "source", "title", "message", "status", "count", "users_affected")
ALIASES = {"users": "users_affected"}
TAG = "tags."
LISTS = ("in", "not_in")
NUMBERS = frozenset(("count", "users_affected"))
ORDERINGS = frozenset(("gt", "gte", "lt", "lte"))
LATE = frozenset(("environment", "severity", "status", "count", "users_affected"))
"""Fields that only the stored group knows; all others are the event's."""

Scalar = str | int | float | bool
Value = Scalar | list[Scalar] | None
Actual = str | int | None


class Facts(Struct, kw_only=True):
    """What rules are evaluated against. `status` is the group's word; "" and None both mean that nothing is known."""

    environment: str | None = None
    severity: Severity = severities.UNKNOWN
    project: str | None = None
    source: str = ""
    title: str = ""
    message: str = ""
    status: str = "open"
    count: int = 1
    users_affected: int | None = None
    tags: dict[str, str] = {}


class Leaf(Struct, frozen=True):
    """One question. `value` is kept as it was given; `field` has its proper name."""

    field: str
    operator: str
    value: Value


class Condition(Struct, frozen=True):
    """Every member of `all`, and one of `any` where it has members."""

    all: tuple[Leaf | Condition, ...] = ()
    any: tuple[Leaf | Condition, ...] = ()


EVERYTHING = Condition()


def read_condition(raw: object, path: str = "when") -> Condition:
    """The condition that JSON describes; None is `{}`. Raises Invalid with the path of what is wrong."""
    left = [LEAVES_MAX]
    return EVERYTHING if raw is None else _read_block(raw, path, 1, left)


def show_condition(condition: Condition) -> dict[str, Any]:
    """The JSON of a condition; reading it gives the same condition."""
    shown: dict[str, Any] = {}
    for name, members in (("all", condition.all), ("any", condition.any)):
        if members:
            shown[name] = [
                {"field": m.field, "operator": m.operator, "value": m.value}
                if isinstance(m, Leaf)
                else show_condition(m)
                for m in members
            ]
    return shown


def _read_block(raw: object, path: str, depth: int, left: list[int]) -> Condition:
    if not isinstance(raw, dict):
        raise Invalid('a condition is an object such as {"all": [...]} or {"any": [...]}', path=path)
    if depth > DEPTH_MAX:
        raise Invalid(f"conditions nest at most {DEPTH_MAX} deep", path=path)
    for key in raw:
        if key not in ("all", "any"):
            raise Invalid(f'a condition holds "all" and "any", not {quoted(key)}', path=path)
    blocks = []
    for name in ("all", "any"):
        members = raw.get(name)
        if members is not None and not isinstance(members, list | tuple):
            raise Invalid("this must be a list of conditions", path=f"{path}.{name}")
        blocks.append(tuple(_read_member(m, f"{path}.{name}[{i}]", depth, left) for i, m in enumerate(members or ())))
    return Condition(*blocks)


def _read_member(raw: object, path: str, depth: int, left: list[int]) -> Leaf | Condition:
    if not isinstance(raw, dict) or not ({"field", "operator", "value"} & raw.keys()):
        return _read_block(raw, path, depth + 1, left)
    left[0] -= 1
    if left[0] < 0:
        raise Invalid(f"a rule asks at most {LEAVES_MAX} questions", path=path)
    for key in raw:
        if key not in ("field", "operator", "value"):
            raise Invalid(f"a question holds field, operator and value, not {quoted(key)}", path=path)
    field = _read_field(raw.get("field"), f"{path}.field")
    operator = raw.get("operator")
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise Invalid(f"no such operator: {quoted(operator)}{nearest(operator, OPERATORS)}", path=f"{path}.operator")
    value = _read_value(raw.get("value"), operator, f"{path}.value")
    return Leaf(field, operator, value)


def _read_field(raw: object, path: str) -> str:
    if isinstance(raw, str):
        field = ALIASES.get(raw, raw)
        if field in FIELDS or (field.startswith(TAG) and len(TAG) < len(field) <= TEXT_MAX):
            return field
    raise Invalid(f"no such field: {quoted(raw)}{nearest(raw, (*FIELDS, 'tags.<key>'))}", path=path)


def _read_value(raw: object, operator: str, path: str) -> Value:
    if operator == "exists":
        if raw is None or isinstance(raw, bool):
            return raw is not False
        raise Invalid("exists takes true or false", path=path)
    if operator not in ("in", "not_in"):
        return _read_scalar(raw, path)
    if not isinstance(raw, list | tuple):
        raise Invalid(f"{operator} takes a list", path=path)
    if len(raw) > LIST_MAX:
        raise Invalid(f"a list holds at most {LIST_MAX} values", path=path)
    return [_read_scalar(v, f"{path}[{i}]") for i, v in enumerate(raw)]


def _read_scalar(raw: object, path: str) -> Scalar:
    if isinstance(raw, str):
        if len(raw) > TEXT_MAX:
            raise Invalid(f"a value has at most {TEXT_MAX} characters", path=path)
        return raw
    if isinstance(raw, bool | int | float) and abs(raw) <= NUMBER_MAX:  # so neither infinite nor NaN
        return raw
    raise Invalid("a value is a text or a number", path=path)


def actual(field: str, facts: Facts) -> Actual:
    """What the facts say of a field, for people: severity as its word, None where nothing is known."""
    if field.startswith(TAG):
        return facts.tags.get(field[len(TAG) :])
    if field == "severity":
        return facts.severity.label
    value: Actual = getattr(facts, field)
    return None if value == "" else value


def leaves(condition: Condition, path: str = "") -> Iterator[tuple[str, Leaf]]:
    """Every question in order with its path: `all[0].any[1]`."""
    for name, members in (("all", condition.all), ("any", condition.any)):
        for i, member in enumerate(members):
            here = f"{path}.{name}[{i}]" if path else f"{name}[{i}]"
            if isinstance(member, Leaf):
                yield here, member
            else:
                yield from leaves(member, here)


def quoted(raw: object) -> str:
    return f'"{raw[:60]}"' if isinstance(raw, str) else "nothing" if raw is None else f"a {type(raw).__name__}"


def nearest(raw: object, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(raw.lower(), known, 1) if isinstance(raw, str) and len(raw) < 100 else []
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
