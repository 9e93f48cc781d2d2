"""Trying many failed deliveries again at once: those of a channel that was mended, or those that a person picked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from signalcraft.domain.group import Actor
from signalcraft.errors import NotFound
from signalcraft.services.registry import Snapshot
from signalcraft.storage import journal, ledger, outbox
from signalcraft.storage.db import Tx
from signalcraft.storage.outbox import Delivery

MOST: Final = 500
"""So many in one request; `more` says that there are others."""


class Skipped(Struct, frozen=True):
    """One that is not tried again, and why."""

    delivery_id: int
    why: str


class Again(Struct, frozen=True):
    """What became of it."""

    retried: int
    skipped: list[Skipped]
    more: bool


Note = Callable[[Tx, Delivery, str, Actor, int], None]


def of_channel(
    tx: Tx, snapshot: Snapshot, workspace_id: int, channel_id: int, actor: Actor, now_ms: int, note: Note
) -> Again:
    """Every failed message of a channel, the oldest first. Raises NotFound for no channel of this workspace."""
    live = snapshot.channels.get(channel_id)
    if live is None or live.workspace_id != workspace_id:
        raise NotFound("no such channel")
    held = ledger.failed(tx, workspace_id, channel_id, MOST + 1)
    _head(tx, workspace_id, actor, {"channel": live.name, "deliveries": min(len(held), MOST)}, now_ms)
    again = _each(tx, held[:MOST], actor, now_ms, note)
    return Again(again.retried, again.skipped, len(held) > MOST)


def of_ids(tx: Tx, workspace_id: int, delivery_ids: Sequence[int], actor: Actor, now_ms: int, note: Note) -> Again:
    """These, as far as they failed, were dropped or wait. Raises NotFound when one is not there."""
    held = [outbox.get(tx, workspace_id, delivery_id) for delivery_id in sorted(set(delivery_ids))]
    _head(tx, workspace_id, actor, {"deliveries": len(held)}, now_ms)
    return _each(tx, held, actor, now_ms, note)


def _head(tx: Tx, workspace_id: int, actor: Actor, data: dict[str, object], now_ms: int) -> None:
    journal.add(tx, now_ms, workspace_id, None, "deliveries_retried", actor, data)


def _each(tx: Tx, held: Sequence[Delivery], actor: Actor, now_ms: int, note: Note) -> Again:
    retried, skipped = 0, []
    for one in held:
        if one.state in ("sending", "sent"):
            skipped.append(Skipped(one.id, "it is on its way" if one.state == "sending" else "it is already sent"))
        elif not outbox.requeue(tx, one, now_ms, one.last_error or ""):
            skipped.append(Skipped(one.id, "a later edit of this message is owed already"))
        else:
            note(tx, one, "delivery_retried", actor, now_ms)
            retried += 1
    return Again(retried, skipped, False)
