"""What is old enough to go, found on a reader; and its rows deleted on the writer, as long as they still may go.

Nothing of an alert group that is not resolved is ever among it, however old.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.storage.db import Tx

DAYS: Final = ("group_days", "delivery_days", "escalation_days", "payload_days", "audit_days")
OF_GROUP: Final = ("event", "journal", "delivery", "escalation")
"""Tables of a group that may have very many rows: they go a stretch at a time, before the group itself."""
WITH_GROUP: Final = ("comment", "conversation", "share", "alert_group")
"""What goes in one transaction with the group."""
_SAME_MS: Final = 1 << 15
"""Ids that one transaction gives, at most: the events of a webhook stand so close behind it."""


class Own(Struct, frozen=True, kw_only=True):
    """What a workspace says itself; None: as the settings say."""

    group_days: int | None = None
    delivery_days: int | None = None
    escalation_days: int | None = None
    payload_days: int | None = None
    audit_days: int | None = None
    archive: bool | None = None


class OldGroup(NamedTuple):
    """A group that may go. `seen`: how it was, so that a change meanwhile is noticed."""

    id: int
    resolved_ms: int
    events: int
    seen: tuple[int, int, int]


def own(tx: Tx, workspace_id: int) -> Own:
    """What a workspace says itself."""
    row = tx.one(f"select {', '.join(DAYS)}, archive from workspace_retention where workspace_id = ?", (workspace_id,))
    if row is None:
        return Own()
    archive = None if row[-1] is None else bool(row[-1])
    return Own(**dict(zip(DAYS, row[:-1], strict=True)), archive=archive)


def put_own(tx: Tx, workspace_id: int, said: Own) -> None:
    """Sets it."""
    archive = None if said.archive is None else int(said.archive)
    tx.run(
        f"insert or replace into workspace_retention (workspace_id, {', '.join(DAYS)}, archive)"
        " values (?, ?, ?, ?, ?, ?, ?)",
        (workspace_id, *(getattr(said, name) for name in DAYS), archive),
    )


def month_of(at_ms: int) -> str:
    """`2026-03`, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m")


# -- what may go ------------------------------------------------------------------------------------------------------

_SEEN: Final = (
    "g.updated_ms, (select count(*) from comment c where c.group_id = g.id),"
    " (select coalesce(max(coalesce(c.edited_ms, c.created_ms)), 0) from comment c where c.group_id = g.id)"
)


def groups(
    tx: Tx, workspace_id: int, before_ms: int, now_ms: int, after: tuple[int, int] = (0, 0), limit: int = 500
) -> list[OldGroup]:
    """Groups that were resolved before then, to which nothing is owed; those behind `after` (resolved_ms, id)."""
    rows = tx.all(
        f"select g.id, g.resolved_ms, g.count, {_SEEN} from alert_group g"
        " where g.workspace_id = ?1 and g.status = 'resolved' and g.resolved_ms < ?2"
        " and (g.resolved_ms, g.id) > (?3, ?4)"
        " and not exists (select 1 from delivery d where d.group_id = g.id and d.state in ('owed', 'sending'))"
        " and not exists (select 1 from restored r where r.kind = 'alert_group' and r.row = g.id and r.until_ms > ?5)"
        " order by g.resolved_ms, g.id limit ?6",
        (workspace_id, before_ms, *after, now_ms, limit),
    )
    return [OldGroup(row[0], row[1], row[2], tuple(row[3:])) for row in rows]


def count_groups(tx: Tx, workspace_id: int, before_ms: int) -> tuple[int, int]:
    """How many resolved groups are that old, and how many firing events they counted."""
    row = tx.one(
        "select count(*), coalesce(sum(count), 0) from alert_group"
        " where workspace_id = ? and status = 'resolved' and resolved_ms < ?",
        (workspace_id, before_ms),
    )
    return (0, 0) if row is None else (row[0], row[1])


