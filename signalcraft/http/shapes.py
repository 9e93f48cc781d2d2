"""What alert groups, events and deliveries look like outside. Other people's programs rely on these names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.group import Group
from signalcraft.domain.severity import Severity
from signalcraft.http.wire import ActorOut, actor_out, show_id, show_time, time_of
from signalcraft.services import runbooks
from signalcraft.services.timeline import name_of
from signalcraft.storage import groups
from signalcraft.storage.db import Tx
from signalcraft.storage.events import Stored
from signalcraft.storage.outbox import Delivery


class GroupOut(Struct, frozen=True, kw_only=True):
    """An alert group in a list. `velocity_per_hour`: events of the last hour."""

    id: str
    group_key: str
    title: str
    source: str
    project: str | None
    environment: str | None
    severity: str
    status: str
    count: int
    episode: int
    first_seen_at: str
    last_seen_at: str
    acknowledged_at: str | None
    acknowledged_by: str | None
    assignee: ActorOut | None
    snoozed_until: str | None
    resolved_at: str | None
    runbook_url: str | None
    users_affected: int | None
    velocity_per_hour: float


class RuleNamed(Struct, frozen=True):
    """A routing rule by name."""

    id: str
    name: str


class RunbookOut(Struct, frozen=True):
    """What to do about it: a text in Markdown, an address, or both. `rule`: whose it is; null once that is deleted."""

    text: str | None
    url: str | None
    rule: RuleNamed | None


class GroupDetail(GroupOut, frozen=True, kw_only=True):
    """One alert group. Message, link and tags are its latest event's; `memory`: how earlier ones of its key ended."""

    message: str
    link: str | None
    tags: dict[str, str]
    resolved_by: str | None
    resolution_note: str | None
    memory: str | None
    runbook: RunbookOut | None


class TotalOut(Struct, frozen=True):
    """How many there are in all. `capped`: at least; counting ended after so many were looked at."""

    count: int
    capped: bool


class GroupPage(Struct, frozen=True):
    """In the order asked for; by default the latest seen first. `total`: on the first page, null on the others."""

    items: list[GroupOut]
    next: str | None
    total: TotalOut | None


class EventOut(Struct, frozen=True, kw_only=True):
    """One statement by a sender, in our words. `integration` is its name, `source` its kind."""

    event_id: str
    group_id: str | None
    integration: str | None
    source: str
    kind: str
    project: str | None
    environment: str | None
    severity: str | None
    status: str | None
    title: str | None
    message: str
    source_event_id: str | None
    dedup_key: str | None
    link: str | None
    tags: dict[str, str]
    occurred_at: str | None
    received_at: str


class EventPage(Struct, frozen=True):
    """Newest first."""

    items: list[EventOut]
    next: str | None


class DeliveryOut(Struct, frozen=True, kw_only=True):
    """One message to a channel, from when it came to be owed to its end. `channel` is its name."""

    id: str
    group_id: str | None
    channel: str
    kind: str
    state: str
    attempts: int
    last_error: str | None
    owed_at: str
    sent_at: str | None
    next_attempt_at: str | None


class DeliveryPage(Struct, frozen=True):
    """Newest first."""

    items: list[DeliveryOut]
    next: str | None


def _group_fields(group: Group, velocity_per_hour: float) -> dict[str, Any]:
    return {
        "id": ids.show(group.id),
        "group_key": group.group_key,
        "title": group.title,
        "source": group.source,
        "project": group.project,
        "environment": group.environment,
        "severity": group.severity.label,
        "status": group.status,
        "count": group.count,
        "episode": group.episode,
        "first_seen_at": time_of(group.first_seen_ms),
        "last_seen_at": time_of(group.last_seen_ms),
        "acknowledged_at": show_time(group.acknowledged_ms),
        "acknowledged_by": group.acknowledged_by,
        "assignee": actor_out(group.assignee),
        "snoozed_until": show_time(group.snoozed_until_ms),
        "resolved_at": show_time(group.resolved_ms),
        "runbook_url": group.runbook_url,
        "users_affected": group.users_affected,
        "velocity_per_hour": velocity_per_hour,
    }


def group_out(tx: Tx, group: Group, now_ms: int) -> GroupOut:
    """A group as lists show it; its speed is read."""
    return groups_out(tx, [group], now_ms)[0]


def groups_out(tx: Tx, some: Sequence[Group], now_ms: int) -> list[GroupOut]:
    """Groups as lists show them; the speeds of all are read at once."""
    speeds = groups.velocities(tx, some, now_ms)
    return [GroupOut(**_group_fields(group, speeds[group.id])) for group in some]


def group_detail(tx: Tx, group: Group, now_ms: int) -> GroupDetail:
    """A group as its own page shows it."""
    return GroupDetail(
        **_group_fields(group, groups.velocity_per_hour(tx, group, now_ms)),
        message=group.message,
        link=group.link,
        tags=group.tags,
        resolved_by=group.resolved_by,
        resolution_note=group.resolution_note,
        memory=group.memory,
        runbook=_runbook(runbooks.of(tx, group)),
    )


def _runbook(found: runbooks.Runbook | None) -> RunbookOut | None:
    if found is None:
        return None
    rule = None if found.rule is None else RuleNamed(ids.show(found.rule.id), found.rule.name)
    return RunbookOut(found.text, found.url, rule)


def event_out(event: Stored, integrations: dict[int, str]) -> EventOut:
    """An event; the integration's name is None once it is deleted."""
    return EventOut(
        event_id=ids.show(event.id),
        group_id=show_id(event.group_id),
        integration=integrations.get(event.integration_id),
        source=event.source,
        kind=event.kind,
        project=event.project,
        environment=event.environment,
        severity=None if event.severity is None else Severity(event.severity).label,
        status=event.status,
        title=event.title,
        message=event.message,
        source_event_id=event.source_event_id,
        dedup_key=event.dedup_key,
        link=event.link,
        tags=event.tags,
        occurred_at=show_time(event.occurred_ms),
        received_at=time_of(event.received_ms),
    )


def delivery_out(delivery: Delivery, channels: dict[int, str]) -> DeliveryOut:
    """A delivery; `next_attempt_at` only while it is owed."""
    return DeliveryOut(
        id=ids.show(delivery.id),
        group_id=show_id(delivery.group_id),
        channel=name_of(channels, delivery.channel_id),
        kind=delivery.kind,
        state=delivery.state,
        attempts=delivery.attempts,
        last_error=delivery.last_error,
        owed_at=time_of(delivery.owed_ms),
        sent_at=show_time(delivery.sent_ms),
        next_attempt_at=show_time(delivery.next_ms) if delivery.state == "owed" else None,
    )
