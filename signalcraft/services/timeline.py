"""What happened to an alert group, in order, and what comes next if nobody does anything."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain import ids
from signalcraft.domain.group import Actor, Group
from signalcraft.domain.severity import Severity
from signalcraft.storage import behind, comments, conversations, escalations, lists, rules, timelines
from signalcraft.storage.db import Tx
from signalcraft.storage.journal import Entry
from signalcraft.storage.outbox import Delivery

_HOUR_MS = 3_600_000
UPCOMING_MAX = 50


class Moment(Struct, frozen=True, kw_only=True):
    """One thing that happened. `delivery` is set for deliveries; `channels` are names."""

    at_ms: int
    id: int
    kind: Literal["journal", "delivery", "escalation", "events"]
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


def past(
    tx: Tx, group: Group, names: dict[int, str], after: tuple[int, int], limit: int, *, newest: bool = False
) -> list[Moment]:
    """At most `limit` moments behind a place (at_ms, id), in the order of time; `newest`: before it, against it."""
    entries = timelines.entries(tx, group.id, after, limit, newest=newest)
    moments = [
        Moment(at_ms=e.at_ms, id=e.id, kind="journal", verb=e.verb, actor=e.actor, data=data)
        for e, data in zip(entries, _data(tx, entries), strict=True)
    ]
    rule_names: dict[int, str] = {row.id: row.name for row in rules.every(tx, group.workspace_id)}
    moments += [
        Moment(
            at_ms=d.owed_ms,
            id=d.id,
            kind="delivery",
            verb=d.kind,
            channels=[name_of(names, d.channel_id)],
            delivery=d,
            data=_told(d, rule_names),
        )
        for d in timelines.deliveries(tx, group.id, after, limit, newest=newest)
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
        for e in timelines.escalation_ends(tx, group.id, after, limit, newest=newest)
    ]
    moments.sort(key=lambda m: (m.at_ms, m.id), reverse=newest)
    return moments[:limit]


def _data(tx: Tx, entries: list[Entry]) -> list[dict[str, Any]]:
    """The data of lines; a comment's line tells what it says now, or that it is gone."""
    wanted = [ids.parse(str(e.data["comment"])) for e in entries if e.verb == "commented"]
    said = comments.of_ids(tx, wanted) if wanted else {}
    found = []
    for entry in entries:
        comment = said.get(ids.parse(str(entry.data["comment"]))) if entry.verb == "commented" else None
        if entry.verb != "commented":
            found.append(entry.data)
        elif comment is None:
            found.append({**entry.data, "deleted": True})
        else:
            edited = {} if comment.edited_ms is None else {"edited_ms": comment.edited_ms}
            found.append({**entry.data, "text": comment.body, **edited})
    return found


def _told(delivery: Delivery, rule_names: dict[int, str]) -> dict[str, Any]:
    """Why a message was owed: the reason that it gives, the rule that led there."""
    said: dict[str, Any] = {"reason": delivery.reason} if delivery.reason else {}
    if delivery.rule_id is not None:
        said["rule"] = rule_names.get(delivery.rule_id, "a deleted rule")
    if delivery.fallback_of is not None:
        said["stands_in"] = True
    return said


def folded(tx: Tx, group: Group, moments: list[Moment], until: int, *, rest: bool) -> list[Moment]:
    """Moments, the newest first, with the events between them folded into one moment for each run of them.

    `until`: the time of what came right after the newest one. `rest`: nothing is older than the last one.
    """
    out: list[Moment] = []
    for moment in moments:
        out += _run(tx, group, moment.at_ms, until)
        out.append(moment)
        until = moment.at_ms
    if rest:
        out += _run(tx, group, 0, until)
    return out


def _run(tx: Tx, group: Group, from_ms: int, until_ms: int) -> list[Moment]:
    found = behind.events_between(tx, group.id, from_ms, until_ms) if from_ms < until_ms else None
    if found is None:
        return []
    n, first, last = found
    data = {
        "events": n,
        "until_ms": ids.at_ms(last),
        "first_event_id": ids.show(first),
        "last_event_id": ids.show(last),
    }
    return [Moment(at_ms=ids.at_ms(first), id=first, kind="events", verb="events", data=data)]


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
