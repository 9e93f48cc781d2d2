"""What was refused, counted by the hour, kind, address and who was known."""

from __future__ import annotations

from msgspec import Struct

from signalcraft.storage.db import Tx

HOUR_MS = 3_600_000


class Seen(Struct, frozen=True):
    """So often within one hour. `actor`: `kind:id`, "" for nobody. `route`, `request_id`: of the latest one."""

    workspace_id: int
    kind: str
    address: str
    actor: str
    n: int
    first_ms: int
    last_ms: int
    route: str
    request_id: str


def add(tx: Tx, seen: Seen) -> None:
    """Adds to what was counted in its hour."""
    tx.run(
        "insert into security_count values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set n = n + excluded.n,"
        " last_ms = max(last_ms, excluded.last_ms), route = excluded.route, request_id = excluded.request_id",
        (
            *(seen.first_ms // HOUR_MS, seen.workspace_id, seen.kind, seen.address, seen.actor),
            *(seen.n, seen.first_ms, seen.last_ms, seen.route, seen.request_id),
        ),
    )


def since(tx: Tx, workspace_id: int, from_ms: int, until_ms: int, limit: int) -> list[Seen]:
    """What was counted in the hours of [from, until), the newest first."""
    rows = tx.all(
        "select workspace_id, kind, address, actor, n, first_ms, last_ms, route, request_id from security_count"
        " where workspace_id = ? and hour >= ? and hour <= ? and last_ms >= ? and first_ms < ?"
        " order by last_ms desc, kind, address limit ?",
        (workspace_id, from_ms // HOUR_MS, until_ms // HOUR_MS, from_ms, until_ms, limit),
    )
    return [Seen(*row) for row in rows]


def totals(tx: Tx, workspace_id: int, from_ms: int, until_ms: int) -> dict[str, int]:
    """How often, by kind, in the hours of [from, until)."""
    rows = tx.all(
        "select kind, sum(n) from security_count where workspace_id = ? and hour >= ? and hour <= ? group by kind",
        (workspace_id, from_ms // HOUR_MS, until_ms // HOUR_MS),
    )
    return {kind: int(n) for kind, n in rows}


def prune(tx: Tx, before_ms: int) -> int:
    """Forgets what is older; how many rows."""
    return tx.run("delete from security_count where hour < ?", (before_ms // HOUR_MS,))
