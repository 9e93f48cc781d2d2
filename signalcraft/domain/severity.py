"""How bad it is: five steps with an order."""

from __future__ import annotations

import enum


class Severity(enum.IntEnum):
    """info < low < medium < high < critical. Stored as its number, shown as its lower-case name."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The name that leaves the house: `critical`."""
        return self.name.lower()


BY_NAME: dict[str, Severity] = {s.label: s for s in Severity}
UNKNOWN = Severity.MEDIUM
"""What a group counts as when no event of it says how bad it is."""


def parse(text: str) -> Severity | None:
    """The severity of its own name, in any case; None for any other word."""
    return BY_NAME.get(text.strip().lower())
