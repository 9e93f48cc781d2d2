"""What the appliance counts about its own work while it lives: for /metrics, and for the watch over itself."""

from __future__ import annotations

from collections import deque
from typing import Final

from signalcraft.domain.measuring import LONG, SHORT, Histogram, quantile
from signalcraft.services import own

WINDOW_MS: Final = 5 * 60_000
PROBES: Final = ("/health", "/live", "/ready")
"""What these answer is how we are, not a failure to answer."""
_ROUTE: Final = (0.01, 0.05, 0.25, 1.0, 5.0)
"""Fewer buckets for each route, so that two hundred of them stay few series."""


class Measures:
    """One instance, on the event loop."""

    def __init__(self) -> None:
        self.requests = Histogram(SHORT)
        self.routes: dict[str, Histogram] = {}
        self.failed = 0
        self.ingest = Histogram(SHORT)
        self.notify: dict[str, Histogram] = {}
        self.notified = Histogram(LONG)
        self.canary = Histogram(SHORT)
        self.lag = Histogram(SHORT)
        self.evaluated = 0
        self.matched = 0
        self.opened = 0

    def answered(self, route: str, status: int, seconds: float) -> None:
        """One request was answered. Event streams and other long ones are not told of."""
        held = self.routes.get(route)
        if held is None:
            held = self.routes[route] = Histogram(_ROUTE)
        held.saw(seconds)
        self.requests.saw(seconds)
        if route == "/webhooks" and status == 202:
            self.ingest.saw(seconds)
        if status >= 500 and not route.startswith(PROBES):
            self.failed += 1

    def routed(self, asked: int, matched: int, opened: int) -> None:
        """From the writer's thread, the only one: rules were asked, some held, alert groups were opened."""
        self.evaluated += asked
        self.matched += matched
        self.opened += opened

    def told(self, channel_kind: str, seconds: float) -> None:
        """A channel took the first message of an alert group, so long after its event came in."""
        if channel_kind == own.CANARY_CHANNEL.KIND:
            return
        held = self.notify.get(channel_kind)
        if held is None:
            held = self.notify[channel_kind] = Histogram(LONG)
        held.saw(seconds)
        self.notified.saw(seconds)


class Lately:
    """The last five minutes of a measure: how many, how many failed, and within what 95 of a hundred were done."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._marks: deque[tuple[int, list[int], int]] = deque()

    def mark(self, now_ms: int, failed: int = 0) -> tuple[int, int, float | None]:
        """Notes where it stands. (How many since the mark of five minutes ago, how many failed, p95 in seconds.)"""
        counts = list(self._histogram.counts)
        if not self._marks:
            self._marks.append((now_ms, [0] * len(counts), 0))
        elif now_ms < self._marks[-1][0]:  # the clock was set back
            self._marks.clear()
        self._marks.append((now_ms, counts, failed))
        while len(self._marks) > 2 and self._marks[1][0] <= now_ms - WINDOW_MS:
            self._marks.popleft()
        _, before, failed_before = self._marks[0]
        fresh = [now - then for now, then in zip(counts, before, strict=True)]
        return sum(fresh), failed - failed_before, quantile(self._histogram.bounds, fresh, 0.95)