_OLD: Final = {
    # Times by which the rest goes; a row's id tells when it was made, so that newer ones are not read.
    "event": "t.group_id is null",
    "delivery": (
        "t.state not in ('owed', 'sending') and coalesce(t.sent_ms, t.tried_ms, t.owed_ms) < ?2"
        " and not exists (select 1 from alert_group g where g.id = t.group_id and g.status <> 'resolved')"
    ),
    "escalation": (
        "t.state <> 'pending' and coalesce(t.ended_ms, t.due_ms) < ?2"
        " and not exists (select 1 from alert_group g where g.id = t.group_id and g.status <> 'resolved')"
    ),
    "inbox": (
        "t.state <> 'quarantined' and not exists (select 1 from event e join alert_group g on g.id = e.group_id"
        f" where e.id > t.id and e.id < t.id + {_SAME_MS} and e.inbox_id = t.id and g.status <> 'resolved')"
    ),
    "quarantine": "t.state = 'quarantined'",
}
_AT: Final = {
    "event": "t.received_ms",
    "delivery": "coalesce(t.sent_ms, t.tried_ms, t.owed_ms)",
    "escalation": "coalesce(t.ended_ms, t.due_ms)",
    "inbox": "t.received_ms",
    "quarantine": "t.received_ms",
}
_NOT_HELD: Final = " and not exists (select 1 from restored r where r.kind = '{}' and r.row = t.id and r.until_ms > ?6)"


def old_rows(
    tx: Tx, what: str, workspace_id: int, before_ms: int, now_ms: int, after: int = 0, limit: int = 5000
) -> list[tuple[int, int]]:
    """(id, when) of rows with an age of their own, in order of their ids, behind `after`.

    `what`: event (of no group), delivery, escalation, inbox, quarantine.
    """
    table = table_of(what)
    unused = "" if "?2" in _OLD[what] else " and ?2 is not null"
    return tx.all(
        f"select t.id, {_AT[what]} from {table} t where t.id > ?1 and t.id < ?3 and t.workspace_id = ?4"
        f" and {_OLD[what]}{_NOT_HELD.format(table)}{unused} order by t.id limit ?5",
        (after, before_ms, ids.floor(before_ms), workspace_id, limit, now_ms),
    )


def count_rows(tx: Tx, what: str, workspace_id: int, before_ms: int) -> int:
    """How many they are."""
    unused = "" if "?2" in _OLD[what] else " and ?2 is not null"
    return int(
        tx.value(
            f"select count(*) from {table_of(what)} t where t.id < ?1 and t.workspace_id = ?3 and {_OLD[what]}{unused}",
            (ids.floor(before_ms), before_ms, workspace_id),
        )
    )


def table_of(what: str) -> str:
    """The table of such rows."""
    return "inbox" if what == "quarantine" else what


def old_audit(tx: Tx, workspace_id: int, before_ms: int, limit: int = 5000) -> list[tuple[int, int]]:
    """(seq, when) of the oldest rows of the audit chain, up to the first that is not that old."""
    found = []
    for seq, at_ms in tx.all(
        "select seq, at_ms from audit where workspace_id = ? order by seq limit ?", (workspace_id, limit)
    ):
        if at_ms >= before_ms:
            break
        found.append((seq, at_ms))
    return found


def count_audit(tx: Tx, workspace_id: int, before_ms: int) -> int:
    """How many rows of the audit chain are that old."""
    return int(tx.value("select count(*) from audit where workspace_id = ? and at_ms < ?", (workspace_id, before_ms)))


def ids_of(tx: Tx, table: str, groups: list[int], limit: int) -> list[int]:
    """The first rows of these groups, by their ids."""
    listed = msgspec.json.encode(groups).decode()
    sql = f"select id from {table} where group_id in (select value from json_each(?)) order by id limit ?"
    return [row[0] for row in tx.all(sql, (listed, limit))]


