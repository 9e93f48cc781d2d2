"""How long to wait before trying again. Chance comes in as an argument: `roll`, from 0 up to but not including 1."""

from __future__ import annotations

from typing import Final

FIRST_HOUR_MS: Final = 3_600_000
LATER_CAP_MS: Final = 300_000
"""The longest wait once the first hour is over."""
LEAST_MS: Final = 100
BROKEN_PROBE_MS: Final = 600_000
"""How often a channel that waits for a person is tried all the same."""


def delay_ms(attempt: int, age_ms: int, roll: float, *, first_ms: int, cap_ms: int) -> int:
    """Exponential with full jitter: between nothing and first, 2 × first, 4 × first … `attempt` counts from 1.

    The ceiling stops at `cap_ms` in the first hour of `age_ms`, at five minutes (or cap_ms, if longer) after it.
    """
    cap = cap_ms if age_ms < FIRST_HOUR_MS else max(cap_ms, LATER_CAP_MS)
    ceiling = min(cap, first_ms << min(max(attempt, 1) - 1, 40))
    return max(int(ceiling * roll), min(LEAST_MS, ceiling))


def probe_ms(failed: int, roll: float, *, cap_ms: int) -> int:
    """When to ask a silent channel again: 1, 2, 4 … s up to `cap_ms`, of which the second half is chance.

    `failed` counts the probes that failed since the channel was paused, from 0.
    """
    ceiling = min(cap_ms, 1000 << min(failed, 40))
    return ceiling - int(ceiling / 2 * roll)
