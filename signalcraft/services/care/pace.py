"""Deleting in steps that nobody feels: each waits until no other work is queued, keeps the writer for a few
milliseconds, and then leaves it alone.

Measured, not guessed: a step tells how long it took inside of the transaction, the next one is made longer or shorter
by that. How long it kept the writer is more, since the commit waits for the disk; by that the pause after it is
measured: while anybody else writes, the writer is ours for a small part of the time only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

from signalcraft.storage.db import Db, Tx

T = TypeVar("T")

TARGET_S: Final = 0.004
"""How long a step should work: who comes while it does waits no longer. A sender whose answer takes 4 ms meets a step
that keeps the writer for s as often as s + 4 ms come by: half as many steps, twice as long, are felt by fewer."""
SHARE_BUSY: Final = 0.01
"""The part of the time that the writer is ours while others write, and while nobody does. So few of the senders'
answers wait for a step (two of a hundred) that the slowest twentieth stays nearly as quick as it was."""
SHARE_IDLE: Final = 0.6
QUIET_S: Final = 1.0
"""Nobody writes where nobody else has for as long."""
LEAST: Final = 5
MOST: Final = 2_000


class Pace:
    """One for a run. `longest_s`: the longest step."""

    def __init__(self, db: Db, *, target_s: float = TARGET_S) -> None:
        self._db = db
        self._target_s = target_s
        self.size = 50
        self.longest_s = 0.0
        self.steps = 0
        self._works = db.works
        self._busy_until_s = 0.0

    async def step(self, work: Callable[[Tx], T]) -> T:
        """One transaction's worth; returns when others had their turn too."""
        took_s = began_s = 0.0

        def timed(tx: Tx) -> T:
            nonlocal took_s, began_s
            began_s = time.perf_counter()
            try:
                return work(tx)
            finally:
                took_s = time.perf_counter() - began_s

        others = self._db.works - self._works
        answer = await self._db.write_between(timed)
        ended_s = time.perf_counter()
        kept_s = ended_s - began_s
        self._works = self._db.works
        self.steps += 1
        self.longest_s = max(self.longest_s, took_s)
        self.size = max(LEAST, min(MOST, round(self.size * min(self._target_s / max(took_s, 1e-5), 1.5))))
        if others > 0:
            self._busy_until_s = ended_s + QUIET_S
        share = SHARE_BUSY if ended_s < self._busy_until_s else SHARE_IDLE
        await asyncio.sleep(kept_s * (1 - share) / share)
        return answer

    async def over(self, keys: list[int], work: Callable[[Tx, list[int]], int]) -> int:
        """All keys, so many at a time as fit into a step; the sum of what the steps gave."""
        done, at = 0, 0
        while at < len(keys):
            some = keys[at : at + self.size]
            at += len(some)
            done += await self.step(lambda tx, some=some: work(tx, some))  # type: ignore[misc]
        return done
