"""What comes next: the message that a channel is told first."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from signalcraft.domain.delivery import NoteKind
from signalcraft.domain.telling import Pending
from signalcraft.storage.db import Tx
from signalcraft.storage.outbox.rows import FIELDS, Delivery

_FIRST_OF_ITS_GROUP: Final = (
    "not exists (select 1 from delivery e where e.group_id = d.group_id and e.channel_id = d.channel_id"
    " and e.state in ('owed', 'sending') and e.rank = 0 and e.id < d.id)"
)


class Next(Struct, frozen=True):
    """The next message of a channel, and when it is due."""

    id: int
    due_ms: int


def channels_owed(tx: Tx) -> list[int]:
    """The channels that anything is owed to."""
    rows = tx.all(
        "with recursive owed (id) as (select min(channel_id) from delivery where state = 'owed' union all"
        " select (select min(channel_id) from delivery where state = 'owed' and channel_id > owed.id)"
        " from owed where owed.id is not null) select id from owed where id is not null"
    )
    return [row[0] for row in rows]


def next_post(tx: Tx, channel_id: int) -> Next | None:
    """The post that is due first, of those that no earlier post of their group holds back."""
    row = tx.one(
        "select d.id, d.next_ms from delivery d where d.channel_id = ? and d.state = 'owed' and d.rank = 0"
        f" and {_FIRST_OF_ITS_GROUP} order by d.next_ms, d.id limit 1",
        (channel_id,),
    )
    return None if row is None else Next(*row)


def next_edit(tx: Tx, channel_id: int) -> Next | None:
    """The edit that is due first, of those whose message is posted."""
    row = tx.one(
        "select d.id, d.next_ms from delivery d where d.channel_id = ? and d.state = 'owed' and d.rank = 1"
        " and exists (select 1 from conversation c where c.group_id = d.group_id and c.channel_id = d.channel_id"
        " and c.posted_ms is not null) order by d.next_ms, d.id limit 1",
        (channel_id,),
    )
    return None if row is None else Next(*row)


def next_probe(tx: Tx, channel_id: int) -> Next | None:
    """What a silent channel is tried with: the post that was tried least, so that one bad message stops nobody."""
    row = tx.one(
        "select d.id, d.owed_ms from delivery d where d.channel_id = ? and d.state = 'owed' and d.rank = 0"
        f" and {_FIRST_OF_ITS_GROUP} order by d.attempts, d.id limit 1",
        (channel_id,),
    )
    return next_edit(tx, channel_id) if row is None else Next(*row)


def next_test(tx: Tx, channel_id: int) -> Next | None:
    """The test message that is due first."""
    row = tx.one(
        "select id, next_ms from delivery where channel_id = ? and state = 'owed' and kind = 'test'"
        " order by next_ms, id limit 1",
        (channel_id,),
    )
    return None if row is None else Next(*row)


def later_posts(tx: Tx, first: Delivery, kinds: tuple[NoteKind, ...]) -> list[Delivery]:
    """The posts of the same group and channel that are owed behind this one, of these kinds, in order."""
    if first.group_id is None:
        return []
    rows = tx.all(
        f"select {FIELDS} from delivery where group_id = ? and channel_id = ? and state in ('owed', 'sending')"
        " and rank = 0 and id > ? order by id",
        (first.group_id, first.channel_id, first.id),
    )
    return [d for d in (Delivery(*row) for row in rows) if d.state == "owed" and d.kind in kinds]


def pending_post(tx: Tx, group_id: int, channel_id: int) -> Pending | None:
    """Whether a post of the group is owed to the channel or on its way: "sending" if one is."""
    rows = tx.all(
        # The plus signs keep it on the group's index: a channel may be owed thousands.
        "select state from delivery where group_id = ? and +channel_id = ? and +state in ('owed', 'sending')"
        " and +rank = 0",
        (group_id, channel_id),
    )
    states = {row[0] for row in rows}
    return "sending" if "sending" in states else "owed" if states else None
