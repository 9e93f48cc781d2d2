"""Where the time of one request goes: what it read and wrote, each statement, and what it asked of others.

The trace of a request is one line of the log at its end, where it was slow, failed, or was picked (`log.traces`). It
has the id that the caller gave it, by the header `traceparent` (https://www.w3.org/TR/trace-context/), or a new one,
and hands it on to whatever is asked over HTTP meanwhile.
"""

from __future__ import annotations

import contextvars
import random
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["read", "query", "write", "call"]

KEPT_MAX: Final = 60
"""Of one trace at most so many spans are kept; how many there were is told too."""
_HEADER: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NONE: Final = ("0" * 32, "0" * 16)


class Span(NamedTuple):
    """One stretch of time in a trace, in seconds from its begin. `depth`: 1 beneath the request, 2 beneath that."""

    kind: Kind
    what: str
    at_s: float
    took_s: float
    depth: int


class Trace:
    """One request. Spans come from any thread; none once it is `over`, whatever it left running."""

    __slots__ = ("_count", "_spans", "began_s", "id", "over", "parent")

    def __init__(self, traceparent: str = "") -> None:
        self.id, self.parent = read_traceparent(traceparent) or (secrets.token_hex(16), "")
        self.began_s = time.perf_counter()
        self._spans: list[Span] = []
        self._count = 0
        self.over = False

    def add(self, kind: Kind, what: str, began_s: float, depth: int = 1) -> None:
        """A stretch that began then and ends now. `what`: the name of a work, a statement, a host; never a value."""
        if self.over:
            return
        self._count += 1
        if len(self._spans) < KEPT_MAX:
            self._spans.append(Span(kind, what, began_s - self.began_s, time.perf_counter() - began_s, depth))

    def onward(self) -> str:
        """The header for a call to somebody else."""
        return f"00-{self.id}-{secrets.token_hex(8)}-00"

    def spans(self) -> list[Span]:
        """In the order in which they began."""
        return sorted(self._spans, key=lambda one: (one.at_s, one.depth))

    def told(self) -> dict[str, Any]:
        """The fields of its log line, times in milliseconds."""
        shown = [
            {
                "kind": one.kind,
                "what": " ".join(one.what.split())[:200],
                "at_ms": _ms(one.at_s),
                "took_ms": _ms(one.took_s),
                "depth": one.depth,
            }
            for one in self.spans()
        ]
        about = {"trace_id": self.id, **({"parent_id": self.parent} if self.parent else {})}
        return about | {"spans": shown, "spans_count": self._count}


current: contextvars.ContextVar[Trace | None] = contextvars.ContextVar("trace", default=None)
"""The trace of the present request; None outside of one."""


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """What happens inside belongs to this trace."""
    token = current.set(trace)
    try:
        yield trace
    finally:
        current.reset(token)
        trace.over = True


def picked(percent: float) -> bool:
    """Whether this one is among so many of a hundred."""
    return percent > 0 and random.random() * 100 < percent  # noqa: S311  # a sample, not a secret


def read_traceparent(text: str) -> tuple[str, str] | None:
    """(trace id, the caller's span); None where the header is not as the standard says."""
    found = _HEADER.fullmatch(text)
    if found is None or found[1] == "ff" or found[2] == _NONE[0] or found[3] == _NONE[1]:
        return None
    if found[1] == "00" and found[5]:
        return None
    return found[2], found[3]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
