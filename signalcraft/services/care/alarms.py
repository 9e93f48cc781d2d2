"""What is wrong with the appliance itself: each condition is told when it begins and ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from signalcraft.domain.severity import Severity

log = logging.getLogger(__name__)


class Condition(Struct, frozen=True):
    """One thing that can be wrong. `title`: of the alert about it; `runbook`: its page under docs/runbooks/."""

    name: str
    title: str
    severity: Severity
    runbook: str


CONDITIONS: Final[dict[str, Condition]] = {
    one.name: one
    for one in (
        Condition("replica_behind", "The replica is behind", Severity.HIGH, "replica.md"),
        Condition("backup_failed", "A backup failed", Severity.HIGH, "backup.md"),
        Condition("drill_failed", "The restore drill failed", Severity.HIGH, "restore-drill.md"),
        Condition("retention_failed", "Old data could not be archived or deleted", Severity.MEDIUM, "retention.md"),
        Condition("rollup_failed", "The long-range numbers are not kept", Severity.LOW, "rollups.md"),
        Condition("restored", "Messages of before the restore may not have been sent", Severity.HIGH, "restore.md"),
        Condition("migration_failed", "An upgrade was undone", Severity.HIGH, "upgrade.md"),
    )
}
"""By name. In the order in which they are shown."""


class Wrong(Struct, frozen=True):
    """A condition that holds now, since when, and what is wrong in one or two sentences with what to do."""

    condition: Condition
    since_ms: int
    said: str


class Alarms:
    """One instance, on the event loop."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.wrong: dict[str, Wrong] = {}

    async def say(self, name: str, wrong: str | None) -> None:
        """How a condition is now: what is wrong, or None. Said as often as one likes; only changes are told.

        Raises KeyError for a condition that is not declared.
        """
        condition, before = CONDITIONS[name], self.wrong.get(name)
        if wrong is None:
            if self.wrong.pop(name, None) is not None:
                log.info("well again", extra={"condition": name})
            return
        since_ms = self._now() if before is None else before.since_ms
        self.wrong[name] = Wrong(condition, since_ms, wrong)
        if before is None:
            log.warning("something is wrong with SignalCraft itself", extra={"condition": name, "said": wrong})
