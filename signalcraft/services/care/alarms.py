"""What is wrong with the appliance itself: each condition raises an alert when it begins, and resolves it when it ends.

The alerts go the way of every other (services/own.py). What holds and what was told is kept in the database, so that a
restart neither forgets a condition nor tells it twice. Nothing here can chase its own tail: a condition that holds is
told once however often it is said, what flaps is told a few times an hour at most, and whoever measures deliveries
leaves the appliance's own alerts out.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain.event import Status
from signalcraft.domain.severity import Severity
from signalcraft.services import own
from signalcraft.services.ingest import Ingest
from signalcraft.services.registry import OWN
from signalcraft.storage import facts
from signalcraft.storage.db import Db

log = logging.getLogger(__name__)

_FACT: Final = "alarms"
_HOUR_MS: Final = 3_600_000
AN_HOUR: Final = 6
"""How often one condition may begin to be told in an hour: what flaps more than that is seen in health alone."""
SAY_AGAIN_MS: Final = 15 * 60_000
"""How soon what changed about a condition is written into its alert again."""
_NUMBER: Final = re.compile(r"[\d.,:]+")


class Condition(Struct, frozen=True):
    """One thing that can be wrong. `title`: of the alert about it; `runbook`: its page under docs/runbooks/."""

    name: str
    title: str
    severity: Severity
    runbook: str


CONDITIONS: Final[dict[str, Condition]] = {
    one.name: one
    for one in (
        Condition("database_failing", "The database cannot be written", Severity.CRITICAL, "database.md"),
        Condition("delivery_failing", "Messages do not get through", Severity.HIGH, "delivery.md"),
        Condition("self_check_failed", "A test alert did not get through", Severity.HIGH, "self-check.md"),
        Condition("latency_high", "Alerts are told late", Severity.HIGH, "latency.md"),
        Condition("errors_high", "Many requests fail", Severity.HIGH, "errors.md"),
        Condition("responses_slow", "Answers are slow", Severity.MEDIUM, "slow.md"),
        Condition("queue_deep", "Writes pile up", Severity.HIGH, "queue.md"),
        Condition("integration_failing", "A sender does not get through", Severity.MEDIUM, "integration.md"),
        Condition("disk_low", "The disk is filling up", Severity.HIGH, "disk.md"),
        Condition("memory_high", "Memory is running out", Severity.HIGH, "memory.md"),
        Condition("clock_wrong", "The clock cannot be trusted", Severity.MEDIUM, "clock.md"),
        Condition("certificate_ending", "The certificate is about to end", Severity.HIGH, "certificate.md"),
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


class _Told(Struct):
    """An alert that was raised: when it was said last, and how."""

    at_ms: int
    said: str


class _Kept(Struct):
    """What survives a restart."""

    wrong: dict[str, tuple[int, str]] = {}
    told: dict[str, _Told] = {}


class Alarms:
    """One instance, on the event loop."""

    def __init__(self, settings: Settings, db: Db, ingest: Ingest, now: Callable[[], int]) -> None:
        self._settings = settings
        self._db = db
        self._ingest = ingest
        self._now = now
        self.wrong: dict[str, Wrong] = {}
        self.raised: Counter[str] = Counter()
        self._told: dict[str, _Told] = {}
        self._well_ms: dict[str, int] = {}
        self._missed: dict[str, str] = {}
        self._began: defaultdict[str, list[int]] = defaultdict(list)
        self._changed = False

    async def boot(self) -> None:
        """What an earlier process knew goes on."""
        text = await self._db.read(lambda tx: facts.get(tx, _FACT))
        if text is None:
            return
        kept = msgspec.json.decode(text, type=_Kept)
        known = {name: held for name, held in kept.wrong.items() if name in CONDITIONS}
        self.wrong = {name: Wrong(CONDITIONS[name], since_ms, said) for name, (since_ms, said) in known.items()}
        self._told = {name: told for name, told in kept.told.items() if name in CONDITIONS}
        self._well_ms = {name: self._now() for name in self._told if name not in self.wrong}

    @property
    def told(self) -> dict[str, int]:
        """The conditions with an alert that is not over, and when it was said last."""
        return {name: told.at_ms for name, told in self._told.items()}

    async def say(self, name: str, wrong: str | None) -> None:
        """How a condition is now: what is wrong, or None. Said as often as one likes; only changes are told.

        Raises KeyError for a condition that is not declared.
        """
        condition, before = CONDITIONS[name], self.wrong.get(name)
        if wrong is None:
            if self.wrong.pop(name, None) is None:
                return
            self._well_ms[name] = self._now()
            log.info("well again", extra={"condition": name})
        else:
            since_ms = self._now() if before is None else before.since_ms
            self.wrong[name] = Wrong(condition, since_ms, wrong)
            self._well_ms.pop(name, None)
            if before is not None:
                return
            log.warning("something is wrong with SignalCraft itself", extra={"condition": name, "said": wrong})
        self._changed = True
        await self._keep()

    async def tick(self) -> None:
        """Raises what has held for long enough, resolves what has been well for as long. Called every few seconds."""
        if self._settings.monitoring.self_watch:
            now_ms, hold_ms = self._now(), self._settings.monitoring.hold_seconds * 1000
            for wrong in list(self.wrong.values()):
                if now_ms - wrong.since_ms >= hold_ms:
                    await self._raise(wrong, now_ms)
            over = [name for name in {*self._missed, *self._told} if name not in self.wrong]
            for name in over:
                if now_ms - self._well_ms.get(name, 0) >= hold_ms:
                    await self._resolve(CONDITIONS[name], now_ms)
        await self._keep()

    async def _raise(self, wrong: Wrong, now_ms: int) -> None:
        name, told = wrong.condition.name, self._told.get(wrong.condition.name)
        if told is None:
            began = self._began[name] = [at_ms for at_ms in self._began[name] if 0 <= now_ms - at_ms < _HOUR_MS]
            if len(began) >= AN_HOUR:
                return
        elif now_ms - told.at_ms < SAY_AGAIN_MS or _without_numbers(told.said) == _without_numbers(wrong.said):
            return
        if not await self._say(wrong.condition, "firing", wrong.said):
            self._missed[name] = wrong.said
            return
        self._missed.pop(name, None)
        if told is None:
            self._began[name].append(now_ms)
            self.raised[name] += 1
        self._told[name] = _Told(now_ms, wrong.said)
        self._changed = True

    async def _resolve(self, condition: Condition, now_ms: int) -> None:
        missed = self._missed.get(condition.name)
        if condition.name not in self._told and missed is not None:
            # It could not be told while it held (nothing could be written): it is told now that it is over.
            if not await self._say(condition, "firing", f"It was so, and is over: {missed}"):
                return
            self.raised[condition.name] += 1
            self._told[condition.name] = _Told(now_ms, missed)
        if await self._say(condition, "resolved", ""):
            for held in (self._missed, self._told, self._well_ms):
                held.pop(condition.name, None)
            self._changed = True

    async def _say(self, condition: Condition, status: Status, message: str) -> bool:
        said = own.Said(
            condition=condition.name,
            status=status,
            severity=condition.severity.label,
            title=f"SignalCraft: {condition.title}",
            message=message,
            environment=self._settings.profile,
            runbook_url=runbook_url(self._settings, condition),
        )
        try:
            await self._ingest.say(OWN, own.inbound(said))
        except Exception as problem:  # the database may be what is wrong: it is tried again with the next tick
            log.warning("an alarm waits", extra={"condition": condition.name, "why": type(problem).__name__})
            return False
        return True

    async def _keep(self) -> None:
        if not self._changed:
            return
        kept = _Kept({name: (one.since_ms, one.said) for name, one in self.wrong.items()}, self._told)
        text = msgspec.json.encode(kept).decode()
        self._changed = False
        try:
            await self._db.write(lambda tx: facts.put(tx, _FACT, text))
        except Exception:  # with the next tick
            self._changed = True
            log.warning("alarms could not be written down", exc_info=True)


def runbook_url(settings: Settings, condition: Condition) -> str:
    """Where the page of a condition is read, "" where this box does not know its own address."""
    base = settings.http.public_url.rstrip("/")
    return f"{base}/docs/runbooks/{condition.runbook}" if base else ""


def _without_numbers(text: str) -> str:
    return _NUMBER.sub("", text)
