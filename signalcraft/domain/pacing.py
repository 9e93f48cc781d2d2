"""How fast a channel may be spoken to: gaps between posts, a budget of edits, and a breaker for one that is silent.

Kept in memory for one process. Times in ms of the one clock; a clock that stepped back makes nobody wait longer than
the pace itself asks.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from signalcraft.domain import backoff

MINUTE_MS: Final = 60_000
SPARE_MS: Final = 500
"""Added to the minute of the budget, for the time that a call is under way."""


class Breaker:
    """Opens after `after` failures in a row that speak of the whole channel; then one probe at a time."""

    def __init__(self, after: int, cap_ms: int) -> None:
        self._after = after
        self._cap_ms = cap_ms
        self.failures = 0
        self.since_ms: int | None = None
        self.probe_at_ms = 0
        self._probes = 0

    @property
    def open(self) -> bool:
        """Whether only probes go out."""
        return self.since_ms is not None

    def failed(self, now_ms: int, roll: float) -> None:
        """Nobody answered."""
        self.failures += 1
        if self.open:
            self._probes += 1
        elif self.failures >= self._after:
            self.since_ms = now_ms
        if self.open:
            self.probe_at_ms = now_ms + backoff.probe_ms(self._probes, roll, cap_ms=self._cap_ms)

    def answered(self) -> bool:
        """Somebody answered, whatever they said. Whether that ended a pause."""
        ended = self.open
        self.failures = self._probes = self.probe_at_ms = 0
        self.since_ms = None
        return ended

    def next_probe_ms(self, now_ms: int) -> int:
        """When the next probe may go."""
        return min(self.probe_at_ms, now_ms + self._cap_ms)

    def went_back(self, by_ms: int) -> None:
        """The clock stepped back: what is to come keeps its distance."""
        self.probe_at_ms = max(self.probe_at_ms - by_ms, 0)
        if self.since_ms is not None:
            self.since_ms -= by_ms


class Budget:
    """At most `per_minute` edits in any minute for one credential, whatever channels it serves. 0: no limit."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._spent: deque[int] = deque()
        self._paused_until_ms = 0
        self._paused_for_ms = 0

    def spend(self, now_ms: int) -> None:
        """One edit is through (counted when it came back, so that the other side's minute is never the longer one)."""
        while self._spent and not self._counts(self._spent[0], now_ms):
            self._spent.popleft()
        self._spent.append(now_ms)

    @staticmethod
    def _counts(spent_ms: int, now_ms: int) -> bool:
        return now_ms - MINUTE_MS - SPARE_MS < spent_ms <= now_ms

    def pause(self, now_ms: int, after_ms: int) -> None:
        """The vendor asked for a pause of edits."""
        self._paused_until_ms, self._paused_for_ms = now_ms + after_ms, after_ms

    def went_back(self, by_ms: int) -> None:
        """The clock stepped back: what was spent was spent as long ago as before."""
        self._spent = deque(at_ms - by_ms for at_ms in self._spent)
        self._paused_until_ms -= by_ms

    def free_at_ms(self, now_ms: int) -> int:
        """When the next edit may go: a time that is past means now."""
        # Only looked at, never changed: other threads look too.
        spent = [at_ms for at_ms in self._spent.copy() if self._counts(at_ms, now_ms)]
        paused = min(self._paused_until_ms, now_ms + self._paused_for_ms)
        if self._per_minute <= 0 or len(spent) < self._per_minute:
            return paused
        # The one whose leaving makes room: more than the budget may be remembered from before a restart.
        return max(paused, spent[len(spent) - self._per_minute] + MINUTE_MS + SPARE_MS)


class Lane:
    """One channel's way out: one delivery at a time, posts `gap_ms` apart."""

    def __init__(self, gap_ms: int, budget: Budget, breaker: Breaker) -> None:
        self.gap_ms = gap_ms
        self.budget = budget
        self.breaker = breaker
        self.busy = False
        self.broken_probe_ms = 0
        self._last_post_ms: int | None = None
        self._paused_until_ms = 0
        self._paused_for_ms = 0

    def posted(self, now_ms: int) -> None:
        """A post came back, taken or not: the gap counts from here."""
        self._last_post_ms = now_ms

    def pause(self, now_ms: int, after_ms: int) -> None:
        """The vendor asked for a pause of posts."""
        self._paused_until_ms, self._paused_for_ms = now_ms + after_ms, after_ms

    def paused_until_ms(self, now_ms: int) -> int | None:
        """Until when posts wait because the vendor said so; None where they do not."""
        until = min(self._paused_until_ms, now_ms + self._paused_for_ms)
        return until if until > now_ms else None

    def went_back(self, by_ms: int) -> None:
        """The clock stepped back: gaps and pauses last as long as before. The budget is told by who shares it out."""
        if self._last_post_ms is not None:
            self._last_post_ms -= by_ms
        self._paused_until_ms -= by_ms
        self.broken_probe_ms = max(self.broken_probe_ms - by_ms, 0)
        self.breaker.went_back(by_ms)

    def post_at_ms(self, now_ms: int) -> int:
        """When the next post may go: a time that is past means now."""
        gap_over = 0 if self._last_post_ms is None else min(self._last_post_ms, now_ms) + self.gap_ms
        return max(gap_over, self.paused_until_ms(now_ms) or 0)

    def edit_at_ms(self, now_ms: int) -> int:
        """When the next edit may go. Edits have no gap: their budget is the credential's."""
        return self.budget.free_at_ms(now_ms)

    def probe_at_ms(self, now_ms: int, broken: bool) -> int:
        """When the next probe of a channel that is broken or silent may go."""
        if broken:
            return max(min(self.broken_probe_ms, now_ms + backoff.BROKEN_PROBE_MS), self.post_at_ms(now_ms))
        return max(self.breaker.next_probe_ms(now_ms), self.post_at_ms(now_ms))
