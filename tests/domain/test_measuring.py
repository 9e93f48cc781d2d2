"""Durations in buckets, and what is told from them."""

from __future__ import annotations

import pytest

from signalcraft.domain.measuring import SHORT, Histogram, quantile


def test_each_duration_is_in_its_bucket() -> None:
    seen = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        seen.saw(seconds)
    assert seen.counts == [2, 1, 1]
    assert seen.count == 4
    assert seen.sum == pytest.approx(7.65)
    assert seen.cumulative() == [("0.1", 2.0), ("1.0", 3.0), ("+Inf", 4.0)]
    assert Histogram().bounds == SHORT


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 0.1), (0.5, 0.1), (0.51, 1.0), (0.75, 1.0), (0.76, float("inf")), (1.0, float("inf"))]
)
def test_a_share_lies_within_a_bound(share: float, expected: float) -> None:
    assert quantile((0.1, 1.0), [2, 1, 1], share) == expected


def test_of_nothing_there_is_none() -> None:
    assert quantile((0.1, 1.0), [0, 0, 0], 0.5) is None
