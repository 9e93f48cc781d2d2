"""Token buckets and whose address counts, as tables and properties."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.http.limits import Addresses, Buckets
from signalcraft.http.wire import cursor_of, read_cursor, read_time, time_of


@given(
    st.lists(st.integers(0, 5_000), min_size=1, max_size=200), st.integers(1, 20), st.floats(0.01, 20, allow_nan=False)
)
def test_never_more_than_the_burst_and_what_was_refilled(waits: list[int], burst: int, rate: float) -> None:
    buckets = Buckets(burst, rate)
    now_ms = 0
    within = 0
    for wait in waits:
        now_ms += wait
        spent = buckets.take("one", now_ms)
        within += spent.within
        assert within <= burst + now_ms * rate / 1000 + 1e-6
        assert 0 <= spent.remaining <= burst
        if not spent.within:
            # Whoever waits as long as they were told gets in.
            assert Buckets.take(buckets, "one", now_ms + spent.retry_after_s * 1000).within
            now_ms += spent.retry_after_s * 1000
            within += 1


@given(st.integers(1, 20), st.integers(0, 10_000_000))
def test_one_key_never_pays_for_another(burst: int, now_ms: int) -> None:
    buckets = Buckets(burst, 0.001)
    for _ in range(burst + 3):
        buckets.take("greedy", now_ms)
    assert buckets.take("modest", now_ms).within


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    buckets = Buckets(2, 1)
    assert [buckets.take(1, 10_000).within for _ in range(3)] == [True, True, False]
    assert not buckets.take(1, 0).within


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalcraft.http.limits._KEPT_MAX", 100)
    buckets = Buckets(10, 0.001)
    for i in range(5_000):
        buckets.take(i, i)
        assert len(buckets._left) <= 100


def scope(client: str | None, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", f.encode()) for f in forwarded]
    return {"client": (client, 1) if client is not None else None, "headers": headers}


@pytest.mark.parametrize(
    ("trusted", "client", "forwarded", "address"),
    [
        ([], "192.0.2.1", [], "192.0.2.1"),
        ([], "192.0.2.1", ["203.0.113.5"], "192.0.2.1"),
        (["192.0.2.0/24"], "192.0.2.1", ["203.0.113.5"], "203.0.113.5"),
        (["192.0.2.0/24"], "198.51.100.1", ["203.0.113.5"], "198.51.100.1"),
        (["192.0.2.0/24"], "192.0.2.1", ["10.0.0.1, 203.0.113.5, 192.0.2.7"], "203.0.113.5"),
        (["192.0.2.0/24"], "192.0.2.1", ["10.0.0.1", "203.0.113.5"], "203.0.113.5"),
        (["192.0.2.0/24"], "192.0.2.1", [], "192.0.2.1"),
        (["192.0.2.0/24"], "192.0.2.1", [", ,"], "192.0.2.1"),
        ([], "2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ([], "2001:db8:1:2::9", [], "2001:db8:1:2::/64"),
        ([], "::ffff:192.0.2.1", [], "192.0.2.1"),
        ([], "", [], ""),
        ([], None, [], ""),
    ],
)
def test_whose_address_counts(trusted: list[str], client: str | None, forwarded: list[str], address: str) -> None:
    assert Addresses(trusted).of(scope(client, *forwarded)) == address


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_that_was_shown_is_read_as_the_same(ms: int) -> None:
    assert read_time(time_of(ms), "at") == ms


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3))
def test_a_cursor_says_what_was_put_in(numbers: list[int]) -> None:
    assert read_cursor(cursor_of(*numbers), len(numbers)) == tuple(numbers)
