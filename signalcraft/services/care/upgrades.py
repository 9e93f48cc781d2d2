"""Versions of the program and schemas of the database: which came when, what is kept from before, what went wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from signalcraft.domain.event import Status
from signalcraft.domain.group import Actor
from signalcraft.domain.severity import Severity
from signalcraft.services import own
from signalcraft.services.care.alarms import Alarms
from signalcraft.services.ingest import Ingest
from signalcraft.services.registry import OWN
from signalcraft.storage import audit, before, facts, installed, migrate, migrating, runs
from signalcraft.storage.before import Kept
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.installed import Installed
from signalcraft.storage.runs import Run
from signalcraft.storage.workspaces import DEFAULT_ID

log = logging.getLogger(__name__)

KIND: Final = "upgrade"
CONDITION: Final = "migration_failed"
TOLD_MS: Final = 86_400_000
"""How long a failed or a long migration is told."""
_SHOWN: Final = 10


class Step(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One step of a change of version, told by whoever makes it. `by`: the person, as this box knows them; `said`:
    why it is so.
    """

    what: Literal["upgrade", "rollback"]
    state: Literal["started", "finished", "failed"]
    version: str
    was: str
    by: str = ""
    said: str = ""


class UpgradesNow(Struct, frozen=True, kw_only=True):
    """What the system page shows. `runs`: migrations and upgrades, the newest first; `prefix`: where versions of this
    program lie, "" where it is not one of several.
    """

    program: str
    level: int
    newest: int
    runs: list[Run]
    kept: list[Kept]
    prefix: str
    versions: list[Installed]


class Upgrades:
    """One instance, on the event loop."""

    def __init__(
        self, db: Db, data_dir: Path, program: str, alarms: Alarms, ingest: Ingest, now: Callable[[], int]
    ) -> None:
        self._ingest = ingest
        self._db = db
        self._dir = data_dir
        self._program = program
        self._alarms = alarms
        self._now = now

    async def boot(self) -> None:
        """After a start: another version than before is written down, and a migration that failed."""
        now_ms = self._now()
        failed = await asyncio.to_thread(migrating.failed, self._dir)
        await self._db.write(lambda tx: self._note(tx, failed, now_ms))
        if failed is not None and not failed.recorded:
            await asyncio.to_thread(migrating.recorded, self._dir, failed)
        await self.tend()

    def _note(self, tx: Tx, failed: migrating.Failed | None, now_ms: int) -> None:
        if failed is not None and not failed.recorded:
            figures: dict[str, int | float | str] = {"from": failed.schema, "to": failed.to, "program": failed.program}
            runs.end(
                tx, runs.begin(tx, migrating.KIND, failed.began_ms), "failed", failed.said, figures, failed.ended_ms
            )
        was = facts.get(tx, migrating.PROGRAM)
        if was == self._program:
            return
        facts.put(tx, migrating.PROGRAM, self._program)
        if was:
            told: dict[str, int | float | str] = {"from": was, "to": self._program, "schema": migrate.newest()}
            said = f"SignalCraft {was} became {self._program}"
            runs.end(tx, runs.begin(tx, KIND, now_ms), "ok", said, told, now_ms)
            log.info("another version than before", extra={"was": was, "now": self._program})

    async def step(self, actor: Actor, step: Step) -> None:
        """A change of version begins, went well or failed: it is on record with who makes it, and it is told.

        It is an alert of this box's own: it opens with the start and is over with the end; a failure is another, that
        stays until somebody has seen to it.
        """
        now_ms = self._now()
        verb, data = f"{step.what}.{step.state}", msgspec.to_builtins(step)
        await self._db.write(lambda tx: audit.add(tx, now_ms, DEFAULT_ID, verb, actor, data))
        log.warning("the version changes", extra={"verb": verb, "version": step.version, "was": step.was})
        for said in _told(step, self._ingest.settings.profile):
            await self._ingest.say(OWN, own.inbound(said))

    async def tend(self) -> None:
        """Says the alarm about a migration that failed or took long. Called each minute."""
        now_ms = self._now()
        failed = await asyncio.to_thread(migrating.failed, self._dir)
        last = await self._db.read(lambda tx: runs.last(tx, migrating.KIND, "ok"))
        await self._alarms.say(CONDITION, _wrong(failed, last, now_ms))

    async def seen(self) -> UpgradesNow:
        """How it is now."""
        place = installed.present()
        level, found = await self._db.read(_read)
        kept = await asyncio.to_thread(before.kept, self._dir)
        versions = [] if place is None else await asyncio.to_thread(place.versions)
        return UpgradesNow(
            program=self._program,
            level=level,
            newest=migrate.newest(),
            runs=found,
            kept=kept,
            prefix="" if place is None else str(place.prefix),
            versions=versions,
        )


def _told(step: Step, environment: str) -> list[own.Said]:
    what = f"{step.what} to {step.version}"
    by = f" by {step.by}" if step.by else ""
    message = f"Version {step.was or 'none'} was in use; {step.state}{by}. {step.said}".strip()

    def said(condition: str, status: Status, severity: Severity, title: str) -> own.Said:
        return own.Said(
            condition=condition, status=status, severity=severity.label, title=f"SignalCraft: {title}",
            message=message, environment=environment,
        )  # fmt: skip

    if step.state == "started":
        return [said(what, "firing", Severity.INFO, f"{what} has started")]
    over = said(what, "resolved", Severity.INFO, f"{what} is over")
    if step.state == "finished":
        return [over]
    return [over, said(f"{what} failed", "firing", Severity.HIGH, f"{what} failed")]


def _read(tx: Tx) -> tuple[int, list[Run]]:
    found = [run for kind in (migrating.KIND, KIND) for run in runs.newest(tx, kind, limit=_SHOWN)]
    return migrate.level(tx), sorted(found, key=lambda run: -run.id)[:_SHOWN]


def _wrong(failed: migrating.Failed | None, last: Run | None, now_ms: int) -> str | None:
    if failed is not None and now_ms - failed.ended_ms < TOLD_MS:
        return (
            f"the upgrade to SignalCraft {failed.program} was undone, its migration to schema {failed.to} failed: "
            f"{failed.said}. This version goes on as before"
        )
    if last is not None and last.ended_ms is not None and now_ms - last.ended_ms < TOLD_MS:
        took_ms = last.ended_ms - last.began_ms
        if took_ms > migrating.LONG_MS:
            return f"the last migration took {took_ms // 1000} s, in which nothing was taken in: {last.said}"
    return None
