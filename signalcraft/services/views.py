"""An alert group as a message shows it."""

from __future__ import annotations

from signalcraft.domain import ids
from signalcraft.domain.delivery import GroupView
from signalcraft.domain.group import Group
from signalcraft.storage import groups
from signalcraft.storage.db import Tx


def group_view(tx: Tx, group: Group, now_ms: int) -> GroupView:
    """What a channel is handed of a group, with its speed as of now."""
    return GroupView(
        id=ids.show(group.id),
        title=group.title,
        message=group.message,
        severity=group.severity.label,
        status=group.status,
        source=group.source,
        project=group.project,
        environment=group.environment,
        count=group.count,
        episode=group.episode,
        first_seen_ms=group.first_seen_ms,
        last_seen_ms=group.last_seen_ms,
        acknowledged_by=group.acknowledged_by,
        assignee=group.assignee.name if group.assignee else None,
        snoozed_until_ms=group.snoozed_until_ms,
        resolved_ms=group.resolved_ms,
        resolved_by=group.resolved_by,
        resolution_note=group.resolution_note,
        users_affected=group.users_affected,
        velocity_per_hour=groups.velocity_per_hour(tx, group, now_ms),
        runbook_url=group.runbook_url,
        link=group.link,
        memory=group.memory,
        tags=group.tags,
    )
