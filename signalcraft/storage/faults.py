"""The program's own errors, alike ones in one row."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from signalcraft.logs.catching import Caught
from signalcraft.storage.db import Tx

KEPT_MAX: Final = 500
_FIELDS: Final = "fingerprint, kind, logger, place, level, message, trace, release, request_id, n, first_ms, last_ms"


class Fault(Struct, frozen=True):
    """So many alike between first and last. `message`, `trace`, `release` and `request_id` are of the latest one."""

    fingerprint: bytes
    kind: str
    logger: str
    place: str
    level: str
    message: str
    trace: str
    release: str
    request_id: str
    n: int
    first_ms: int
    last_ms: int


def add(tx: Tx, caught: Caught, release: str, now_ms: int) -> None:
    """Counts what was caught; above KEPT_MAX kinds those go that were not seen for the longest time."""
    tx.run(
        f"insert into fault ({_FIELDS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set"
        " n = n + excluded.n, last_ms = max(last_ms, excluded.last_ms), place = excluded.place,"
        " message = excluded.message, trace = excluded.trace, release = excluded.release,"
        " request_id = excluded.request_id",
        (
            *(caught.fingerprint, caught.kind, caught.logger, caught.place, caught.level, caught.message),
            *(caught.trace, release, caught.request_id, caught.n, now_ms, now_ms),
        ),
    )
    tx.run(
        "delete from fault where fingerprint in"
        " (select fingerprint from fault order by last_ms desc limit -1 offset ?)",
        (KEPT_MAX,),
    )


def latest(tx: Tx, before: tuple[int, bytes] | None, limit: int) -> list[Fault]:
    """The latest first, behind a place (last_ms, fingerprint)."""
    last_ms, fingerprint = before or (2**63 - 1, b"\xff" * 17)
    rows = tx.all(
        f"select {_FIELDS} from fault where (last_ms, fingerprint) < (?, ?) order by last_ms desc, fingerprint desc"
        " limit ?",
        (last_ms, fingerprint, limit),
    )
    return [Fault(*row) for row in rows]


def since(tx: Tx, from_ms: int) -> tuple[int, int]:
    """How many kinds were seen from then on, and how many of them for the first time."""
    row = tx.one("select count(*), coalesce(sum(first_ms >= ?), 0) from fault where last_ms >= ?", (from_ms, from_ms))
    return (int(row[0]), int(row[1])) if row else (0, 0)


def prune(tx: Tx, before_ms: int) -> int:
    """Forgets what was not seen since; how many kinds."""
    return tx.run("delete from fault where last_ms < ?", (before_ms,))
