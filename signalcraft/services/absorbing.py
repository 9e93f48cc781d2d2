"""One statement into its alert group: found, folded, routed, told. Everything here runs inside a work."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain import fingerprint, routing
from signalcraft.domain import group as grouping
from signalcraft.domain.event import Event
from signalcraft.domain.group import Actor, Change, Group, Policy
from signalcraft.domain.matcher import Facts
from signalcraft.domain.severity import UNKNOWN, Severity
from signalcraft.services import own, telling
from signalcraft.services.registry import IntegrationLive, Snapshot
from signalcraft.storage import groups, journal
from signalcraft.storage.db import Tx


class Statement(Struct, frozen=True, kw_only=True):
    """One event made ready before the transaction."""

    event: Event
    fingerprint: str
    identity: int
    key: bytes | None
    key_scope: int
    prepared: routing.Prepared


class Taken(NamedTuple):
    """What a statement did. `plain`: it is a repeat that changed nothing else; `matched`: so many rules held for it."""

    group_id: int | None
    plain: bool = False
    matched: int = 0
    opened: bool = False


def statement(live: IntegrationLive, event: Event, rules: Sequence[routing.CompiledRule]) -> Statement:
    """What can be known of an event without the database."""
    if event.severity is None and event.kind == "alert" and event.status == "firing":
        event.severity = live.default_severity
    folded_by = fingerprint.fingerprint_of(event)
    key = None if event.delivery_key is None else fingerprint.delivery_key(live.kind, event.delivery_key)
    return Statement(
        event=event,
        fingerprint=folded_by,
        identity=fingerprint.identity(live.scope, folded_by),
        key=key,
        key_scope=_key_scope(live.workspace_id, live.scope),
        prepared=routing.prepare(rules, event, live.kind),
    )


@lru_cache(maxsize=1024)  # every event asks, of the same few
def _key_scope(workspace_id: int, scope: str) -> int:
    return fingerprint.identity(f"{workspace_id}:{scope}", "said")


def take(
    tx: Tx,
    snapshot: Snapshot,
    live: IntegrationLive,
    said: Statement,
    event_id: int,
    now_ms: int,
    policy: Policy,
    settings: Settings,
) -> Taken:
    """Acts on one statement."""
    event = said.event
    if event.kind in ("alert", "test"):
        if event.status == "firing":
            return _fire(tx, snapshot, live, said, event_id, now_ms, policy, settings)
        if event.status == "resolved":
            return Taken(_resolve(tx, snapshot, live, said, now_ms, settings))
    if event.kind == "ack":
        return Taken(_acknowledge(tx, live, said, now_ms, settings))
    if event.kind in ("comment", "activity", "state"):
        return Taken(_record(tx, live, said, event_id, now_ms))
    return Taken(None)


def _fire(
    tx: Tx,
    snapshot: Snapshot,
    live: IntegrationLive,
    said: Statement,
    event_id: int,
    now_ms: int,
    policy: Policy,
    settings: Settings,
) -> Taken:
    event = said.event
    found, ended = _find(tx, live, said, now_ms, policy)
    if found is not None and _superseded(found, now_ms, policy):
        _end(tx, snapshot, found, "SignalCraft (a new alert group took over)", now_ms, settings)
        ended, found = [found], None
    if found is None:
        group = _open(tx, live, said, now_ms, policy, ended)
        change = Change(opened=True, journal=[("opened", {"severity": group.severity.label})])
    else:
        group = found
        _adopt_environment(group, event)
        spike = _spikes(tx, group, now_ms, policy)
        change = grouping.absorb(group, event, now_ms, policy, spike=spike)
    if group.settle_ms is not None and group.environment is not None:
        group.settle_ms = None
        change.opened = True  # its first message waited for this
    groups.count_minute(tx, group.id, now_ms)
    matches = _route(group, said.prepared, event)
    groups.insert(tx, group) if found is None else groups.store(tx, group)
    for verb, data in change.journal:
        journal.add(tx, now_ms, group.workspace_id, group.id, verb, grouping.SYSTEM, data)
    if group.settle_ms is None:
        telling.tell(tx, snapshot, group, change, matches, event_id, now_ms, settings)
    plain = not (change.opened or change.told_again or change.rose_from is not None)
    return Taken(group.id, plain, len(matches), found is None)


def _route(group: Group, prepared: routing.Prepared, event: Event) -> list[routing.CompiledRule]:
    facts = Facts(
        environment=group.environment,
        severity=group.severity,
        project=group.project,
        source=group.source,
        title=event.title or group.title,
        message=event.message,
        status=group.status,
        count=group.count,
        users_affected=group.users_affected,
        tags=event.tags,
    )
    matches = routing.route(prepared, facts)
    if group.runbook_url is None:
        group.runbook_url = next((m.runbook_url for m in matches if m.runbook_url), None)
    if group.runbook_rule_id is None:
        group.runbook_rule_id = next((m.id for m in matches if m.has_runbook), None)
    return matches


def settle(
    tx: Tx,
    snapshot: Snapshot,
    group: Group,
    prepared: routing.Prepared,
    event: Event,
    event_id: int | None,
    now_ms: int,
    settings: Settings,
) -> None:
    """The wait for an environment is over: the group's first message goes out as it is now known."""
    group.settle_ms = None
    matches = _route(group, prepared, event)
    groups.store(tx, group)
    if group.status != "resolved" or group.severity >= Severity.HIGH:  # a serious one is told even when it is over
        telling.tell(tx, snapshot, group, Change(opened=True), matches, event_id, now_ms, settings)


