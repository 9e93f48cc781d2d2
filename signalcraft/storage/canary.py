"""The canary's rows: whether its message was taken, and how all of it goes again."""

from __future__ import annotations

from collections.abc import Iterable

from signalcraft.storage.db import Tx


def taken(tx: Tx, group_id: int) -> bool:
    """Whether the message about an alert group was taken by its channel."""
    return tx.value("select 1 from delivery where group_id = ? and state = 'sent' limit 1", (group_id,)) is not None


def forget(tx: Tx, workspace_id: int) -> None:
    """Every row of the workspace that only the canary lives in."""
    for (group_id,) in tx.all("select id from alert_group where workspace_id = ?", (workspace_id,)):
        tx.run("delete from inbox where id in (select inbox_id from event where group_id = ?)", (group_id,))
        for table in ("event", "delivery", "conversation", "group_minute", "journal", "escalation"):
            tx.run(f"delete from {table} where group_id = ?", (group_id,))
        tx.run("delete from alert_group where id = ?", (group_id,))
    tx.run("delete from minute_count where workspace_id = ?", (workspace_id,))


def messages(
    tx: Tx, source: str, workspaces: Iterable[int], late_before_ms: int, failed_since_ms: int
) -> tuple[int, int | None, int]:
    """Of messages about alert groups of every other source: (owed since before then, since when, failed since then).

    What the appliance says of itself is left out, or its own alarms would keep each other up.
    """
    other = "not exists (select 1 from alert_group g where g.id = delivery.group_id and g.source = ?1)"
    owed, oldest_ms = tx.one(
        "select count(*), min(owed_ms) from delivery where state in ('owed', 'sending')"
        f" and rank = 0 and owed_ms < ?2 and {other}",
        (source, late_before_ms),
    ) or (0, None)
    failed = sum(
        tx.value(
            "select count(*) from delivery where workspace_id = ?2 and state = 'failed' and tried_ms >= ?3"
            f" and kind <> 'test' and {other}",
            (source, workspace_id, failed_since_ms),
        )
        for workspace_id in workspaces
    )
    return int(owed), oldest_ms, int(failed)
