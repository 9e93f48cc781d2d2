"""Alert group: what people work on. `absorb` takes one event in and says what changed; the rest are people's verbs.

Everything here is pure: the caller loads a `Group`, hands it in with the time, and stores what it became.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from signalcraft.domain.severity import Severity

Status = Literal["open", "acknowledged", "snoozed", "resolved"]


class Actor(Struct, frozen=True):
    """Who did it. kind: user, api_key, slack, email, webhook, source (the vendor said so), system."""

    kind: str
    id: str
    name: str


SYSTEM = Actor("system", "signalcraft", "SignalCraft")


class Group(Struct, kw_only=True):
    """One row of alert_group, field by field (see storage/migrations/0001_first.sql). Mutable: loaded, changed, stored."""

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