def _find(
    tx: Tx, live: IntegrationLive, said: Statement, now_ms: int, policy: Policy
) -> tuple[Group | None, list[Group]]:
    """The group that this event belongs to: an unresolved one of any age, else one resolved within the window.

    Beside it, where no unresolved one fits, the groups of the problem that ended, newest first.
    """
    chosen = _fits(groups.unresolved_of(tx, live.workspace_id, said.identity), said.event)
    if chosen:
        return chosen[0], []
    ended = _fits(groups.ended_of(tx, live.workspace_id, said.identity), said.event)
    if ended and policy.after_quiet == "new_episode" and now_ms - (ended[0].resolved_ms or 0) <= policy.window_ms:
        return ended[0], ended
    return None, ended


def _fits(candidates: Sequence[Group], event: Event) -> list[Group]:
    """Those of one problem's groups that an event can speak of, best first.

    A project or environment that the event leaves out fits any; a group without an environment fits any event, but
    one with the event's own environment fits better.
    """
    of_project = [g for g in candidates if event.any_project or _same(g.project, event.project)]
    if event.environment is None:
        return of_project
    exact = [g for g in of_project if g.environment is not None and _same(g.environment, event.environment)]
    return exact or [g for g in of_project if g.environment is None]


def _same(ours: str | None, theirs: str | None) -> bool:
    return ours is None or theirs is None or ours.strip().lower() == theirs.strip().lower()


def _superseded(group: Group, now_ms: int, policy: Policy) -> bool:
    return (
        policy.after_quiet == "new_group"
        and group.status != "resolved"
        and now_ms - group.last_seen_ms > policy.window_ms
    )


def _adopt_environment(group: Group, event: Event) -> None:
    changed = False
    if group.environment is None and event.environment is not None:
        group.environment = event.environment
        changed = True
    if group.project is None and event.project is not None and not event.any_project:
        group.project = event.project
        changed = True
    if changed:
        group.group_key = fingerprint.group_key(group.scope, group.project, group.environment, group.fingerprint)


def _open(
    tx: Tx, live: IntegrationLive, said: Statement, now_ms: int, policy: Policy, earlier: Sequence[Group]
) -> Group:
    event = said.event
    severity = UNKNOWN if event.severity is None else event.severity
    # A project that later statements spell otherwise (Sentry's number for its slug) is left open until one names it.
    project = None if event.any_project else event.project
    waits = event.environment is None and policy.settle_ms > 0
    return Group(
        id=tx.new_id(now_ms),
        workspace_id=live.workspace_id,
        integration_id=live.id,
        scope=live.scope,
        identity=said.identity,
        group_key=fingerprint.group_key(live.scope, project, event.environment, said.fingerprint),
        source=live.kind,
        project=project,
        environment=event.environment,
        fingerprint=said.fingerprint,
        title=event.title or event.message[:120] or f"alert from {live.name}",
        message=event.message,
        link=event.link,
        tags=event.tags,
        severity=severity,
        status="open",
        count=1,
        episode=1,
        first_seen_ms=now_ms,
        last_seen_ms=now_ms,
        retold_ms=now_ms,
        # A sender's own address is no runbook of ours; the appliance's own is.
        runbook_url=event.tags.get("runbook_url") if live.kind == own.KIND else None,
        users_affected=event.users,
        settle_ms=now_ms + policy.settle_ms if waits else None,
        memory=grouping.memory_of(earlier[0]) if earlier else None,
        updated_ms=now_ms,
    )


