"""The runbook of an alert group: that of the rule which routed it, as the rule is now."""

from __future__ import annotations

from msgspec import Struct

from signalcraft.domain.group import Group
from signalcraft.domain.routing import Rule
from signalcraft.errors import Fault
from signalcraft.storage import conversations, escalations, rules
from signalcraft.storage.db import Tx


class Runbook(Struct, frozen=True):
    """What to do: a text in Markdown, an address, or both. `rule`: whose it is, None for one that is no more."""

    text: str | None
    url: str | None
    rule: Rule | None


def of(tx: Tx, group: Group) -> Runbook | None:
    """The runbook of the first rule with one that held for the group; else of one by which somebody was told.

    The second way finds what was written after the group began.
    """
    rule = _rule(tx, group, group.runbook_rule_id)
    if rule is None or not (rule.runbook or rule.runbook_url):
        told_by = {c.rule_id for c in conversations.of_group(tx, group.id) if c.via == "route"}
        told_by |= {row.rule_id for row in escalations.of_group(tx, group.id)}
        routed = (_rule(tx, group, rule_id) for rule_id in told_by)
        found = [one for one in routed if one is not None and (one.runbook or one.runbook_url)]
        rule = min(found, key=lambda one: (one.priority, one.id), default=None)
    if rule is not None:
        return Runbook(rule.runbook or None, rule.runbook_url, rule)
    return Runbook(None, group.runbook_url, None) if group.runbook_url else None


def _rule(tx: Tx, group: Group, rule_id: int | None) -> Rule | None:
    if rule_id is None:
        return None
    try:
        return rules.get(tx, group.workspace_id, rule_id).rule()
    except Fault:  # deleted, or written by a newer version
        return None
