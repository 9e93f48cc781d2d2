"""What was not taken in: counted in memory, written once a second, told as gaps.

A refused request must cost next to nothing, so nothing here waits for the writer.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable

from signalcraft.errors import TooMany
from signalcraft.storage import counts, gaps
from signalcraft.storage.db import Db, Tx

GAP_ENDS_AFTER_MS = 5_000


class Refusals:
    """Per-workspace limits and the count of what was refused. Used on the event loop."""

    def __init__(self, db: Db, now: Callable[[], int], per_minute: int) -> None:
        self._db = db
        self._now = now
        self._per_minute = per_minute
        self._buckets: dict[int, tuple[float, int]] = {}
        self._counts: dict[tuple[int, int, str, int], int] = defaultdict(int)
        self._gaps: dict[tuple[int, str], list[int]] = {}

    def within_limit(self, workspace_id: int, now_ms: int) -> bool:
        """Takes one from the workspace's bucket: a minute's worth at once, refilled evenly. Always true for limit 0."""
        rate = self._per_minute
        if not rate:
            return True
        left, at_ms = self._buckets.get(workspace_id, (float(rate), now_ms))
        left = min(rate, left + max(now_ms - at_ms, 0) * rate / 60_000)
        within = left >= 1
        self._buckets[workspace_id] = (left - 1 if within else left, now_ms)
        return within

    def too_many(self, workspace_id: int) -> TooMany:
        """The refusal of a webhook for which the workspace's bucket, looked at just now, had nothing left."""
        rate = self._per_minute
        wait_s = max(1 - self._buckets[workspace_id][0], 0) * 60 / rate
        why = "more webhooks a minute than this workspace's limit"
        return TooMany(why, retry_after_s=max(math.ceil(wait_s), 1), name="webhooks", limit=rate)

    def note(self, workspace_id: int, integration_id: int, what: str, now_ms: int) -> None:
        """Counts one refusal."""
        self._counts[workspace_id, integration_id, what, now_ms // 60_000] += 1

    def gap(self, workspace_id: int, why: str, now_ms: int) -> None:
        """An authenticated sender was sent away: the interval is remembered and told."""
        open_gap = self._gaps.setdefault((workspace_id, why), [now_ms, now_ms, 0])
        open_gap[1] = now_ms
        open_gap[2] += 1

    async def flush(self, *, ending: bool = False) -> None:
        """Writes what gathered. Called once a second, and when the program ends: gaps that go on end with it then."""
        now_ms = self._now()
        least_ms = 0 if ending else GAP_ENDS_AFTER_MS
        ended = {key: gap for key, gap in self._gaps.items() if now_ms - gap[1] >= least_ms}
        if not self._counts and not ended:
            return
        noted, self._counts = self._counts, defaultdict(int)
        for key in ended:
            del self._gaps[key]

        def work(tx: Tx) -> None:
            for (workspace_id, integration_id, what, minute), n in noted.items():
                counts.bump(tx, workspace_id, minute * 60_000, what, integration_id, n)
            for (workspace_id, why), (from_ms, until_ms, refused) in ended.items():
                gaps.add(tx, workspace_id, why, from_ms, until_ms, refused, now_ms)

        try:
            await self._db.write(work)
        except Exception:
            # The disk may be what is wrong: what could not be written down is kept for the next time.
            for counted, n in noted.items():
                self._counts[counted] += n
            for key, (from_ms, until_ms, refused) in ended.items():
                later = self._gaps.get(key, [from_ms, until_ms, 0])
                self._gaps[key] = [from_ms, max(until_ms, later[1]), later[2] + refused]
            raise

    def open_gaps(self) -> list[tuple[int, str, int, int, int]]:
        """(workspace, why, from, until, refused) of what goes on now: for health."""
        return [(ws, why, *gap) for (ws, why), gap in self._gaps.items()]  # type: ignore[misc]
