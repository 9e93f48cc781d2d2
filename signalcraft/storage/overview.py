"""What a stretch of time looked like: counted minutes, and the groups that were active in it. Nothing is estimated."""

from __future__ import annotations

from msgspec import Struct

from signalcraft.domain.group import SYSTEM
from signalcraft.storage.db import Tx


class SeverityCount(Struct, frozen=True):
    """Groups of one severity, and how many of them are open."""

    severity: int
    groups: int
    open: int


class SourceCount(Struct, frozen=True):
    """An integration with its events in the stretch."""

    integration_id: int
    events: int


class Answered(Struct, frozen=True):
    """How groups that began in the stretch were answered. Milliseconds are means, None where nothing was measured."""

    began: int
    acknowledged: int
    to_acknowledge_ms: float | None


def counted(tx: Tx, workspace_id: int, from_minute: int) -> dict[str, int]:
    """Every counter's sum since a minute."""
    rows = tx.all(
        "select what, sum(n) from minute_count where workspace_id = ? and minute >= ? group by what",
        (workspace_id, from_minute),
    )
    return {row[0]: int(row[1]) for row in rows}


def minutes(tx: Tx, from_minute: int) -> list[tuple[int, int, str, int, int]]:
    """(workspace, minute, what, subject, n) of every workspace since a minute."""
    workspaces = [row[0] for row in tx.all("select id from workspace")]
    return [
        (row[0], row[1], row[2], row[3], row[4])
        for workspace_id in workspaces
        for row in tx.all(
            "select workspace_id, minute, what, subject, n from minute_count where workspace_id = ? and minute >= ?",
            (workspace_id, from_minute),
        )
    ]


def by_severity(tx: Tx, workspace_id: int, since_ms: int) -> list[SeverityCount]:
    """Groups with an event since then, the worst first."""
    rows = tx.all(
        "select severity, count(*), sum(status = 'open') from alert_group where workspace_id = ? and last_seen_ms >= ?"
        " group by severity order by severity desc",
        (workspace_id, since_ms),
    )
    return [SeverityCount(*row) for row in rows]


def top_sources(tx: Tx, workspace_id: int, from_minute: int, limit: int) -> list[SourceCount]:
    """The integrations that sent most."""
    rows = tx.all(
        "select subject, sum(n) from minute_count where workspace_id = ? and minute >= ? and what = 'events'"
        " group by subject order by sum(n) desc, subject limit ?",
        (workspace_id, from_minute, limit),
    )
    return [SourceCount(*row) for row in rows]


def answered(tx: Tx, workspace_id: int, since_ms: int) -> Answered:
    """Of the groups that began since then: how many were acknowledged, and how soon the first time."""
    row = tx.one(
        "select count(*), count(first_ms), avg(first_ms - first_seen_ms) from (select g.first_seen_ms,"
        " (select min(j.at_ms) from journal j where j.group_id = g.id and j.verb = 'acknowledged') as first_ms"
        " from alert_group g where g.workspace_id = ?1 and g.last_seen_ms >= ?2 and g.first_seen_ms >= ?2)",
        (workspace_id, since_ms),
    )
    began, acknowledged, mean_ms = row or (0, 0, None)
    return Answered(began, acknowledged, mean_ms)


def resolved(tx: Tx, workspace_id: int, since_ms: int) -> tuple[int, float | None]:
    """Groups resolved since then by a person or their source, and their mean age at that in ms, None for none.

    Those that closed by themselves after days of silence say nothing of how long mending took.
    """
    row = tx.one(
        "select count(*), avg(resolved_ms - first_seen_ms) from alert_group where workspace_id = ?"
        " and status = 'resolved' and resolved_ms >= ? and resolved_by <> ?",
        (workspace_id, since_ms, SYSTEM.name),
    )
    return (0, None) if row is None else (row[0], row[1])


def by_status(tx: Tx, workspace_id: int) -> dict[str, int]:
    """How many groups are in each status."""
    rows = tx.all("select status, count(*) from alert_group where workspace_id = ? group by status", (workspace_id,))
    return {row[0]: int(row[1]) for row in rows}
