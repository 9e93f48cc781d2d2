"""How the senders are: when each spoke last, whether that is longer ago than usual, and what of theirs was refused."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

from msgspec import Struct

from signalcraft.storage import integrations, overview, rolled
from signalcraft.storage.db import Tx

State = Literal["ok", "silent", "refused", "unreadable", "waiting", "disabled"]

MINUTE_MS: Final = 60_000
KEPT_MS: Final = 10 * MINUTE_MS
LOOKED_AT_MS: Final = 60 * MINUTE_MS
LOOKBACK_MS: Final = 7 * 86_400_000
MINUTES_MIN: Final = 20
"""Somebody who spoke in fewer minutes of a week has no habit to fall short of."""
TIMES: Final = 2
_SPOKE: Final = ("events", "duplicates", "quarantined")
ROWS_MAX: Final = 120_000


class Sender(Struct, frozen=True, kw_only=True):
    """One integration. `last_ms`: of its last webhook that was not sent away, by the minute; None where none
    came in seven days.

    State: ok; silent (longer than usual); refused (wrong signatures or over a limit, in the range); unreadable (in
    quarantine, in the range); waiting (nothing came yet in seven days); disabled. `usual_ms`: its longest pause.
    """

    row: integrations.Integration
    state: State
    last_ms: int | None
    usual_ms: int | None
    events: int
    quarantined: int
    refused_signature: int
    refused_limit: int


class _Habits(Struct, frozen=True):
    """`last`: the minute of each integration's last webhook by then."""

    at_ms: int
    of: dict[int, overview.Rhythm]
    last: dict[int, int]


class Senders:
    """Keeps the habits of each workspace's senders for ten minutes: they take a look at a week."""

    def __init__(self) -> None:
        self._held: dict[int, _Habits] = {}
        self._asked_ms: dict[int, int] = {}

    def seen(self, tx: Tx, workspace_id: int, by_subject: Counter[tuple[str, int]], now_ms: int) -> list[Sender]:
        """Every integration of a workspace, by name. `by_subject`: the counters of the range."""
        self._asked_ms[workspace_id] = now_ms
        habits = self._habits(tx, workspace_id, now_ms)
        since = (now_ms - LOOKBACK_MS) // MINUTE_MS
        last = {**habits.last, **overview.spoke(tx, workspace_id, habits.at_ms // MINUTE_MS)}
        last = {number: minute for number, minute in last.items() if minute >= since}
        return [
            _sender(row, habits.of.get(row.id), last.get(row.id), by_subject, now_ms)
            for row in integrations.every(tx, workspace_id)
        ]

    def tend(self, tx: Tx, now_ms: int) -> None:
        """Looks again before what is kept is too old, for workspaces that somebody looks at: nobody waits for it."""
        for workspace_id, asked_ms in tuple(self._asked_ms.items()):
            held = self._held.get(workspace_id)
            if held is not None and now_ms - asked_ms < LOOKED_AT_MS and now_ms - held.at_ms >= KEPT_MS - 3 * MINUTE_MS:
                self._held[workspace_id] = self._look(tx, workspace_id, now_ms)

    def _habits(self, tx: Tx, workspace_id: int, now_ms: int) -> _Habits:
        held = self._held.get(workspace_id)
        if held is None or not 0 <= now_ms - held.at_ms < KEPT_MS:
            held = self._held[workspace_id] = self._look(tx, workspace_id, now_ms)
        return held

    @staticmethod
    def _look(tx: Tx, workspace_id: int, now_ms: int) -> _Habits:
        until = now_ms // MINUTE_MS + 1
        minutes = LOOKBACK_MS // MINUTE_MS
        while minutes > 60 and overview.density(tx, workspace_id, until - minutes, until) * minutes > ROWS_MAX:
            minutes //= 2
        of = {one.integration_id: one for one in overview.rhythms(tx, workspace_id, until - minutes)}
        last = {}
        for row in integrations.every(tx, workspace_id):
            spoke = [rolled.last_minute(tx, workspace_id, what, row.id) for what in _SPOKE]
            if any(minute is not None for minute in spoke):
                last[row.id] = max(minute for minute in spoke if minute is not None)
        return _Habits(now_ms, of, last)


def _sender(
    row: integrations.Integration,
    habit: overview.Rhythm | None,
    last_minute: int | None,
    by_subject: Counter[tuple[str, int]],
    now_ms: int,
) -> Sender:
    last_ms = None if last_minute is None else last_minute * MINUTE_MS
    usual_ms = None
    if habit is not None and habit.minutes >= MINUTES_MIN and habit.longest_gap is not None:
        usual_ms = habit.longest_gap * MINUTE_MS
    quarantined = by_subject["quarantined", row.id]
    refused = by_subject["refused_signature", row.id], by_subject["refused_limit", row.id]
    state: State = "ok"
    if not row.enabled:
        state = "disabled"
    elif usual_ms is not None and last_ms is not None and now_ms - last_ms > TIMES * usual_ms + MINUTE_MS:
        state = "silent"
    elif any(refused):
        state = "refused"
    elif quarantined:
        state = "unreadable"
    elif last_ms is None:
        state = "waiting"
    return Sender(
        row=row,
        state=state,
        last_ms=last_ms,
        usual_ms=usual_ms,
        events=by_subject["events", row.id],
        quarantined=quarantined,
        refused_signature=refused[0],
        refused_limit=refused[1],
    )
