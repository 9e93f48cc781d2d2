"""What the passing of time makes due, what it makes old, and that we were there to see it."""

from __future__ import annotations

from typing import Final

from signalcraft.domain.severity import Severity
from signalcraft.storage.db import Tx

_ALIVE: Final = "alive_ms"
_UNRESOLVED: Final = ("open", "acknowledged")


def snoozes(tx: Tx, now_ms: int, limit: int) -> list[int]:
    """Groups whose snooze is over."""
    rows = tx.all(
        "select id from alert_group where status = 'snoozed' and snoozed_until_ms <= ?"
        " order by snoozed_until_ms limit ?",
        (now_ms, limit),
    )
    return [row[0] for row in rows]


def old_answers(tx: Tx, before_ms: int, limit: int) -> list[int]:
    """Critical groups that were acknowledged before then, and of which nobody was reminded since."""
    rows = tx.all(
        "select id from alert_group where status = 'acknowledged' and acknowledged_ms <= ?1 and retold_ms <= ?1"
        " and severity >= ?2 order by acknowledged_ms limit ?3",
        (before_ms, int(Severity.CRITICAL), limit),
    )
    return [row[0] for row in rows]


def silent(tx: Tx, workspace_ids: list[int], before_ms: int, limit: int) -> list[int]:
    """Open and acknowledged groups without an event since then."""
    found: list[int] = []
    for workspace_id in workspace_ids:
        for status in _UNRESOLVED:
            rows = tx.all(
                "select id from alert_group where workspace_id = ? and status = ? and last_seen_ms <= ?"
                " order by last_seen_ms limit ?",
                (workspace_id, status, before_ms, limit - len(found)),
            )
            found += [row[0] for row in rows]
    return found


def next_settle_ms(tx: Tx) -> int | None:
    """When the next group stops waiting for its environment."""
    value: int | None = tx.value("select min(settle_ms) from alert_group where settle_ms is not null")
    return value


def next_snooze_ms(tx: Tx) -> int | None:
    """When the next snooze ends."""
    value: int | None = tx.value("select min(snoozed_until_ms) from alert_group where status = 'snoozed'")
    return value


def oldest_answer_ms(tx: Tx) -> int | None:
    """When the critical group that was acknowledged or reminded of the longest ago was that."""
    value: int | None = tx.value(
        "select min(max(acknowledged_ms, retold_ms)) from alert_group where status = 'acknowledged' and severity >= ?",
        (int(Severity.CRITICAL),),
    )
    return value


def oldest_event_ms(tx: Tx, workspace_ids: list[int]) -> int | None:
    """When the open or acknowledged group that was silent the longest had its last event."""
    oldest = [
        tx.value(
            "select min(last_seen_ms) from alert_group where workspace_id = ? and status = ?", (workspace_id, status)
        )
        for workspace_id in workspace_ids
        for status in _UNRESOLVED
    ]
    return min((at_ms for at_ms in oldest if at_ms is not None), default=None)


# -- what is old ------------------------------------------------------------------------------------------------------


def forget_statements(tx: Tx, below_event_id: int, limit: int) -> int:
    """Forgets what was said in events before that id: a repeat of it would count as news. How many."""
    return tx.run(
        "delete from delivered_statement where (integration_scope, key) in (select integration_scope, key"
        " from delivered_statement where event_id < ? order by event_id limit ?)",
        (below_event_id, limit),
    )


def forget_minutes(tx: Tx, after_group: int, before_minute: int, groups: int) -> int | None:
    """Forgets the events a minute before then, of so many groups; the last of them, None when there are no more."""
    rows = tx.all(
        "select distinct group_id from group_minute where group_id > ? order by group_id limit ?", (after_group, groups)
    )
    if not rows:
        return None
    tx.run(
        "delete from group_minute where group_id > ? and group_id <= ? and minute < ?",
        (after_group, rows[-1][0], before_minute),
    )
    last: int = rows[-1][0]
    return last


# -- that we are here -------------------------------------------------------------------------------------------------


def alive_ms(tx: Tx) -> int | None:
    """When the appliance last said that it lives."""
    value = tx.value("select value from fact where name = ?", (_ALIVE,))
    return None if value is None else int(value)


def say_alive(tx: Tx, now_ms: int) -> None:
    """It lives."""
    tx.run("insert or replace into fact (name, value) values (?, ?)", (_ALIVE, str(now_ms)))
