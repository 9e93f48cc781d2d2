"""What became of one problem before: every alert group of the same key, each with its episodes."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct

from signalcraft.domain.group import Group
from signalcraft.storage import behind
from signalcraft.storage.db import Tx
from signalcraft.storage.journal import Entry

GROUPS_MAX: Final = 20
LINES_MAX: Final = 500
"""Of one group: what began, answered and ended its latest episodes."""
_BEGINS: Final = ("opened", "episode", "reopened", "broke_through", "acknowledgement_expired")
_VERBS: Final = (*_BEGINS, "acknowledged", "resolved")


class Episode(Struct, kw_only=True):
    """One stretch of a group's life. Times in ms; None where the journal does not tell.

    `began_by`: what began it (opened, episode, reopened, broke_through, acknowledgement_expired). `end`: resolved, or
    `next` where another episode began before anybody resolved it; None while it lasts.
    """

    number: int
    began_ms: int
    began_by: str
    why: str = ""
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    ended_ms: int | None = None
    end: Literal["resolved", "next"] | None = None
    resolved_by: str | None = None
    note: str | None = None


class Past(Struct, frozen=True):
    """One group of the key with its episodes, the latest first. `whole`: all of its episodes are here."""

    group: Group
    episodes: list[Episode]
    whole: bool


def of(tx: Tx, group: Group) -> list[Past]:
    """The groups of a group's key, itself among them, the latest begun first, at most 20."""
    return [_past(tx, one) for one in behind.of_key(tx, group, GROUPS_MAX)]


def _past(tx: Tx, group: Group) -> Past:
    found = behind.lines(tx, group.id, _VERBS, LINES_MAX)
    episodes: list[Episode] = []
    for line in found:
        _take(episodes, line)
    # Counted from the end, since the beginning may be more lines ago than were read.
    for number, episode in zip(range(group.episode, 0, -1), reversed(episodes), strict=False):
        episode.number = number
    return Past(group, episodes[::-1], len(found) < LINES_MAX)


def _take(episodes: list[Episode], line: Entry) -> None:
    if line.verb in _BEGINS:
        if episodes and episodes[-1].ended_ms is None:
            episodes[-1].ended_ms, episodes[-1].end = line.at_ms, "next"
        by = line.actor.name if line.verb == "reopened" and line.actor.kind != "system" else ""
        episodes.append(Episode(number=0, began_ms=line.at_ms, began_by=line.verb, why=_why(line.verb, line.data, by)))
    elif not episodes:
        return  # of an episode that began before what was read
    elif line.verb == "acknowledged":
        episodes[-1].acknowledged_ms, episodes[-1].acknowledged_by = line.at_ms, line.actor.name
    else:
        last = episodes[-1]
        last.ended_ms, last.end, last.resolved_by = line.at_ms, "resolved", line.actor.name
        last.note = line.data.get("note") or line.data.get("why")


def _why(verb: str, data: dict[str, Any], by: str) -> str:
    if verb == "reopened":
        return f"{by} opened it again" if by else "it came back after it was resolved"
    if verb == "broke_through":
        return f"it rose from {data.get('from')} to {data.get('to')} while it was {data.get('was')}"
    if verb == "acknowledgement_expired":
        return "it came back when its acknowledgement had expired"
    return "it came back after a time of quiet" if verb == "episode" else "the first event"
