"""Events: one row a statement, and what has been said already."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.domain.event import Event
from signalcraft.domain.severity import Severity
from signalcraft.storage.db import Row, Tx

_FIELDS: Final = (
    "id, workspace_id, integration_id, group_id, inbox_id, source, kind, status, severity, project,"
    " environment, title, message,"
    " source_event_id, dedup_key, link, tags, users, action, actor, occurred_ms, received_ms"
)
FIELDS: Final = _FIELDS
_INSERT: Final = f"insert into event ({_FIELDS}) values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_ENCODER: Final = msgspec.json.Encoder()


class Stored(Struct, frozen=True, kw_only=True):
    """One event as stored; `tags` decoded, severity as its rank or None."""

    id: int
    workspace_id: int
    integration_id: int
    group_id: int | None
    inbox_id: int | None
    source: str
    kind: str
    status: str | None
    severity: int | None
    project: str | None
    environment: str | None
    title: str | None
    message: str
    source_event_id: str | None
    dedup_key: str | None
    link: str | None
    tags: dict[str, str]
    users: int | None
    action: str | None
    actor: str | None
    occurred_ms: int | None
    received_ms: int


def insert(
    tx: Tx,
    event_id: int,
    workspace_id: int,
    integration_id: int,
    source: str,
    group_id: int | None,
    inbox_id: int | None,
    event: Event,
    received_ms: int,
) -> None:
    """Stores one event."""
    tx.run(
        _INSERT,
        (
            event_id, workspace_id, integration_id, group_id, inbox_id, source, event.kind, event.status,
            None if event.severity is None else int(event.severity), event.project, event.environment, event.title,
            event.message,
            event.source_event_id, event.dedup_key, event.link,
            _ENCODER.encode(event.tags).decode() if event.tags else "{}",
            event.users, event.action, event.actor, event.occurred_ms, received_ms,
        ),
    )  # fmt: skip


def from_row(row: Row) -> Stored:
    """A Stored of one row of `FIELDS`."""
    return Stored(
        id=row[0], workspace_id=row[1], integration_id=row[2], group_id=row[3], inbox_id=row[4], source=row[5],
        kind=row[6], status=row[7], severity=row[8], project=row[9], environment=row[10], title=row[11],
        message=row[12], source_event_id=row[13], dedup_key=row[14], link=row[15],
        tags=msgspec.json.decode(row[16], type=dict[str, str]), users=row[17], action=row[18], actor=row[19],
        occurred_ms=row[20], received_ms=row[21],
    )  # fmt: skip


def as_event(stored: Stored) -> Event:
    """The statement again, for rules that are evaluated later than it arrived."""
    return Event(
        kind=stored.kind,  # type: ignore[arg-type]  # stored from the same literal
        status=stored.status,  # type: ignore[arg-type]
        severity=None if stored.severity is None else Severity(stored.severity),
        title=stored.title, message=stored.message, project=stored.project, environment=stored.environment,
        source_event_id=stored.source_event_id, dedup_key=stored.dedup_key, link=stored.link, tags=stored.tags,
        occurred_ms=stored.occurred_ms, users=stored.users, action=stored.action, actor=stored.actor,
    )  # fmt: skip


def first_firing(tx: Tx, group_id: int) -> Stored | None:
    """The first firing event of a group that is kept."""
    row = tx.one(
        f"select {_FIELDS} from event where group_id = ? and kind = 'alert' and status = 'firing' order by id limit 1",
        (group_id,),
    )
    return None if row is None else from_row(row)


def said_before(tx: Tx, scope: int, key: bytes, event_id: int) -> int | None:
    """Claims a statement for this event. The id of the event that made it before, or None when it is new."""
    if tx.run("insert into delivered_statement values (?, ?, ?) on conflict do nothing", (scope, key, event_id)):
        return None
    found = tx.value("select event_id from delivered_statement where integration_scope = ? and key = ?", (scope, key))
    return int(found)


def group_of(tx: Tx, event_id: int) -> int | None:
    """The group that an event belongs to."""
    found = tx.value("select group_id from event where id = ?", (event_id,))
    return None if found is None else int(found)
