"""The long-range numbers: counters are rolled up each minute, everything else is counted each hour by a child process,
and old minutes and hours are forgotten each night.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import Struct

from signalcraft.errors import Busy, Fault, Invalid
from signalcraft.services.care.alarms import Alarms
from signalcraft.services.care.runs import Running, Runs
from signalcraft.services.figures import Figure
from signalcraft.services.health import Component
from signalcraft.storage import facts, rolled, workspaces
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.rollups import feeding, querying
from signalcraft.storage.rollups.asking import DIMENSIONS, Analyse, Analysis, Fold, Held, Progress, Rebuild, State
from signalcraft.storage.rollups.child import REBUILD_S, Hand

log = logging.getLogger(__name__)

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
MINUTES_KEPT_DAYS: Final = 14
HOURS_KEPT_DAYS: Final = 400
EACH_MS: Final = HOUR_MS
"""How often what is new is counted when nobody asks."""
FRESH_MS: Final = 5 * MINUTE_MS
"""How old an analysis may be: older numbers are brought up to date before it is answered."""
LATE_MS: Final = 3 * HOUR_MS
RANGES: Final = {
    "24h": ("hours", DAY_MS), "7d": ("hours", 7 * DAY_MS), "30d": ("days", 30 * DAY_MS), "90d": ("days", 90 * DAY_MS),
    "1y": ("days", 365 * DAY_MS),
}  # fmt: skip
_ROWS: Final = 2_000
"""Rows that one transaction forgets: some milliseconds."""
_PATIENCE_S: Final = 20.0
_IDLE_MS: Final = 2 * MINUTE_MS
_HELP: Final = (
    "Look at the last run of kind rollup and at the log; `signalcraft metrics rebuild` counts everything anew."
)


class Analysed(Struct, frozen=True, kw_only=True):
    """An analysis of [from, until), as the numbers were at `as_of_ms`."""

    from_ms: int
    until_ms: int
    as_of_ms: int
    step: str
    analysis: Analysis


class Rollups:
    """One instance, on the event loop."""

    def __init__(self, db: Db, hand: Hand, recorded: Runs, alarms: Alarms, now: Callable[[], int]) -> None:
        self._db = db
        self._hand = hand
        self._runs = recorded
        self._alarms = alarms
        self._now = now
        self._task: asyncio.Task[Progress] | None = None
        self._rebuilding: asyncio.Task[Progress] | None = None
        self._asking = False
        self._asked_ms = 0
        self._tried_ms = 0
        self.folded_minute = 0
        self.counted_ms = 0
        self.bytes = 0
        self.wrong = ""

    # -- each minute --------------------------------------------------------------------------------------------------

    async def minute(self) -> None:
        """Rolls up the counters; each hour begins to count what is new; a child that nobody needs ends."""
        await self.fold()
        now_ms = self._now()
        if self._tried_ms == 0:
            self._tried_ms = now_ms  # a start is busy enough
        if abs(now_ms - self._tried_ms) >= EACH_MS and not self.busy:
            self._begin(Fold(now_ms=now_ms))
        elif not self.busy and abs(now_ms - self._asked_ms) >= _IDLE_MS:
            await asyncio.to_thread(self._hand.end)

    async def fold(self) -> int:
        """Rolls up every minute that is over, a few in a transaction; how many counters were read."""
        until = self._now() // MINUTE_MS
        began_s = time.perf_counter()
        read = 0
        while self.folded_minute < until and time.perf_counter() - began_s < _PATIENCE_S:
            some, self.folded_minute = await self._db.write(partial(_fold, until))
            read += some
        return read

    # -- counting -----------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether it is counting."""
        return any(task is not None and not task.done() for task in (self._task, self._rebuilding))

    def _begin(self, ask: Fold | Rebuild) -> asyncio.Task[Progress]:
        self._task = asyncio.get_running_loop().create_task(self._counted(ask), name="rollups")
        self._task.add_done_callback(_noticed)
        return self._task

    async def _counted(self, ask: Fold | Rebuild) -> Progress:
        self._tried_ms = self._asked_ms = self._now()
        try:
            progress = (await asyncio.to_thread(self._hand.ask, ask, REBUILD_S)).progress
            if progress is None:
                raise Fault("the process for long-range numbers gave no answer")
            number = str(progress.number)
            await self._db.write(lambda tx: facts.put(tx, feeding.NUMBER, number))
        except Fault as problem:
            self.wrong = problem.detail
            await self._alarms.say("rollup_failed", f"The long-range numbers are not kept: {problem.detail}. {_HELP}")
            raise
        if progress.rebuilt:
            log.warning("the long-range numbers were counted anew", extra={"why": progress.rebuilt})
        self.counted_ms, self.bytes, self.wrong = ask.now_ms, progress.bytes, ""
        self._asked_ms = self._now()
        await self._alarms.say("rollup_failed", None)
        return progress

    async def nightly(self, running: Running) -> None:
        """The night's work: everything is rolled up and counted, and what is old is forgotten."""
        await self.settled()
        running.figures["counters"] = await self.fold()
        running.figures["forgotten"] = gone = await self.prune()
        progress = await self._begin(Fold(now_ms=self._now(), tidy=True))
        _record(running, progress)
        running.said += f" {gone:,} old rows forgotten."

    async def rebuild(self, wait_s: float = 45.0) -> Progress | None:
        """Counts everything anew, on record; None when that takes longer than one waits: it goes on.

        Raises Busy while something is counted, Fault.
        """
        if self.busy:
            raise Busy("the long-range numbers are being counted: try again in a minute", retry_after_s=30)
        await self.fold()
        task = self._rebuilding = asyncio.get_running_loop().create_task(self._rebuilt(), name="rollups rebuild")
        await asyncio.wait([task], timeout=wait_s)
        return task.result() if task.done() else None

    async def _rebuilt(self) -> Progress:
        async with self._runs.recorded("rollup") as running:
            progress = await self._begin(Rebuild(now_ms=self._now()))
            _record(running, progress)
        return progress

    async def prune(self) -> int:
        """Forgets minutes older than 14 days and hours older than 400; days are kept. How many rows."""
        now_ms = self._now()
        minute = (now_ms - (MINUTES_KEPT_DAYS + 1) * DAY_MS) // MINUTE_MS
        hour = (now_ms - HOURS_KEPT_DAYS * DAY_MS) // MINUTE_MS
        gone = 0
        for workspace_id in await self._db.read(lambda tx: [one.id for one in workspaces.every(tx)]):
            some = _ROWS
            while some == _ROWS:
                some = await self._db.write(partial(_prune, workspace_id, minute, hour))
                gone += some
        return gone

    # -- asking -------------------------------------------------------------------------------------------------------

    async def analysed(self, workspace_id: int, span: str, by: str) -> Analysed:
        """A range of RANGES, with what leads in a dimension. Raises Invalid, Busy while all is counted anew, Fault."""
        if span not in RANGES:
            raise Invalid(f"a range is one of {', '.join(RANGES)}", path="range")
        if by not in DIMENSIONS:
            raise Invalid(f"by is one of {', '.join(DIMENSIONS)}", path="by")
        now_ms = self._now()
        if not 0 <= now_ms - self.counted_ms < FRESH_MS:
            await self._fresh()
        self._asked_ms = now_ms
        step, span_ms = RANGES[span]
        width = HOUR_MS if step == "hours" else DAY_MS
        from_ms = -(-(now_ms - span_ms) // width) * width
        ask = Analyse(workspace_id=workspace_id, from_ms=from_ms, until_ms=now_ms, step=step, by=by)
        analysis = (await asyncio.to_thread(self._hand.ask, ask)).analysis
        if analysis is None:
            raise Fault("the process for long-range numbers gave no answer")
        return Analysed(from_ms=from_ms, until_ms=now_ms, as_of_ms=self.counted_ms, step=step, analysis=analysis)

    async def _fresh(self) -> None:
        task = self._task if self._task is not None and not self._task.done() else None
        if task is None:
            await self.fold()
            task = self._begin(Fold(now_ms=self._now()))
        await asyncio.wait([task], timeout=_PATIENCE_S)
        if not task.done():
            raise Busy("the long-range numbers are being counted anew: try again in a minute", retry_after_s=60)
        task.result()

    async def asked(self, workspace_id: int, sql: str, rows: int) -> querying.Table:
        """A question in SQL, one at a time. Raises Invalid for one that cannot be answered, Busy, Fault."""
        if self._asking:
            raise Busy("another question is being answered: try again in some seconds", retry_after_s=10)
        self._asking = True
        try:
            question = querying.Question(database=str(self._db.path), workspace_id=workspace_id, sql=sql, rows=rows)
            return await asyncio.to_thread(querying.ask, question)
        finally:
            self._asking = False

    async def held(self) -> Held:
        """What the file holds. Raises Busy while it is counted, Fault."""
        if self.busy:
            raise Busy("the long-range numbers are being counted: try again in a minute", retry_after_s=30)
        self._asked_ms = self._now()
        held = (await asyncio.to_thread(self._hand.ask, State())).held
        if held is None:
            raise Fault("the process for long-range numbers gave no answer")
        return held

    # -- being looked at ----------------------------------------------------------------------------------------------

    async def health(self) -> Component:
        """Whether the numbers are kept."""
        if self.wrong:
            return Component("degraded", f"The long-range numbers are not kept: {self.wrong}. {_HELP}")
        now_ms = self._now()
        behind = now_ms // MINUTE_MS - self.folded_minute
        if self.folded_minute and behind > 60:
            return Component("degraded", f"The roll-ups of the counters are {behind} minutes behind.")
        if self.busy:
            return Component("ok", "The long-range numbers are being counted.")
        if not self.counted_ms:
            return Component("ok", "The long-range numbers are counted within the hour after a start.")
        return Component(
            "ok", f"Long-range numbers counted {max(now_ms - self.counted_ms, 0) // MINUTE_MS} minutes ago."
        )

    def figures(self) -> list[Figure]:
        """For /metrics."""
        found = []
        if self.folded_minute:
            behind = max(self._now() // MINUTE_MS - self.folded_minute, 0) * 60
            what = "How far the roll-ups of the counters are behind the present minute."
            found.append(Figure("signalcraft_rollup_behind_seconds", what, behind))
        if self.counted_ms:
            what = "When the long-range numbers were last brought up to date."
            found.append(Figure("signalcraft_rollup_last_success_timestamp_seconds", what, self.counted_ms / 1000))
            found.append(Figure("signalcraft_rollup_file_bytes", "Size of the file of long-range numbers.", self.bytes))
        return found

    async def settled(self) -> None:
        """Until nothing is counted."""
        for task in (self._task, self._rebuilding):
            if task is not None and not task.done():
                await asyncio.wait([task])

    async def end(self) -> None:
        """Ends the child; what it was counting is counted the next time."""
        await asyncio.to_thread(self._hand.end)
        await self.settled()


def _record(running: Running, progress: Progress) -> None:
    running.figures |= {
        "events": progress.events + progress.archived_events, "groups": progress.groups, "lines": progress.lines,
        "bytes": progress.bytes, "seconds": round(progress.seconds, 2),
    }  # fmt: skip
    running.said = f"{progress.events + progress.archived_events:,} events counted in {progress.seconds:.1f} s."
    if progress.filled_days:
        running.figures["filled_days"] = progress.filled_days
        running.said += f" Of {progress.filled_days} days the events are gone: their counters stand in for them."


def _noticed(task: asyncio.Task[Progress]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("the long-range numbers could not be counted", exc_info=task.exception())


def _fold(until: int, tx: Tx) -> tuple[int, int]:
    read = rolled.fold(tx, until)
    return read, rolled.mark(tx).minute


def _prune(workspace_id: int, minute: int, hour: int, tx: Tx) -> int:
    return rolled.prune(tx, workspace_id, minute, hour, _ROWS)
