"""What becomes of what is owed when a restored box goes on: each reason by itself."""

from __future__ import annotations

from typing import Any

import pytest

from signalcraft.domain.resuming import (
    BY_YOU,
    MAYBE_SENT,
    TOO_OLD,
    Choice,
    Copy,
    Escalation,
    Owed,
    escalation,
    messages,
)

COPY = Copy(copy_ms=10_000, lost_ms=20_000, mark=100)
NOW_MS = 100_000


def owed(**more: Any) -> Owed:
    """A message that the earlier box may have sent, unless something else is said."""
    usual = {
        "id": 1, "group_id": 7, "channel_id": 3, "kind": "opened", "owed_ms": 9_000, "next_ms": 9_000, "status": "open",
    }  # fmt: skip
    return Owed(**{**usual, **more})


def fate(one: Owed, choice: Choice | None = None) -> tuple[str, str]:
    verdict = messages([one], {}, COPY, choice or Choice(), NOW_MS)[one.id]
    return verdict.fate, verdict.why


@pytest.mark.parametrize(
    ("more", "choice", "expected", "why"),
    [
        ({}, Choice(), "drop", MAYBE_SENT),
        ({}, Choice(keep_all=True), "send", BY_YOU),
        ({}, Choice(keep=frozenset({1})), "send", BY_YOU),
        ({}, Choice(drop_all=True), "drop", BY_YOU),
        ({}, Choice(drop_older_ms=90_000), "drop", TOO_OLD),
        ({}, Choice(drop_older_ms=91_001), "drop", MAYBE_SENT),
        ({}, Choice(lost_ms=8_000), "drop", MAYBE_SENT),  # it lived at least until the copy
        ({"next_ms": 20_000}, Choice(), "drop", MAYBE_SENT),
        ({"next_ms": 20_001}, Choice(), "send", "the earlier box cannot have come to it before it was lost"),
        ({"next_ms": 20_001}, Choice(lost_ms=30_000), "drop", MAYBE_SENT),
        ({"next_ms": 20_001}, Choice(drop_all=True), "drop", BY_YOU),
        ({"id": 101}, Choice(drop_all=True), "send", "it came to be owed since the restore"),
        ({"kind": "update"}, Choice(drop_all=True), "send", "it brings a message up to date and makes no sound"),
        ({"kind": "test"}, Choice(keep_all=True), "drop", "it is a test message of before"),
        ({"kind": "test"}, Choice(keep=frozenset({1})), "send", BY_YOU),
        ({"status": None}, Choice(keep_all=True), "drop", "its alert group is no more"),
        ({"status": "resolved"}, Choice(keep_all=True), "drop", "resolved meanwhile"),
        ({"status": "resolved", "kind": "resolved"}, Choice(keep_all=True), "send", BY_YOU),
        ({"status": "acknowledged", "kind": "repeat"}, Choice(keep_all=True), "drop", "answered meanwhile"),
        ({"status": "acknowledged", "kind": "escalation"}, Choice(keep_all=True), "drop", "answered meanwhile"),
        ({"status": "acknowledged"}, Choice(keep_all=True), "send", BY_YOU),
    ],
)
def test_a_message(more: dict[str, Any], choice: Choice, expected: str, why: str) -> None:
    assert fate(owed(**more), choice) == (expected, why)


def test_so_many_can_have_left_as_the_channels_pace_allows() -> None:
    """Ten seconds at one in four: two, one that was on its way, and one at once."""
    row = [owed(id=n, group_id=n) for n in range(1, 8)]
    found = messages(row, {3: 4_000}, COPY, Choice(), NOW_MS)
    assert [n for n, one in found.items() if one.fate == "drop"] == [1, 2, 3, 4]
    # Another channel has a pace of its own, and one message says all that is owed of a group.
    row = [owed(id=n, group_id=50 if n < 6 else n) for n in range(1, 12)] + [owed(id=20, channel_id=4)]
    found = messages(row, {3: 4_000}, COPY, Choice(), NOW_MS)
    assert [n for n, one in found.items() if one.fate == "drop"] == [1, 2, 3, 4, 5, 6, 7, 8, 20]
    # What belongs to no group is told one by one.
    row = [owed(id=n, group_id=None, kind="digest") for n in range(1, 8)]
    found = messages(row, {3: 4_000}, COPY, Choice(), NOW_MS)
    assert [n for n, one in found.items() if one.fate == "drop"] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("more", "choice", "expected", "due_ms"),
    [
        ({}, Choice(), "later", 160_000),
        ({"status": "acknowledged"}, Choice(), "drop", None),
        ({"status": None}, Choice(), "drop", None),
        ({"due_ms": 100_001}, Choice(drop_all=True), "later", 100_001),
        ({"due_ms": 20_001}, Choice(drop_all=True), "send", None),
        ({"due_ms": 20_001}, Choice(lost_ms=20_001), "later", 160_000),
        ({"id": 101}, Choice(drop_all=True), "send", None),
        ({}, Choice(drop_all=True), "drop", None),
        ({}, Choice(drop_older_ms=80_000), "drop", None),
        ({}, Choice(drop_older_ms=90_000), "later", 160_000),
    ],
)
def test_an_escalation(more: dict[str, Any], choice: Choice, expected: str, due_ms: int | None) -> None:
    usual = {"id": 1, "due_ms": 15_000, "after_minutes": 1, "status": "open"}
    verdict = escalation(Escalation(**{**usual, **more}), COPY, choice, NOW_MS)
    assert (verdict.fate, verdict.due_ms) == (expected, due_ms)
