"""Who is owed what: the decisions of telling, without the ledger they are written to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from signalcraft.domain.delivery import NoteKind
from signalcraft.domain.group import Status
from signalcraft.domain.severity import Severity

Pending = Literal["owed", "sending"]
"""The state of a message that is to become a group's message in a channel; None where there is no such message."""
Say = Literal["first", "repeat", "update", "nothing"]


def tells_new_channel(status: Status, quiet: bool) -> bool:
    """Whether a channel that was not told yet is told now. A snooze holds for new channels too, an answer does not."""
    return not (quiet and status == "snoozed")


def to_known_channel(*, posted: bool, pending: Pending | None, told_again: bool) -> Say:
    """What a channel that has a conversation of the group is owed.

    A message that is still owed shows the state of the moment it is sent, so it needs no edit; one that is on its way
    shows an earlier state, so it does. Where there is no message (it was dropped, or it failed), only what everybody
    must hear again starts one: a channel that refused it is not asked again for each event.
    """
    if posted:
        return "repeat" if told_again else "update"
    if pending is None:
        return "first" if told_again else "nothing"
    if told_again:
        return "repeat"
    return "update" if pending == "sending" else "nothing"


def keeps_first_when_resolved(severity: Severity) -> bool:
    """Whether a first message that has not left is still owed when its group is over: what was serious is told."""
    return severity >= Severity.HIGH


_LOUDNESS = {"": 0, "here": 2, "channel": 3}


def loudest(mentions: Iterable[str]) -> str:
    """The mention that reaches most people: the whole channel, those here, a named group or person, nobody."""
    return max(mentions, key=lambda mention: _LOUDNESS.get(mention, 1), default="")


def joined_kind(kinds: Iterable[NoteKind]) -> NoteKind:
    """The kind of one message that says several: a group's first message, an escalation, else a repeat."""
    said = list(kinds)
    for kind in ("first", "escalation", "repeat"):
        if kind in said:
            return kind
    return said[0]


def mention_now(kind: NoteKind, status: Status, mention: str) -> str:
    """Who is called when it is sent: nobody, for a first message or an escalation that somebody answered meanwhile."""
    if status == "resolved" or (kind != "repeat" and status != "open"):
        return ""
    return mention
