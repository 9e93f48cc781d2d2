"""What the page of an alert group is drawn from beside the group itself: tags, minutes, kindred groups, its past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from signalcraft.domain import ids
from signalcraft.domain.group import Actor, Group
from signalcraft.storage import groups
from signalcraft.storage.db import Tx
from signalcraft.storage.journal import Entry

_LAST: Final = 2**63 - 1
_TAGS: Final = msgspec.json.Decoder(dict[str, str])


def tags(tx: Tx, group_id: int, limit: int) -> list[tuple[dict[str, str], int]]:
    """The tags of a group's latest `limit` events, alike ones counted."""
    rows = tx.all(
        "select tags, count(*) from"
        " (select tags from event where group_id = ? and kind = 'alert' order by id desc limit ?) group by tags",
        (group_id, limit),
    )
    return [(_TAGS.decode(text), n) for text, n in rows]


def minutes(tx: Tx, group_id: int, from_minute: int) -> list[tuple[int, int]]:
    """(minute since 1970, events) from a minute on, in order; minutes without events are missing."""
    rows = tx.all(
        "select minute, events from group_minute where group_id = ? and minute >= ? order by minute",
        (group_id, from_minute),
    )
    return [(row[0], row[1]) for row in rows]


def events_between(tx: Tx, group_id: int, from_ms: int, until_ms: int) -> tuple[int, int, int] | None:
    """How many events a group had in [from, until), with the ids of the first and the last; None for none."""
    row = tx.one(
        "select count(*), min(id), max(id) from event where group_id = ? and id >= ? and id < ?",
        (group_id, ids.floor(from_ms), min(ids.floor(until_ms), _LAST)),
    )
    return None if row is None or not row[0] else (row[0], row[1], row[2])


def began_between(tx: Tx, workspace_id: int, from_ms: int, until_ms: int, limit: int) -> list[Group]:
    """The groups of a workspace that began then, the latest first."""
    rows = tx.all(
        f"select {groups.FIELDS} from alert_group where id >= ? and id < ? and +workspace_id = ?"
        " order by id desc limit ?",
        (ids.floor(from_ms), ids.floor(until_ms), workspace_id, limit),
    )
    return [groups.from_row(row) for row in rows]


def with_title(tx: Tx, workspace_id: int, title: str, limit: int) -> list[Group]:
    """The groups of a title, the latest begun first."""
    rows = tx.all(
        f"select {groups.FIELDS} from alert_group indexed by alert_group_title where workspace_id = ? and title = ?"
        " order by id desc limit ?",
        (workspace_id, title, limit),
    )
    return [groups.from_row(row) for row in rows]


def of_key(tx: Tx, group: Group, limit: int) -> list[Group]:
    """The groups of a group's key, itself among them, the latest begun first."""
    rows = tx.all(
        f"select {groups.FIELDS} from alert_group where identity = ? and +workspace_id = ? and +group_key = ?"
        " order by id desc limit ?",
        (group.identity, group.workspace_id, group.group_key, limit),
    )
    return [groups.from_row(row) for row in rows]


def lines(tx: Tx, group_id: int, verbs: Sequence[str], limit: int) -> list[Entry]:
    """The latest `limit` lines of a group's journal with one of these verbs, in order."""
    rows = tx.all(
        "select id, workspace_id, at_ms, group_id, verb, actor, data from journal where group_id = ?"
        " and verb in (select value from json_each(?)) order by id desc limit ?",
        (group_id, msgspec.json.encode(list(verbs)).decode(), limit),
    )
    return [
        Entry(r[0], r[1], r[2], r[3], r[4], msgspec.json.decode(r[5], type=Actor), msgspec.json.decode(r[6]))
        for r in reversed(rows)
    ]