def living(tx: Tx, table: str, key: str, keys: list[int], workspace_id: int | None) -> list[int]:
    """Those of the keys that are still there."""
    found: list[int] = []
    for start in range(0, len(keys), 5000):
        listed = msgspec.json.encode(keys[start : start + 5000]).decode()
        of = " and workspace_id = ?2" if workspace_id is not None else " and ?2 is null"
        rows = tx.all(
            f"select distinct {key} from {table} where {key} in (select value from json_each(?1)){of}",
            (listed, workspace_id),
        )
        found += [row[0] for row in rows]
    return found


# -- deleting ---------------------------------------------------------------------------------------------------------

_STILL: Final = {
    "event": "",
    "journal": "",
    "delivery": " and state not in ('owed', 'sending')",
    "escalation": " and state <> 'pending'",
}


def delete(tx: Tx, table: str, keys: list[int]) -> int:
    """Deletes rows of no group, or of one that is resolved still; how many."""
    listed = msgspec.json.encode(keys).decode()
    if table == "inbox":
        return tx.run(
            "delete from inbox as t where id in (select value from json_each(?))"
            " and not exists (select 1 from event e join alert_group g on g.id = e.group_id"
            f" where e.id > t.id and e.id < t.id + {_SAME_MS} and e.inbox_id = t.id and g.status <> 'resolved')",
            (listed,),
        )
    return tx.run(
        f"delete from {table} as t where id in (select value from json_each(?)){_STILL[table]}"
        " and not exists (select 1 from alert_group g where g.id = t.group_id and g.status <> 'resolved')",
        (listed,),
    )


def delete_groups(tx: Tx, found: list[OldGroup]) -> dict[str, int]:
    """Deletes groups with all that hangs on them; one that changed since it was found stays. How many, by table."""
    gone: dict[str, int] = {}
    for one in found:
        row = tx.one(f"select g.status, {_SEEN} from alert_group g where g.id = ?", (one.id,))
        if row is None or row[0] != "resolved" or tuple(row[1:]) != one.seen:
            continue
        if any(tx.value(f"select 1 from {table} where group_id = ? limit 1", (one.id,)) for table in OF_GROUP):
            continue
        tx.run("delete from group_minute where group_id = ?", (one.id,))
        for table in WITH_GROUP:
            column = "id" if table == "alert_group" else "group_id"
            gone[table] = gone.get(table, 0) + tx.run(f"delete from {table} where {column} = ?", (one.id,))
    return gone


def vacuum(tx: Tx, pages: int) -> int:
    """Gives so many free pages at the end of the file back; how many are free now."""
    tx.run(f"pragma incremental_vacuum({pages})")
    return int(tx.value("pragma freelist_count"))


def pages(tx: Tx) -> tuple[int, int]:
    """Pages in all, and free ones."""
    return int(tx.value("pragma page_count")), int(tx.value("pragma freelist_count"))


# -- putting back -----------------------------------------------------------------------------------------------------


def put_back(
    tx: Tx, table: str, columns: list[str], rows: list[list[Any]], until_ms: int, blobs: frozenset[str]
) -> int:
    """Rows of the archive into their table, those that are there already left out; how many were new."""
    import base64

    known = [row[0] for row in tx.all("select name from pragma_table_info(?)", (table,))]
    places = [i for i, name in enumerate(columns) if name in known]
    names = [columns[i] for i in places]
    key = columns.index("id") if "id" in columns else None
    new = 0
    for row in rows:
        values = [base64.b64decode(row[i]) if columns[i] in blobs and row[i] is not None else row[i] for i in places]
        new += tx.run(
            f"insert into {table} ({', '.join(names)}) values ({', '.join('?' * len(names))}) on conflict do nothing",
            values,
        )
        if key is not None and table in ("alert_group", "delivery", "escalation", "inbox", "event"):
            tx.run("insert or replace into restored values (?, ?, ?)", (table, row[key], until_ms))
    return new


def forget_holds(tx: Tx, now_ms: int, limit: int) -> int:
    """Rows that were put back and may go again; how many."""
    return tx.run(
        "delete from restored where (kind, row) in (select kind, row from restored where until_ms <= ? limit ?)",
        (now_ms, limit),
    )
