"""Append-only: who did what, when. Timelines, audit and the live feed are views of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.domain.group import Actor
from signalcraft.storage.db import Row, Tx

_ENCODER: Final = msgspec.json.Encoder()
_FIELDS: Final = "id, workspace_id, at_ms, group_id, verb, actor, data"


class Entry(Struct, frozen=True):
    """One line of the journal. `data` is the verb's own small JSON object."""

    id: int
    workspace_id: int
    at_ms: int
    group_id: int | None
    verb: str
    actor: Actor
    data: dict[str, Any]


def add(
    tx: Tx,
    now_ms: int,
    workspace_id: int,
    group_id: int | None,
    verb: str,
    actor: Actor,
    data: Mapping[str, Any] | None = None,
) -> int:
    """Appends a line; its id."""
    entry_id = tx.new_id(now_ms)
    tx.run(
        "insert into journal values (?, ?, ?, ?, ?, ?, ?)",
        (
            entry_id,
            workspace_id,
            now_ms,
            group_id,
            verb,
            _ENCODER.encode(actor).decode(),
            _ENCODER.encode(data).decode() if data else "{}",
        ),
    )
    return entry_id


def _entry(row: Row) -> Entry:
    return Entry(
        row[0], row[1], row[2], row[3], row[4], msgspec.json.decode(row[5], type=Actor), msgspec.json.decode(row[6])
    )


def of_group(tx: Tx, group_id: int, after: int = 0, limit: int = 500) -> list[Entry]:
    """A group's lines in order, those after the line `after`."""
    rows = tx.all(
        f"select {_FIELDS} from journal where group_id = ? and id > ? order by id limit ?", (group_id, after, limit)
    )
    return [_entry(row) for row in rows]


def since(tx: Tx, workspace_id: int, after: int, limit: int = 500) -> list[Entry]:
    """A workspace's lines after the line `after`, in order: the live feed."""
    rows = tx.all(
        f"select {_FIELDS} from journal where id > ? and workspace_id = ? order by id limit ?",
        (after, workspace_id, limit),
    )
    return [_entry(row) for row in rows]


def last_id(tx: Tx) -> int:
    """The id of the newest line, 0 for an empty journal."""
    return int(tx.value("select coalesce(max(id), 0) from journal"))
