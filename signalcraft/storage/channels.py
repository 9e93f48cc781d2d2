"""Channels: where people are told. Secrets stay sealed here; the registry opens them."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from signalcraft.errors import NotFound
from signalcraft.storage.db import Row, Tx

_FIELDS: Final = (
    "id, workspace_id, name, kind, config, secrets, enabled, state, broken_why, broken_ms, last_sent_ms,"
    " previous_until_ms, created_ms, updated_ms"
)


class Channel(Struct, kw_only=True):
    """One row. `config` is the JSON object of what is no secret; `broken_why` says what a person must mend."""

    id: int
    workspace_id: int
    name: str
    kind: str
    config: dict[str, Any]
    secrets: bytes | None = None
    enabled: bool = True
    state: Literal["ok", "broken"] = "ok"
    broken_why: str | None = None
    broken_ms: int | None = None
    last_sent_ms: int | None = None
    previous_until_ms: int | None = None
    created_ms: int
    updated_ms: int


def _from_row(row: Row) -> Channel:
    return Channel(
        id=row[0], workspace_id=row[1], name=row[2], kind=row[3], config=msgspec.json.decode(row[4]), secrets=row[5],
        enabled=bool(row[6]), state=row[7], broken_why=row[8], broken_ms=row[9], last_sent_ms=row[10],
        previous_until_ms=row[11], created_ms=row[12], updated_ms=row[13],
    )  # fmt: skip


def secrets_place(channel_id: int) -> str:
    """What the vault binds the secrets of a channel to."""
    return f"channel/{channel_id}/secrets"


def every(reader: Tx, workspace_id: int | None = None) -> list[Channel]:
    """All channels (of a workspace) by name."""
    if workspace_id is None:
        rows = reader.all(f"select {_FIELDS} from channel order by name, id")
    else:
        rows = reader.all(f"select {_FIELDS} from channel where workspace_id = ? order by name", (workspace_id,))
    return [_from_row(row) for row in rows]


def get(reader: Tx, workspace_id: int, channel_id: int) -> Channel:
    """Raises NotFound, also for another workspace's."""
    row = reader.one(f"select {_FIELDS} from channel where id = ? and workspace_id = ?", (channel_id, workspace_id))
    if row is None:
        raise NotFound("no such channel")
    return _from_row(row)


def find(reader: Tx, workspace_id: int, name: str) -> Channel | None:
    """The channel of a name."""
    row = reader.one(f"select {_FIELDS} from channel where workspace_id = ? and name = ?", (workspace_id, name))
    return None if row is None else _from_row(row)


def insert(tx: Tx, row: Channel) -> None:
    """Stores a new one."""
    tx.run(
        f"insert into channel ({_FIELDS}) values ({', '.join('?' * 14)})",
        (
            row.id, row.workspace_id, row.name, row.kind, msgspec.json.encode(row.config).decode(), row.secrets,
            int(row.enabled), row.state, row.broken_why, row.broken_ms, row.last_sent_ms, row.previous_until_ms,
            row.created_ms, row.updated_ms,
        ),
    )  # fmt: skip


def store(tx: Tx, row: Channel) -> None:
    """Stores what a person made of a channel. When it was last heard from is not theirs to change."""
    tx.run(
        "update channel set name = ?, config = ?, secrets = ?, enabled = ?, state = ?, broken_why = ?, broken_ms = ?,"
        " previous_until_ms = ?, updated_ms = ? where id = ?",
        (
            row.name, msgspec.json.encode(row.config).decode(), row.secrets, int(row.enabled), row.state,
            row.broken_why, row.broken_ms, row.previous_until_ms, row.updated_ms, row.id,
        ),
    )  # fmt: skip


def set_state(tx: Tx, channel_id: int, why: str | None, now_ms: int) -> tuple[int, str] | None:
    """Marks a channel broken (why) or mended (None). (workspace id, name) where that changed anything, else None."""
    if why is None:
        changed = tx.run(
            "update channel set state = 'ok', broken_why = null, broken_ms = null where id = ? and state = 'broken'",
            (channel_id,),
        )
    else:
        changed = tx.run(
            "update channel set state = 'broken', broken_why = ?1,"
            " broken_ms = case state when 'ok' then ?2 else broken_ms end"
            " where id = ?3 and (state = 'ok' or broken_why <> ?1)",
            (why, now_ms, channel_id),
        )
    if not changed:
        return None
    row = tx.one("select workspace_id, name from channel where id = ?", (channel_id,))
    return None if row is None else (row[0], row[1])


def sent(tx: Tx, channel_id: int, now_ms: int) -> None:
    """Notes that the channel took something."""
    tx.run("update channel set last_sent_ms = ? where id = ?", (now_ms, channel_id))


def delete(tx: Tx, channel_id: int) -> int:
    """Deletes a channel and what it was told; the number of messages owed to it, which are dropped."""
    dropped = tx.run(
        "update delivery set state = 'dropped', lease_ms = null, last_error = 'the channel was deleted'"
        " where channel_id = ? and state in ('owed', 'sending')",
        (channel_id,),
    )
    tx.run("delete from conversation where channel_id = ?", (channel_id,))
    tx.run("delete from channel where id = ?", (channel_id,))
    return dropped
