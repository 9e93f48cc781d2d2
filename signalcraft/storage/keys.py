"""API keys: their hashes and what each may do. The keys themselves are never stored."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.storage.db import Row, Tx

_FIELDS: Final = "id, workspace_id, name, prefix, scopes, created_ms, expires_ms, last_used_ms, revoked_ms, account"


class KeyRow(Struct, frozen=True, kw_only=True):
    """One API key as stored, without its hash."""

    id: int
    workspace_id: int
    name: str
    prefix: str
    scopes: list[str]
    created_ms: int
    expires_ms: int | None
    last_used_ms: int | None
    revoked_ms: int | None
    account: str = ""


def _row(row: Row) -> KeyRow:
    return KeyRow(
        id=row[0],
        workspace_id=row[1],
        name=row[2],
        prefix=row[3],
        scopes=msgspec.json.decode(row[4], type=list[str]),
        created_ms=row[5],
        expires_ms=row[6],
        last_used_ms=row[7],
        revoked_ms=row[8],
        account=row[9],
    )


def insert(tx: Tx, key: KeyRow, key_hash: bytes) -> None:
    """Stores a new key under its hash."""
    tx.run(
        "insert into api_key (id, workspace_id, name, prefix, key_hash, scopes, created_ms, expires_ms, account)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.id,
            key.workspace_id,
            key.name,
            key.prefix,
            key_hash,
            msgspec.json.encode(key.scopes).decode(),
            key.created_ms,
            key.expires_ms,
            key.account,
        ),
    )


def live(tx: Tx) -> list[tuple[bytes, KeyRow]]:
    """(hash, key) of every key that is not revoked, of all workspaces."""
    rows = tx.all(f"select {_FIELDS}, key_hash from api_key where revoked_ms is null")
    return [(row[10], _row(row)) for row in rows]


def ending(tx: Tx, after_ms: int, before_ms: int) -> list[KeyRow]:
    """Keys in use that end between these times, of all workspaces, the first to end coming first."""
    rows = tx.all(
        f"select {_FIELDS} from api_key where revoked_ms is null and last_used_ms is not null"
        " and expires_ms > ? and expires_ms <= ? order by expires_ms, id",
        (after_ms, before_ms),
    )
    return [_row(row) for row in rows]


def page(tx: Tx, workspace_id: int, before: int, limit: int) -> list[KeyRow]:
    """The keys of a workspace with ids below `before`, newest first, revoked ones too."""
    rows = tx.all(
        f"select {_FIELDS} from api_key where workspace_id = ? and id < ? order by id desc limit ?",
        (workspace_id, before, limit),
    )
    return [_row(row) for row in rows]


def get(tx: Tx, workspace_id: int, key_id: int) -> KeyRow | None:
    """One key of a workspace, or None."""
    row = tx.one(f"select {_FIELDS} from api_key where id = ? and workspace_id = ?", (key_id, workspace_id))
    return None if row is None else _row(row)


def revoke(tx: Tx, key_id: int, now_ms: int) -> None:
    """From now on the key opens nothing."""
    tx.run("update api_key set revoked_ms = ? where id = ? and revoked_ms is null", (now_ms, key_id))


def used(tx: Tx, key_id: int, now_ms: int) -> None:
    """The key was used just now."""
    tx.run("update api_key set last_used_ms = max(coalesce(last_used_ms, 0), ?) where id = ?", (now_ms, key_id))
