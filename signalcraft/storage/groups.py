"""Alert groups: loading, storing, finding the groups of one problem, events a minute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from signalcraft.domain.group import Actor, Group
from signalcraft.domain.severity import Severity
from signalcraft.errors import NotFound
from signalcraft.storage.db import Row, Tx

_FIELDS: Final = (
    "id, workspace_id, integration_id, scope, identity, group_key, source, project, environment, fingerprint,"
    " title, message, link,"
    " tags, severity, status, count, episode, first_seen_ms, last_seen_ms, retold_ms, severity_at_answer,"
    " acknowledged_ms,"
    " acknowledged_by, assignee, snoozed_until_ms, resolved_ms, resolved_by, resolution_note, runbook_url,"
    " users_affected,"
    " settle_ms, spike_minute, memory, updated_ms, runbook_rule_id"
)
FIELDS: Final = _FIELDS
"""The columns that `from_row` reads, in order."""

_BY_ID: Final = f"select {_FIELDS} from alert_group where id = ?"
# The plus signs keep the planner on the one good index: without statistics it takes a partial one and reads them all.
# `order by … limit` costs ten times the search itself (measured), so these few rows are sorted here.
_OF_IDENTITY: Final = (
    f"select {_FIELDS} from alert_group where identity = ? and +workspace_id = ? and +status <> 'resolved'"
)
_IDS_OF_IDENTITY: Final = "select id from alert_group where identity = ?"
_ENDED_KEPT: Final = 20
_INSERT: Final = f"insert into alert_group ({_FIELDS}) values ({', '.join('?' * 36)})"
_STORE: Final = (
    "update alert_group set group_key=?, project=?, environment=?, message=?, link=?, tags=?, severity=?,"
    " status=?, count=?,"
    " episode=?, last_seen_ms=?, retold_ms=?, severity_at_answer=?, acknowledged_ms=?, acknowledged_by=?, assignee=?,"
    " snoozed_until_ms=?, resolved_ms=?, resolved_by=?, resolution_note=?, runbook_url=?, users_affected=?,"
    " settle_ms=?,"
    " spike_minute=?, memory=?, updated_ms=?, runbook_rule_id=? where id=?"
)
_TAGS: Final = msgspec.json.Decoder(dict[str, str])
_ACTOR: Final = msgspec.json.Decoder(Actor)
_ENCODER: Final = msgspec.json.Encoder()
_SEVERITIES: Final = tuple(Severity)


def _json(value: object) -> str:
    return _ENCODER.encode(value).decode()


def from_row(row: Row) -> Group:
    """A Group of one row of `FIELDS`."""
    (
        id_, workspace_id, integration_id, scope, identity, group_key, source, project, environment, fingerprint,
        title, message, link, tags, severity, status, count, episode, first_seen_ms, last_seen_ms, retold_ms,
        severity_at_answer, acknowledged_ms, acknowledged_by, assignee, snoozed_until_ms, resolved_ms, resolved_by,
        resolution_note, runbook_url, users_affected, settle_ms, spike_minute, memory, updated_ms,
        runbook_rule_id,
    ) = row  # fmt: skip
    return Group(
        id=id_, workspace_id=workspace_id, integration_id=integration_id, scope=scope, identity=identity,
        group_key=group_key, source=source, project=project, environment=environment, fingerprint=fingerprint,
        title=title, message=message, link=link,
        tags=_TAGS.decode(tags) if tags != "{}" else {}, severity=_SEVERITIES[severity], status=status, count=count,
        episode=episode, first_seen_ms=first_seen_ms, last_seen_ms=last_seen_ms, retold_ms=retold_ms,
        severity_at_answer=None if severity_at_answer is None else _SEVERITIES[severity_at_answer],
        acknowledged_ms=acknowledged_ms, acknowledged_by=acknowledged_by,
        assignee=None if assignee is None else _ACTOR.decode(assignee), snoozed_until_ms=snoozed_until_ms,
        resolved_ms=resolved_ms, resolved_by=resolved_by, resolution_note=resolution_note, runbook_url=runbook_url,
        users_affected=users_affected, settle_ms=settle_ms, spike_minute=spike_minute, memory=memory,
        updated_ms=updated_ms, runbook_rule_id=runbook_rule_id,
    )  # fmt: skip


def load(tx: Tx, group_id: int) -> Group | None:
    """The group of an id, in any workspace."""
    row = tx.one(_BY_ID, (group_id,))
    return None if row is None else from_row(row)


def get(tx: Tx, workspace_id: int, group_id: int) -> Group:
    """The group of an id in a workspace. Raises NotFound, also for another workspace's."""
    group = load(tx, group_id)
    if group is None or group.workspace_id != workspace_id:
        raise NotFound("no such alert group")
    return group


