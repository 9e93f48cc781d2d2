"""Rows of the ledger: one for each message to a channel, and how they come to be."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from signalcraft.domain.delivery import NoteKind, State
from signalcraft.errors import NotFound
from signalcraft.storage.db import Tx

POST: Final = 0
EDIT: Final = 1

FIELDS: Final = (
    "id, workspace_id, group_id, channel_id, kind, state, rank, episode, rule_id, event_id, mention, reason,"
    " fallback_of, plain, attempts, last_error, owed_ms, next_ms, lease_ms, hold_ms, tried_ms, sent_ms"
)
_INSERT: Final = (
    "insert into delivery (id, workspace_id, group_id, channel_id, kind, state, rank, episode, rule_id, event_id,"
    " mention, reason, fallback_of, plain, owed_ms, next_ms)"
    " values (?, ?, ?, ?, ?, 'owed', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_EDIT: Final = _INSERT.replace("insert into", "insert or ignore into", 1)


class Delivery(Struct, frozen=True):
    """One row. `hold_ms`: not before then, by the vendor's own word; `fallback_of`: the delivery it stands in for."""

    id: int
    workspace_id: int
    group_id: int | None
    channel_id: int
    kind: NoteKind
    state: State
    rank: int
    episode: int
    rule_id: int | None
    event_id: int | None
    mention: str
    reason: str
    fallback_of: int | None
    plain: int
    attempts: int
    last_error: str | None
    owed_ms: int
    next_ms: int
    lease_ms: int | None
    hold_ms: int | None
    tried_ms: int | None
    sent_ms: int | None


def owe(
    tx: Tx,
    *,
    now_ms: int,
    workspace_id: int,
    group_id: int | None,
    channel_id: int,
    kind: NoteKind,
    episode: int = 1,
    rule_id: int | None = None,
    event_id: int | None = None,
    mention: str = "",
    reason: str = "",
    next_ms: int | None = None,
    fallback_of: int | None = None,
    plain: bool = False,
) -> int | None:
    """A message is owed; its id. None where it is an edit and one is owed already."""
    rank = EDIT if kind == "update" else POST
    delivery_id = tx.new_id(now_ms)
    changed = tx.run(
        _INSERT_EDIT if rank == EDIT else _INSERT,
        (
            delivery_id, workspace_id, group_id, channel_id, kind, rank, episode, rule_id, event_id, mention, reason,
            fallback_of, int(plain), now_ms, now_ms if next_ms is None else next_ms,
        ),
    )  # fmt: skip
    return delivery_id if changed else None


def owe_edit(
    tx: Tx,
    *,
    now_ms: int,
    workspace_id: int,
    group_id: int,
    channel_id: int,
    episode: int = 1,
    event_id: int | None = None,
    next_ms: int | None = None,
) -> int | None:
    """A message must show the latest state; at most one edit of it is owed at a time: None where one is."""
    return owe(
        tx,
        now_ms=now_ms,
        workspace_id=workspace_id,
        group_id=group_id,
        channel_id=channel_id,
        kind="update",
        episode=episode,
        event_id=event_id,
        next_ms=next_ms,
    )


def load(tx: Tx, delivery_id: int) -> Delivery | None:
    """The row of an id, in any workspace."""
    row = tx.one(f"select {FIELDS} from delivery where id = ?", (delivery_id,))
    return None if row is None else Delivery(*row)


def get(tx: Tx, workspace_id: int, delivery_id: int) -> Delivery:
    """The row of an id in a workspace. Raises NotFound, also for another workspace's."""
    found = load(tx, delivery_id)
    if found is None or found.workspace_id != workspace_id:
        raise NotFound("no such delivery")
    return found
