"""What happened to an alert group, in order, and what comes next if nobody does anything."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain.group import Actor, Group
from signalcraft.domain.severity import Severity
from signalcraft.storage import conversations, escalations, lists, timelines
from signalcraft.storage.db import Tx
from signalcraft.storage.outbox import Delivery

_HOUR_MS = 3_600_000
UPCOMING_MAX = 50


class Moment(Struct, frozen=True, kw_only=True):
    """One thing that happened. `delivery` is set for deliveries; `channels` are names."""

    at_ms: int
    id: int
    kind: Literal["journal", "delivery", "escalation"]
    verb: str
    actor: Actor | None = None
    data: dict[str, Any] = {}
    channels: list[str] = []
    delivery: Delivery | None = None


class Upcoming(Struct, frozen=True, kw_only=True):
    """One thing that will happen at that time unless somebody acts, in words."""

    at_ms: int
    kind: Literal["escalation", "repeat", "wake", "settle", "acknowledgement_timeout", "auto_close", "delivery"]
    detail: str
    channels: list[str] = []


def past(tx: Tx, group: Group, names: dict[int, str], after: tuple[int, int], limit: int) -> list[Moment]:
    """At most `limit` moments behind a place (at_ms, id), in the order of time."""
    moments = [
        Moment(at_ms=e.at_ms, id=e.id, kind="journal", verb=e.verb, actor=e.actor, data=e.data)
        for e in timelines.entries(tx, group.id, after, limit)
    ]
    moments += [
        Moment(
            at_ms=d.owed_ms, id=d.id, kind="delivery", verb=d.kind, channels=[name_of(names, d.channel_id)], delivery=d
        )
        for d in timelines.deliveries(tx, group.id, after, limit)
    ]
    moments += [
        Moment(
            at_ms=e.ended_ms,
            id=e.id,
            kind="escalation",
            verb="escalated" if e.state == "fired" else "escalation_cancelled",
            channels=[name_of(names, c) for c in e.channels],
            data={"rule": e.rule, "after_minutes": e.after_minutes, "late_ms": e.late_ms},
        )
        for e in timelines.escalation_ends(tx, group.id, after, limit)
    ]
    moments.sort(key=lambda m: (m.at_ms, m.id))
    return moments[:limit]


def name_of(names: dict[int, str], channel_id: int) -> str:
    """A channel's name, also of one that is no more."""
    return names.get(channel_id, "a deleted channel")


def upcoming(tx: Tx, group: Group, names: dict[int, str], settings: Settings) -> list[Upcoming]:
    """What comes next and when, soonest first."""
    found = _told_next(tx, group, names)
    grouping = settings.grouping
    if group.status == "snoozed" and group.snoozed_until_ms is not None:
        found.append(Upcoming(at_ms=group.snoozed_until_ms, kind="wake", detail="the snooze ends and it is told again"))
    timeout_ms = grouping.ack_timeout_hours * _HOUR_MS
    if group.status == "acknowledged" and group.severity == Severity.CRITICAL and timeout_ms:
        at_ms = max(group.acknowledged_ms or 0, group.retold_ms) + timeout_ms
        detail = "acknowledged for so long and still critical: it asks again"
        found.append(Upcoming(at_ms=at_ms, kind="acknowledgement_timeout", detail=detail))
    if group.settle_ms is not None:
        detail = "its wait for an environment ends and it is routed"
        found.append(Upcoming(at_ms=group.settle_ms, kind="settle", detail=detail))
    if group.status in ("open", "acknowledged") and grouping.auto_close_days:
        at_ms = group.last_seen_ms + grouping.auto_close_days * 24 * _HOUR_MS
        detail = f"closed by itself after {grouping.auto_close_days} days without an event"
        found.append(Upcoming(at_ms=at_ms, kind="auto_close", detail=detail))
    return sorted(found, key=lambda one: one.at_ms)


def _told_next(tx: Tx, group: Group, names: dict[int, str]) -> list[Upcoming]:
    found = []
    for row in escalations.of_group(tx, group.id):
        if row.state == "pending":
            channels = [name_of(names, c) for c in row.channels]
            detail = f"{', '.join(channels)} will be told unless somebody acknowledges, snoozes or resolves it"
            found.append(Upcoming(at_ms=row.due_ms, kind="escalation", detail=detail, channels=channels))
    for conversation in conversations.of_group(tx, group.id):
        if conversation.next_repeat_ms is not None:
            channel = name_of(names, conversation.channel_id)
            detail = f"{channel} hears it again unless somebody answers"
            found.append(Upcoming(at_ms=conversation.next_repeat_ms, kind="repeat", detail=detail, channels=[channel]))
    wanted = lists.DeliveryFilter(states=("owed", "sending"), group_id=group.id)
    for owed in lists.deliveries_page(tx, group.workspace_id, wanted, lists.LAST, UPCOMING_MAX):
        channel = name_of(names, owed.channel_id)
        detail = f"{owed.kind} message to {channel}" + (f", after: {owed.last_error}" if owed.last_error else "")
        found.append(Upcoming(at_ms=owed.next_ms, kind="delivery", detail=detail, channels=[channel]))
    return found
