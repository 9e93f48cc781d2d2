"""Looking at the ledger: lists, and how much is owed since when."""

from __future__ import annotations

from msgspec import Struct

from signalcraft.domain.delivery import State
from signalcraft.storage.db import Tx
from signalcraft.storage.outbox.rows import FIELDS, Delivery


def listed(
    tx: Tx,
    workspace_id: int,
    *,
    state: State | None = None,
    channel_id: int | None = None,
    group_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """A workspace's deliveries, newest first, those before the id `before` (a page's last one)."""
    where, args = ["workspace_id = ?", "id < ?"], [workspace_id, 2**63 - 1 if before is None else before]
    for column, wanted in (("state", state), ("channel_id", channel_id), ("group_id", group_id)):
        if wanted is not None:
            where.append(f"{column} = ?")
            args.append(wanted)  # type: ignore[arg-type]  # values of any column
    rows = tx.all(f"select {FIELDS} from delivery where {' and '.join(where)} order by id desc limit ?", (*args, limit))
    return [Delivery(*row) for row in rows]


def owed_posts(tx: Tx, group_id: int) -> list[Delivery]:
    """The posts of a group that are owed, to whatever channel."""
    rows = tx.all(
        f"select {FIELDS} from delivery where group_id = ? and state in ('owed', 'sending') and rank = 0 order by id",
        (group_id,),
    )
    return [d for d in (Delivery(*row) for row in rows) if d.state == "owed"]


def owed_to(tx: Tx, channel_id: int, limit: int = 200) -> list[Delivery]:
    """What is owed to a channel, posts first."""
    rows = tx.all(
        f"select {FIELDS} from delivery where channel_id = ? and state = 'owed' order by rank, next_ms, id limit ?",
        (channel_id, limit),
    )
    return [Delivery(*row) for row in rows]


class Owed(Struct, frozen=True):
    """How much is owed to a channel, and since when. Times in ms."""

    workspace_id: int
    channel_id: int
    posts: int
    edits: int
    oldest_ms: int


def owed(tx: Tx) -> list[Owed]:
    """What is owed or on its way, by channel."""
    rows = tx.all(
        "select workspace_id, channel_id, sum(rank = 0), sum(rank = 1), min(owed_ms) from delivery"
        " where state in ('owed', 'sending') group by workspace_id, channel_id"
    )
    return [Owed(*row) for row in rows]


def under_way(tx: Tx) -> bool:
    """Whether anything is on its way."""
    return tx.value("select 1 from delivery where state = 'sending' limit 1") is not None


def last_sent_ms(tx: Tx, workspace_id: int) -> int | None:
    """When a channel last took a message that makes a sound."""
    value: int | None = tx.value(
        "select max(sent_ms) from (select sent_ms from delivery where workspace_id = ? and state = 'sent'"
        " and kind <> 'update' order by id desc limit 50)",
        (workspace_id,),
    )
    return value


def failed_since(tx: Tx, workspace_id: int, since_ms: int, from_id: int) -> int:
    """How many deliveries failed since then, of those owed since an id."""
    return int(
        tx.value(
            "select count(*) from delivery where workspace_id = ? and state = 'failed' and id >= ? and tried_ms >= ?",
            (workspace_id, from_id, since_ms),
        )
    )


class Tried(Struct, frozen=True):
    """A try of the recent past. `hold_ms`: until when the vendor asked for a pause then."""

    channel_id: int
    rank: int
    at_ms: int
    hold_ms: int | None


def tried_since(tx: Tx, since_ms: int, from_id: int) -> list[Tried]:
    """The tries since then, and those whose pause lasts until after it, of deliveries owed since the id `from_id` or
    still owed. In order of the tries.
    """
    rows = tx.all(
        "select channel_id, rank, tried_ms, hold_ms from delivery where id >= ?1 and (tried_ms > ?2 or hold_ms > ?2)"
        " union all select channel_id, rank, tried_ms, hold_ms from delivery where id < ?1"
        " and state in ('owed', 'sending') and (tried_ms > ?2 or hold_ms > ?2) order by tried_ms",
        (from_id, since_ms),
    )
    return [Tried(*row) for row in rows]
