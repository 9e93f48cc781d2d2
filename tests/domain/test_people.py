"""Names, ranks, sessions and lockouts, as tables."""

from __future__ import annotations

import pytest

from signalcraft.domain.people import (
    Failures,
    account_lockout,
    address_lockout,
    check_owner_stays,
    check_rank,
    clean_email,
    clean_name,
    failed,
    locked_ms,
    session_holds,
)
from signalcraft.domain.roles import ROLES, Role
from signalcraft.errors import Conflict, Forbidden, Invalid

NOW = 1_772_442_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("sam@example.com", "sam@example.com"),
        ("  Sam.Smith+Alerts@Example.COM ", "sam.smith+alerts@example.com"),
        ("root@localhost", "root@localhost"),
        ("jörg@müller.example", "jörg@müller.example"),
    ],
)
def test_an_address_is_kept_in_lower_case(text: str, email: str) -> None:
    assert clean_email(text) == email


@pytest.mark.parametrize(
    "text",
    ["", "sam", "@example.com", "sam@", "a@b@c", "sam smith@example.com", "sam@exam\x00ple.com", "a@b\nBcc: c@d",
     "<sam@example.com>", "x" * 251 + "@b.c", "\u202esam@example.com"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        clean_email(text)
    assert caught.value.path == "email"


def test_a_name_is_one_line() -> None:
    assert clean_name("  Sam \t van\n der  Berg ") == "Sam van der Berg"
    for bad in ("", "   ", "x" * 101, "a\x00b", "a\x1b[31mb"):
        with pytest.raises(Invalid):
            clean_name(bad)


@pytest.mark.parametrize("actor", ROLES)
@pytest.mark.parametrize("other", ROLES)
def test_ranks(actor: Role, other: Role) -> None:
    if actor == "owner" or (actor == "admin" and other != "owner"):
        check_rank(actor, other)
    else:
        with pytest.raises(Forbidden):
            check_rank(actor, other)


@pytest.mark.parametrize(
    ("role", "becomes", "owners", "stays"),
    [
        ("owner", "owner", 1, True),
        ("owner", "admin", 1, False),
        ("owner", None, 1, False),
        ("owner", None, 2, True),
        ("owner", "viewer", 2, True),
        ("admin", None, 1, True),
        ("viewer", "member", 0, True),
    ],
)
def test_the_last_owner_stays(role: Role, becomes: Role | None, owners: int, stays: bool) -> None:
    if stays:
        check_owner_stays(role, becomes, owners)
    else:
        with pytest.raises(Conflict, match="last owner"):
            check_owner_stays(role, becomes, owners)


@pytest.mark.parametrize(
    ("seen_ago", "expires_in", "holds"),
    [
        (0, 1, True),
        (12 * HOUR - 1, HOUR, True),
        (12 * HOUR, HOUR, False),
        (0, 0, False),
        (0, -HOUR, False),
        (-HOUR, HOUR, True),  # the clock stepped back
    ],
)
def test_a_session_ends_by_idleness_or_by_age(seen_ago: int, expires_in: int, holds: bool) -> None:
    assert session_holds(NOW, NOW - seen_ago, NOW + expires_in, 12 * HOUR) is holds


def fail(times: int, at_ms: int, before: Failures | None = None, every_ms: int = 1000) -> tuple[Failures, int]:
    """So many failures, one after the other; what is remembered, and when the last one was."""
    now, failures = at_ms, before or Failures()
    for i in range(times):
        now = at_ms + i * every_ms
        failures = failed(failures, now, account_lockout(10))
    return failures, now


def test_ten_failures_lock_an_account_for_a_quarter_of_an_hour() -> None:
    nine, now = fail(9, NOW)
    assert locked_ms(nine, now) == 0
    ten, now = fail(10, NOW)
    assert locked_ms(ten, now) == 15 * MINUTE
    assert locked_ms(ten, now + 15 * MINUTE - 1) == 1
    assert locked_ms(ten, now + 15 * MINUTE) == 0


def test_each_lock_lasts_twice_as_long_up_to_a_day() -> None:
    failures, now, waits = Failures(), NOW, []
    for _ in range(9):
        failures, now = fail(10, now, failures)
        waits.append(locked_ms(failures, now) // MINUTE)
        now += locked_ms(failures, now)
    assert waits == [15, 30, 60, 120, 240, 480, 960, 1440, 1440]


def test_failures_far_apart_never_lock() -> None:
    failures, now = fail(100, NOW, every_ms=2 * MINUTE)
    assert locked_ms(failures, now) == 0


def test_a_day_after_the_lock_nothing_is_remembered() -> None:
    failures, now = fail(10, NOW)
    later = now + 15 * MINUTE + 24 * HOUR
    assert failed(failures, later, account_lockout(10)) == Failures(1, later, 0, 0, later)
    soon = failed(failures, later - 1, account_lockout(10))
    assert soon.locks == 1


def test_an_address_waits_a_minute_then_two_and_at_most_fifteen() -> None:
    failures, now, waits = Failures(), NOW, []
    for _ in range(6):
        for _ in range(5):
            failures = failed(failures, now, address_lockout(5))
        waits.append(locked_ms(failures, now) // MINUTE)
        now += locked_ms(failures, now)
    assert waits == [1, 2, 4, 8, 15, 15]
    assert failed(failures, now + HOUR, address_lockout(5)).locks == 0


def test_without_a_limit_nothing_locks() -> None:
    failures = Failures()
    for _ in range(1000):
        failures = failed(failures, NOW, account_lockout(0))
    assert locked_ms(failures, NOW) == 0
