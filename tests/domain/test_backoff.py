"""How long to wait, how fast to speak: backoff, probes, gaps, budgets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain import backoff
from signalcraft.domain.backoff import delay_ms, probe_ms
from signalcraft.domain.pacing import Breaker, Budget, Lane

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("attempt", "age_ms", "ceiling"),
    [(1, 0, 1000), (2, 0, 2000), (3, 0, 4000), (6, 0, 32_000), (7, 0, 60_000), (50, 0, 60_000), (50, HOUR, 300_000)],
)
def test_the_ceiling_doubles_up_to_a_minute_and_to_five_after_an_hour(attempt: int, age_ms: int, ceiling: int) -> None:
    nearly = delay_ms(attempt, age_ms, 0.999999, first_ms=1000, cap_ms=60_000)
    assert ceiling * 0.99 < nearly < ceiling
    assert delay_ms(attempt, age_ms, 0.5, first_ms=1000, cap_ms=60_000) == ceiling // 2


@given(st.integers(-5, 10_000), st.integers(0, 10**10), st.floats(0, 1, exclude_max=True), st.integers(1, 10**5))
def test_a_wait_is_never_nothing_and_never_longer_than_the_cap(attempt: int, age: int, roll: float, first: int) -> None:
    wait = delay_ms(attempt, age, roll, first_ms=first, cap_ms=60_000)
    assert 0 < wait <= (60_000 if age < HOUR else 300_000)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_probe_comes_within_its_cap_and_not_at_once(failed: int, roll: float) -> None:
    assert 500 <= probe_ms(failed, roll, cap_ms=15_000) <= 15_000


def test_a_breaker_opens_after_failures_in_a_row_and_closes_with_one_answer() -> None:
    breaker = Breaker(3, 15_000)
    for n in range(2):
        breaker.failed(n, 0)
    assert not breaker.answered()
    for n in range(3):
        assert not breaker.open
        breaker.failed(10 + n, 0)
    assert breaker.open
    assert (breaker.since_ms, breaker.probe_at_ms) == (12, 1012)
    waits = []
    for _ in range(6):
        before = breaker.probe_at_ms
        breaker.failed(before, 0)
        waits.append(breaker.probe_at_ms - before)
    assert waits == [2000, 4000, 8000, 15_000, 15_000, 15_000]
    assert breaker.answered()
    assert not breaker.open


def test_a_clock_that_steps_back_makes_no_probe_or_pause_wait_longer() -> None:
    breaker = Breaker(1, 15_000)
    breaker.failed(HOUR, 0)
    assert breaker.next_probe_ms(0) == 15_000
    lane = Lane(1000, Budget(50), breaker)
    lane.posted(HOUR)
    lane.pause(HOUR, 30_000)
    lane.broken_probe_ms = HOUR
    assert lane.post_at_ms(0) == 30_000
    assert lane.probe_at_ms(0, broken=True) == backoff.BROKEN_PROBE_MS
    budget = Budget(1)
    budget.spend(HOUR)
    budget.pause(HOUR, 5000)
    assert budget.free_at_ms(0) == 5000


@given(st.lists(st.integers(0, 5_000), max_size=120), st.integers(1, 50))
def test_no_minute_ever_holds_more_edits_than_the_budget(gaps: list[int], per_minute: int) -> None:
    budget, now, sent = Budget(per_minute), 0, []
    for gap in gaps:
        now = max(now + gap, budget.free_at_ms(now + gap))
        budget.spend(now)
        sent.append(now)
    for i, at_ms in enumerate(sent):
        assert sum(1 for other in sent[i:] if other < at_ms + 60_000) <= per_minute


def test_a_budget_that_was_overdrawn_before_a_restart_waits_until_enough_has_left() -> None:
    budget = Budget(2)
    for at_ms in (0, 10, 20, 30):
        budget.spend(at_ms)
    assert budget.free_at_ms(40) == 20 + 60_500


def test_a_budget_of_nothing_is_no_limit() -> None:
    assert Budget(0).free_at_ms(7) <= 7


def test_posts_keep_their_gap_and_edits_have_none() -> None:
    lane = Lane(1000, Budget(50), Breaker(5, 15_000))
    assert lane.post_at_ms(5) <= 5
    lane.posted(5)
    assert lane.post_at_ms(6) == 1005
    assert lane.edit_at_ms(6) <= 6


def test_a_pause_of_edits_holds_no_post_and_the_other_way_round() -> None:
    lane = Lane(1000, Budget(50), Breaker(5, 15_000))
    lane.budget.pause(0, 60_000)
    assert lane.post_at_ms(0) <= 0
    assert lane.edit_at_ms(0) == 60_000
    other = Lane(1000, Budget(50), Breaker(5, 15_000))
    other.pause(0, 60_000)
    assert (other.post_at_ms(0), other.paused_until_ms(0)) == (60_000, 60_000)
    assert other.edit_at_ms(0) <= 0
    assert other.paused_until_ms(60_000) is None
