"""What is old goes: once a night, into the archive first, workspace by workspace and sort by sort.

How long each sort is kept is a setting, and each workspace may say otherwise. What goes is counted, told and on record;
what could not go is tried again, and raises an alarm.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from msgspec import UNSET, Struct, UnsetType, structs

from signalcraft.config import Settings
from signalcraft.domain.group import SYSTEM, Actor
from signalcraft.errors import DiskFull, Fault
from signalcraft.services.audit import Audit
from signalcraft.services.care.alarms import Alarms
from signalcraft.services.care.pace import Pace
from signalcraft.services.care.purging import Purging
from signalcraft.services.care.runs import Running, Runs
from signalcraft.services.errands import Errands
from signalcraft.services.figures import Figure
from signalcraft.storage import journal, workspaces
from signalcraft.storage import retention as store
from signalcraft.storage.archive.child import Hand
from signalcraft.storage.archive.manifest import FOLDER, Shelf
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.runs import Run
from signalcraft.storage.workspaces import Workspace

log = logging.getLogger(__name__)

KIND: Final = "purge"
DAY_MS: Final = 86_400_000
SORTS: Final = ("groups", "deliveries", "escalations", "payloads", "audit")
"""What has an age of its own."""
_DAYS_OF: Final = dict(zip(SORTS, store.DAYS, strict=True))
_FREE_SHARE: Final = 0.1
"""This part of the database file may stay free: what comes next takes it up again."""
_VACUUM_LEAST: Final = 2_000

Prune = Callable[[], Awaitable[None]]


class Policy(Struct, frozen=True, kw_only=True):
    """What holds in a workspace, in days."""

    group_days: int
    delivery_days: int
    escalation_days: int
    payload_days: int
    audit_days: int
    archive: bool


class Draft(Struct, kw_only=True):
    """What a person wrote; UNSET where they wrote nothing, null: as the settings say."""

    group_days: int | UnsetType | None = UNSET
    delivery_days: int | UnsetType | None = UNSET
    escalation_days: int | UnsetType | None = UNSET
    payload_days: int | UnsetType | None = UNSET
    audit_days: int | UnsetType | None = UNSET
    archive: bool | UnsetType | None = UNSET


class Waiting(Struct, frozen=True, kw_only=True):
    """What would go now. `events`: firing events that the groups counted."""

    groups: int
    events: int
    deliveries: int
    escalations: int
    payloads: int
    audit: int


class Retention:
    """One instance, on the event loop. `prunes`: what else is old each night, by name; all of it in one record."""

    def __init__(
        self,
        settings: Settings,
        db: Db,
        data_dir: Path,
        audit: Audit,
        alarms: Alarms,
        now: Callable[[], int],
        hand: Callable[[Path, Path], Hand],
    ) -> None:
        self.settings = settings
        self.db = db
        self.data_dir = data_dir
        self.now = now
        self.prunes: dict[str, Prune] = {}
        self.one = asyncio.Lock()
        """Held by whoever changes the archive: a run, a restore, an erasure."""
        self._audit = audit
        self._alarms = alarms
        self._hand = hand
        self._last: dict[str, int | float | str] = {}
        self._errands: Errands[Run | None] = Errands(now)
        self._sums: Counter[tuple[str, str]] = Counter()

    def shelf(self, workspace_id: int) -> Shelf:
        """The archive of a workspace."""
        return Shelf(self.data_dir, workspace_id)

    def hand(self, workspace_id: int) -> Hand:
        """What works on it, to be used as a context manager on a thread."""
        return self._hand(self.db.path, self.data_dir / FOLDER / str(workspace_id))

    # -- how long -----------------------------------------------------------------------------------------------------

    def defaults(self) -> Policy:
        """As the settings say."""
        said = self.settings.retention
        return Policy(
            group_days=said.group_days,
            delivery_days=said.delivery_days,
            escalation_days=said.escalation_days,
            payload_days=said.payload_days,
            audit_days=self.settings.audit.keep_days,
            archive=said.archive,
        )

    def policy(self, tx: Tx, workspace_id: int) -> Policy:
        """What holds in a workspace."""
        own = {k: v for k, v in structs.asdict(store.own(tx, workspace_id)).items() if v is not None}
        return structs.replace(self.defaults(), **own)

    async def change(self, workspace_id: int, actor: Actor, draft: Draft) -> None:
        """What a person wrote holds from the next run on. Raises Invalid."""
        now_ms = self.now()

        def work(tx: Tx) -> None:
            before = store.own(tx, workspace_id)
            said = {k: v for k, v in structs.asdict(draft).items() if v is not UNSET}
            after = structs.replace(before, **said)
            if after == before:
                return
            store.put_own(tx, workspace_id, after)
            data = {"before": structs.asdict(before), "after": structs.asdict(after)}
            journal.add(tx, now_ms, workspace_id, None, "workspace.retention", actor, data)

        await self.db.write(work)

    async def waiting(self, workspace_id: int, draft: Draft | None = None) -> Waiting:
        """What would go if a run began now, by the policy that holds or by a draft of another."""
        now_ms = self.now()

        def look(tx: Tx) -> Waiting:
            policy = self.policy(tx, workspace_id)
            if draft is not None:
                own = structs.asdict(store.own(tx, workspace_id)) | {
                    k: v for k, v in structs.asdict(draft).items() if v is not UNSET
                }
                policy = structs.replace(self.defaults(), **{k: v for k, v in own.items() if v is not None})
            before = {sort: now_ms - getattr(policy, days) * DAY_MS for sort, days in _DAYS_OF.items()}
            groups, events = store.count_groups(tx, workspace_id, before["groups"])
            return Waiting(
                groups=groups,
                events=events,
                deliveries=store.count_rows(tx, "delivery", workspace_id, before["deliveries"]),
                escalations=store.count_rows(tx, "escalation", workspace_id, before["escalations"]),
                payloads=store.count_rows(tx, "inbox", workspace_id, before["payloads"]),
                audit=store.count_audit(tx, workspace_id, before["audit"]),
            )

        return await self.db.read(look)

    async def run_for(self, seconds: float, recorded: Runs) -> Run | None:
        """A run now, on record as every other; None while it goes on, and the same call again waits for it too."""

        async def work() -> Run | None:
            try:
                async with recorded.recorded(KIND) as running:
                    await self.night(running)
            except Exception:
                log.exception("the clean-up failed")
            return await recorded.last(KIND)

        return await self._errands.within(seconds, KIND, work)

    # -- the run ------------------------------------------------------------------------------------------------------

    async def night(self, running: Running) -> None:
        """The nightly run: everything that is old, in every workspace. Raises Fault where something had to stay."""
        try:
            await self._night(running)
        except Exception as problem:
            said = problem.detail if isinstance(problem, Fault) else f"{type(problem).__name__}: {problem}"
            await self._alarms.say("retention_failed", f"{said}. See docs/runbooks/retention.md.")
            raise
        finally:
            self._last = running.figures
        await self._alarms.say("retention_failed", None)

    async def _night(self, running: Running) -> None:
        wrong: list[str] = []
        pace = Pace(self.db)
        async with self.one:
            for workspace in await self.db.read(workspaces.every):
                await self._workspace(workspace, running, pace, wrong)
            for name, prune in self.prunes.items():
                await self._part(running, name, prune, wrong)
            await self._part(running, "vacuum", lambda: self._vacuum(pace), wrong)
        running.figures["longest_ms"] = round(pace.longest_s * 1000, 2)
        running.figures["errors"] = len(wrong)
        if wrong:
            raise Fault("; ".join(dict.fromkeys(wrong))[:1000])
        gone = sum(int(v) for k, v in running.figures.items() if k.endswith("_deleted"))
        kept = sum(int(v) for k, v in running.figures.items() if k.endswith("_archived"))
        running.said = f"{gone} rows deleted, {kept} of them archived" if gone else "nothing was old enough"

    async def _workspace(self, workspace: Workspace, running: Running, pace: Pace, wrong: list[str]) -> None:
        policy = await self.db.read(lambda tx: self.policy(tx, workspace.id))
        now_ms, shelf = self.now(), self.shelf(workspace.id)
        # Whatever is archived by an earlier run is ended, also where nothing is to be archived any more.
        with self.hand(workspace.id) as hand:
            work = Purging(self.db, shelf, hand, pace, workspace.id, now_ms)
            if not await self._part(running, "unfinished", work.settle, wrong):
                return
            if not policy.archive:
                work = Purging(self.db, shelf, None, pace, workspace.id, now_ms)
            before = {sort: now_ms - getattr(policy, days) * DAY_MS for sort, days in _DAYS_OF.items()}
            sorts: Mapping[str, Prune] = {
                "escalations": lambda: work.rows("escalation", before["escalations"]),
                "deliveries": lambda: work.rows("delivery", before["deliveries"]),
                "payloads": lambda: self._payloads(work, before),
                "groups": lambda: self._groups(work, before["groups"]),
                "audit": lambda: self._audited(work, workspace.id, before["audit"], now_ms),
            }
            for sort, prune in sorts.items():
                await self._part(running, sort, prune, wrong)
            if policy.archive:
                await self._part(running, "files", work.tidy, wrong)
            await self._part(running, "expired", lambda: self._expired(shelf, now_ms), wrong)
        for table in work.deleted | work.archived:
            for what, counts in (("deleted", work.deleted), ("archived", work.archived)):
                name = f"{table}_{what}"
                running.figures[name] = int(running.figures.get(name, 0)) + counts[table]
                self._sums[table, what] += counts[table]
        await self._told(workspace.id, work, now_ms)

    async def _part(self, running: Running, name: str, do: Prune, wrong: list[str]) -> bool:
        """One part of the run; its failure keeps no other from being done."""
        began_s = time.perf_counter()
        try:
            await do()
        except DiskFull as problem:
            wrong.append(problem.detail)
        except Fault as problem:
            wrong.append(f"{name}: {problem.detail}")
        except Exception as problem:
            log.exception("a part of the nightly clean-up failed", extra={"part": name})
            wrong.append(f"{name}: {type(problem).__name__}")
        else:
            return True
        finally:
            took = round((time.perf_counter() - began_s) * 1000)
            running.figures[f"{name}_ms"] = int(running.figures.get(f"{name}_ms", 0)) + took
        return False

    @staticmethod
    async def _payloads(work: Purging, before: Mapping[str, int]) -> None:
        await work.rows("inbox", before["payloads"])
        await work.rows("quarantine", before["groups"])  # nobody has looked at them for as long as groups are kept

    @staticmethod
    async def _groups(work: Purging, before_ms: int) -> None:
        await work.groups(before_ms)
        await work.rows("event", before_ms)

    async def _audited(self, work: Purging, workspace_id: int, before_ms: int, now_ms: int) -> None:
        if gone := await work.audit(before_ms):
            await self._audit.purged(workspace_id, gone, now_ms)

    async def _expired(self, shelf: Shelf, now_ms: int) -> None:
        """Months that the archive has kept long enough, and holds on what was put back."""
        while await self.db.write(lambda tx: store.forget_holds(tx, now_ms, 1_000)) == 1_000:
            continue
        if not (days := self.settings.retention.archive_days):
            return
        oldest = store.month_of(now_ms - days * DAY_MS)
        gone = [one.path for one in (await asyncio.to_thread(shelf.read)).files if one.month < oldest]
        if gone:
            await asyncio.to_thread(shelf.drop, *gone)

    async def _told(self, workspace_id: int, work: Purging, now_ms: int) -> None:
        if not work.deleted.total():
            return
        said = {"deleted": dict(work.deleted), "archived": dict(work.archived)}
        await self.db.write(lambda tx: journal.add(tx, now_ms, workspace_id, None, "retention.purged", SYSTEM, said))

    async def _vacuum(self, pace: Pace) -> None:
        """The file gives back what will not be taken up again soon, a few pages at a time."""
        total, free = await self.db.read(store.pages)
        keep = max(_VACUUM_LEAST, int(total * _FREE_SHARE))
        while free > keep:
            most = min(pace.size, free - keep)
            now = await pace.step(lambda tx, most=most: store.vacuum(tx, most))  # type: ignore[misc]
            if now >= free:
                return
            free = now

    # -- telling ------------------------------------------------------------------------------------------------------

    def figures(self) -> list[Figure]:
        """For /metrics: what went since the start, by table, and how long a step of the last run kept the writer."""
        found = [
            Figure(
                f"retention_rows_{what}",
                "Rows that were deleted because of their age."
                if what == "deleted"
                else "Rows that were archived before they were deleted.",
                self._sums[table, what],
                "counter",
                (("table", table),),
            )
            for what in ("deleted", "archived")
            for table in sorted({name for name, _ in self._sums})
        ]
        if "longest_ms" in self._last:
            found.append(
                Figure(
                    "retention_step_seconds_max",
                    "The longest time that one step of the last clean-up kept the writer.",
                    float(self._last["longest_ms"]) / 1000,
                )
            )
        return found
