"""What becomes of what is owed when a restored box goes on: the decision, without the ledger.

The box that was lost went on after the copy was made, for a time that nobody here has seen. What it may have sent in
that time must not be sent again; what it cannot have sent must not be lost (docs/decisions/0017-after-a-restore.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct

Fate = Literal["send", "later", "drop"]

MAYBE_SENT: Final = "the earlier box may have sent it before it was lost"
TOO_OLD: Final = "it is older than you want to hear of"
BY_YOU: Final = "you asked for it"
UNSAID: Final = frozenset({MAYBE_SENT, TOO_OLD, BY_YOU})
"""Reasons to drop a message that perhaps nobody has heard."""


class Choice(Struct, frozen=True):
    """What a person wants. `keep`: ids of deliveries that are sent whatever else is said; `lost_ms`: until when the
    earlier box went on, where they know better.
    """

    drop_older_ms: int | None = None
    keep: frozenset[int] = frozenset()
    keep_all: bool = False
    drop_all: bool = False
    lost_ms: int | None = None


class Copy(Struct, frozen=True):
    """What the box was restored from: up to when it tells, until when the earlier box may have gone on, its last id."""

    copy_ms: int
    lost_ms: int
    mark: int


class Owed(Struct, frozen=True):
    """A message that is owed. `status`: of its group, None where it has none any more."""

    id: int
    group_id: int | None
    channel_id: int
    kind: str
    owed_ms: int
    next_ms: int
    status: str | None


class Verdict(Struct, frozen=True):
    """What becomes of one, and why, in a few words for people. `due_ms`: of an escalation that comes later."""

    fate: Fate
    why: str
    due_ms: int | None = None


def messages(
    owed: Iterable[Owed], gaps_ms: Mapping[int, int], copy: Copy, choice: Choice, now_ms: int
) -> dict[int, Verdict]:
    """The verdict on each message, by id. `owed` comes in the order in which a channel is told.

    `gaps_ms`: the least time between two messages to a channel: so few can have left before the box was lost.
    """
    lost_ms = max(copy.lost_ms if choice.lost_ms is None else choice.lost_ms, copy.copy_ms)
    left: dict[int, int] = {}
    told: set[tuple[int, int | None]] = set()

    def may_be_sent(one: Owed) -> bool:
        if one.next_ms > lost_ms:
            return False
        key = (one.channel_id, one.group_id)
        if key in told and one.group_id is not None:
            return True  # one message says all that is owed of a group
        gap_ms = gaps_ms.get(one.channel_id, 0)
        # One was on its way, and one more may leave at once; after that the channel's pace holds.
        room = left.setdefault(one.channel_id, (lost_ms - copy.copy_ms) // gap_ms + 2 if gap_ms else 1 << 30)
        if not room:
            return False
        left[one.channel_id] = room - 1
        told.add(key)
        return True

    return {one.id: _message(one, may_be_sent, copy, choice, now_ms) for one in owed}


def _message(one: Owed, may_be_sent: Callable[[Owed], bool], copy: Copy, choice: Choice, now_ms: int) -> Verdict:
    if one.id > copy.mark:
        return Verdict("send", "it came to be owed since the restore")
    if one.kind == "update":
        return Verdict("send", "it brings a message up to date and makes no sound")
    maybe = one.kind != "test" and may_be_sent(one)  # asked of each: it counts
    if one.id in choice.keep:
        return Verdict("send", BY_YOU)
    if one.kind == "test":
        return Verdict("drop", "it is a test message of before")
    if one.status is None:
        return Verdict("drop", "its alert group is no more")
    if one.kind != "resolved" and one.status == "resolved":
        return Verdict("drop", "resolved meanwhile")
    if one.kind in ("repeat", "escalation") and one.status != "open":
        return Verdict("drop", "answered meanwhile")
    if choice.drop_all:
        return Verdict("drop", BY_YOU)
    if choice.drop_older_ms is not None and now_ms - one.owed_ms > choice.drop_older_ms:
        return Verdict("drop", TOO_OLD)
    if maybe and not choice.keep_all:
        return Verdict("drop", MAYBE_SENT)
    return Verdict("send", BY_YOU if maybe else "the earlier box cannot have come to it before it was lost")


class Escalation(Struct, frozen=True):
    """One that is to come."""

    id: int
    due_ms: int
    after_minutes: int
    status: str | None


def escalation(one: Escalation, copy: Copy, choice: Choice, now_ms: int) -> Verdict:
    """The verdict on an escalation."""
    lost_ms = max(copy.lost_ms if choice.lost_ms is None else choice.lost_ms, copy.copy_ms)
    if one.status != "open":
        return Verdict("drop", "answered or over meanwhile")
    if one.due_ms > now_ms:
        return Verdict("later", "at its time", one.due_ms)
    if one.id > copy.mark or one.due_ms > lost_ms:
        return Verdict("send", "it came due while nobody could be told")
    if choice.drop_all:
        return Verdict("drop", BY_YOU)
    if choice.drop_older_ms is not None and now_ms - one.due_ms > choice.drop_older_ms:
        return Verdict("drop", TOO_OLD)
    return Verdict(
        "later",
        "the earlier box may have told it: it counts again from now",
        now_ms + one.after_minutes * 60_000,
    )
