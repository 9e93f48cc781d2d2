"""What is so now, and how senders speak: groups by severity and status, and the pauses between counted minutes.

What was counted over a stretch of time is read from the roll-ups (rolled.py).
"""

from __future__ import annotations

from typing import Final, get_args

from msgspec import Struct

from signalcraft.domain.group import Group, Status
from signalcraft.domain.severity import Severity
from signalcraft.storage import groups
from signalcraft.storage.db import Tx

WORDS: Final = (
    "events", "duplicates", "sampled", "quarantined", "refused_signature", "refused_limit", "notifications", "edits",
    "failures",
)  # fmt: skip
"""The counters that an overview shows."""
_BITS: Final = 20
"""Of a count of groups: a million of one severity."""
_SPLIT: Final = 3
_PROBES: Final = 16
_PROBE_MINUTES: Final = 15


class SeverityCount(Struct, frozen=True):
    """Groups of one severity, and how many of them are open."""

    severity: int
    groups: int
    open: int


class Rhythm(Struct, frozen=True):
    """How an integration speaks: in so many different minutes, with so many minutes between two of them at most."""

    integration_id: int
    minutes: int
    longest_gap: int | None
    last_minute: int


# -- counters ---------------------------------------------------------------------------------------------------------


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


def spoke(tx: Tx, workspace_id: int, from_minute: int) -> dict[int, int]:
    """{subject: the last minute since then in which an integration said anything that was not sent away}."""
    rows = tx.all(
        "select subject, max(minute) from minute_count where workspace_id = ? and minute >= ?"
        " and what in ('events', 'duplicates', 'quarantined') group by subject",
        (workspace_id, from_minute),
    )
    return dict(rows)


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
    # Counted in bits of two sums: `group by` sorts a hundred thousand groups and takes twice as long (measured).
    low, high = tx.one(
        f"select sum(1 << (severity * {_BITS})) filter (where severity < {_SPLIT}),"
        f" sum(1 << ((severity - {_SPLIT}) * {_BITS})) filter (where severity >= {_SPLIT})"
        " from alert_group where workspace_id = ? and last_seen_ms >= ?",
        (workspace_id, since_ms),
    ) or (0, 0)
    opened: dict[int, int] = dict(
        tx.all(
            "select severity, count(*) from alert_group where workspace_id = ? and status = 'open'"
            " and last_seen_ms >= ? group by severity",
            (workspace_id, since_ms),
        )
    )
    found = []
    for severity in sorted(Severity, reverse=True):
        packed, place = (low or 0, int(severity)) if severity < _SPLIT else (high or 0, int(severity) - _SPLIT)
        n = packed >> (place * _BITS) & ((1 << _BITS) - 1)
        if n:
            found.append(SeverityCount(int(severity), n, opened.get(int(severity), 0)))
    return found


def by_status(tx: Tx, workspace_id: int) -> dict[str, int]:
    """How many groups are in each status."""
    found = {}
    for status in get_args(Status):
        n = tx.value("select count(*) from alert_group where workspace_id = ? and status = ?", (workspace_id, status))
        if n:
            found[status] = int(n)
    return found


def open_of(tx: Tx, workspace_id: int, severity: int, limit: int) -> tuple[int, list[Group]]:
    """How many open groups there are of a severity, and the latest seen of them."""
    where = "workspace_id = ? and status = 'open' and severity = ?"
    n = int(tx.value(f"select count(*) from alert_group where {where}", (workspace_id, severity)))
    rows = tx.all(
        f"select {groups.FIELDS} from alert_group where {where} order by last_seen_ms desc, id desc limit ?",
        (workspace_id, severity, limit),
    )
    return n, [groups.from_row(row) for row in rows]
