"""Conditions: what a routing rule asks of an alert. Read from JSON, compiled once, evaluated many times.

A condition is `{"all": [...], "any": [...]}`: every member of `all` and, where `any` has members, one of them. Members
are leaves `{"field", "operator", "value"}` or conditions again. `{}` holds for everything.

Evaluation is split: leaves that ask about the event alone run before the write transaction (`early`), leaves about the
group inside it (`late`). `compile_condition` gives the closures for that; `ask` answers one leaf from whole facts.
"""

from __future__ import annotations

from signalcraft.domain.matcher.closures import (
    Known,
    Late,
    Part,
    Said,
    Split,
    ask,
    compile_condition,
    known_of,
    said_of,
)
from signalcraft.domain.matcher.condition import (
    DEPTH_MAX,
    EVERYTHING,
    FIELDS,
    INPUT_MAX,
    LEAVES_MAX,
    LIST_MAX,
    LISTS,
    NUMBERS,
    OPERATORS,
    STATUSES,
    TAG,
    TEXT_MAX,
    Actual,
    Condition,
    Facts,
    Leaf,
    Scalar,
    Value,
    actual,
    leaves,
    nearest,
    read_condition,
    show_condition,
)
from signalcraft.domain.matcher.question import operators_of

__all__ = [
    "DEPTH_MAX",
    "EVERYTHING",
    "FIELDS",
    "INPUT_MAX",
    "LEAVES_MAX",
    "LISTS",
    "LIST_MAX",
    "NUMBERS",
    "OPERATORS",
    "STATUSES",
    "TAG",
    "TEXT_MAX",
    "Actual",
    "Condition",
    "Facts",
    "Known",
    "Late",
    "Leaf",
    "Part",
    "Said",
    "Scalar",
    "Split",
    "Value",
    "actual",
    "ask",
    "compile_condition",
    "known_of",
    "leaves",
    "nearest",
    "operators_of",
    "read_condition",
    "said_of",
    "show_condition",
]  # fmt: skip
