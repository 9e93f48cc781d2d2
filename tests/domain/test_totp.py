"""The codes of an authenticator app, held against the standards' own numbers."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain.totp import STEP_MS, code_at, matching_step, shown, uri

SECRET = b"12345678901234567890"  # of both standards' appendices
NOW_MS = 1_772_442_000_000
STEP = NOW_MS // STEP_MS


@pytest.mark.parametrize(
    ("counter", "code"),
    [(0, "755224"), (1, "287082"), (2, "359152"), (3, "969429"), (4, "338314"), (5, "254676"), (6, "287922"),
     (7, "162583"), (8, "399871"), (9, "520489")],
)  # fmt: skip
def test_the_values_of_rfc_4226_appendix_d(counter: int, code: str) -> None:
    assert code_at(SECRET, counter) == code


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_values_of_rfc_6238_appendix_b(seconds: int, code: str) -> None:
    assert code_at(SECRET, seconds * 1000 // STEP_MS, digits=8) == code
    assert matching_step(SECRET, code[2:], seconds * 1000) == seconds // 30


def test_a_clock_may_be_off_by_one_step_and_no_more() -> None:
    for off in (-1, 0, 1):
        assert matching_step(SECRET, code_at(SECRET, STEP + off), NOW_MS) == STEP + off
    for off in (-2, 2, 20):
        assert matching_step(SECRET, code_at(SECRET, STEP + off), NOW_MS) is None


def test_a_used_step_and_those_before_it_work_no_more() -> None:
    assert matching_step(SECRET, code_at(SECRET, STEP), NOW_MS, used_step=STEP) is None
    assert matching_step(SECRET, code_at(SECRET, STEP - 1), NOW_MS, used_step=STEP) is None
    assert matching_step(SECRET, code_at(SECRET, STEP + 1), NOW_MS, used_step=STEP) == STEP + 1


@given(st.text(max_size=10))
def test_nothing_but_the_code_matches(code: str) -> None:
    right = {code_at(SECRET, STEP + off) for off in (-1, 0, 1)}
    assert (matching_step(SECRET, code, NOW_MS) is not None) == (code in right)


@given(st.binary(min_size=20, max_size=20), st.integers(min_value=0, max_value=2**40))
def test_a_code_has_six_digits(secret: bytes, step: int) -> None:
    code = code_at(secret, step)
    assert len(code) == 6
    assert code.isdigit()


def test_what_an_app_reads() -> None:
    parts = urlsplit(uri(SECRET, "sam+on@example.com", "SignalCraft: München"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/SignalCraft: München:sam+on@example.com"
    assert parse_qs(parts.query) == {"secret": [shown(SECRET)], "issuer": ["SignalCraft: München"]}
    assert shown(b"\x00" * 20) == "A" * 32
