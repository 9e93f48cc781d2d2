"""Alert group: what people work on. `absorb` takes one event in and says what changed; the rest are people's verbs.

Everything here is pure: the caller loads a `Group`, hands it in with the time, and stores what it became.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from signalcraft.domain.event import Event
from signalcraft.domain.severity import Severity
from signalcraft.errors import Conflict, Invalid

Status = Literal["open", "acknowledged", "snoozed", "resolved"]


class Actor(Struct, frozen=True):
    """Who did it. kind: user, api_key, slack, email, webhook, source (the vendor said so), system."""

    kind: str
    id: str
    name: str


SYSTEM = Actor("system", "signalcraft", "SignalCraft")


class Group(Struct, kw_only=True):
    """One row of alert_group, field by field (see storage/schema.sql): loaded, changed, stored."""

    id: int
    workspace_id: int
    integration_id: int
    scope: str
    identity: int
    group_key: str
    source: str
    project: str | None
    environment: str | None
    fingerprint: str
    title: str
    message: str
    link: str | None
    tags: dict[str, str]
    severity: Severity
    status: Status
    count: int
    episode: int
    first_seen_ms: int
    last_seen_ms: int
    retold_ms: int
    severity_at_answer: Severity | None = None
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    assignee: Actor | None = None
    snoozed_until_ms: int | None = None
    resolved_ms: int | None = None
    resolved_by: str | None = None
    resolution_note: str | None = None
    runbook_url: str | None = None
    users_affected: int | None = None
    settle_ms: int | None = None
    spike_minute: int | None = None
    memory: str | None = None
    updated_ms: int = 0
    runbook_rule_id: int | None = None


class Change(Struct, kw_only=True):
    """What one event did to a group.

    * `told_again`: why everybody already told must hear of it again ("" where they need not).
    * `restart_escalation`: a new episode, a re-opening or a breakthrough starts the chains anew.
    * `quiet`: acknowledged or snoozed, and nothing broke through: nobody is told, messages are only edited.
    """

    opened: bool = False
    reopened: bool = False
    resolved: bool = False
    new_episode: bool = False
    rose_from: Severity | None = None
    broke_through: bool = False
    acknowledgement_expired: bool = False
    spike: bool = False
    told_again: str = ""
    restart_escalation: bool = False
    quiet: bool = False
    journal: list[tuple[str, dict[str, str]]] = msgspec.field(default_factory=list)


class Policy(Struct, frozen=True, kw_only=True):
    """The settings that decide how events fold. Times in ms; 0 in `retell_ms` means never while unresolved."""

    window_ms: int = 3_600_000
    after_quiet: Literal["new_episode", "new_group"] = "new_episode"
    retell_ms: tuple[int, int, int, int, int] = (0, 0, 0, 86_400_000, 3_600_000)  # info … critical
    ack_expires_ms: int = 86_400_000
    settle_ms: int = 5_000
    spike_events: int = 50
    spike_recent_minutes: int = 5
    spike_baseline_minutes: int = 30
    spike_factor: float = 3.0
    spike_environments: frozenset[str] = frozenset({"prod", "production", "live"})


def absorb(group: Group, event: Event, now_ms: int, policy: Policy, *, spike: bool = False) -> Change:
    """Takes one firing event into a group that is unresolved, or resolved within the window; changes it in place."""
    change = Change()
    quiet_ms = max(now_ms - group.last_seen_ms, 0)
    before = group.severity
    group.count += 1
    group.last_seen_ms = max(group.last_seen_ms, now_ms)
    group.updated_ms = now_ms
    _take_details(group, event)
    if group.status == "resolved":
        _come_back(group, event, now_ms, change)
        return change
    if event.severity is not None and event.severity > group.severity:
        group.severity = event.severity
        change.rose_from = before
    if spike and group.severity < Severity.CRITICAL:
        group.severity = Severity(group.severity + 1)
        change.rose_from = before
        change.spike = True
        change.journal.append(("spiked", {"from": before.label, "to": group.severity.label}))
    if group.status in ("acknowledged", "snoozed"):
        _answered(group, quiet_ms, change, policy)
    else:
        _unanswered(group, event, quiet_ms, change, policy)
    if change.rose_from is not None and not change.spike:
        change.journal.append(("rose", {"from": before.label, "to": group.severity.label}))
    return change


def _take_details(group: Group, event: Event) -> None:
    group.message = event.message or group.message
    group.link = event.link or group.link
    group.tags = event.tags or group.tags
    if event.users is not None:
        group.users_affected = max(group.users_affected or 0, event.users)


def _come_back(group: Group, event: Event, now_ms: int, change: Change) -> None:
    away_ms = max(now_ms - (group.resolved_ms or now_ms), 0)
    by = group.resolved_by or "somebody"
    if event.severity is not None:
        group.severity = event.severity
    _open(group)
    group.resolved_ms = group.resolved_by = group.resolution_note = None
    group.episode += 1
    change.reopened = change.restart_escalation = True
    change.told_again = f"it came back {_span(away_ms)} after {by} resolved it"
    change.journal.append(("reopened", {"why": "a new event", "resolved_by": by}))


def _answered(group: Group, quiet_ms: int, change: Change, policy: Policy) -> None:
    at_answer = group.severity if group.severity_at_answer is None else group.severity_at_answer
    was = group.status
    if group.severity > at_answer:
        who = group.acknowledged_by if was == "acknowledged" else None
        _open(group)
        group.episode += 1
        change.broke_through = change.restart_escalation = True
        change.told_again = f"severity rose from {at_answer.label} to {group.severity.label} while it was {was}" + (
            f" by {who}" if who else ""
        )
        change.journal.append(("broke_through", {"from": at_answer.label, "to": group.severity.label, "was": was}))
    elif was == "acknowledged" and 0 < policy.ack_expires_ms <= quiet_ms:
        who = group.acknowledged_by or "somebody"
        _open(group)
        group.episode += 1
        change.acknowledgement_expired = change.new_episode = change.restart_escalation = True
        change.told_again = f"it came back after {_span(quiet_ms)} of quiet; the acknowledgement by {who} has expired"
        change.journal.append(("acknowledgement_expired", {"by": who}))
    else:
        change.quiet = True


def _unanswered(group: Group, event: Event, quiet_ms: int, change: Change, policy: Policy) -> None:
    retell_ms = policy.retell_ms[group.severity]
    if 0 < retell_ms <= quiet_ms:
        if event.severity is not None:
            group.severity = event.severity
            change.rose_from = None
        group.episode += 1
        change.new_episode = change.restart_escalation = True
        change.told_again = f"it came back after {_span(quiet_ms)} of quiet"
        change.journal.append(("episode", {"episode": str(group.episode)}))
    elif change.rose_from is not None and group.severity >= Severity.HIGH:
        why = "a spike of events" if change.spike else "a worse event"
        change.told_again = f"severity rose from {change.rose_from.label} to {group.severity.label} ({why})"


def _open(group: Group) -> None:
    group.status = "open"
    group.severity_at_answer = None
    group.acknowledged_ms = None
    group.acknowledged_by = None
    group.snoozed_until_ms = None


def is_spike(recent_events: int, baseline_events: int, baseline_minutes: float, policy: Policy) -> bool:
    """Whether the last `spike_recent_minutes` are a spike against a baseline that is long enough.

    `baseline_events` fell into the `baseline_minutes` before the recent ones.
    """
    if recent_events < policy.spike_events or baseline_minutes < policy.spike_baseline_minutes:
        return False
    usual = baseline_events / baseline_minutes * policy.spike_recent_minutes
    return recent_events > policy.spike_factor * usual


# -- what people do ---------------------------------------------------------------------------------------------------


def acknowledge(group: Group, who: Actor, now_ms: int) -> None:
    """Somebody is on it. Raises Conflict when it is acknowledged or resolved already."""
    if group.status in ("acknowledged", "resolved"):
        raise Conflict(f"this alert group is already {group.status}{_by(group)}")
    _open(group)
    group.status = "acknowledged"
    group.acknowledged_ms = now_ms
    group.acknowledged_by = who.name
    group.severity_at_answer = group.severity
    if group.assignee is None and who.kind in ("user", "slack"):
        group.assignee = who
    group.updated_ms = now_ms


def snooze(group: Group, until_ms: int, now_ms: int) -> None:
    """Silent until then, unless it turns worse. Raises Conflict when resolved, Invalid for a time that is past."""
    if group.status == "resolved":
        raise Conflict(f"this alert group is already resolved{_by(group)}")
    if until_ms <= now_ms:
        raise Invalid("a snooze must end in the future", path="until")
    _open(group)
    group.status = "snoozed"
    group.snoozed_until_ms = until_ms
    group.severity_at_answer = group.severity
    group.updated_ms = now_ms


def unsnooze(group: Group, now_ms: int) -> None:
    """Awake again. Raises Conflict when it is not snoozed."""
    if group.status != "snoozed":
        raise Conflict(f"this alert group is not snoozed but {group.status}")
    _open(group)
    group.updated_ms = now_ms


def resolve(group: Group, who: str, now_ms: int, note: str | None = None) -> None:
    """It is over. Raises Conflict when it is resolved already."""
    if group.status == "resolved":
        raise Conflict(f"this alert group is already resolved{_by(group)}")
    by = group.acknowledged_by, group.acknowledged_ms
    _open(group)
    group.acknowledged_by, group.acknowledged_ms = by  # who answered stays known
    group.status = "resolved"
    group.resolved_ms = now_ms
    group.resolved_by = who
    group.resolution_note = note
    group.updated_ms = now_ms


def reopen(group: Group, now_ms: int) -> None:
    """Not over after all: a new episode. Raises Conflict when it is not resolved."""
    if group.status != "resolved":
        raise Conflict(f"this alert group is not resolved but {group.status}")
    _open(group)
    group.resolved_ms = group.resolved_by = group.resolution_note = None
    group.episode += 1
    group.updated_ms = now_ms


def memory_of(earlier: Group) -> str:
    """How an earlier group of the same key ended, in one sentence for the next message."""
    if earlier.resolved_ms is None:
        return "an earlier alert group of the same key was never resolved"
    took = _span(max(earlier.resolved_ms - earlier.first_seen_ms, 0))
    text = f"last time {earlier.resolved_by or 'somebody'} resolved it after {took}"
    return f"{text}: {earlier.resolution_note}" if earlier.resolution_note else text


def _by(group: Group) -> str:
    who = group.resolved_by if group.status == "resolved" else group.acknowledged_by
    return f" by {who}" if who else ""


def _span(ms: int) -> str:
    minutes = ms // 60_000
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes} minute{'s' if minutes != 1 else ''}"
    hours = minutes // 60
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"
