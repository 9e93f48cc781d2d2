"""What is so now, and how senders speak: groups by severity and status, and the pauses between counted minutes.

What was counted over a stretch of time is read from the roll-ups (rolled.py).
"""

from __future__ import annotations

from collections import Counter
from typing import Final, get_args

from msgspec import Struct

from signalcraft.domain.group import Group, Status
from signalcraft.storage import groups
from signalcraft.storage.db import Tx

WORDS: Final = (
    "events", "duplicates", "sampled", "quarantined", "refused_signature", "refused_limit", "notifications", "edits",
    "failures",
)  # fmt: skip
"""The counters that an overview shows."""
_DAY_MS: Final = 86_400_000
_STATUSES: Final = get_args(Status)
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
    """Groups with an event since then, the worst first: whole days as they are counted, the first one's rest anew."""
    first = since_ms // _DAY_MS
    whole: Counter[int] = Counter()
    opened: Counter[int] = Counter()
    for severity, n, still in (
        *tx.all(
            "select severity, sum(n), sum(n) filter (where status = 'open') from group_day"
            f" where workspace_id = ? and status in {_STATUSES} and day > ? group by severity",
            (workspace_id, first),
        ),
        *tx.all(
            "select severity, count(*), count(*) filter (where status = 'open') from alert_group where workspace_id = ?"
            f" and status in {_STATUSES} and last_seen_ms >= ? and last_seen_ms < ? group by severity",
            (workspace_id, since_ms, (first + 1) * _DAY_MS),
        ),
    ):
        whole[severity] += n
        opened[severity] += still or 0
    return [SeverityCount(severity, whole[severity], opened[severity]) for severity in sorted(whole, reverse=True)]


def by_status(tx: Tx, workspace_id: int) -> dict[str, int]:
    """How many groups are in each status that any is in."""
    return dict(
        tx.all(
            "select status, sum(n) from group_day where workspace_id = ? group by status",
            (workspace_id,),
        )
    )


def open_of(tx: Tx, workspace_id: int, severity: int, limit: int) -> tuple[int, list[Group]]:
    """How many open groups there are of a severity, and the latest seen of them."""
    n: int | None = tx.value(
        "select sum(n) from group_day where workspace_id = ? and status = 'open' and severity = ?",
        (workspace_id, severity),
    )
    rows = tx.all(
        f"select {groups.FIELDS} from alert_group where workspace_id = ? and status = 'open' and severity = ?"
        " order by last_seen_ms desc, id desc limit ?",
        (workspace_id, severity, limit),
    )
    return n or 0, [groups.from_row(row) for row in rows]
