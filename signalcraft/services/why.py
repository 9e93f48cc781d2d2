"""Why somebody was told of an alert group, or was not: every rule asked again, every channel accounted for."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from signalcraft.domain import routing
from signalcraft.domain.group import Group
from signalcraft.domain.matcher import Facts
from signalcraft.domain.routing import Asked
from signalcraft.errors import Fault
from signalcraft.services.registry import ChannelLive, Snapshot
from signalcraft.services.timeline import name_of
from signalcraft.storage import conversations, escalations, lists, rules
from signalcraft.storage.db import Tx
from signalcraft.storage.outbox import Delivery

Result = Literal["told", "owed", "failed", "dropped", "to_come", "suppressed", "not_routed"]
_DELIVERIES_MAX = 500


class RuleAnswer(Struct, frozen=True, kw_only=True):
    """One rule, asked of the group as it is now. `asked` false: an earlier rule with `stop` held, or it is disabled."""

    id: int
    name: str
    priority: int
    enabled: bool
    asked: bool
    matched: bool
    detail: str
    conditions: list[Asked]
    channels: list[str]


class ChannelAnswer(Struct, frozen=True, kw_only=True):
    """One channel: what became of telling it, and why."""

    id: int
    name: str
    kind: str
    result: Result
    detail: str
    deliveries: list[Delivery]


def facts_of(group: Group) -> Facts:
    """What rules are asked about, of the group as it is now (title, message and tags are its latest event's)."""
    return Facts(
        environment=group.environment,
        severity=group.severity,
        project=group.project,
        source=group.source,
        title=group.title,
        message=group.message,
        status=group.status,
        count=group.count,
        users_affected=group.users_affected,
        tags=group.tags,
    )


def rule_answers(tx: Tx, group: Group, names: dict[int, str]) -> list[RuleAnswer]:
    """Every rule of the workspace in the order in which they are asked."""
    facts = facts_of(group)
    stopped_by = ""
    answers = []
    for stored in rules.every(tx, group.workspace_id):
        try:
            rule = stored.rule()
            explained = routing.explain(rule, facts)
        except Fault as problem:
            answers.append(_unusable(stored, problem.detail))
            continue
        asked = stored.enabled and not stopped_by
        matched = asked and explained.matched
        if not stored.enabled:
            detail = "it is disabled" + (", and would hold" if explained.matched else "")
        elif stopped_by:
            detail = f'not asked: "{stopped_by}" holds and stops'
        else:
            detail = "it holds" if matched else "it does not hold"
        answers.append(
            RuleAnswer(
                id=stored.id,
                name=stored.name,
                priority=stored.priority,
                enabled=stored.enabled,
                asked=asked,
                matched=matched,
                detail=detail,
                conditions=explained.conditions,
                channels=[name_of(names, c) for c in rule.channels],
            )
        )
        if matched and rule.stop:
            stopped_by = stored.name
    return answers


def _unusable(stored: rules.Stored, why: str) -> RuleAnswer:
    return RuleAnswer(
        id=stored.id,
        name=stored.name,
        priority=stored.priority,
        enabled=stored.enabled,
        asked=False,
        matched=False,
        detail=f"it cannot be used: {why}",
        conditions=[],
        channels=[],
    )


def channel_answers(tx: Tx, snapshot: Snapshot, group: Group, answers: list[RuleAnswer]) -> list[ChannelAnswer]:
    """Every channel of the workspace by name, also one that nothing was owed to."""
    wanted = lists.DeliveryFilter(group_id=group.id)
    deliveries: dict[int, list[Delivery]] = {}
    for delivery in reversed(lists.deliveries_page(tx, group.workspace_id, wanted, lists.LAST, _DELIVERIES_MAX)):
        deliveries.setdefault(delivery.channel_id, []).append(delivery)
    told_by = {c.channel_id: c.via for c in conversations.of_group(tx, group.id)}
    due = {
        channel: row.due_ms
        for row in escalations.of_group(tx, group.id)
        if row.state == "pending"
        for channel in row.channels
    }
    by_name: dict[str, list[str]] = {}
    for answer in answers:
        for name in answer.channels if answer.matched else ():
            by_name.setdefault(name, []).append(answer.name)
    default = snapshot.workspaces[group.workspace_id].default_channels if not by_name else ()
    found = []
    for live in sorted(snapshot.channels.values(), key=lambda one: one.name):
        if live.workspace_id != group.workspace_id:
            continue
        own = deliveries.get(live.id, [])
        leads = [f'rule "{name}"' for name in by_name.get(live.name, [])]
        if live.id in default:
            leads.append("the default route")
        if own:
            result, detail = _of_deliveries(own, live, told_by.get(live.id, "route"), leads)
        else:
            result, detail = _of_silence(group, live, leads, live.id in due)
        found.append(
            ChannelAnswer(id=live.id, name=live.name, kind=live.kind, result=result, detail=detail, deliveries=own)
        )
    return found


_VIA = {
    "route": "a rule or the default route led here",
    "escalation": "nobody had answered",
    "fallback": "it stands in for a channel that cannot deliver",
}


def _of_deliveries(own: list[Delivery], live: ChannelLive, via: str, leads: list[str]) -> tuple[Result, str]:
    posts = [d for d in own if d.kind not in ("update", "test")] or own
    why = _VIA.get(via, "") if not leads else f"{' and '.join(leads)} leads here"
    newest = posts[-1]
    owed = [d for d in posts if d.state in ("owed", "sending")]
    sent = sum(d.state == "sent" for d in posts)
    if owed:
        last = owed[-1].last_error or (live.broken_why if live.state == "broken" else None)
        return "owed", f"a {owed[-1].kind} message is owed" + (f": {last}" if last else "") + f" ({why})"
    if sent:
        return "told", f"told {sent} time{'' if sent == 1 else 's'}: {why}"
    if newest.state == "failed":
        return "failed", newest.last_error or "it could not be delivered"
    return "dropped", newest.last_error or "it was dropped"


def _of_silence(group: Group, live: ChannelLive, leads: list[str], escalates: bool) -> tuple[Result, str]:
    if escalates:
        return "to_come", "it will be told by escalation unless somebody answers"
    if not leads:
        return "not_routed", "no rule that holds leads here"
    led = " and ".join(leads)
    if not live.enabled:
        return "suppressed", f"{led} leads here, but the channel is disabled"
    if group.settle_ms is not None:
        return "suppressed", f"{led} leads here; the first message waits a moment for the environment"
    if group.status == "snoozed":
        return "suppressed", f"{led} leads here, but the group is snoozed"
    if group.status == "resolved":
        return "suppressed", f"{led} would lead here, but the group is resolved"
    return "suppressed", f"{led} holds now, but did not when the latest event came"
