"""Answers that are kept for a while: read once for everybody who may see the same, and read anew once it changed.

What an answer was read from is noted while it is read: every word of every statement, its tables among them. A commit
says which tables it wrote before anybody hears that it is done, so that a write followed by a read reads what was
written, whoever wrote the verb. What changes by time alone is kept for as long as TTL_MS says; the slow kinds are then
answered once more as they were, while they are read anew behind it. Many who ask at once wait for one reading.

Whoever is `content` with what was so a moment ago may say so: what senders and channels did since then alone
(`Tx.unasked`) makes no answer too old for them that is young enough, and they are told when there is a newer one to be
had. What somebody asked for makes it too old for everybody.

Keys begin with the workspace; whatever an answer depends on beside the database (who asks, what they may see, what is
only in memory) has to be in the key.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from typing import Any, Final, Literal, TypeVar

from msgspec import Struct

from signalcraft.services.figures import Figure
from signalcraft.storage.db import Db, Reader

T = TypeVar("T")
Kind = Literal["profile", "counts", "categories", "stats", "feed"]

TTL_MS: Final[dict[Kind, int]] = {
    "profile": 300_000,
    "counts": 60_000,
    "categories": 3_600_000,
    "stats": 300_000,
    "feed": 60_000,
}
"""For how long an answer is kept that nothing changed. profile: what somebody has set for themselves; counts: events an
hour; categories: what there is to filter by; stats: the overview, its noisy sources and its series; feed: the first
page of a list."""
STALE_MS: Final[dict[Kind, int]] = {"categories": 3_600_000, "stats": 60_000}
"""For how long behind that it is still answered while it is read anew."""
ENTRIES_MAX: Final = 256


class Content:
    """A question that may be answered with what was so up to `ms` ago. `newer_in_ms`: 0, or when to ask once more,
    since something came in between; told with the answer.
    """

    __slots__ = ("ms", "newer_in_ms")

    def __init__(self, ms: int) -> None:
        self.ms = ms
        self.newer_in_ms = 0


content: Final[ContextVar[Content | None]] = ContextVar("content", default=None)
"""That of the request of here and now; None where nothing but the newest will do."""


class Kept(Struct, frozen=True):
    """An answer. `turn`: the last commit that had certainly happened; `names`: what its statements named."""

    value: Any
    at_ms: int
    turn: int
    names: frozenset[str]


class Cache:
    """The answers of one process. For one event loop."""

    def __init__(self, db: Db, now: Callable[[], int], entries_max: int = ENTRIES_MAX) -> None:
        self._db = db
        self._now = now
        self._max = entries_max
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        self._readings: dict[Hashable, asyncio.Task[Kept]] = {}
        self.asked: Counter[tuple[str, str]] = Counter()

    async def read(self, kind: Kind, workspace_id: int, key: Hashable, work: Callable[[Reader], T]) -> T:
        """What `work` reads, or what it read before. Raises what it raises; that is not kept."""
        answer: T = (await self._asked(kind, workspace_id, key, work)).value
        return answer

    async def _asked(self, kind: Kind, workspace_id: int, key: Hashable, work: Callable[[Reader], Any]) -> Kept:
        whole = (workspace_id, kind, key)
        arrived = self._db.turn
        kept = self._kept.get(whole)
        if kept is not None and self._holds(kept):
            age_ms = self._now() - kept.at_ms
            if 0 <= age_ms < TTL_MS[kind]:
                return self._answer(kind, "hit", whole, kept)
            if 0 <= age_ms < TTL_MS[kind] + STALE_MS.get(kind, 0):
                self._reading(whole, work)
                return self._answer(kind, "stale", whole, kept)
        elif kept is not None and self._will_do(kept):
            return self._answer(kind, "behind", whole, kept)
        there = self._readings.get(whole)
        if there is not None:
            kept = await asyncio.shield(there)
            # It may have looked before a write that is older than this question.
            if kept.turn >= arrived or self._holds(kept) or self._will_do(kept):
                return self._answer(kind, "joined", whole, kept)
        kept = await asyncio.shield(self._reading(whole, work))
        return self._answer(kind, "miss", whole, kept)

    def _answer(self, kind: Kind, result: str, whole: Hashable, kept: Kept) -> Kept:
        self.asked[kind, result] += 1
        if whole in self._kept:
            self._kept.move_to_end(whole)
        return kept

    def _holds(self, kept: Kept) -> bool:
        return self._db.turn == kept.turn or _unchanged(self._db.changed_at, kept)

    def _will_do(self, kept: Kept) -> bool:
        """For whoever is content with what was so a moment ago; they are told when to ask once more."""
        asking = content.get()
        if asking is None:
            return False
        age_ms = self._now() - kept.at_ms
        if not 0 <= age_ms < asking.ms or not _unchanged(self._db.asked_at, kept):
            return False
        asking.newer_in_ms = max(asking.newer_in_ms, asking.ms - age_ms)
        return True

    def _reading(self, whole: Hashable, work: Callable[[Reader], Any]) -> asyncio.Task[Kept]:
        """The reading of this that goes on; else a new one, which outlives whoever asked for it."""
        there = self._readings.get(whole)
        if there is not None and not there.done():
            return there
        task = asyncio.get_running_loop().create_task(self._read(whole, work))
        self._readings[whole] = task
        task.add_done_callback(lambda done: self._done(whole, done))
        return task

    def _done(self, whole: Hashable, task: asyncio.Task[Kept]) -> None:
        if self._readings.get(whole) is task:
            del self._readings[whole]
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may have waited

    async def _read(self, whole: Hashable, work: Callable[[Reader], Any]) -> Kept:
        at_ms, turn = self._now(), self._db.turn

        def job(reader: Reader) -> tuple[Any, frozenset[str]]:
            reader.read = set()
            try:
                return work(reader), frozenset(reader.read)
            finally:
                reader.read = None

        value, names = await self._db.read(job)
        kept = self._kept[whole] = Kept(value, at_ms, turn, names)
        self._kept.move_to_end(whole)
        while len(self._kept) > self._max:
            self._kept.popitem(last=False)
        return kept

    def forget(self) -> None:
        """Everything that is kept."""
        self._kept.clear()

    @property
    def entries(self) -> int:
        """How many answers are kept."""
        return len(self._kept)

    def hit_ratio(self) -> float:
        """Of all questions since the start, those that did not read the database; 0 before the first."""
        asked = sum(self.asked.values())
        return 1 - sum(n for (_, result), n in self.asked.items() if result == "miss") / asked if asked else 0.0

    def figures(self) -> list[Figure]:
        """What /metrics says of it."""
        hits = "Questions to the cache of answers that read nothing anew: kept, or read together with others."
        misses = "Questions to the cache of answers that read the database."
        kept: Counter[str] = Counter()
        for (kind, result), n in self.asked.items():
            kept[kind] += n if result != "miss" else 0
        return [
            *(Figure("signalcraft_cache_hits", hits, kept[k], "counter", (("cache", k),)) for k in TTL_MS),
            *(
                Figure("signalcraft_cache_misses", misses, self.asked[k, "miss"], "counter", (("cache", k),))
                for k in TTL_MS
            ),
            Figure("signalcraft_cache_entries", "Answers that are kept.", len(self._kept)),
        ]


def _unchanged(changed_at: dict[str, int], kept: Kept) -> bool:
    return all(changed_at.get(name, 0) <= kept.turn for name in kept.names)
