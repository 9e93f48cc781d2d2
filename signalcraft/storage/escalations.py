"""Escalations: one row for each alert group, rule and episode. A row that was cancelled may become pending again."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.domain.escalation import Chain, State, due_ms
from signalcraft.storage.db import Row, Tx

_FIELDS: Final = (
    "id, workspace_id, group_id, rule_id, episode, due_ms, channels, after_minutes, state, ended_ms, late_ms"
)
_CHANNELS: Final = msgspec.json.Decoder(list[int])


class Escalation(Struct, frozen=True):
    """One row; `channels` decoded."""

    id: int
    workspace_id: int
    group_id: int
    rule_id: int
    episode: int
    due_ms: int
    channels: list[int]
    after_minutes: int
    state: State
    ended_ms: int | None
    late_ms: int | None


def _from(row: Row) -> Escalation:
    id_, workspace_id, group_id, rule_id, episode, due_at_ms, channels, after_minutes, state, ended_ms, late_ms = row
    return Escalation(
        id_, workspace_id, group_id, rule_id, episode, due_at_ms, _CHANNELS.decode(channels), after_minutes, state,
        ended_ms, late_ms,
    )  # fmt: skip


def add(tx: Tx, workspace_id: int, group_id: int, episode: int, chain: Chain, now_ms: int) -> bool:
    """An escalation to come, unless this group, rule and episode have one. Whether it was new."""
    if tx.value(
        "select 1 from escalation where group_id = ? and rule_id = ? and episode = ?",
        (group_id, chain.rule_id, episode),
    ):
        return False
    tx.run(
        "insert into escalation (id, workspace_id, group_id, rule_id, episode, due_ms, channels, after_minutes, state)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
        (
            tx.new_id(now_ms),
            workspace_id,
            group_id,
            chain.rule_id,
            episode,
            chain.due_ms,
            msgspec.json.encode(chain.channels).decode(),
            chain.after_minutes,
        ),
    )
    return True


def due(tx: Tx, now_ms: int, limit: int) -> list[Escalation]:
    """What is due, the longest overdue first."""
    rows = tx.all(
        f"select {_FIELDS} from escalation where state = 'pending' and due_ms <= ? order by due_ms, id limit ?",
        (now_ms, limit),
    )
    return [_from(row) for row in rows]


def next_due_ms(tx: Tx) -> int | None:
    """When the next one is due."""
    value: int | None = tx.value("select min(due_ms) from escalation where state = 'pending'")
    return value


def fired(tx: Tx, escalation_id: int, now_ms: int, late_ms: int) -> None:
    """It was carried out, so late."""
    tx.run(
        "update escalation set state = 'fired', ended_ms = ?, late_ms = ? where id = ?",
        (now_ms, late_ms, escalation_id),
    )


def cancel(tx: Tx, group_id: int, now_ms: int, *, before_episode: int | None = None) -> int:
    """Nobody needs to be told: a group's pending ones end (only those of earlier episodes, where asked). How many."""
    return tx.run(
        "update escalation set state = 'cancelled', ended_ms = ? where group_id = ? and state = 'pending'"
        " and episode < ?",
        (now_ms, group_id, 2**31 if before_episode is None else before_episode),
    )


def cancel_one(tx: Tx, escalation_id: int, now_ms: int) -> None:
    """It is not to be carried out."""
    tx.run("update escalation set state = 'cancelled', ended_ms = ? where id = ?", (now_ms, escalation_id))


def restart(tx: Tx, group_id: int, episode: int, now_ms: int) -> int:
    """Unanswered again: every rule's latest escalation of the group counts from now, in the given episode. How many.

    (group, rule, episode) stays unique: within an episode the same row is pending again, whatever became of it.
    """
    rows = tx.all(
        "select workspace_id, rule_id, channels, after_minutes, max(episode) from escalation where group_id = ?"
        " group by rule_id",
        (group_id,),
    )
    for workspace_id, rule_id, channels, after_minutes, _ in rows:
        tx.run(
            "insert into escalation (id, workspace_id, group_id, rule_id, episode, due_ms, channels, after_minutes,"
            " state) values (?, ?, ?, ?, ?, ?, ?, ?, 'pending') on conflict (group_id, rule_id, episode) do update set"
            " state = 'pending', due_ms = excluded.due_ms, ended_ms = null, late_ms = null",
            (
                tx.new_id(now_ms), workspace_id, group_id, rule_id, episode, due_ms(after_minutes, now_ms), channels,
                after_minutes,
            ),
        )  # fmt: skip
    return len(rows)


def of_group(tx: Tx, group_id: int) -> list[Escalation]:
    """A group's escalations in order."""
    rows = tx.all(f"select {_FIELDS} from escalation where group_id = ? order by id", (group_id,))
    return [_from(row) for row in rows]


def move_back(tx: Tx, by_ms: int) -> int:
    """The clock stepped back: nobody waits for it to catch up. How many moved."""
    return tx.run("update escalation set due_ms = due_ms - ? where state = 'pending'", (by_ms,))


def get(tx: Tx, escalation_id: int) -> Escalation | None:
    """The row of an id."""
    row = tx.one(f"select {_FIELDS} from escalation where id = ?", (escalation_id,))
    return None if row is None else _from(row)
