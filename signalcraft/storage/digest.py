"""What the weekly digest reads beside the overview's figures."""

from __future__ import annotations

from msgspec import Struct

from signalcraft.storage.db import Tx


class Slowest(Struct, frozen=True):
    """An alert group that was acknowledged late."""

    title: str
    took_ms: int


class Noisy(Struct, frozen=True):
    """An alert group and its events."""

    title: str
    count: int


def slowest(tx: Tx, workspace_id: int, since_ms: int, own: str, limit: int) -> list[Slowest]:
    """Those that began since then and waited the longest for somebody."""
    rows = tx.all(
        "select title, acknowledged_ms - first_seen_ms as took from alert_group where workspace_id = ?"
        " and last_seen_ms >= ? and first_seen_ms >= ? and acknowledged_ms is not null and source <> ?"
        " order by took desc limit ?",
        (workspace_id, since_ms, since_ms, own, limit),
    )
    return [Slowest(*row) for row in rows]


def noisiest(tx: Tx, workspace_id: int, since_ms: int, own: str, limit: int) -> list[Noisy]:
    """Those with an event since then and the most events in all."""
    rows = tx.all(
        "select title, count from alert_group where workspace_id = ? and last_seen_ms >= ? and count > 1"
        " and source <> ? order by count desc limit ?",
        (workspace_id, since_ms, own, limit),
    )
    return [Noisy(*row) for row in rows]
