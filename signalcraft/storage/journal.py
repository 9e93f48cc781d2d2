"""Append-only: who did what, when. Timelines and the live feed are views of it; it feeds the audit chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.group import Actor
from signalcraft.storage import audit
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
    """Appends a line; its id. What people and the system did beside alerts goes into the audit chain too."""
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
    if audit.is_audited(group_id, verb, actor):
        audit.take(tx, audit.Line(entry_id, workspace_id, now_ms, group_id, verb, actor, data or {}))
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


def latest_about(tx: Tx, workspace_id: int, verbs: Sequence[str], thing_id: int, *, scan: int = 2_000) -> Entry | None:
    """The newest line of one of these verbs about a thing, among the last lines that are kept; None: further back."""
    rows = tx.all(
        f"select {_FIELDS} from (select * from journal where workspace_id = ? order by id desc limit ?)"
        " where group_id is null and verb in (select value from json_each(?)) and json_extract(data, '$.id') = ?"
        " order by id desc limit 1",
        (workspace_id, scan, _ENCODER.encode(list(verbs)).decode(), ids.show(thing_id)),
    )
    return _entry(rows[0]) if rows else None


def last_id(tx: Tx) -> int:
    """The id of the newest line, 0 for an empty journal."""
    return int(tx.value("select coalesce(max(id), 0) from journal"))


def any_audited(tx: Tx, workspace_id: int) -> bool:
    """Whether there is a line that went into the audit chain."""
    sql = "select group_id, verb, actor from journal where workspace_id = ? and group_id is null order by id limit 99"
    for group_id, verb, actor in tx.all(sql, (workspace_id,)):
        if audit.is_audited(group_id, verb, msgspec.json.decode(actor, type=Actor)):
            return True
    return False


def forget_audited(tx: Tx, before_ms: int, limit: int) -> int:
    """Deletes lines about no alert group that are older: the audit chain, which had them too, has forgotten them."""
    return tx.run(
        "delete from journal where id in"
        " (select id from journal where id < ? and group_id is null order by id limit ?)",
        (ids.floor(before_ms), limit),
    )
