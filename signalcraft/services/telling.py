"""Who is owed what: called inside the transaction in which an alert group changed, it writes the ledger.

One conversation is one group in one channel: a first message, edits of it, answers in its thread. What is decided here
is in domain/telling.py; who carries it out is services/deliver.
"""

from __future__ import annotations

from collections.abc import Sequence

from signalcraft.config import Settings
from signalcraft.domain import escalation, telling
from signalcraft.domain.delivery import NoteKind
from signalcraft.domain.group import SYSTEM, Change, Group
from signalcraft.domain.routing import CompiledRule, mention_for
from signalcraft.services.registry import Snapshot
from signalcraft.storage import conversations, counts, escalations, journal, outbox
from signalcraft.storage.conversations import Conversation
from signalcraft.storage.db import Tx


def tell(
    tx: Tx,
    snapshot: Snapshot,
    group: Group,
    change: Change,
    matches: Sequence[CompiledRule],
    event_id: int | None,
    now_ms: int,
    settings: Settings,
) -> None:
    """An event is absorbed, its group stored, the rules evaluated: what does that make us owe?"""
    if change.restart_escalation:
        escalations.cancel(tx, group.id, now_ms, before_episode=group.episode)
    for chain in escalation.chains(matches, group.status, now_ms):
        escalations.add(tx, group.workspace_id, group.id, group.episode, chain, now_ms)
    known = {c.channel_id: c for c in conversations.of_group(tx, group.id)}
    routes = _routes(snapshot, group, matches)
    if not routes and not known and (change.opened or change.told_again):
        _unrouted(tx, group, now_ms)
    for channel_id, rule in routes.items():
        conversation = known.pop(channel_id, None)
        if conversation is None:
            if telling.tells_new_channel(group.status, change.quiet):
                _begin(tx, snapshot, group, channel_id, rule, change.told_again, event_id, now_ms)
        else:
            mention = mention_for(rule, group.severity)
            _continue(tx, group, conversation, change.told_again, mention, event_id, now_ms, settings)
    for conversation in known.values():
        # Told before, by a rule that no longer holds, an escalation or a fallback: its message shows the latest state.
        # A channel that was escalated to hears of a new episode when the chain, which starts anew, comes to it.
        again = change.told_again if conversation.via == "route" and _still_there(snapshot, conversation) else ""
        mention = _mention(group, conversation)
        _continue(tx, group, conversation, again, mention, event_id, now_ms, settings)


def _routes(snapshot: Snapshot, group: Group, matches: Sequence[CompiledRule]) -> dict[int, CompiledRule | None]:
    """The channels to tell, each with the first rule that names it; the default route where no rule leads anywhere."""
    routes: dict[int, CompiledRule | None] = {}
    for rule in matches:
        for channel_id in rule.channels:
            if channel_id not in routes and _usable(snapshot, channel_id):
                routes[channel_id] = rule
    if not routes:
        for channel_id in snapshot.workspaces[group.workspace_id].default_channels:
            if _usable(snapshot, channel_id):
                routes[channel_id] = None
    return routes


def _usable(snapshot: Snapshot, channel_id: int) -> bool:
    # A broken channel is usable: what it is owed stays owed, and its fallback is told. A disabled one is not.
    live = snapshot.channels.get(channel_id)
    return live is not None and live.enabled


def _mention(group: Group, conversation: Conversation) -> str:
    """Who is called: what the rule that began the conversation says, else what the severity asks for."""
    if conversation.mention == "none":
        return ""
    return conversation.mention or mention_for(None, group.severity)


def _unrouted(tx: Tx, group: Group, now_ms: int) -> None:
    journal.add(tx, now_ms, group.workspace_id, group.id, "unrouted", SYSTEM)
    counts.bump(tx, group.workspace_id, now_ms, "unrouted")


def _begin(
    tx: Tx,
    snapshot: Snapshot,
    group: Group,
    channel_id: int,
    rule: CompiledRule | None,
    reason: str,
    event_id: int | None,
    now_ms: int,
) -> None:
    mention = mention_for(rule, group.severity)
    minutes = None if rule is None else rule.repeat_minutes
    conversations.begin(
        tx,
        group.id,
        channel_id,
        via="route",
        edits=snapshot.channels[channel_id].module.EDITS,
        episode=group.episode,
        severity=int(group.severity),
        rule_id=None if rule is None else rule.id,
        mention="" if rule is None else rule.mention or "",
        repeat_ms=None if minutes is None else minutes * 60_000,
    )
    _owe(tx, group, channel_id, "first", mention, reason, now_ms, event_id, None if rule is None else rule.id)


def _continue(
    tx: Tx,
    group: Group,
    conversation: Conversation,
    told_again: str,
    mention: str,
    event_id: int | None,
    now_ms: int,
    settings: Settings,
    *,
    changed: bool = True,
) -> None:
    posted = conversation.posted_ms is not None
    channel_id = conversation.channel_id
    pending = None if posted else outbox.pending_post(tx, group.id, channel_id)
    say = telling.to_known_channel(posted=posted, pending=pending, told_again=bool(told_again))
    if say in ("first", "repeat"):
        conversations.told(tx, group.id, channel_id, episode=group.episode, severity=int(group.severity))
        kind: NoteKind = "first" if say == "first" else "repeat"
        _owe(tx, group, channel_id, kind, mention, told_again, now_ms, event_id, conversation.rule_id)
    if say == "update" or (say == "repeat" and changed and (posted or pending == "sending")):
        _owe_edit(tx, group, conversation, now_ms, settings, event_id)


