"""How integrations and channels have done lately: counted, waiting, and what came last."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from signalcraft.domain import ids
from signalcraft.storage import rolled
from signalcraft.storage.db import Tx

_IN: Final = ("events", "duplicates", "quarantined", "refused_signature", "refused_limit")
_MINUTE_MS: Final = 60_000
_SLACK: Final = 5 * _MINUTE_MS
"""How far ids may run ahead of the clock when it was set back."""


def last_counted(tx: Tx, workspace_id: int) -> list[tuple[int, str, int]]:
    """(integration id, what, ms) of the last minute in which each was counted, as exactly as it is still known."""
    found = []
    for (subject,) in tx.all("select id from integration where workspace_id = ?", (workspace_id,)):
        for what in _IN:
            minute = rolled.last_minute(tx, workspace_id, what, subject)
            if minute is not None:
                found.append((subject, what, minute * _MINUTE_MS))
    return found


def counted(tx: Tx, workspace_id: int, since_ms: int) -> dict[int, dict[str, int]]:
    """{integration or channel id: {what: sum}} since then, by whole minutes."""
    out: dict[int, dict[str, int]] = defaultdict(dict)
    for (what, subject), n in rolled.sums(tx, workspace_id, since_ms // _MINUTE_MS, rolled.FOREVER).items():
        out[subject][what] = n
    return out


def quarantined(tx: Tx, workspace_id: int) -> dict[int, int]:
    """{integration id: webhooks that wait in quarantine}."""
    return dict(
        tx.all(
            "select integration_id, count(*) from inbox where workspace_id = ? and state <> 'read'"
            " and state = 'quarantined' group by integration_id",
            (workspace_id,),
        )
    )


def owed(tx: Tx, workspace_id: int) -> dict[int, int]:
    """{channel id: messages that are owed or on their way}."""
    return dict(
        tx.all(
            "select channel_id, count(*) from delivery where workspace_id = ? and state in ('owed', 'sending')"
            " group by channel_id",
            (workspace_id,),
        )
    )


def latest_webhooks(tx: Tx, workspace_id: int, integration_id: int, since_ms: int, limit: int) -> list[int]:
    """The ids of an integration's latest webhooks that are kept, newest first.

    Found through the minutes in which it was counted: the inbox itself has no order by sender.
    """
    minutes = tx.all(
        "select distinct minute from minute_count where workspace_id = ? and minute >= ? and subject = ?"
        " and what in ('events', 'quarantined') order by minute desc limit ?",
        (workspace_id, since_ms // _MINUTE_MS, integration_id, limit),
    )
    found: list[int] = []
    before = 2**63 - 1
    for (minute,) in minutes:
        if len(found) >= limit:
            break
        rows = tx.all(
            "select id from inbox where id >= ? and id < ? and integration_id = ? and workspace_id = ?"
            " order by id desc limit ?",
            (
                ids.floor(minute * _MINUTE_MS),
                min(before, ids.floor((minute + 1) * _MINUTE_MS + _SLACK)),
                integration_id,
                workspace_id,
                limit - len(found),
            ),
        )
        found += [number for (number,) in rows]
        before = min(before, ids.floor(minute * _MINUTE_MS))
    return found


def first_event_of(tx: Tx, inbox_id: int) -> int | None:
    """The first event that was read from a webhook, when it came; None for one that waited in quarantine."""
    # Its events got their ids in the same transaction, right behind its own.
    row = tx.one(
        "select id from event where id > ? and id < ? and inbox_id = ? order by id limit 1",
        (inbox_id, inbox_id + (_MINUTE_MS << 21), inbox_id),
    )
    return None if row is None else int(row[0])
