"""What the inbox offers to choose from, and how often each group was heard of lately. Both look at a bounded part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.domain.group import Actor
from signalcraft.storage.db import Tx

LOOKED_AT: Final = 2_000
"""Alert groups that facets are counted in: those seen last."""
VALUES_MAX: Final = 100
TAGS_MAX: Final = 50
TAG_VALUES_MAX: Final = 20
HOURS: Final = 24
_TAGS: Final = msgspec.json.Decoder(dict[str, str])
_ACTOR: Final = msgspec.json.Decoder(Actor)


class Counted(Struct, frozen=True):
    """A value and how many of the groups have it."""

    value: str
    count: int


class CountedTag(Struct, frozen=True):
    """A tag's key, how many groups have it, and its commonest values."""

    key: str
    count: int
    values: list[Counted]


class CountedActor(Struct, frozen=True):
    """Somebody and how many of the groups are theirs."""

    actor: Actor
    count: int


class Facets(Struct, frozen=True, kw_only=True):
    """The commonest first. `groups`: how many were looked at; `without_…`: how many of them have none."""

    groups: int
    projects: list[Counted]
    environments: list[Counted]
    sources: list[Counted]
    assignees: list[CountedActor]
    tags: list[CountedTag]
    without_project: int
    without_environment: int
    without_assignee: int


def facets(tx: Tx, workspace_id: int) -> Facets:
    """What the groups that were seen last are made of."""
    rows = tx.all(
        "select project, environment, source, assignee, tags from alert_group where workspace_id = ?"
        " order by last_seen_ms desc, id desc limit ?",
        (workspace_id, LOOKED_AT),
    )
    projects, environments, sources, assignees = (Counter(row[column] for row in rows) for column in range(4))
    keys: Counter[str] = Counter()
    values: dict[str, Counter[str]] = {}
    for text, times in Counter(row[4] for row in rows).items():
        for key, value in _TAGS.decode(text).items():
            keys[key] += times
            of_key = values.setdefault(key, Counter())
            # A key with a new value each time (a trace id) must not be counted at length.
            if value in of_key or len(of_key) < 20 * TAG_VALUES_MAX:
                of_key[value] += times
    return Facets(
        groups=len(rows),
        projects=_counted(projects, VALUES_MAX),
        environments=_counted(environments, VALUES_MAX),
        sources=_counted(sources, VALUES_MAX),
        assignees=_people(assignees),
        tags=[CountedTag(key, n, _counted(values[key], TAG_VALUES_MAX)) for key, n in keys.most_common(TAGS_MAX)],
        without_project=projects[None],
        without_environment=environments[None],
        without_assignee=assignees[None],
    )


def _counted(found: Counter[Any], most: int) -> list[Counted]:
    return [Counted(value, n) for value, n in found.most_common(most + 1) if value is not None][:most]


def _people(found: Counter[Any]) -> list[CountedActor]:
    known: dict[tuple[str, str], CountedActor] = {}
    for text, n in found.items():
        if text is not None:
            actor = _ACTOR.decode(text)
            before = known.get((actor.kind, actor.id))
            known[actor.kind, actor.id] = CountedActor(actor, n + (before.count if before else 0))
    return sorted(known.values(), key=lambda one: -one.count)[:VALUES_MAX]


def hourly(tx: Tx, group_ids: Sequence[int], workspace_id: int, now_ms: int) -> dict[int, list[int]]:
    """Events of each group in each of the last 24 hours, the present minute being the end of the last one.

    Groups of other workspaces are left out; one without an event has zeros.
    """
    asked = msgspec.json.encode(list(group_ids)).decode()
    first_minute = now_ms // 60_000 - HOURS * 60 + 1
    own = tx.all(
        "select id from alert_group where id in (select value from json_each(?)) and workspace_id = ?",
        (asked, workspace_id),
    )
    counts = {row[0]: [0] * HOURS for row in own}
    rows = tx.all(
        "select group_id, (minute - ?1) / 60 as hour, sum(events) from group_minute"
        " where group_id in (select value from json_each(?2)) and minute >= ?1 and minute < ?1 + ?3 group by 1, 2",
        (first_minute, msgspec.json.encode(list(counts)).decode(), HOURS * 60),
    )
    for group_id, hour, events in rows:
        counts[group_id][hour] = events
    return counts
