"""How long things take: counted in buckets, so that a percentile of any stretch of time can be told."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

SHORT: Final = (0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds, for what should take milliseconds."""
LONG: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds, for what passes through other people's servers."""


class Histogram:
    """Durations in seconds. `counts` has one more member than `bounds`: what was longer than all of them.

    Noted from one thread, or under the caller's lock; read from any.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float] = SHORT) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def saw(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[str, float]]:
        """As Prometheus has it: (upper bound, how many up to it), "+Inf" last."""
        out, total = [], 0
        for bound, n in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            total += n
            out.append((bound, float(total)))
        return out


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """The bound within which that share (0 to 1) of them lies; None of nothing, infinity beyond the last bound."""
    whole = sum(counts)
    if not whole:
        return None
    seen = 0
    for bound, n in zip(bounds, counts, strict=False):
        seen += n
        if seen >= share * whole:
            return bound
    return float("inf")
