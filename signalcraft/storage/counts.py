"""What was counted, minute by minute."""

from __future__ import annotations

from signalcraft.storage import rolled
from signalcraft.storage.db import Tx


def bump(tx: Tx, workspace_id: int, now_ms: int, what: str, subject: int = 0, n: int = 1) -> None:
    """Adds n to a counter of the present minute. `subject` is an integration or channel id, 0 for none."""
    tx.run(
        "insert into minute_count values (?, ?, ?, ?, ?) on conflict do update set n = n + excluded.n",
        (workspace_id, now_ms // 60_000, what, subject, n),
    )


def total(tx: Tx, workspace_id: int, what: str, from_ms: int, until_ms: int) -> int:
    """The sum of a counter over [from, until), by whole minutes."""
    return rolled.totals(tx, workspace_id, what, from_ms // 60_000, -(-until_ms // 60_000))[0]
