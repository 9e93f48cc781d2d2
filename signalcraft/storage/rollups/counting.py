"""What one line of the journal, or one new alert group, counts for in the long-range numbers. No I/O here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from signalcraft.domain.group import Actor
from signalcraft.domain.severity import Severity

PEOPLE: Final = ("user", "slack", "email")
_BASE: Final = math.log(1.05)
NO_BIN: Final = -1
UNKNOWN: Final = "unknown"
_MESSAGES: Final = {"told": "notifications", "delivery_failed": "failures"}
_COUNTED: Final = {"escalated": "escalations", "reopened": "reopened"}


class Fact(Struct, frozen=True):
    """n of something at a moment, in one dimension. `ms`: the sum of durations, `bin`: their size (see bin_of)."""

    workspace_id: int
    at_ms: int
    what: str
    dimension: str
    name: str
    bin: int = NO_BIN
    n: int = 1
    ms: int = 0


class Origin(Struct, frozen=True):
    """What is known of a group for good: what its first event said. Nothing here changes later."""

    integration_id: int
    first_seen_ms: int
    severity: int | None
    project: str | None


class Line(Struct, frozen=True, kw_only=True):
    """One line of the journal. `first`: a group's first acknowledgement; rule and channel: of the delivery told of."""

    workspace_id: int
    at_ms: int
    verb: str
    actor: Actor
    origin: Origin | None
    first: bool
    kind: str = ""
    channel_id: int | None = None
    rule_id: int | None = None


def bin_of(ms: int) -> int:
    """The size of a duration: each bin is 5 % wide, so that a median from bins is within 2.5 %."""
    return int(math.log(max(ms, 1)) / _BASE)


def middle_ms(number: int) -> float:
    """The duration in the middle of a bin."""
    return math.exp((number + 0.5) * _BASE)


def severity_name(severity: int | None) -> str:
    """As the API says it."""
    return UNKNOWN if severity is None else Severity(severity).label


def opened(workspace_id: int, origin: Origin) -> Iterator[Fact]:
    """What a new alert group counts for."""
    for dimension, name in _of(origin):
        yield Fact(workspace_id, origin.first_seen_ms, "groups", dimension, name)


def said(line: Line) -> Iterator[Fact]:
    """What a line of the journal counts for."""
    ws, at_ms = line.workspace_id, line.at_ms
    person = f"{line.actor.kind}:{line.actor.id}" if line.actor.kind in PEOPLE else None
    if person is not None:
        yield Fact(ws, at_ms, "acts", "user", person)
    if line.verb == "acknowledged":
        yield Fact(ws, at_ms, "acknowledgements", "all", "")
        if person is not None:
            yield Fact(ws, at_ms, "acknowledgements", "user", person)
        if line.first and line.origin is not None:
            yield from _lasted(line, line.origin, "acknowledged", person)
    elif line.verb == "resolved" and line.actor.kind == "system":
        yield Fact(ws, at_ms, "closed", "all", "")
    elif line.verb == "resolved" and line.origin is not None:
        yield from _lasted(line, line.origin, "resolved", person)
    elif line.verb in _MESSAGES:
        yield from _message(line, _MESSAGES[line.verb])
    elif line.verb in _COUNTED:
        yield Fact(ws, at_ms, _COUNTED[line.verb], "all", "")


def _message(line: Line, what: str) -> Iterator[Fact]:
    ws, at_ms = line.workspace_id, line.at_ms
    yield Fact(ws, at_ms, what, "all", "")
    if line.channel_id is not None:
        yield Fact(ws, at_ms, what, "channel", str(line.channel_id))
    if line.rule_id is not None:
        yield Fact(ws, at_ms, what, "rule", str(line.rule_id))
    if line.origin is not None:
        for dimension, name in list(_of(line.origin))[1:]:
            yield Fact(ws, at_ms, what, dimension, name)


def _of(origin: Origin) -> Iterator[tuple[str, str]]:
    yield "all", ""
    yield "integration", str(origin.integration_id)
    yield "severity", severity_name(origin.severity)
    yield "project", origin.project or UNKNOWN


def _lasted(line: Line, origin: Origin, what: str, person: str | None) -> Iterator[Fact]:
    ms = max(line.at_ms - origin.first_seen_ms, 0)
    for dimension, name in (*_of(origin), *((("user", person),) if person is not None else ())):
        yield Fact(line.workspace_id, line.at_ms, what, dimension, name, bin_of(ms), 1, ms)
