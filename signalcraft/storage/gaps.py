"""Times at which alerts could not be taken: down, overloaded, disk full."""

from __future__ import annotations

from msgspec import Struct

from signalcraft.domain.group import SYSTEM
from signalcraft.storage import journal
from signalcraft.storage.db import Tx


class Gap(Struct, frozen=True):
    """One interval. `refused` counts the senders that were sent away (0 where the process was down)."""

    id: int
    workspace_id: int
    why: str
    from_ms: int
    until_ms: int
    refused: int


def add(tx: Tx, workspace_id: int, why: str, from_ms: int, until_ms: int, refused: int, now_ms: int) -> int:
    """Records a gap and tells it in the journal; its id."""
    gap_id = tx.new_id(now_ms)
    tx.run("insert into gap values (?, ?, ?, ?, ?, ?)", (gap_id, workspace_id, why, from_ms, until_ms, refused))
    data = {"why": why, "from_ms": from_ms, "until_ms": until_ms, "refused": refused}
    journal.add(tx, now_ms, workspace_id, None, "gap", SYSTEM, data)
    return gap_id


def since(tx: Tx, workspace_id: int, since_ms: int, limit: int = 50) -> list[Gap]:
    """The gaps that ended since then, newest first."""
    rows = tx.all(
        "select id, workspace_id, why, from_ms, until_ms, refused from gap where workspace_id = ? and until_ms >= ?"
        " order by id desc limit ?",
        (workspace_id, since_ms, limit),
    )
    return [Gap(*row) for row in rows]
