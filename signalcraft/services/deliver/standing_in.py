"""When a channel cannot deliver, the workspace's fallback channel is asked: what is owed stays owed to both until one
of them took it."""

from __future__ import annotations

from signalcraft.domain import ids
from signalcraft.domain.delivery import NoteKind
from signalcraft.domain.group import SYSTEM
from signalcraft.services.deliver.lanes import fallback_of
from signalcraft.services.registry import ChannelLive, Snapshot
from signalcraft.storage import conversations, groups, journal, outbox
from signalcraft.storage.db import Tx
from signalcraft.storage.outbox import Delivery

BATCH = 100


def stand_in(tx: Tx, snapshot: Snapshot, channel_id: int, now_ms: int) -> int:
    """Owes to the fallback what is owed to a channel that cannot deliver; how many, at most `BATCH` at once."""
    live = snapshot.channels.get(channel_id)
    name = live.name if live is not None else ids.show(channel_id)
    why = (live.broken_why if live is not None else None) or "it cannot be used"
    asked = 0
    for delivery in outbox.without_stand_in(tx, channel_id, BATCH):
        other = fallback_of(snapshot, delivery.workspace_id, channel_id)
        if other is not None:
            asked += ask(tx, delivery, other, f"{name} cannot deliver: {why}", now_ms)
    for delivery in outbox.stand_ins_owed_to(tx, channel_id, BATCH):
        # The fallback itself broke and another one was named since.
        other = fallback_of(snapshot, delivery.workspace_id, channel_id)
        if other is not None:
            _conversation(tx, delivery, other)
            outbox.move(tx, delivery.id, other.id, now_ms)
            asked += 1
    return asked


def ask(tx: Tx, delivery: Delivery, other: ChannelLive, why: str, now_ms: int) -> bool:
    """Owes one message to the fallback. False where it stands in itself already, or another one does: never a chain."""
    if delivery.fallback_of is not None or delivery.group_id is None or delivery.kind in ("update", "test"):
        return False
    if outbox.stand_ins_of(tx, delivery.id):
        return False
    kind = _conversation(tx, delivery, other)
    outbox.owe(
        tx,
        now_ms=now_ms,
        workspace_id=delivery.workspace_id,
        group_id=delivery.group_id,
        channel_id=other.id,
        kind=kind,
        episode=delivery.episode,
        rule_id=delivery.rule_id,
        event_id=delivery.event_id,
        mention=delivery.mention,
        reason=f"{delivery.reason}; {why}" if delivery.reason else why,
        fallback_of=delivery.id,
    )
    return True


def _conversation(tx: Tx, delivery: Delivery, other: ChannelLive) -> NoteKind:
    """Makes sure that the fallback has a conversation; how the message is said there."""
    if delivery.group_id is None:
        return delivery.kind
    known = conversations.get(tx, delivery.group_id, other.id)
    if known is not None:
        return "repeat" if delivery.kind == "first" and known.posted_ms is not None else delivery.kind
    group = groups.load(tx, delivery.group_id)
    theirs = conversations.get(tx, delivery.group_id, delivery.channel_id)
    conversations.begin(
        tx,
        delivery.group_id,
        other.id,
        via="fallback",
        edits=other.module.EDITS,
        episode=delivery.episode,
        severity=0 if group is None else int(group.severity),
        mention=delivery.mention or "none",
        # Where the broken channel has no message, nothing there would ever repeat.
        repeat_ms=theirs.repeat_ms if theirs is not None and theirs.posted_ms is None else None,
    )
    return delivery.kind


def took_over(tx: Tx, snapshot: Snapshot, taken: Delivery, other: ChannelLive, now_ms: int) -> None:
    """The fallback took a message: the one it stood in for is no longer owed."""
    original = None if taken.fallback_of is None else outbox.load(tx, taken.fallback_of)
    if original is None or original.state not in ("owed", "failed"):
        return  # it is on its way after all, taken, or dropped by a person
    said = f"told through {other.name} instead"
    outbox.end(tx, original.id, "failed", f"{said}: {original.last_error}" if original.last_error else said)
    if original.group_id is not None:
        forget_edits(tx, original, said)
        live = snapshot.channels.get(original.channel_id)
        name = ids.show(original.channel_id) if live is None else live.name
        data = {"delivery": ids.show(original.id), "channel": name, "through": other.name}
        journal.add(tx, now_ms, original.workspace_id, original.group_id, "told_by_fallback", SYSTEM, data)


def forget_edits(tx: Tx, post: Delivery, why: str) -> None:
    """A post will not come: edits of it are not owed either, where it was to be the group's message."""
    if post.group_id is None:
        return
    known = conversations.get(tx, post.group_id, post.channel_id)
    if known is None or known.posted_ms is None:
        outbox.drop_edits(tx, post.group_id, post.channel_id, 2**63 - 1, why)


def was_told_elsewhere(tx: Tx, delivery: Delivery) -> bool:
    """Whether a channel that stood in has taken it."""
    return any(d.state == "sent" for d in outbox.stand_ins_of(tx, delivery.id))


def call_off(tx: Tx, delivery: Delivery, why: str) -> None:
    """Nobody needs to stand in (any more)."""
    for other in outbox.stand_ins_of(tx, delivery.id):
        if other.state == "owed":
            outbox.end(tx, other.id, "dropped", why)
