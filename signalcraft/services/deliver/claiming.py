"""Taking one delivery in hand: what it says is read from the group as it is now, in the transaction that takes it."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain import ids, links, telling
from signalcraft.domain.delivery import GroupView, Note, NoteKind
from signalcraft.domain.group import Group
from signalcraft.services.deliver.lanes import Plan
from signalcraft.services.registry import ChannelLive
from signalcraft.services.views import group_view
from signalcraft.storage import conversations, groups, outbox
from signalcraft.storage.conversations import Conversation
from signalcraft.storage.db import Tx
from signalcraft.storage.outbox import Delivery

POSTS: tuple[NoteKind, ...] = ("first", "repeat", "escalation")


class Claim(Struct, frozen=True):
    """A delivery that is on its way.

    * `joined`: the later posts of the same group and channel that this message says too.
    * `mark`: everything owed up to this id was known when the message was rendered.
    * `root`: it becomes the group's message in the channel.
    """

    delivery: Delivery
    live: ChannelLive
    probe: bool
    note: Note
    receipt: dict[str, str]
    joined: tuple[Delivery, ...]
    mark: int
    root: bool


def claim(tx: Tx, settings: Settings, link_key: bytes, live: ChannelLive, plan: Plan, now_ms: int) -> Claim | None:
    """Takes the next delivery of a channel in hand; None where there is none (any more)."""
    for _ in range(20):  # what turns out to be said already is dropped, and the next one looked at
        delivery = _pick(tx, plan, now_ms)
        if delivery is None:
            return None
        taken = _take(tx, settings, link_key, live, plan, delivery, now_ms)
        if taken is not None:
            return taken
    return None


def _pick(tx: Tx, plan: Plan, now_ms: int) -> Delivery | None:
    if plan.mode == "probe":
        found = outbox.next_probe(tx, plan.channel_id)
    else:
        pick = {"post": outbox.next_post, "edit": outbox.next_edit, "test": outbox.next_test}[plan.mode]
        found = pick(tx, plan.channel_id)
        if found is not None and found.due_ms > now_ms:
            return None
    return None if found is None else outbox.load(tx, found.id)


def _take(
    tx: Tx, settings: Settings, link_key: bytes, live: ChannelLive, plan: Plan, delivery: Delivery, now_ms: int
) -> Claim | None:
    if delivery.group_id is None:
        note = _note(settings, link_key, live, delivery, _nothing(now_ms), now_ms, delivery.kind, "", delivery.reason)
        return _claimed(tx, settings, live, plan, delivery, note, {}, (), False, now_ms)
    group = groups.load(tx, delivery.group_id)
    if group is None:
        outbox.end(tx, delivery.id, "failed", "its alert group is no more")
        return None
    if delivery.kind == "resolved" and group.status != "resolved":
        outbox.end(tx, delivery.id, "dropped", "opened again before it was told")
        return None
    conversation = conversations.get(tx, group.id, live.id) or _begin(tx, group, live)
    root = conversation.posted_ms is None
    joined = _joined(tx, delivery, group, root)
    all_of_it = (delivery, *joined)
    kind = delivery.kind
    if kind in POSTS:
        kind = telling.joined_kind([d.kind for d in all_of_it if d.kind in POSTS])
        if kind == "first" and not root:
            kind = "repeat"  # the group has its message here already
    mention = telling.mention_now(kind, group.status, telling.loudest(d.mention for d in all_of_it))
    reason = next((d.reason for d in reversed(all_of_it) if d.reason and d.kind in POSTS), delivery.reason)
    view = group_view(tx, group, now_ms)
    note = _note(settings, link_key, live, delivery, view, now_ms, kind, mention, reason)
    return _claimed(tx, settings, live, plan, delivery, note, conversation.receipt, joined, root, now_ms)


def _begin(tx: Tx, group: Group, live: ChannelLive) -> Conversation:
    conversations.begin(
        tx,
        group.id,
        live.id,
        via="fallback",
        edits=live.module.EDITS,
        episode=group.episode,
        severity=int(group.severity),
    )
    begun = conversations.get(tx, group.id, live.id)
    assert begun is not None  # noqa: S101  # it was just written
    return begun


def _joined(tx: Tx, delivery: Delivery, group: Group, root: bool) -> tuple[Delivery, ...]:
    """The later posts that one message can say with this one, so that nobody hears the same group twice in a row."""
    if delivery.kind not in POSTS:
        return ()
    kinds = (*POSTS, "resolved") if root and group.status == "resolved" else POSTS
    return tuple(outbox.later_posts(tx, delivery, kinds))


def _claimed(
    tx: Tx,
    settings: Settings,
    live: ChannelLive,
    plan: Plan,
    delivery: Delivery,
    note: Note,
    receipt: dict[str, str],
    joined: tuple[Delivery, ...],
    root: bool,
    now_ms: int,
) -> Claim:
    outbox.take(tx, delivery.id, now_ms, now_ms + settings.delivery.lease_seconds * 1000)
    return Claim(
        delivery=msgspec.structs.replace(delivery, attempts=delivery.attempts + 1),
        live=live,
        probe=plan.mode == "probe",
        note=note,
        receipt=receipt,
        joined=joined,
        mark=tx.new_id(now_ms),
        root=root,
    )


def _note(
    settings: Settings,
    link_key: bytes,
    live: ChannelLive,
    delivery: Delivery,
    view: GroupView,
    now_ms: int,
    kind: NoteKind,
    mention: str,
    reason: str,
) -> Note:
    public = settings.http.public_url
    ack, page = "", public
    if public and delivery.group_id is not None:
        page = f"{public}/alert-groups/{ids.show(delivery.group_id)}"
    if public and delivery.group_id is not None and view.status == "open":
        expires_ms = now_ms + settings.delivery.ack_link_hours * 3_600_000
        ack = f"{public}/answer/{links.sign(link_key, delivery.group_id, live.id, 'ack', expires_ms)}"
    return Note(
        kind=kind,
        delivery_id=ids.show(delivery.id),
        group=view,
        now_ms=now_ms,
        mention=mention,
        reason=reason,
        page_url=page,
        ack_url=ack,
        timezone=settings.workspace.timezone,
        plain=bool(delivery.plain),
    )


def _nothing(now_ms: int) -> GroupView:
    """What a test message speaks of."""
    return GroupView(
        id="",
        title="Test message",
        message="",
        severity="info",
        status="open",
        source="signalcraft",
        project=None,
        environment=None,
        count=0,
        episode=1,
        first_seen_ms=now_ms,
        last_seen_ms=now_ms,
    )
