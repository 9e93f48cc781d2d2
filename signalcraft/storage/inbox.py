"""Every webhook exactly as it arrived: the bytes, zstd-compressed, and its headers without credentials."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec
import zstandard
from msgspec import Struct

from signalcraft.domain.event import HttpInbound
from signalcraft.errors import Conflict, NotFound
from signalcraft.storage.db import Row, Tx

RAW, ZSTD = 0, 1
_MADE: Final = threading.local()
_CREDENTIAL: Final = re.compile(
    r"(authorization|cookies?|credentials?|token|secret|passw(or)?d|pwd|(api|access|auth|routing|service)[-_]?key)$",
    re.IGNORECASE,
)
"""How the names of headers and query parameters end that hold a sender's credentials."""
_MASKED: Final = "***"
_KEPT_AS_FACT: Final = frozenset({"host", "content-length", "connection", "accept-encoding", "user-agent", "accept"})
_BODY_MAX: Final = 64 * 1024 * 1024
_FIELDS: Final = "id, workspace_id, integration_id, received_ms, state, why, rest, query, headers, codec, body"


class Packed(Struct, frozen=True):
    """A webhook ready to be stored: packed before the transaction, on the caller's thread."""

    rest: str
    query: str
    headers: str
    codec: int
    body: bytes


class Kept(Struct, frozen=True, kw_only=True):
    """A webhook as it was kept."""

    id: int
    workspace_id: int
    integration_id: int
    received_ms: int
    state: str
    why: str | None
    inbound: HttpInbound


def pack(inbound: HttpInbound) -> Packed:
    """Compresses the body, drops headers that hold credentials or say nothing, masks credentials in the query."""
    body = inbound.body
    codec = RAW
    if len(body) > 200:
        small = _compressor().compress(body)
        if len(small) < len(body):
            body, codec = small, ZSTD
    return Packed(inbound.rest, _query(inbound.query), _headers(inbound.headers), codec, body)


def _compressor() -> zstandard.ZstdCompressor:
    # Making one costs as much as using it; one a thread, since it may not be used by two at once.
    made: zstandard.ZstdCompressor | None = getattr(_MADE, "compressor", None)
    if made is None:
        made = _MADE.compressor = zstandard.ZstdCompressor(level=1)
    return made


def _headers(headers: Mapping[str, str]) -> str:
    kept = {k: v for k, v in headers.items() if k not in _KEPT_AS_FACT and not _is_credential(k)}
    return msgspec.json.encode(kept).decode()


def _query(query: str) -> str:
    if not query:
        return query
    parts = (part.partition("=") for part in query.split("&"))
    return "&".join(f"{name}={_MASKED}" if _is_credential(name) else name + sign + value for name, sign, value in parts)


@lru_cache(maxsize=512)  # every webhook asks, of the same few names
def _is_credential(name: str) -> bool:
    return _CREDENTIAL.search(name) is not None


def keep(
    tx: Tx,
    inbox_id: int,
    workspace_id: int,
    integration_id: int,
    now_ms: int,
    state: str,
    packed: Packed,
    why: str | None = None,
) -> None:
    """Stores one webhook. state: read or quarantined."""
    tx.run(
        f"insert into inbox ({_FIELDS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            inbox_id, workspace_id, integration_id, now_ms, state, why, packed.rest, packed.query, packed.headers,
            packed.codec, packed.body,
        ),
    )  # fmt: skip


def _kept(row: Row) -> Kept:
    body = row[10]
    if row[9] == ZSTD:
        body = zstandard.ZstdDecompressor().decompress(body, max_output_size=_BODY_MAX)
    inbound = HttpInbound("POST", row[6], row[7], msgspec.json.decode(row[8], type=dict[str, str]), body)
    return Kept(
        id=row[0],
        workspace_id=row[1],
        integration_id=row[2],
        received_ms=row[3],
        state=row[4],
        why=row[5],
        inbound=inbound,
    )


def get(tx: Tx, workspace_id: int, inbox_id: int) -> Kept:
    """One kept webhook. Raises NotFound, also for another workspace's."""
    row = tx.one(f"select {_FIELDS} from inbox where id = ? and workspace_id = ?", (inbox_id, workspace_id))
    if row is None:
        raise NotFound("no such webhook is kept")
    return _kept(row)


def body(tx: Tx, workspace_id: int, inbox_id: int) -> bytes:
    """The bytes as they arrived. Raises NotFound."""
    return get(tx, workspace_id, inbox_id).inbound.body


def quarantined(tx: Tx, workspace_id: int, before: int | None = None, limit: int = 50) -> list[Kept]:
    """What waits in quarantine, newest first; those with ids below `before`."""
    rows = tx.all(
        f"select {_FIELDS} from inbox where workspace_id = ? and state = 'quarantined' and id < ?"
        " order by id desc limit ?",
        (workspace_id, before or 2**63 - 1, limit),
    )
    return [_kept(row) for row in rows]


def waiting_of(tx: Tx, workspace_id: int, integration_id: int) -> list[int]:
    """The ids of what waits in quarantine of one integration, oldest first."""
    rows = tx.all(
        "select id from inbox where workspace_id = ? and state <> 'read' and state = 'quarantined'"
        " and integration_id = ? order by id",
        (workspace_id, integration_id),
    )
    return [number for (number,) in rows]


def leave_quarantine(tx: Tx, workspace_id: int, inbox_id: int, state: str) -> None:
    """Marks a quarantined webhook replayed or dropped. Raises NotFound, and Conflict when it is not in quarantine."""
    now = tx.value("select state from inbox where id = ? and workspace_id = ?", (inbox_id, workspace_id))
    if now is None:
        raise NotFound("no such webhook is kept")
    if now != "quarantined":
        raise Conflict(f"this webhook is not in quarantine but {now}")
    tx.run("update inbox set state = ? where id = ?", (state, inbox_id))


def still_unreadable(tx: Tx, inbox_id: int, why: str) -> None:
    """A replay failed again: the newest reason is shown."""
    tx.run("update inbox set why = ? where id = ?", (why, inbox_id))
