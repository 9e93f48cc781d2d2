"""The restore drill: each night all that would be restored from is restored, and somebody is told where that fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from signalcraft import __version__
from signalcraft.config import Settings
from signalcraft.domain import drillreport, ids
from signalcraft.domain.drillreport import Tried
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict, Fault, NotFound
from signalcraft.services.care.alarms import Alarms
from signalcraft.services.care.nightly import Planned
from signalcraft.services.care.runs import Running, Runs
from signalcraft.services.figures import Figure
from signalcraft.services.health import Component
from signalcraft.storage import drilling, journal, masterkey, restoring, runs, workspaces
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.drilling import Exercise, Outcome, Worker
from signalcraft.storage.runs import Run
from signalcraft.storage.vault import Vault

log = logging.getLogger(__name__)

KIND: Final = "drill"
OLD_MS: Final = 26 * 3_600_000
SLACK_MS: Final = 60_000
"""A marker that is younger than this when the drill begins need not be in the replica yet."""
CATCH_UP_MS: Final = 30 * 60_000
_REPORTS: Final = "reports"
_RUNS_MAX: Final = 1000


class State(Struct, frozen=True):
    """How the drills stand. `tried`: the parts of the last one that ended; `next_ms`: None where none is planned."""

    last: Run | None
    tried: list[Tried]
    last_good_ms: int | None
    running: bool
    next_ms: int | None
    sources: list[str]
    reports: list[str]


class Drill:
    """One instance, on the event loop."""

    def __init__(
        self,
        settings: Settings,
        db: Db,
        vault: Vault,
        data_dir: Path,
        recorded: Runs,
        alarms: Alarms,
        now: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._db = db
        self._vault = vault
        self._data_dir = data_dir
        self._recorded = recorded
        self._alarms = alarms
        self._now = now
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._started_ms = now()
        self._figures: list[Figure] = []
        self.next_ms: Callable[[], int | None] = lambda: None
        self.planned = Planned(
            kind=KIND,
            what="Restores the newest backup and the replica into a scratch directory, to see that they can be.",
            at=settings.drill.at,
            do=self.nightly,
        )

    # -- what there is to try -----------------------------------------------------------------------------------------

    def sources(self) -> list[str]:
        """What would be restored from: `backup` where there is one, `replica` where it is set. Looks at the disk."""
        found = []
        if self._backup() is not None:
            found.append("backup")
        if self._settings.replica.url:
            found.append("replica")
        return found

    def _backup(self) -> Path | None:
        try:
            return restoring.bundle_in(self._settings.backup.folder(self._data_dir), None)
        except (Fault, OSError):
            return None

    async def mark(self) -> None:
        """Each minute: now and then a marker is written, which a copy that was made later must hold."""
        now_ms = self._now()
        if await self._db.read(lambda tx: (known := drilling.markers(tx)) and now_ms - known[-1] < drilling.MARK_MS):
            return
        await self._db.write(lambda tx: drilling.mark(tx, now_ms))

    # -- doing it -----------------------------------------------------------------------------------------------------

    async def nightly(self, running: Running) -> None:
        """The night's drill. Raises Fault where a part of it failed."""
        sources = await asyncio.to_thread(self.sources)
        if not sources:
            running.said = "there is nothing to restore from: no backup has been made and no replica is set"
            return
        async with self._lock:
            tried = [await self._try(source) for source in sources]
        for one in tried:
            running.figures[f"{one.source}_well"] = int(one.well)
            if one.rto_s is not None:
                running.figures[f"{one.source}_rto_seconds"] = round(one.rto_s, 3)
            if one.rpo_s is not None:
                running.figures[f"{one.source}_rpo_seconds"] = round(one.rpo_s, 3)
            if not one.well:
                running.figures[f"{one.source}_said"] = one.said
        bad = [f"{drillreport.LABELS[one.source]}: {one.said}" for one in tried if not one.well]
        if bad:
            raise Fault("; ".join(bad))
        running.said = " and ".join(drillreport.LABELS[one.source] for one in tried) + " can be restored"

    async def _try(self, source: str) -> Tried:
        at_ms = self._now()
        known = await self._db.read(drilling.markers)
        below = ids.floor(max((one for one in known if one <= at_ms - SLACK_MS), default=0))
        exercise = Exercise(
            folder=str(self._settings.drill.folder(self._data_dir)),
            now_ms=at_ms,
            memory_mb=self._settings.drill.memory_mb,
            keys=[key.hex() for key in self._vault.master_keys().values()],
        )
        if source == "replica":
            rows = await self._db.read(lambda tx: drilling.counted(tx, below))
            said = drilling.replica_as_said(self._settings.replica)
            exercise = _with(exercise, replica=said, below=below, rows=rows)
        else:
            exercise = _with(exercise, file=str(await asyncio.to_thread(self._backup)))
        worker = self._worker = Worker()
        try:
            outcome = await asyncio.to_thread(worker.run, exercise)
        except Fault as fault:
            outcome = Outcome(said=fault.detail)
        finally:
            worker.kill()
            self._worker = None
        return judged(source, at_ms, outcome, known)

    async def begin(self, actor: Actor) -> None:
        """One now, beside the nights'. Raises Conflict while one is under way."""
        if self.running:
            raise Conflict("a drill is under way")
        now_ms = self._now()
        self._task = asyncio.get_running_loop().create_task(self._once(), name="drill")

        def work(tx: Tx) -> None:
            for workspace in workspaces.every(tx):
                journal.add(tx, now_ms, workspace.id, None, "drill.begun", actor)

        await self._db.write(work)

    @property
    def running(self) -> bool:
        """Whether one is under way."""
        return self._lock.locked() or (self._task is not None and not self._task.done())

    async def settled(self, timeout_s: float) -> None:
        """Until none is under way, or so long."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=timeout_s)

    async def _once(self) -> None:
        try:
            async with self._recorded.recorded(KIND) as running:
                await self.nightly(running)
        except Fault:
            log.warning("the restore drill failed")
        except Exception:
            log.exception("the restore drill failed")
        await self.tend()

    async def end(self) -> None:
        """Breaks off what is under way."""
        if self._worker is not None:
            self._worker.kill()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=5)

    # -- what is known of it ------------------------------------------------------------------------------------------

    async def tend(self) -> None:
        """Each minute: a marker, the alarm, and a report for the quarter where a drill ended since."""
        await self.mark()
        self._figures = await self._counted()
        component, wrong = await self._judged()
        await self._alarms.say("drill_failed", component.detail if wrong else None)
        await self._write_report()

    async def health(self) -> Component:
        """For /health."""
        return (await self._judged())[0]

    async def _judged(self) -> tuple[Component, bool]:
        """How it stands, and whether that is an alarm."""
        now_ms = self._now()

        ended, good = await self._db.read(lambda tx: (_last_ended(tx), runs.last(tx, KIND, "ok")))
        if ended is not None and ended.state == "failed":
            return Component(
                "degraded", f"the last restore drill failed: {ended.said}. See docs/runbooks/restore-drill.md"
            ), True
        if not self._settings.drill.schedule:
            return Component("ok", "no drill is planned (drill.schedule)"), False
        caught_up = now_ms - self._started_ms > CATCH_UP_MS  # one that is overdue begins a minute after the start
        if good is not None and now_ms - good.began_ms > OLD_MS and caught_up:
            hours = (now_ms - good.began_ms) // 3_600_000
            return Component("degraded", f"the last restore drill that went well is {hours} hours old"), True
        if good is None:
            return Component("ok", "the first restore drill is made in the night"), False
        return Component("ok", good.said), False

    async def state(self) -> State:
        """Everything that is known."""

        def read(tx: Tx) -> tuple[Run | None, int | None]:
            good = runs.last(tx, KIND, "ok")
            return _last_ended(tx), None if good is None else good.began_ms

        last, good_ms = await self._db.read(read)
        sources, reports = await asyncio.to_thread(lambda: (self.sources(), self._reports()))
        planned = self.next_ms() if self._settings.drill.schedule else None
        return State(last, [] if last is None else parts(last), good_ms, self.running, planned, sources, reports)

    def figures(self) -> list[Figure]:
        """For /metrics: the last drill that ended, as it was known a minute ago."""
        return self._figures

    async def _counted(self) -> list[Figure]:
        last, good = await self._db.read(lambda tx: (_last_ended(tx), runs.last(tx, KIND, "ok")))
        found = []
        if good is not None:
            what = "When the last restore drill that went well began, in seconds since 1970."
            found.append(Figure("signalcraft_drill_last_success_timestamp_seconds", what, good.began_ms / 1000))
        for one in [] if last is None else parts(last):
            label = (("source", one.source),)
            found.append(
                Figure(
                    "signalcraft_drill_ok",
                    "Whether the source could be restored in the last drill.",
                    one.well,
                    labels=label,
                )
            )
            if one.rto_s is not None:
                what = "How long it took to restore the source and to check it."
                found.append(Figure("signalcraft_drill_restore_seconds", what, one.rto_s, labels=label))
            if one.rpo_s is not None:
                what = "How much a loss of the box would have cost at the time of the drill."
                found.append(Figure("signalcraft_drill_data_loss_seconds", what, one.rpo_s, labels=label))
        return found

    # -- the report ---------------------------------------------------------------------------------------------------

    def _reports(self) -> list[str]:
        folder = self._data_dir / _REPORTS
        return sorted((one.name for one in folder.glob("drill-*.md")), reverse=True)

    def read_report(self, name: str) -> str:
        """The text of a report. Raises NotFound. Blocks."""
        if name not in self._reports():
            raise NotFound("no such report")
        return (self._data_dir / _REPORTS / name).read_text("utf-8")

    async def _write_report(self) -> None:
        zone, now_ms = self._settings.workspace.timezone, self._now()
        year, number = drillreport.quarter(now_ms, zone)
        from_ms, until_ms = drillreport.bounds_ms(year, number, zone)
        every = await self._db.read(lambda tx: runs.newest(tx, KIND, limit=_RUNS_MAX))
        own = [run for run in reversed(every) if from_ms <= run.began_ms < until_ms and run.state in ("ok", "failed")]
        if own:
            tried = [one for run in own for one in parts(run)]
            text = drillreport.report(year, number, zone, tried, __version__)
            await asyncio.to_thread(self._put, f"drill-{year}-Q{number}.md", text)

    def _put(self, name: str, text: str) -> None:
        folder = self._data_dir / _REPORTS
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / name
        if not target.is_file() or target.read_text("utf-8") != text:
            masterkey.write_private(target, text.encode())


def _last_ended(tx: Tx) -> Run | None:
    """The newest drill that ended well or badly and tried something."""
    return next((run for run in runs.newest(tx, KIND, limit=20) if run.state in ("ok", "failed")), None)


def _with(exercise: Exercise, **more: object) -> Exercise:
    import msgspec

    return msgspec.structs.replace(exercise, **more)


def judged(source: str, at_ms: int, outcome: Outcome, known: list[int]) -> Tried:
    """Whether a restore was one: the markers that were written before the copy must be in it.

    `known`: the moments of markers, as the live database knows them.
    """
    if outcome.said:
        return Tried(source=source, at_ms=at_ms, well=False, rto_s=None, rpo_s=None, said=outcome.said)
    until_ms = at_ms - SLACK_MS if source == "replica" else outcome.copy_ms
    wanted = max((one for one in known if one <= until_ms), default=None)
    upto_ms = outcome.copy_ms if source == "backup" else outcome.alive_ms or outcome.copy_ms
    rpo_s = max(at_ms - upto_ms, 0) / 1000
    said = ""
    if wanted is not None and wanted not in outcome.markers:
        newest = max(outcome.markers, default=None)
        behind = "it holds none" if newest is None else f"its newest is {(wanted - newest) // 1000} s older"
        said = f"a marker that was written before the copy was made is not in it: {behind}"
    return Tried(source=source, at_ms=at_ms, well=not said, rto_s=outcome.restore_s, rpo_s=rpo_s, said=said)


def parts(run: Run) -> list[Tried]:
    """The sources of a drill on record."""
    found = []
    for source in drillreport.LABELS:
        well = run.figures.get(f"{source}_well")
        if well is not None:
            rto, rpo = run.figures.get(f"{source}_rto_seconds"), run.figures.get(f"{source}_rpo_seconds")
            found.append(
                Tried(
                    source=source,
                    at_ms=run.began_ms,
                    well=bool(well),
                    rto_s=None if rto is None else float(rto),
                    rpo_s=None if rpo is None else float(rpo),
                    said=str(run.figures.get(f"{source}_said", "")),
                )
            )
    return found
