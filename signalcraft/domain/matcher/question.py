"""One question: what its value means and how it is answered."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import re2

from signalcraft.domain import severity as severities
from signalcraft.domain.matcher.condition import (
    INPUT_MAX,
    NUMBERS,
    OPERATORS,
    ORDERINGS,
    PATTERN_MEMORY,
    STATUSES,
    TAG,
    Leaf,
    Scalar,
    Value,
    nearest,
    quoted,
)
from signalcraft.domain.severity import Severity
from signalcraft.errors import Invalid

Test = Callable[[Any], bool]
"""Takes the folded text, the number or the severity that is there; None where there is none."""


def number_of(value: object) -> float | int | None:
    """The finite number that a value is or spells ("5", " 2.5 "), else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        if len(value) > 40 or "_" in value:
            return None
        try:
            value = float(value)
        except ValueError:
            return None
    return value if isinstance(value, float) and math.isfinite(value) else None


def _text_of(value: Scalar) -> str:
    """How a value is spelled where texts are compared: 5.0 as "5", true as "true", all folded."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).casefold()


def _severity_of(value: object, path: str) -> Severity:
    found = severities.parse(value) if isinstance(value, str) else None
    if found is None:
        raise Invalid(f"no such severity: {quoted(value)}{nearest(value, tuple(severities.BY_NAME))}", path=path)
    return found


def _number_wanted(value: object, path: str) -> float | int:
    number = number_of(value)
    if number is None:
        raise Invalid("this must be a number", path=path)
    return number


def _text_wanted(value: Scalar, path: str) -> str:
    return _text_of(value)


def _status_wanted(value: object, path: str) -> str:
    word = str(value).casefold()
    if word not in STATUSES:
        raise Invalid(f"no such status: {quoted(value)}{nearest(value, STATUSES)}", path=path)
    return word


def _pattern(value: Scalar, path: str) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.never_capture = True
    options.max_mem = PATTERN_MEMORY
    try:
        return re2.compile(value if isinstance(value, str) else _text_of(value), options)
    except re2.error as problem:
        said = problem.args[0] if problem.args else b""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise Invalid(f"this pattern cannot be used: {text}", path=path) from None
    except UnicodeEncodeError:
        raise Invalid("this pattern is not valid Unicode", path=path) from None


def shown_to_patterns(text: str) -> bytes:
    """What a pattern sees of a text: its first 4 kB."""
    return text[:INPUT_MAX].encode("utf-8", "replace")[:INPUT_MAX]


def _compare(operator: str, wanted: Any) -> Test:
    if operator == "gt":
        return lambda v: v is not None and v > wanted
    if operator == "gte":
        return lambda v: v is not None and v >= wanted
    if operator == "lt":
        return lambda v: v is not None and v < wanted
    return lambda v: v is not None and v <= wanted


def _among(operator: str, value: Value, want: Callable[[Any, str], Any], path: str) -> Test:
    if isinstance(value, list):
        members = frozenset(want(v, f"{path}[{i}]") for i, v in enumerate(value))
        if operator == "in":
            return members.__contains__  # None is in no such set
        return lambda v: v not in members
    wanted = want(value, path)
    if operator == "equals":
        return lambda v: bool(v == wanted)
    return lambda v: bool(v != wanted)


def _text_test(operator: str, value: Scalar, path: str) -> Test:
    if operator == "regex":
        search = _pattern(value, path).search
        return lambda v: v is not None and search(v) is not None
    part = _text_of(value)
    if operator == "contains":
        return lambda v: v is not None and part in v
    return lambda v: v is None or part not in v


def operators_of(field: str) -> tuple[str, ...]:
    """The operators that can be meant of a field: what it has no order of is neither greater nor smaller."""
    ordered = field == "severity" or field in NUMBERS or field.startswith(TAG)
    return tuple(word for word in OPERATORS if ordered or word not in ORDERINGS)


def test_of(leaf: Leaf, path: str) -> Test:
    """The test of one question; it takes what its field reads as. Raises Invalid for a value that cannot be meant."""
    field, operator, value = leaf.field, leaf.operator, leaf.value
    if operator == "exists":
        return (lambda v: v is not None) if value else (lambda v: v is None)
    if operator in ("in", "not_in") or value is None or isinstance(value, list):
        return _among(operator, value, _wanted_by(field), path)
    if operator in ("contains", "not_contains", "regex"):
        return _text_test(operator, value, path)
    if operator in ORDERINGS:
        if field == "severity":
            return _compare(operator, _severity_of(value, path))
        if field in NUMBERS or field.startswith(TAG):
            return _compare(operator, _number_wanted(value, path))
        raise Invalid(f"{operator} compares severity, count, users_affected and tags, not {field}", path=path)
    return _among(operator, value, _wanted_by(field), path)


def _wanted_by(field: str) -> Callable[[Any, str], Any]:
    """How the values are read that a field is compared with."""
    if field == "severity":
        return _severity_of
    if field in NUMBERS:
        return _number_wanted
    return _status_wanted if field == "status" else _text_wanted
