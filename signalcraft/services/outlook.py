"""Who is told if nobody answers: the steps of a group's escalation, what comes next, or why nothing does."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from signalcraft.domain import escalation
from signalcraft.domain.group import Group
from signalcraft.services.registry import Snapshot
from signalcraft.services.timeline import name_of
from signalcraft.storage import escalations, rules
from signalcraft.storage.db import Tx
from signalcraft.storage.escalations import Escalation

State = Literal["pending", "settling", "acknowledged", "snoozed", "resolved", "no_rule", "done"]


class Target(Struct, frozen=True):
    """A channel of a step. `usable` false: it would not be told, and `why` says why."""

    name: str
    usable: bool
    why: str = ""


class Step(Struct, frozen=True, kw_only=True):
    """One step: a rule's channels, so long after the episode began. Times in ms."""

    id: int
    rule_id: int
    rule: str | None
    episode: int
    after_minutes: int
    targets: list[Target]
    state: Literal["pending", "fired", "cancelled"]
    due_ms: int
    ended_ms: int | None
    late_ms: int | None


class Outlook(Struct, frozen=True):
    """The steps in order of their due times; the next one and why it comes, or why none does."""

    steps: list[Step]
    next: Step | None
    state: State
    why: str


def of(tx: Tx, snapshot: Snapshot, group: Group, names: dict[int, str]) -> Outlook:
    """The outlook of a group as it is now."""
    known = {row.id: row.name for row in rules.every(tx, group.workspace_id)}
    rows = sorted(escalations.of_group(tx, group.id), key=lambda row: (row.due_ms, row.id))
    steps = [_step(snapshot, row, known, names) for row in rows]
    coming = [
        step
        for step in steps
        if step.state == "pending" and escalation.fires(group.status, group.episode, step.episode)
    ]
    if coming:
        return Outlook(steps, coming[0], "pending", _tells(coming[0]))
    state, why = _why_nothing(group, steps)
    return Outlook(steps, None, state, why)


def _step(snapshot: Snapshot, row: Escalation, rule_names: dict[int, str], names: dict[int, str]) -> Step:
    return Step(
        id=row.id,
        rule_id=row.rule_id,
        rule=rule_names.get(row.rule_id),
        episode=row.episode,
        after_minutes=row.after_minutes,
        targets=[_target(snapshot, channel_id, names) for channel_id in row.channels],
        state=row.state,
        due_ms=row.due_ms,
        ended_ms=row.ended_ms,
        late_ms=row.late_ms,
    )


def _target(snapshot: Snapshot, channel_id: int, names: dict[int, str]) -> Target:
    live = snapshot.channels.get(channel_id)
    name = name_of(names, channel_id)
    if live is None:
        gone = channel_id not in names
        return Target(name, usable=False, why="it was deleted" if gone else "its settings cannot be used")
    if not live.enabled:
        return Target(name, usable=False, why="it is disabled")
    if live.state == "broken":
        return Target(name, usable=True, why=f"it is broken: {live.broken_why or 'its last message was refused'}")
    return Target(name, usable=True)


def _tells(step: Step) -> str:
    usable = [target.name for target in step.targets if target.usable]
    if not usable:
        return "none of its channels can be used: those who were told before hear it again, and the log says so"
    return f"{', '.join(usable)} will be told unless somebody acknowledges, snoozes or resolves it"


def _why_nothing(group: Group, steps: list[Step]) -> tuple[State, str]:
    if group.status == "resolved":
        return "resolved", f"it is resolved{f' by {group.resolved_by}' if group.resolved_by else ''}"
    if group.settle_ms is not None:
        return "settling", "it is not routed yet: its first message waits a moment for the environment"
    if group.status == "acknowledged":
        return "acknowledged", f"it is acknowledged by {group.acknowledged_by or 'somebody'}"
    if group.status == "snoozed":
        start = (
            "starts anew when the snooze ends" if steps else "would not start then either: no rule that held has one"
        )
        return "snoozed", f"it is snoozed; escalation {start}"
    if not steps:
        return "no_rule", "no rule that held for it says whom to tell when nobody answers"
    if any(step.state == "fired" and step.episode == group.episode for step in steps):
        return "done", "every step of this episode was carried out"
    return "no_rule", "no rule that held in this episode escalates; the steps are of earlier ones"