def unresolved_of(tx: Tx, workspace_id: int, identity: int) -> list[Group]:
    """Every unresolved group of one problem, whatever its project and environment, newest first."""
    rows = tx.all(_OF_IDENTITY, (identity, workspace_id))
    return [from_row(row) for row in (rows if len(rows) < 2 else sorted(rows, reverse=True))]


def ended_of(tx: Tx, workspace_id: int, identity: int) -> list[Group]:
    """The resolved groups of one problem, newest first, at most 20."""
    newest = sorted((row[0] for row in tx.all(_IDS_OF_IDENTITY, (identity,))), reverse=True)
    loaded = (load(tx, group_id) for group_id in newest[: 2 * _ENDED_KEPT])
    ended = [g for g in loaded if g is not None and g.workspace_id == workspace_id and g.status == "resolved"]
    return ended[:_ENDED_KEPT]


def insert(tx: Tx, group: Group) -> None:
    """Stores a new group."""
    tx.run(
        _INSERT,
        (
            group.id, group.workspace_id, group.integration_id, group.scope, group.identity, group.group_key,
            group.source, group.project, group.environment, group.fingerprint, group.title, group.message,
            group.link,
            _json(group.tags) if group.tags else "{}", int(group.severity), group.status, group.count, group.episode,
            group.first_seen_ms, group.last_seen_ms, group.retold_ms, _rank(group.severity_at_answer),
            group.acknowledged_ms, group.acknowledged_by, _actor(group.assignee), group.snoozed_until_ms,
            group.resolved_ms, group.resolved_by, group.resolution_note, group.runbook_url, group.users_affected,
            group.settle_ms, group.spike_minute, group.memory, group.updated_ms, group.runbook_rule_id,
        ),
    )  # fmt: skip


def store(tx: Tx, group: Group) -> None:
    """Writes back everything that may change."""
    tx.run(
        _STORE,
        (
            group.group_key, group.project, group.environment, group.message, group.link,
            _json(group.tags) if group.tags else "{}", int(group.severity), group.status, group.count, group.episode,
            group.last_seen_ms, group.retold_ms, _rank(group.severity_at_answer), group.acknowledged_ms,
            group.acknowledged_by, _actor(group.assignee), group.snoozed_until_ms, group.resolved_ms,
            group.resolved_by, group.resolution_note, group.runbook_url, group.users_affected, group.settle_ms,
            group.spike_minute, group.memory, group.updated_ms, group.runbook_rule_id, group.id,
        ),
    )  # fmt: skip


def _rank(severity: Severity | None) -> int | None:
    return None if severity is None else int(severity)


def _actor(actor: Actor | None) -> str | None:
    return None if actor is None else _json(actor)


def count_minute(tx: Tx, group_id: int, now_ms: int) -> None:
    """One more event of this group in the present minute."""
    tx.run(
        "insert into group_minute values (?, ?, 1) on conflict do update set events = events + 1",
        (group_id, now_ms // 60_000),
    )


def events_between(tx: Tx, group_id: int, from_minute: int, until_minute: int) -> int:
    """Events of a group in [from, until) minutes since 1970."""
    return int(
        tx.value(
            "select coalesce(sum(events), 0) from group_minute where group_id = ? and minute >= ? and minute < ?",
            (group_id, from_minute, until_minute),
        )
    )


def velocity_per_hour(tx: Tx, group: Group, now_ms: int) -> float:
    """Events of the last hour; for a younger group, what its age would make of an hour, from 6 minutes up."""
    return velocities(tx, [group], now_ms)[group.id]


def velocities(tx: Tx, some: Sequence[Group], now_ms: int) -> dict[int, float]:
    """`velocity_per_hour` of each group by its id, in one question however many they are."""
    minute = now_ms // 60_000
    events: dict[int, int] = dict(
        tx.all(
            "select group_id, sum(events) from group_minute where group_id in (select value from json_each(?))"
            " and minute >= ? and minute < ? group by group_id",
            (_json([group.id for group in some]), minute - 59, minute + 1),
        )
    )
    return {group.id: _per_hour(events.get(group.id, 0), group, now_ms) for group in some}


def _per_hour(events: int, group: Group, now_ms: int) -> float:
    age_h = (now_ms - group.first_seen_ms) / 3_600_000
    return round(events / min(max(age_h, 0.1), 1.0), 1) if events else 0.0


def due_settles(tx: Tx, now_ms: int, limit: int = 100) -> list[int]:
    """Groups whose wait for an environment is over."""
    rows = tx.all("select id from alert_group where settle_ms <= ? order by settle_ms limit ?", (now_ms, limit))
    return [row[0] for row in rows]
