"""The long-range numbers: counters are rolled up each minute, and old minutes and hours are forgotten each night."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from signalcraft.services.care.runs import Running
from signalcraft.services.figures import Figure
from signalcraft.storage import rolled, workspaces
from signalcraft.storage.db import Db, Tx

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
MINUTES_KEPT_DAYS: Final = 14
HOURS_KEPT_DAYS: Final = 400
_ROWS: Final = 2_000
"""Rows that one transaction forgets: some milliseconds."""
_PATIENCE_S: Final = 20.0


class Rollups:
    """One instance, on the event loop."""

    def __init__(self, db: Db, now: Callable[[], int]) -> None:
        self._db = db
        self._now = now
        self.folded_minute = 0

    async def fold(self) -> int:
        """Rolls up every minute that is over, a few in a transaction; how many counters were read."""
        until = self._now() // MINUTE_MS
        began_s = time.perf_counter()
        read = 0
        while self.folded_minute < until and time.perf_counter() - began_s < _PATIENCE_S:
            some, self.folded_minute = await self._db.write(partial(_fold, until))
            read += some
        return read

    async def nightly(self, running: Running) -> None:
        """The night's work: everything is rolled up, and what is old is forgotten."""
        running.figures["counters"] = await self.fold()
        running.figures["forgotten"] = gone = await self.prune()
        running.said = f"Rolled up, and {gone:,} old rows forgotten."

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

    def figures(self) -> list[Figure]:
        """For /metrics."""
        if not self.folded_minute:
            return []
        behind = max(self._now() // MINUTE_MS - self.folded_minute, 0) * 60
        what = "How far the roll-ups of the counters are behind the present minute."
        return [Figure("rollup_behind_seconds", what, behind)]


def _fold(until: int, tx: Tx) -> tuple[int, int]:
    read = rolled.fold(tx, until)
    return read, rolled.mark(tx).minute


def _prune(workspace_id: int, minute: int, hour: int, tx: Tx) -> int:
    return rolled.prune(tx, workspace_id, minute, hour, _ROWS)