def _spikes(tx: Tx, group: Group, now_ms: int, policy: Policy) -> bool:
    """Looked for at most once a minute and group, and only where there can be one."""
    minute = now_ms // 60_000
    if group.count < policy.spike_events or (group.spike_minute or 0) >= minute:
        return False
    if group.environment is not None and group.environment.lower() not in policy.spike_environments:
        return False
    group.spike_minute = minute
    recent_from = minute - policy.spike_recent_minutes + 1
    recent = groups.events_between(tx, group.id, recent_from, minute + 1)
    if recent < policy.spike_events:
        return False
    born = group.first_seen_ms // 60_000
    baseline_from = max(born, recent_from - 24 * 60)
    baseline = groups.events_between(tx, group.id, baseline_from, recent_from)
    if not grouping.is_spike(recent, baseline, float(recent_from - baseline_from), policy):
        return False
    group.spike_minute = minute + 24 * 60  # one bump a day: a spike that goes on is no new spike
    return True


def _resolve(
    tx: Tx, snapshot: Snapshot, live: IntegrationLive, said: Statement, now_ms: int, settings: Settings
) -> int | None:
    """Every unresolved group that the statement speaks of ends; the newest's id, else the last ended one's."""
    fitting = _fits_resolution(groups.unresolved_of(tx, live.workspace_id, said.identity), said.event)
    for group in fitting:
        _end(tx, snapshot, group, said.event.actor or live.source.LABEL, now_ms, settings)
    if fitting:
        return fitting[0].id
    ended = _fits(groups.ended_of(tx, live.workspace_id, said.identity), said.event)
    return ended[0].id if ended else None


def _fits_resolution(candidates: Sequence[Group], event: Event) -> list[Group]:
    return [
        g
        for g in candidates
        if (event.any_project or _same(g.project, event.project)) and _same(g.environment, event.environment)
    ]


def _end(tx: Tx, snapshot: Snapshot, group: Group, by: str, now_ms: int, settings: Settings) -> None:
    waited = group.settle_ms is not None
    grouping.resolve(group, by, now_ms)
    groups.store(tx, group)
    data = {"by": by, "untold": "true"} if waited else {"by": by}
    journal.add(tx, now_ms, group.workspace_id, group.id, "resolved", Actor("source", group.source, by), data)
    telling.tell_resolved(tx, snapshot, group, now_ms, settings)


def _acknowledge(tx: Tx, live: IntegrationLive, said: Statement, now_ms: int, settings: Settings) -> int | None:
    fitting = _fits_resolution(groups.unresolved_of(tx, live.workspace_id, said.identity), said.event)
    who = Actor("source", live.kind, said.event.actor or live.source.LABEL)
    for group in fitting:
        if group.status in ("open", "snoozed"):
            grouping.acknowledge(group, who, now_ms)
            groups.store(tx, group)
            journal.add(tx, now_ms, group.workspace_id, group.id, "acknowledged", who)
            telling.tell_changed(tx, group, now_ms, settings)
    return fitting[0].id if fitting else None


def _record(tx: Tx, live: IntegrationLive, said: Statement, event_id: int, now_ms: int) -> int | None:
    event = said.event
    known = _fits(groups.unresolved_of(tx, live.workspace_id, said.identity), event) or _fits(
        groups.ended_of(tx, live.workspace_id, said.identity), event
    )
    if not known:
        return None
    group = known[0]
    who = Actor("source", live.kind, event.actor or live.source.LABEL)
    data = {"event_id": str(event_id), "text": event.message or event.title or "", "action": event.action or event.kind}
    journal.add(tx, now_ms, group.workspace_id, group.id, event.kind, who, data)
    return group.id
