"""Conversations: one for each alert group and channel, with the message that is edited as the group changes."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct

from signalcraft.storage.db import Tx

Via = Literal["route", "escalation", "fallback"]
_FIELDS: Final = (
    "group_id, channel_id, rule_id, mention, episode, severity, repeat_ms, next_repeat_ms, receipt, via, edits,"
    " posted_ms"
)
# Asked for every event: what is owed already need not be tried to be owed again.
_OF_GROUP: Final = (
    f"select {_FIELDS}, exists (select 1 from delivery d where d.group_id = c.group_id and d.channel_id = c.channel_id"
    " and d.state = 'owed' and d.kind = 'update') from conversation c where group_id = ?"
)
_RECEIPT: Final = msgspec.json.Decoder(dict[str, str])


class Conversation(Struct, frozen=True):
    """One row. `via`: how the channel came to be told; `posted_ms`: when its message was taken, None if there is none.

    `receipt_json` is the receipt as stored; `receipt` reads it. `edit_owed` is filled in by `of_group`.
    """

    group_id: int
    channel_id: int
    rule_id: int | None
    mention: str
    episode: int
    severity: int
    repeat_ms: int | None
    next_repeat_ms: int | None
    receipt_json: str
    via: Via
    edits: int
    posted_ms: int | None
    edit_owed: int = 0

    @property
    def receipt(self) -> dict[str, str]:
        """What the channel left us to find its message again; {} where there is none."""
        return _RECEIPT.decode(self.receipt_json)


def of_group(tx: Tx, group_id: int) -> list[Conversation]:
    """A group's conversations, each with whether an edit of its message is owed already."""
    return [Conversation(*row) for row in tx.all(_OF_GROUP, (group_id,))]


def get(tx: Tx, group_id: int, channel_id: int) -> Conversation | None:
    """The conversation of a group in a channel."""
    row = tx.one(f"select {_FIELDS} from conversation where group_id = ? and channel_id = ?", (group_id, channel_id))
    return None if row is None else Conversation(*row)


def begin(
    tx: Tx,
    group_id: int,
    channel_id: int,
    *,
    via: Via,
    edits: bool,
    episode: int,
    severity: int,
    rule_id: int | None = None,
    mention: str = "",
    repeat_ms: int | None = None,
) -> bool:
    """A conversation begins, unless there is one. Whether it began."""
    return bool(
        tx.run(
            "insert or ignore into conversation (group_id, channel_id, rule_id, mention, episode, severity, repeat_ms,"
            " via, edits) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (group_id, channel_id, rule_id, mention, episode, severity, repeat_ms, via, int(edits)),
        )
    )


def told(tx: Tx, group_id: int, channel_id: int, *, episode: int, severity: int) -> None:
    """What the channel has been told about (or will have been, once what is owed is taken)."""
    tx.run(
        "update conversation set episode = ?, severity = ? where group_id = ? and channel_id = ?",
        (episode, severity, group_id, channel_id),
    )


def posted(tx: Tx, group_id: int, channel_id: int, receipt: dict[str, str], now_ms: int) -> None:
    """The channel took a message or an edit of it. What earlier receipts said stays where this one is silent."""
    earlier = get(tx, group_id, channel_id)
    known = {} if earlier is None else earlier.receipt
    tx.run(
        "update conversation set receipt = ?, posted_ms = coalesce(posted_ms, ?) where group_id = ? and channel_id = ?",
        (msgspec.json.encode({**known, **receipt}).decode(), now_ms, group_id, channel_id),
    )


def lost(tx: Tx, group_id: int, channel_id: int) -> None:
    """The message is no more."""
    tx.run(
        "update conversation set receipt = '{}', posted_ms = null, next_repeat_ms = null"
        " where group_id = ? and channel_id = ?",
        (group_id, channel_id),
    )


# -- repeats ----------------------------------------------------------------------------------------------------------


def repeat_from(tx: Tx, group_id: int, channel_id: int, now_ms: int) -> None:
    """People were told just now: the next repeat counts from here, where there is one and nobody answered."""
    tx.run(
        "update conversation set next_repeat_ms = ? + repeat_ms where group_id = ? and channel_id = ?"
        " and repeat_ms is not null and exists"
        " (select 1 from alert_group g where g.id = conversation.group_id and g.status = 'open')",
        (now_ms, group_id, channel_id),
    )
    tx.run("update alert_group set retold_ms = ? where id = ?", (now_ms, group_id))


def retold(tx: Tx, group_id: int, now_ms: int) -> None:
    """People are to hear again now."""
    tx.run("update alert_group set retold_ms = ? where id = ?", (now_ms, group_id))


def stop_repeats(tx: Tx, group_id: int) -> None:
    """Somebody answered, or it is over."""
    tx.run(
        "update conversation set next_repeat_ms = null where group_id = ? and next_repeat_ms is not null", (group_id,)
    )


def resume_repeats(tx: Tx, group_id: int, now_ms: int) -> None:
    """It is unanswered again: repeats count from now."""
    tx.run(
        "update conversation set next_repeat_ms = ? + repeat_ms where group_id = ? and repeat_ms is not null"
        " and next_repeat_ms is null and posted_ms is not null",
        (now_ms, group_id),
    )


def joins_repeats(tx: Tx, group_id: int, channel_id: int) -> None:
    """An escalated channel hears the group's repeats too, as often as the most frequent of those told before."""
    tx.run(
        "update conversation set repeat_ms = (select min(c.repeat_ms) from conversation c where c.group_id = ?"
        " and c.channel_id <> ?) where group_id = ? and channel_id = ? and repeat_ms is null",
        (group_id, channel_id, group_id, channel_id),
    )


def due_repeats(tx: Tx, now_ms: int, limit: int) -> list[Conversation]:
    """The conversations whose repeat is due."""
    rows = tx.all(
        f"select {_FIELDS} from conversation where next_repeat_ms <= ? order by next_repeat_ms limit ?", (now_ms, limit)
    )
    return [Conversation(*row) for row in rows]


def repeat_owed(tx: Tx, group_id: int, channel_id: int) -> None:
    """The due repeat is owed; the next one counts from when it is taken."""
    tx.run(
        "update conversation set next_repeat_ms = null where group_id = ? and channel_id = ?", (group_id, channel_id)
    )


def next_repeat_ms(tx: Tx) -> int | None:
    """When the next repeat is due."""
    value: int | None = tx.value("select min(next_repeat_ms) from conversation where next_repeat_ms is not null")
    return value


def move_back(tx: Tx, by_ms: int) -> int:
    """The clock stepped back: repeats keep their distance. How many moved."""
    return tx.run(
        "update conversation set next_repeat_ms = next_repeat_ms - ? where next_repeat_ms is not null", (by_ms,)
    )


def untold(tx: Tx, workspace_id: int, limit: int = 1000) -> int:
    """How many open groups no channel was ever to be told of, counted up to `limit`."""
    return int(
        tx.value(
            "select count(*) from (select 1 from alert_group g where g.workspace_id = ? and g.status = 'open'"
            " and g.settle_ms is null and not exists (select 1 from conversation c where c.group_id = g.id) limit ?)",
            (workspace_id, limit),
        )
    )
