"""Token buckets and whose address counts, as tables and properties."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.config.limits import Limits
from signalcraft.errors import TooMany
from signalcraft.http.auth import Rates
from signalcraft.http.depth import refuse_deep
from signalcraft.http.limits import BURST, Addresses, Buckets, Exceeded
from signalcraft.http.problems import Malformed
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


# -- what proxies say -------------------------------------------------------------------------------------------------

OURS = ["192.0.2.0/24", "2001:db8:ffff::/48"]


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ('"[2001:db8:1:2::9]"', "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("unknown", "192.0.2.1"),
        ("198.51.100.7, unknown", "192.0.2.1"),
        ("198.51.100.7, <script>, 192.0.2.9", "192.0.2.9"),
        ("198.51.100.7, 2001:db8:ffff::1, 192.0.2.9", "198.51.100.7"),
        ("198.51.100.7, " + "192.0.2.9, " * 5000, "192.0.2.9"),
    ],
)
def test_what_a_proxy_may_say_of_its_client(forwarded: str, address: str) -> None:
    assert Addresses(OURS).of(scope("192.0.2.1", forwarded)) == address


def test_a_proxy_that_is_seen_as_ipv4_inside_ipv6_is_the_same_one() -> None:
    assert Addresses(OURS).of(scope("::ffff:192.0.2.1", "198.51.100.7")) == "198.51.100.7"


def test_the_last_word_on_the_transport_counts_and_only_a_proxys() -> None:
    addresses = Addresses(OURS)
    for client, said, proto in (
        ("192.0.2.1", [b"https"], "https"),
        ("192.0.2.1", [b"https", b"http"], "http"),
        ("192.0.2.1", [b"http, https"], "https"),
        ("198.51.100.7", [b"https"], ""),
    ):
        asked = {"client": (client, 1), "headers": [(b"x-forwarded-proto", one) for one in said]}
        assert addresses.proto(asked) == proto


def test_a_live_dashboard_is_never_refused() -> None:
    """A working day of one refetch a second, from an address that nobody else shares."""
    person, address = Buckets(300, 1.0), Buckets(1000, 1000 / 900)
    for second in range(8 * 3600):
        assert person.take(1, second * 1000).within
        assert address.take("203.0.113.9", second * 1000).within


def test_what_is_exceeded_is_counted_each_time_and_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    exceeded = Exceeded()
    for at_ms in range(0, 120_000, 1000):
        exceeded.note("api", "203.0.113.9", at_ms)
    assert exceeded.counts == {"api": 120}
    assert len(caplog.records) == 2


@pytest.mark.parametrize("body", [b"[" * 64 + b"]" * 64, b'{"a": "' + b"[" * 999 + b'"}', b'["\\\\", "\\"[["]' * 50])
def test_json_that_is_not_too_deep(body: bytes) -> None:
    refuse_deep(body, 64)


@pytest.mark.parametrize("body", [b"[" * 65, b'{"a":' * 65, b'"' + b'\\"' * 2_000_000 + b'"' + b"[" * 65])
def test_json_that_is_too_deep(body: bytes) -> None:
    with pytest.raises(Malformed, match="levels"):
        refuse_deep(body, 64)


@pytest.mark.parametrize(
    ("limit", "path", "query", "most"),
    [("search", "/api/alert-groups", b"limit=5&q=disk", 60), ("upload", "/api/config/apply", b"", 10)],
)
def test_searches_and_uploads_have_limits_of_their_own(limit: str, path: str, query: bytes, most: int) -> None:
    rates = Rates(Limits())
    asked: dict[str, Any] = {"path": path, "query_string": query, "state": {}}
    for _ in range(most):
        assert rates.take(asked, 1, 0) is not None
    with pytest.raises(TooMany) as caught:
        rates.take(asked, 1, 0)
    assert caught.value.name == limit
    assert asked["state"]["spent"].limit == most
    assert rates.take(asked, 2, 0) is not None
    assert rates.take(asked, 1, caught.value.retry_after_s * 1000) is not None
    assert rates.take({**asked, "path": "/api/people", "query_string": b""}, 1, 0) is not None


def test_behind_its_burst_a_caller_has_sixty_requests_a_minute() -> None:
    rates = Rates(Limits())
    asked: dict[str, Any] = {"path": "/api/channels", "query_string": b"", "state": {}}
    for _ in range(BURST):
        assert rates.take(asked, 1, 0) is not None
    within = 0
    for at_ms in range(500, 60_001, 500):
        try:
            rates.take(asked, 1, at_ms)
        except TooMany:
            continue
        within += 1
    assert within == 60


def test_a_rate_of_zero_is_none() -> None:
    rates = Rates(Limits(api_per_minute=0, search_per_minute=0, upload_per_minute=0))
    for path, query in (("/api/alert-groups", b"q=disk"), ("/api/config/apply", b"")):
        assert rates.take({"path": path, "query_string": query, "state": {}}, 1, 0) is None
