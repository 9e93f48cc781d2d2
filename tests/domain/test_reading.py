"""What strangers send is read or left out; only a body can be unreadable."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain import reading
from signalcraft.domain.event import TAGS_MAX
from signalcraft.errors import Unreadable

ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "body",
    [b"", b"   ", b"{", b"NaN", b'{"a": NaN}', b"hello", b'"\xff"', b"\xff\xfe{\x00}\x00", b"[" * 100_000,
     b'{"a":' * 100_000, b"[1e999]", b"9" * 5_000, b'"\\ud800"', b"{}{}", b"{'a': 1}"],
)  # fmt: skip
def test_a_body_that_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        reading.json_of(body)


def test_harmless_oddities_of_a_body_are_let_pass() -> None:
    assert reading.json_of(b'\xef\xbb\xbf {"a": 1, "a": 2} ') == {"a": 2}
    assert reading.json_of(b"123456789012345678901234567890") == 123456789012345678901234567890


@pytest.mark.parametrize(
    ("value", "text"),
    [(" a ", "a"), ("", None), (" \t", None), (5, "5"), (5.0, "5"), (5.5, "5.5"), (True, None), (None, None),
     ([1], None), ({}, None), (float("nan"), None), (float("inf"), None), (10**400, None), (-3, "-3")],
)  # fmt: skip
def test_text(value: object, text: str | None) -> None:
    assert reading.text(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [(5, 5), ("5", 5), (" 5 ", 5), ("5.0", 5), (5.0, 5), (5.5, None), ("5.5", None), ("x", None), (True, None),
     ("1e3", None), ("nan", None), (float("inf"), None), (10**30, None), ("9" * 40, None), ("1_000", None), (-2, -2)],
)  # fmt: skip
def test_whole(value: object, number: int | None) -> None:
    assert reading.whole(value) == number


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("2026-03-02T09:21:07.119Z", 1772443267119),
        ("2026-03-02T09:21:07.119999999Z", 1772443267119),  # nine digits, cut and not rounded
        ("2026-03-02T10:21:07.119+01:00", 1772443267119),
        ("2026-03-02T09:21:07.1+0000", 1772443267100),
        ("2026-03-02T09:21:07", 1772443267000),  # no zone is UTC
        ("2026-03-02 09:21:07 UTC", 1772443267000),
        ("2026-03-02t09:21:07z", 1772443267000),
        ("2026-03-02", 1772409600000),
        (1772443267.119, 1772443267119),
        (1709991285.873, 1709991285873),  # in floating point a little less
        ("1772443267.119", 1772443267119),
        (1772443267, 1772443267000),
        ("1772443267119", 1772443267119),
        (1772443267119.5, 1772443267119),
        (1772443267119000, 1772443267119),
        (1772443267119000000, 1772443267119),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31 23:59:55", -5000),
        ("2999-01-01T00:00:00Z", 32472144000000),
        ("0001-01-01T00:00:00+14:00", -62135647200000),
        (0, None),  # how senders write "none"
        ("0", None),
        (-5, None),
        (10**400, None),
        ("2026-03-02T09:21:07.119 000Z", None),
        ("2026-13-41T09:21:07Z", None),
        ("yesterday afternoon", None),
        ("2026", 2026000),
        ("", None),
        (True, None),
        (None, None),
        ([], None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_time_ms(value: object, ms: int | None) -> None:
    assert reading.time_ms(value) == ms


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (
            [["a", "1"], ["b", 2], ["c", True], ["d", None], ["e", []], ["f"], [1, "x"], "g"],
            {"a": "1", "b": "2", "c": "true", "g": ""},
        ),
        ([{"key": "a", "value": "1"}, {"name": "b", "value": "2"}, {"value": "3"}, 4, None], {"a": "1", "b": "2"}),
        ({"a": "1", "b": 1.5, "c": {}, " ": "x"}, {"a": "1", "b": "1.5"}),
        ("env:prod, team:core,urgent,", {"env": "prod", "team": "core", "urgent": ""}),
        (["url:http://x:80/"], {"url": "http://x:80/"}),
        (5, {}),
        (None, {}),
    ],
)  # fmt: skip
def test_tags(value: object, tags: dict[str, str]) -> None:
    assert reading.tags_of(value) == tags


def test_thousands_of_tags_are_cut() -> None:
    many = [[f"k{n}", "v"] for n in range(5_000)]
    assert len(reading.tags_of(many)) == TAGS_MAX
    assert len(reading.tags_of(dict(many))) == TAGS_MAX


@given(ANY_JSON)
def test_no_value_raises(value: Any) -> None:
    text = reading.text(value)
    assert text is None or (isinstance(text, str) and text == text.strip() != "")
    assert isinstance(reading.whole(value), int | None)
    assert isinstance(reading.time_ms(value), int | None)
    assert all(isinstance(k, str) and isinstance(v, str) for k, v in reading.tags_of(value).items())
    assert type(reading.obj(value)) is dict
    assert type(reading.items(value)) is list
    reading.first_text(value, value)
