"""Each run of care is on record: when it began, what it did, and what came of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from signalcraft.errors import Fault
from signalcraft.storage import runs
from signalcraft.storage.db import Db
from signalcraft.storage.runs import Run

log = logging.getLogger(__name__)


class Running:
    """A run under way: what it will have said and counted. `said` is one sentence for people."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.said = ""
        self.figures: dict[str, int | float | str] = {}


class Runs:
    """One instance, on the event loop."""

    def __init__(self, db: Db, now: Callable[[], int]) -> None:
        self._db = db
        self._now = now

    async def boot(self) -> None:
        """What an earlier process left under way was cut off."""
        now_ms = self._now()
        await self._db.write(lambda tx: runs.cut(tx, now_ms))

    @asynccontextmanager
    async def recorded(self, kind: str) -> AsyncIterator[Running]:
        """Writes a run down around the work inside; what that raises is its failure, and goes on."""
        began_ms = self._now()
        running = Running(await self._db.write(lambda tx: runs.begin(tx, kind, began_ms)))
        try:
            yield running
        except BaseException as problem:
            running.said = problem.detail if isinstance(problem, Fault) else f"{type(problem).__name__}: {problem}"
            if isinstance(problem, Exception):
                await self._ended(running, "failed")
            raise
        await self._ended(running, "ok")

    async def _ended(self, running: Running, state: runs.State) -> None:
        now_ms = self._now()
        await self._db.write(lambda tx: runs.end(tx, running.number, state, running.said, running.figures, now_ms))

    async def last(self, kind: str, state: runs.State | None = None) -> Run | None:
        """The newest run of a kind (in a state)."""
        return await self._db.read(lambda tx: runs.last(tx, kind, state))
