"""Giving up a webhook that could not be read."""

from __future__ import annotations

from signalcraft.domain import ids
from signalcraft.domain.group import Actor
from signalcraft.storage import inbox, journal, lists
from signalcraft.storage.db import Db, Tx


async def drop(db: Db, workspace_id: int, inbox_id: int, actor: Actor, now_ms: int) -> None:
    """Takes it out of quarantine unread. Raises NotFound, Conflict when it waits no longer."""

    def work(tx: Tx) -> None:
        lists.held(tx, workspace_id, inbox_id)
        inbox.leave_quarantine(tx, workspace_id, inbox_id, "dropped")
        said = {"quarantine_id": ids.show(inbox_id)}
        journal.add(tx, now_ms, workspace_id, None, "quarantine_dropped", actor, said)

    await db.write(work)
