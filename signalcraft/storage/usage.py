"""Who uses a workspace: for metrics."""

from __future__ import annotations

from signalcraft.storage.db import Tx


def people(tx: Tx, workspace_id: int, since_ms: tuple[int, ...]) -> tuple[int, list[int]]:
    """(How many people a workspace has, how many of them were here since each of those times)."""
    members = int(tx.value("select count(*) from membership where workspace_id = ?", (workspace_id,)))
    active = [
        int(
            tx.value(
                "select count(*) from membership m where workspace_id = ? and exists"
                " (select 1 from session s where s.person_id = m.person_id and s.last_seen_ms >= ?)",
                (workspace_id, at_ms),
            )
        )
        for at_ms in since_ms
    ]
    return members, active
