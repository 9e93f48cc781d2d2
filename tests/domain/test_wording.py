"""The words that every channel shares."""

from __future__ import annotations

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from signalcraft.domain import wording
from tests.channels.notes import ACKNOWLEDGED, NOTE, RESOLVED, SNOOZED, T0


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (-5, "0 s"), (0, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (3_599_999, "59 min"), (3_600_000, "1 h"),
        (12_000_000, "3 h 20 min"), (86_400_000, "1 d"), (187_200_000, "2 d 4 h"),
    ],
)  # fmt: skip
def test_durations(ms: int, words: str) -> None:
    assert wording.duration(ms) == words


def test_moments_are_in_the_workspaces_zone() -> None:
    assert wording.moment(T0, "Europe/Berlin") == "2026-03-01 11:00 CET"
    assert wording.moment(T0 + 120 * 86_400_000, "Europe/Berlin") == "2026-06-29 12:00 CEST"
    for unknown in ("Nowhere/Land", "", "../../etc/passwd", "/etc/passwd", "a\x00b"):
        assert wording.moment(T0, unknown) == "2026-03-01 10:00 UTC"


@given(st.integers(-(2**70), 2**70), st.sampled_from(["UTC", "Pacific/Kiritimati", "Etc/GMT+12"]))
def test_any_time_has_words(at_ms: int, zone: str) -> None:
    assert wording.moment(at_ms, zone)
    assert wording.rfc3339(at_ms).endswith("Z")
    assert email.utils.parsedate_to_datetime(wording.rfc5322(at_ms))


def test_times_for_machines() -> None:
    assert wording.rfc3339(T0 + 7) == "2026-03-01T10:00:00.007Z"
    assert wording.rfc5322(T0) == "Sun, 01 Mar 2026 10:00:00 +0000"


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("a\r\nb\tc", "a b c"),
        ("  \n ", ""),
        ("a\x00\x1b[31mb", "a [31mb"),
        ("\u202egnp.exe", "gnp.exe"),
        ("👨‍👩‍👧 family", "👨‍👩‍👧 family"),
        ("x" * 400, "x" * 299 + "…"),
        ("\n" * 100_000 + "x", "…"),
    ],
)
def test_one_line(raw: str, line: str) -> None:
    assert wording.one_line(raw) == line


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (NOTE.group, "open"),
        (ACKNOWLEDGED, "acknowledged by Ann Example"),
        (replace(ACKNOWLEDGED, acknowledged_by=None), "acknowledged"),
        (SNOOZED, "snoozed until 2026-03-01 12:00 CET"),
        (RESOLVED, "resolved by Ann Example"),
        (replace(RESOLVED, resolved_by=None), "resolved"),
    ],
)
def test_status(group: object, words: str) -> None:
    assert wording.status(replace(NOTE, group=group)) == words


@pytest.mark.parametrize(
    ("kind", "reason", "words"),
    [
        ("first", "", ""),
        ("first", "released from quarantine", "released from quarantine"),
        ("repeat", "severity rose to critical", "Again: severity rose to critical"),
        ("repeat", "", "Again"),
        ("escalation", "nobody acknowledged", "Escalated: nobody acknowledged"),
        ("resolved", "", "Resolved by Ann Example after 3 h 20 min"),
        ("resolved", "quiet for 7 days", "Resolved by Ann Example after 3 h 20 min: quiet for 7 days"),
    ],
)
def test_lead(kind: str, reason: str, words: str) -> None:
    group = RESOLVED if kind == "resolved" else NOTE.group
    assert wording.lead(replace(NOTE, kind=kind, reason=reason, group=group)) == words


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/x?y=1&z=2", True),
        ("http://a.example", True),
        ("javascript:alert(1)", False),
        ("https://a.example/ b", False),
        ("https://a.example/\n", False),
        ("", False),
        (None, False),
    ],
)
def test_only_what_a_browser_opens_is_a_link(url: str | None, expected: bool) -> None:
    assert bool(wording.web_link(url)) is expected
