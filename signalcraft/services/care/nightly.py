"""Care that is due once a day at a local time, or once a week: done in order, caught up after a time off.

When something ran last is read from its runs on record, so that neither a restart nor a night without power loses one.
"""

from __future__ import annotations

import asyncio
import logging
from calendar import day_name
from collections.abc import Awaitable, Callable
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from signalcraft.services.care.runs import Running, Runs
from signalcraft.storage import facts, runs
from signalcraft.storage.db import Db, Tx

log = logging.getLogger(__name__)

AGAIN_MS: Final = 3_600_000
"""How long after a failure it is tried again."""
_SINCE: Final = "nightly_since_ms"


class Planned(Struct, frozen=True, kw_only=True):
    """One sort of care. `at`: local time as HH:MM; `weekday`: 0 = Monday, None = each day. `what`: one sentence."""

    kind: str
    what: str
    at: str
    weekday: int | None = None
    do: Callable[[Running], Awaitable[None]]

    def schedule(self, zone: str) -> str:
        """In words: `daily at 02:00 UTC`."""
        return f"{'daily' if self.weekday is None else f'{day_name[self.weekday]}s'} at {self.at} {zone}"


class Nightly:
    """One instance, on the event loop. `tick` is called each minute and returns at once."""

    def __init__(self, db: Db, recorded: Runs, zone: str, now: Callable[[], int]) -> None:
        self._db = db
        self._runs = recorded
        self.zone = zone
        self._zone = ZoneInfo(zone)
        self._now = now
        self._task: asyncio.Task[None] | None = None
        self.planned: list[Planned] = []

    def add(self, planned: Planned) -> None:
        """One more sort of care; they are done in the order in which they were added."""
        self.planned.append(planned)

    async def tick(self) -> None:
        """Begins what is due, unless something is under way."""
        if self._task is not None and not self._task.done():
            return
        due = await self.due()
        if due:
            self._task = asyncio.get_running_loop().create_task(self._do(due), name="nightly")

    async def settled(self) -> None:
        """Until nothing is under way."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def end(self) -> None:
        """Breaks off what is under way; it is on record as cut at the next start, and done again."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=5)

    async def due(self) -> list[Planned]:
        """What should have begun by now and has not."""
        now_ms = self._now()

        def read(tx: Tx) -> tuple[str | None, list[tuple[Planned, runs.Run | None]]]:
            return facts.get(tx, _SINCE), [(one, runs.last(tx, one.kind)) for one in self.planned]

        since, last = await self._db.read(read)
        if since is None:
            await self._db.write(lambda tx: facts.put(tx, _SINCE, str(now_ms)))
        begun_ms = now_ms if since is None else int(since)
        return [one for one, run in last if self._is_due(one, run, begun_ms, now_ms)]

    def _is_due(self, one: Planned, run: runs.Run | None, since_ms: int, now_ms: int) -> bool:
        planned_ms = self.latest(one, now_ms)
        if run is None or run.began_ms < planned_ms:
            return planned_ms > (since_ms if run is None else run.began_ms)
        return run.state == "cut" or (run.state == "failed" and now_ms - run.began_ms >= AGAIN_MS)

    def latest(self, one: Planned, now_ms: int) -> int:
        """The latest planned moment that is not after now, in ms."""
        local = datetime.fromtimestamp(now_ms / 1000, self._zone)
        day = datetime.combine(local.date(), time.fromisoformat(one.at), self._zone)
        while day > local or (one.weekday is not None and day.weekday() != one.weekday):
            day -= timedelta(days=1)
        return int(day.timestamp() * 1000)

    def next_ms(self, one: Planned, now_ms: int) -> int:
        """The next planned moment after now, in ms."""
        day = datetime.fromtimestamp(self.latest(one, now_ms) / 1000, self._zone)
        return int((day + timedelta(days=1 if one.weekday is None else 7)).timestamp() * 1000)

    async def _do(self, due: list[Planned]) -> None:
        for one in due:
            try:
                async with self._runs.recorded(one.kind) as running:
                    await one.do(running)
            except Exception:
                log.exception("care failed", extra={"care": one.kind})
