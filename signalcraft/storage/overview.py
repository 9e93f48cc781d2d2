"""What a stretch of time looked like: counted minutes, and the groups that were active in it. Nothing is estimated but
what a question would cost.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from signalcraft.domain.group import SYSTEM, Group
from signalcraft.storage import groups
from signalcraft.storage.db import Tx

FOREVER_MS: Final = 2**62
WORDS: Final = (
    "events", "duplicates", "sampled", "quarantined", "refused_signature", "refused_limit", "notifications", "edits",
    "failures",
)  # fmt: skip
"""The counters that an overview shows."""
_PROBES: Final = 16
_PROBE_MINUTES: Final = 15


class SeverityCount(Struct, frozen=True):
    """Groups of one severity, and how many of them are open."""

    severity: int
    groups: int
    open: int


class Answered(Struct, frozen=True):
    """How groups that began in the stretch were answered. Milliseconds are means, None where nothing was measured."""

    began: int
    acknowledged: int
    to_acknowledge_ms: float | None


class Counted(Struct, frozen=True):
    """One counter's sum in one bucket, and the last minute at which it moved there."""

    bucket: int
    what: str
    subject: int
    n: int
    minute: int


class Rhythm(Struct, frozen=True):
    """How an integration speaks: in so many different minutes, with so many minutes between two of them at most."""

    integration_id: int
    minutes: int
    longest_gap: int | None
    last_minute: int


# -- counters ---------------------------------------------------------------------------------------------------------


def counted(tx: Tx, workspace_id: int, from_minute: int, bucket_minutes: int) -> list[Counted]:
    """Every counter since a minute, in buckets of so many minutes from there."""
    rows = tx.all(
        "select (minute - ?2) / ?3, what, subject, sum(n), max(minute) from minute_count"
        " where workspace_id = ?1 and minute >= ?2 group by 1, 2, 3",
        (workspace_id, from_minute, bucket_minutes),
    )
    return [Counted(*row) for row in rows]


def sums(tx: Tx, workspace_id: int, from_minute: int, until_minute: int) -> dict[str, int]:
    """The sums of WORDS over [from, until) minutes. Without a sort: a third of what `counted` takes a row."""
    parts = ", ".join(f"sum(case what when '{word}' then n end)" for word in WORDS)
    row = tx.one(
        f"select {parts} from minute_count where workspace_id = ? and minute >= ? and minute < ?",
        (workspace_id, from_minute, until_minute),
    )
    return {word: int(n or 0) for word, n in zip(WORDS, row or (), strict=True)}


def first_minute(tx: Tx, workspace_id: int) -> int | None:
    """The minute of the oldest counter, None where nothing was ever counted."""
    value: int | None = tx.value("select min(minute) from minute_count where workspace_id = ?", (workspace_id,))
    return value


def density(tx: Tx, workspace_id: int, from_minute: int, until_minute: int) -> float:
    """About how many counters a minute has in [from, until): what a few short stretches of it have, counted."""
    span = max(until_minute - from_minute, 1)
    width = max(1, min(_PROBE_MINUTES, span // _PROBES))
    found = 0
    for n in range(_PROBES):
        start = from_minute + span * n // _PROBES
        found += tx.value(
            "select count(*) from minute_count where workspace_id = ? and minute >= ? and minute < ?",
            (workspace_id, start, start + width),
        )
    return found / (_PROBES * width)


def rhythms(tx: Tx, workspace_id: int, from_minute: int) -> list[Rhythm]:
    """Of every integration that sent something since then."""
    rows = tx.all(
        "select subject, count(*), max(gap), max(minute) from (select subject, minute,"
        " minute - lag(minute) over (partition by subject order by minute) as gap from minute_count"
        " where workspace_id = ? and minute >= ? and what = 'events') group by subject",
        (workspace_id, from_minute),
    )
    return [Rhythm(*row) for row in rows]


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


# -- groups -----------------------------------------------------------------------------------------------------------


def by_severity(tx: Tx, workspace_id: int, since_ms: int) -> list[SeverityCount]:
    """Groups with an event since then, the worst first."""
    rows = tx.all(
        "select severity, count(*), sum(status = 'open') from alert_group where workspace_id = ? and last_seen_ms >= ?"
        " group by severity order by severity desc",
        (workspace_id, since_ms),
    )
    return [SeverityCount(*row) for row in rows]


def began(tx: Tx, workspace_id: int, since_ms: int, bucket_ms: int) -> list[tuple[int, int, int]]:
    """(bucket, integration, groups) of the groups that began since then."""
    rows = tx.all(
        "select (first_seen_ms - ?2) / ?3, integration_id, count(*) from alert_group"
        " where workspace_id = ?1 and first_seen_ms >= ?2 group by 1, 2",
        (workspace_id, since_ms, bucket_ms),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def answered(tx: Tx, workspace_id: int, since_ms: int, until_ms: int = FOREVER_MS) -> Answered:
    """Of the groups that began in [since, until): how many were acknowledged, and how soon the first time."""
    row = tx.one(
        "select count(*), count(first_ms), avg(first_ms - first_seen_ms) from (select g.first_seen_ms,"
        " (select min(j.at_ms) from journal j where j.group_id = g.id and j.verb = 'acknowledged') as first_ms"
        " from alert_group g where g.workspace_id = ?1 and g.first_seen_ms >= ?2 and g.first_seen_ms < ?3)",
        (workspace_id, since_ms, until_ms),
    )
    began, acknowledged, mean_ms = row or (0, 0, None)
    return Answered(began, acknowledged, mean_ms)


def resolved(tx: Tx, workspace_id: int, since_ms: int, until_ms: int = FOREVER_MS) -> tuple[int, float | None]:
    """Groups resolved in [since, until) by a person or their source, and their mean age at that in ms, None for none.

    Those that closed by themselves after days of silence say nothing of how long mending took.
    """
    row = tx.one(
        "select count(*), avg(resolved_ms - first_seen_ms) from alert_group where workspace_id = ?"
        " and status = 'resolved' and resolved_ms >= ? and resolved_ms < ? and resolved_by <> ?",
        (workspace_id, since_ms, until_ms, SYSTEM.name),
    )
    return (0, None) if row is None else (row[0], row[1])


def by_status(tx: Tx, workspace_id: int) -> dict[str, int]:
    """How many groups are in each status."""
    rows = tx.all("select status, count(*) from alert_group where workspace_id = ? group by status", (workspace_id,))
    return {row[0]: int(row[1]) for row in rows}


def open_of(tx: Tx, workspace_id: int, severity: int, limit: int) -> tuple[int, list[Group]]:
    """How many open groups there are of a severity, and the latest seen of them."""
    where = "workspace_id = ? and status = 'open' and severity = ?"
    n = int(tx.value(f"select count(*) from alert_group where {where}", (workspace_id, severity)))
    rows = tx.all(
        f"select {groups.FIELDS} from alert_group where {where} order by last_seen_ms desc, id desc limit ?",
        (workspace_id, severity, limit),
    )
    return n, [groups.from_row(row) for row in rows]
