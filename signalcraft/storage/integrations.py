"""Integrations: the senders that may speak to us. Secrets stay sealed here; the registry opens them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.errors import NotFound
from signalcraft.storage.db import Row, Tx

_FIELDS: Final = (
    "id, workspace_id, name, kind, config, secrets, previous_secrets, token_hash, token_hint, previous_token_hash,"
    " previous_until_ms, enabled, created_ms, updated_ms"
)


class Integration(Struct, kw_only=True):
    """One row. `config` is the JSON object of what is no secret; `previous_*` is good until `previous_until_ms`."""

    id: int
    workspace_id: int
    name: str
    kind: str
    config: dict[str, Any]
    secrets: bytes | None = None
    previous_secrets: bytes | None = None
    token_hash: bytes
    token_hint: str
    previous_token_hash: bytes | None = None
    previous_until_ms: int | None = None
    enabled: bool = True
    created_ms: int
    updated_ms: int


def _from_row(row: Row) -> Integration:
    return Integration(
        id=row[0], workspace_id=row[1], name=row[2], kind=row[3], config=msgspec.json.decode(row[4]), secrets=row[5],
        previous_secrets=row[6], token_hash=row[7], token_hint=row[8], previous_token_hash=row[9],
        previous_until_ms=row[10], enabled=bool(row[11]), created_ms=row[12], updated_ms=row[13],
    )  # fmt: skip


def secrets_place(integration_id: int, *, previous: bool = False) -> str:
    """What the vault binds the secrets of an integration to."""
    return f"integration/{integration_id}/{'previous_secrets' if previous else 'secrets'}"


def every(reader: Tx, workspace_id: int | None = None) -> list[Integration]:
    """All integrations (of a workspace) by name."""
    if workspace_id is None:
        rows = reader.all(f"select {_FIELDS} from integration order by name, id")
    else:
        rows = reader.all(f"select {_FIELDS} from integration where workspace_id = ? order by name", (workspace_id,))
    return [_from_row(row) for row in rows]


def get(reader: Tx, workspace_id: int, integration_id: int) -> Integration:
    """Raises NotFound, also for another workspace's."""
    row = reader.one(
        f"select {_FIELDS} from integration where id = ? and workspace_id = ?", (integration_id, workspace_id)
    )
    if row is None:
        raise NotFound("no such integration")
    return _from_row(row)


def find(reader: Tx, workspace_id: int, name: str) -> Integration | None:
    """The integration of a name."""
    row = reader.one(f"select {_FIELDS} from integration where workspace_id = ? and name = ?", (workspace_id, name))
    return None if row is None else _from_row(row)


def token_in_use(reader: Tx, token_hash: bytes, but_id: int) -> bool:
    """Whether another integration of the box has this token now, or had it until a rotation that still overlaps."""
    return bool(
        reader.value(
            "select exists (select 1 from integration"
            " where (token_hash = ?1 or previous_token_hash = ?1) and id <> ?2)",
            (token_hash, but_id),
        )
    )


def insert(tx: Tx, row: Integration) -> None:
    """Stores a new one."""
    tx.run(
        f"insert into integration ({_FIELDS}) values ({', '.join('?' * 14)})",
        (
            row.id, row.workspace_id, row.name, row.kind, msgspec.json.encode(row.config).decode(), row.secrets,
            row.previous_secrets, row.token_hash, row.token_hint, row.previous_token_hash, row.previous_until_ms,
            int(row.enabled), row.created_ms, row.updated_ms,
        ),
    )  # fmt: skip


def store(tx: Tx, row: Integration) -> None:
    """Stores what an integration became."""
    tx.run(
        "update integration set name = ?, config = ?, secrets = ?, previous_secrets = ?, token_hash = ?,"
        " token_hint = ?, previous_token_hash = ?, previous_until_ms = ?, enabled = ?, updated_ms = ? where id = ?",
        (
            row.name, msgspec.json.encode(row.config).decode(), row.secrets, row.previous_secrets, row.token_hash,
            row.token_hint, row.previous_token_hash, row.previous_until_ms, int(row.enabled), row.updated_ms, row.id,
        ),
    )  # fmt: skip


def delete(tx: Tx, integration_id: int) -> None:
    """Its events and groups stay."""
    tx.run("delete from integration where id = ?", (integration_id,))