def _owe(
    tx: Tx,
    group: Group,
    channel_id: int,
    kind: NoteKind,
    mention: str,
    reason: str,
    now_ms: int,
    event_id: int | None = None,
    rule_id: int | None = None,
    next_ms: int | None = None,
) -> None:
    outbox.owe(
        tx,
        now_ms=now_ms,
        workspace_id=group.workspace_id,
        group_id=group.id,
        channel_id=channel_id,
        kind=kind,
        episode=group.episode,
        rule_id=rule_id,
        event_id=event_id,
        mention=mention,
        reason=reason,
        next_ms=next_ms,
    )


def _owe_edit(
    tx: Tx, group: Group, conversation: Conversation, now_ms: int, settings: Settings, event_id: int | None = None
) -> None:
    if not conversation.edits or conversation.edit_owed:
        return
    outbox.owe_edit(
        tx,
        now_ms=now_ms,
        workspace_id=group.workspace_id,
        group_id=group.id,
        channel_id=conversation.channel_id,
        episode=group.episode,
        event_id=event_id,
        next_ms=now_ms + round(settings.delivery.edit_delay_seconds * 1000),
    )


def tell_changed(tx: Tx, group: Group, now_ms: int, settings: Settings) -> None:
    """A person or the source changed the state of a group, which is stored: its messages are edited.

    Somebody who acknowledged or snoozed it ends its escalations and repeats, and what is owed of them; a first message
    that is still owed is told all the same.
    """
    if group.status == "open":
        conversations.resume_repeats(tx, group.id, now_ms)
    else:
        escalations.cancel(tx, group.id, now_ms)
        conversations.stop_repeats(tx, group.id)
        for delivery in outbox.owed_posts(tx, group.id):
            if delivery.kind in ("repeat", "escalation"):
                outbox.end(tx, delivery.id, "dropped", f"{group.status} before it was told")
    _edit_all(tx, group, now_ms, settings)


def _edit_all(tx: Tx, group: Group, now_ms: int, settings: Settings) -> None:
    for conversation in conversations.of_group(tx, group.id):
        posted = conversation.posted_ms is not None
        if posted or outbox.pending_post(tx, group.id, conversation.channel_id) == "sending":
            _owe_edit(tx, group, conversation, now_ms, settings)


def tell_resolved(tx: Tx, snapshot: Snapshot, group: Group, now_ms: int, settings: Settings, reason: str = "") -> None:
    """A group is over and stored so: everybody who was told hears it, and nobody hears what no longer matters.

    `reason`: why it is over, where no person and no source said so.
    """
    escalations.cancel(tx, group.id, now_ms)
    conversations.stop_repeats(tx, group.id)
    untold = 0
    for delivery in outbox.owed_posts(tx, group.id):
        if delivery.kind == "first" and telling.keeps_first_when_resolved(group.severity):
            continue  # it will show the group as resolved
        untold += delivery.kind == "first" and delivery.fallback_of is None
        outbox.end(tx, delivery.id, "dropped", "resolved before it was told")
    if untold:
        journal.add(tx, now_ms, group.workspace_id, group.id, "untold", SYSTEM, {"messages": untold})
    for conversation in conversations.of_group(tx, group.id):
        if not _still_there(snapshot, conversation):
            continue
        posted = conversation.posted_ms is not None
        if posted or outbox.pending_post(tx, group.id, conversation.channel_id) == "sending":
            _owe(tx, group, conversation.channel_id, "resolved", "", reason, now_ms)
            _owe_edit(tx, group, conversation, now_ms, settings)


def _still_there(snapshot: Snapshot, conversation: Conversation) -> bool:
    live = snapshot.channels.get(conversation.channel_id)
    return live is None or live.enabled  # one that cannot be used just now is owed it until it can


def retell(
    tx: Tx,
    snapshot: Snapshot,
    group: Group,
    reason: str,
    now_ms: int,
    settings: Settings,
    *,
    everybody: bool = True,
) -> None:
    """Those who were told before hear again (a snooze ended, an acknowledgement grew old).

    `everybody` false leaves out those who only heard by escalation, where the escalation starts anew.
    """
    conversations.retold(tx, group.id, now_ms)
    for conversation in conversations.of_group(tx, group.id):
        if not _still_there(snapshot, conversation):
            continue
        again = reason if conversation.via == "route" or (everybody and conversation.via == "escalation") else ""
        mention = _mention(group, conversation)
        _continue(tx, group, conversation, again, mention, None, now_ms, settings)


def escalate(
    tx: Tx,
    snapshot: Snapshot,
    group: Group,
    channel_ids: Sequence[int],
    rule_id: int,
    reason: str,
    now_ms: int,
    next_ms: int | None = None,
) -> list[int]:
    """Nobody answered: these channels are told at once. The channels that are; none that was deleted or disabled."""
    told = []
    for channel_id in channel_ids:
        if not _usable(snapshot, channel_id):
            continue
        conversations.begin(
            tx,
            group.id,
            channel_id,
            via="escalation",
            edits=snapshot.channels[channel_id].module.EDITS,
            episode=group.episode,
            severity=int(group.severity),
            rule_id=rule_id,
            mention="here",
        )
        conversations.joins_repeats(tx, group.id, channel_id)
        conversations.told(tx, group.id, channel_id, episode=group.episode, severity=int(group.severity))
        _owe(tx, group, channel_id, "escalation", "here", reason, now_ms, rule_id=rule_id, next_ms=next_ms)
        told.append(channel_id)
    return told


def repeat(tx: Tx, group: Group, conversation: Conversation, reason: str, now_ms: int, settings: Settings) -> None:
    """It is still unanswered: a channel hears it again. Nothing changed, so nothing is edited."""
    mention = _mention(group, conversation)
    _continue(tx, group, conversation, reason, mention, None, now_ms, settings, changed=False)
