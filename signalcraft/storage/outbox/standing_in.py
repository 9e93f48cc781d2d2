"""Messages that another channel delivers in place of a broken one."""

from __future__ import annotations

from signalcraft.storage.db import Tx
from signalcraft.storage.outbox.rows import FIELDS, Delivery


def without_stand_in(tx: Tx, channel_id: int, limit: int) -> list[Delivery]:
    """The posts owed to a channel that no other channel was asked to deliver, in order."""
    rows = tx.all(
        f"select {FIELDS} from delivery d where d.channel_id = ? and d.state = 'owed' and d.rank = 0"
        " and d.kind <> 'test' and d.fallback_of is null and not exists"
        " (select 1 from delivery f where f.fallback_of = d.id)"
        " order by d.id limit ?",
        (channel_id, limit),
    )
    return [Delivery(*row) for row in rows]


def stand_ins_of(tx: Tx, delivery_id: int) -> list[Delivery]:
    """The messages that stand in for one."""
    rows = tx.all(f"select {FIELDS} from delivery where fallback_of = ? order by id", (delivery_id,))
    return [Delivery(*row) for row in rows]


def stand_ins_owed_to(tx: Tx, channel_id: int, limit: int) -> list[Delivery]:
    """The messages owed to a channel that stand in for another channel's."""
    rows = tx.all(
        f"select {FIELDS} from delivery where channel_id = ? and state = 'owed' and rank = 0"
        " and fallback_of is not null order by id limit ?",
        (channel_id, limit),
    )
    return [Delivery(*row) for row in rows]


def move(tx: Tx, delivery_id: int, channel_id: int, now_ms: int) -> None:
    """Another channel is to take it, as if it had just been owed."""
    tx.run(
        "update delivery set channel_id = ?, next_ms = ?, hold_ms = null, attempts = 0, plain = 0 where id = ?",
        (channel_id, now_ms, delivery_id),
    )
