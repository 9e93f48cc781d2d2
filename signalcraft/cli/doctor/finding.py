"""What one check of `signalcraft doctor` found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from msgspec import Struct

Status = Literal["ok", "warning", "fault"]
STATUSES: Final[tuple[Status, ...]] = ("ok", "warning", "fault")
"""In the order of their exit codes: 0, 1, 2."""


class Finding(Struct, frozen=True):
    """`name`: which check; `detail`: one line, with what to do where there is something to do."""

    name: str
    status: Status
    detail: str


class Running(Struct, frozen=True):
    """The process that serves the data directory: what it said of itself, and its health."""

    info: dict[str, Any]
    health: dict[str, Any]

    def component(self, name: str) -> tuple[str, str] | None:
        """(status, detail) of a part of it."""
        found = self.health.get("components", {}).get(name)
        return None if found is None else (str(found["status"]), str(found.get("detail") or ""))


def ok(name: str, detail: str) -> Finding:
    """All is well."""
    return Finding(name, "ok", detail)


def warning(name: str, detail: str) -> Finding:
    """It works, and somebody should look."""
    return Finding(name, "warning", detail)


def fault(name: str, detail: str) -> Finding:
    """It does not work, or not for long."""
    return Finding(name, "fault", detail)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 where all is well, 1 with a warning, 2 with a fault."""
    return max((STATUSES.index(one.status) for one in findings), default=0)
