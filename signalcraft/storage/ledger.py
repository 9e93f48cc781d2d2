"""The ledger as people look at it: filtered pages with what each message is about, and how much is in each state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.delivery import State
from signalcraft.storage.db import Tx
from signalcraft.storage.outbox import Delivery
from signalcraft.storage.outbox.rows import FIELDS

STATES: Final = get_args(State)
COUNTED_MAX: Final = 10_000
"""So many of a state are counted one by one; more are said to be more."""


class Wanted(Struct, frozen=True, kw_only=True):
    """Which deliveries. Channels by id; times in ms, of when a message came to be owed, the end not included.

    `text`: the last error holds it, in any case of ASCII letters.
    """

    states: Sequence[str] = ()
    kinds: Sequence[str] = ()
    channels: Sequence[int] = ()
    group_id: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    text: str = ""


class Subject(Struct, frozen=True):
    """The group that a message is about. `severity` as its rank."""

    title: str
    severity: int
    status: str


def page(tx: Tx, workspace_id: int, wanted: Wanted, before: int, limit: int) -> list[Delivery]:
    """Deliveries, newest first, those with ids below `before`."""
    if wanted.until_ms is not None:
        before = min(before, ids.floor(wanted.until_ms))
    # Whatever narrows it most finds the rows; the plus keeps SQLite from sorting a whole workspace instead.
    by_index = wanted.group_id is not None or bool(wanted.states)
    where = ["workspace_id = ?" if by_index else "+workspace_id = ?", "id < ?"]
    args: list[Any] = [workspace_id, before]
    if wanted.group_id is not None:
        where.append("group_id = ?")
        args.append(wanted.group_id)
    state = "state" if wanted.group_id is None else "+state"
    for column, values in ((state, wanted.states), ("kind", wanted.kinds), ("channel_id", wanted.channels)):
        if values:
            where.append(f"{column} in (select value from json_each(?))")
            args.append(_json(values))
    if wanted.since_ms is not None:
        where.append("id >= ?")
        args.append(ids.floor(wanted.since_ms))
    if wanted.text:
        where.append("instr(lower(last_error), lower(?)) > 0")
        args.append(wanted.text)
    rows = tx.all(f"select {FIELDS} from delivery where {' and '.join(where)} order by id desc limit ?", (*args, limit))
    return [Delivery(*row) for row in rows]


def subjects(tx: Tx, group_ids: Sequence[int]) -> dict[int, Subject]:
    """What the groups are called and how they are."""
    rows = tx.all(
        "select id, title, severity, status from alert_group where id in (select value from json_each(?))",
        (_json(sorted(set(group_ids))),),
    )
    return {row[0]: Subject(row[1], row[2], row[3]) for row in rows}


def summary(tx: Tx, workspace_id: int) -> dict[str, int]:
    """How many deliveries are in each state; COUNTED_MAX + 1 stands for more than can be counted quickly."""
    return {
        state: int(
            tx.value(
                "select count(*) from (select 1 from delivery where workspace_id = ? and state = ? limit ?)",
                (workspace_id, state, COUNTED_MAX + 1),
            )
        )
        for state in STATES
    }


def failed(tx: Tx, workspace_id: int, channel_id: int, limit: int) -> list[Delivery]:
    """The failed ones of a channel, in the order in which they came to be owed."""
    rows = tx.all(
        f"select {FIELDS} from delivery where workspace_id = ? and state = 'failed' and channel_id = ?"
        " order by id limit ?",
        (workspace_id, channel_id, limit),
    )
    return [Delivery(*row) for row in rows]


def _json(values: Sequence[Any]) -> str:
    return msgspec.json.encode(list(values)).decode()
