"""Routing rules: made, changed, moved, switched on and off, tried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from signalcraft.domain import ids
from signalcraft.domain.group import Group
from signalcraft.domain.matcher import Facts, read_condition, show_condition
from signalcraft.domain.routing import NAME_MAX, RULES_MAX, Explanation, Rule, compile_rule, explain
from signalcraft.domain.severity import BY_NAME, UNKNOWN, Severity
from signalcraft.errors import ChangedMeanwhile, Conflict, Invalid
from signalcraft.services.configure.edit import Edit, channel_ids, checked_name, difference
from signalcraft.storage import channels, events, groups, journal
from signalcraft.storage import rules as store
from signalcraft.storage.db import Tx

STEP: Final = 10
"""Between the priorities that we give, so that one fits between two."""
_PLAIN: Final = (
    "priority", "enabled", "mention", "stop", "escalate_after_minutes", "repeat_minutes", "runbook_url", "runbook",
)  # fmt: skip


class Draft(Struct, kw_only=True):
    """What a person wrote of a rule; UNSET where they wrote nothing. Channels by name or id."""

    name: str | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    when: dict[str, Any] | UnsetType | None = UNSET
    channels: list[str] | UnsetType = UNSET
    mention: str | UnsetType | None = UNSET
    stop: bool | UnsetType = UNSET
    escalate_after_minutes: int | UnsetType | None = UNSET
    escalate_to: list[str] | UnsetType | None = UNSET
    repeat_minutes: int | UnsetType | None = UNSET
    runbook_url: str | UnsetType | None = UNSET
    runbook: str | UnsetType | None = UNSET


class Seen(Struct, frozen=True, kw_only=True):
    """A rule as it is shown: channels by name."""

    id: str
    name: str
    priority: int
    enabled: bool
    when: dict[str, Any]
    channels: list[str]
    mention: str | None
    stop: bool
    escalate_after_minutes: int | None
    escalate_to: list[str]
    repeat_minutes: int | None
    runbook_url: str | None
    runbook: str | None


Count = Annotated[int, Meta(ge=0, le=2**53)]


class Said(Struct, kw_only=True, forbid_unknown_fields=True):
    """The alert of a dry run, as a person describes it, or as GET /api/events/{id} tells it."""

    environment: str | None = None
    severity: str | None = None
    project: str | None = None
    source: str | None = None
    title: str | None = None
    message: str | None = None
    status: str | None = None
    count: Count = 1
    users_affected: Count | None = None
    users: Count | None = None
    tags: dict[str, str | Annotated[int, Meta(ge=-(2**53), le=2**53)] | float | bool] | None = None


def create(edit: Edit, draft: Draft) -> Rule:
    """A new rule, asked last unless it says its priority. Raises Invalid, Conflict."""
    if store.count(edit.tx, edit.workspace_id) >= RULES_MAX:
        raise Conflict(f"a workspace has at most {RULES_MAX} routing rules")
    rule = Rule(
        id=edit.tx.new_id(edit.now_ms), name="", priority=store.last_priority(edit.tx, edit.workspace_id) + STEP
    )
    _draw(edit, rule, draft)
    store.insert(edit.tx, edit.workspace_id, rule, edit.now_ms)
    edit.note("rule.created", rule.id, rule.name, after=_noted(edit.tx, edit.workspace_id, rule))
    return rule


def update(edit: Edit, rule_id: int, draft: Draft, *, whole: bool, versions: Sequence[str] = ()) -> list[str]:
    """Changes a rule; what changed, a line each, none where nothing did.

    `whole`: what the draft leaves out goes back to its default (the priority stays); else it stays. `versions`: only if
    it is still one of these; none: whatever it is. Raises Invalid, Conflict, ChangedMeanwhile.
    """
    stored = store.get(edit.tx, edit.workspace_id, rule_id)
    if versions and stored.version not in versions:
        raise ChangedMeanwhile(_who_changed(edit, stored))
    rule = stored.rule()
    before = _noted(edit.tx, edit.workspace_id, rule)
    if whole:
        rule = Rule(id=rule.id, name=rule.name, priority=rule.priority)
    _draw(edit, rule, draft, before["name"])
    after = _noted(edit.tx, edit.workspace_id, rule)
    changes = difference(before, after)
    if changes:
        store.store(edit.tx, rule, edit.now_ms)
        edit.note("rule.updated", rule.id, rule.name, before=before, after=after, changes=changes)
    return changes


def _who_changed(edit: Edit, stored: store.Stored) -> str:
    """What to say to somebody who changes a rule that is not any more what they read."""
    verbs = ("rule.updated", "rule.enabled", "rule.disabled")
    entry = journal.latest_about(edit.tx, edit.workspace_id, verbs, stored.id)
    who = f"{entry.actor.name} changed" if entry is not None and entry.actor.name else "Somebody changed"
    return f'{who} "{stored.name}" meanwhile; nothing of yours was saved'


def duplicate(edit: Edit, rule_id: int) -> Rule:
    """The same rule once more, behind it and switched off, under a name that is free. Raises NotFound, Conflict."""
    if store.count(edit.tx, edit.workspace_id) >= RULES_MAX:
        raise Conflict(f"a workspace has at most {RULES_MAX} routing rules")
    rule = store.get(edit.tx, edit.workspace_id, rule_id).rule()
    of = rule.name
    for i in range(1, RULES_MAX + 2):
        end = " (copy)" if i == 1 else f" (copy {i})"
        rule.name = of[: NAME_MAX - len(end)].rstrip() + end
        if store.find(edit.tx, edit.workspace_id, rule.name) is None:
            break
    # Of two rules with one priority the older is asked first: nothing else has to move.
    rule.id = edit.tx.new_id(edit.now_ms)
    rule.enabled = False
    store.insert(edit.tx, edit.workspace_id, rule, edit.now_ms)
    edit.note("rule.created", rule.id, rule.name, after=_noted(edit.tx, edit.workspace_id, rule), copy_of=of)
    return rule


def set_enabled(edit: Edit, rule_id: int, enabled: bool) -> Rule:
    """Switches a rule on or off; it stays where it is."""
    rule = store.get(edit.tx, edit.workspace_id, rule_id).rule()
    if rule.enabled != enabled:
        rule.enabled = enabled
        store.store(edit.tx, rule, edit.now_ms)
        said = {"before": {"enabled": not enabled}, "after": {"enabled": enabled}}
        edit.note("rule.enabled" if enabled else "rule.disabled", rule.id, rule.name, **said)
    return rule


def delete(edit: Edit, rule_id: int) -> None:
    """Nobody new is told by it; what it made owed stays owed."""
    rule = store.get(edit.tx, edit.workspace_id, rule_id).rule()
    store.delete(edit.tx, rule_id)
    edit.note("rule.deleted", rule.id, rule.name, before=_noted(edit.tx, edit.workspace_id, rule))


def reorder(edit: Edit, wanted: list[str]) -> None:
    """These rules first, in this order; the others after them as they were. Raises Invalid for unknown ids."""
    present = store.every(edit.tx, edit.workspace_id)
    known = {ids.show(row.id): row for row in present}
    errors = []
    for i, text in enumerate(wanted):
        if text not in known:
            errors.append((f"ids[{i}]", "no such routing rule"))
        elif text in wanted[:i]:
            errors.append((f"ids[{i}]", "named twice"))
    if errors:
        raise Invalid(errors[0][1], errors=tuple(errors))
    first = [known[text] for text in wanted]
    order = first + [row for row in present if row not in first]
    if [row.id for row in order] == [row.id for row in present]:
        return
    for i, row in enumerate(order):
        store.set_priority(edit.tx, row.id, (i + 1) * STEP, edit.now_ms)
    names, earlier = [row.name for row in order], [row.name for row in present]
    edit.note("rules.reordered", order[0].id, order[0].name, order=names, before=earlier, after=names)


def seen(reader: Tx, workspace_id: int, rule: Rule) -> Seen:
    """A rule as it is shown."""
    return shower(reader, workspace_id)(rule)


def shower(reader: Tx, workspace_id: int) -> Callable[[Rule], Seen]:
    """Shows rules: reads the channels' names once."""
    names = {channel.id: channel.name for channel in channels.every(reader, workspace_id)}

    def show(rule: Rule) -> Seen:
        return Seen(
            id=ids.show(rule.id),
            name=rule.name,
            priority=rule.priority,
            enabled=rule.enabled,
            when=show_condition(rule.when),
            channels=[names.get(i) or ids.show(i) for i in rule.channels],
            mention=rule.mention,
            stop=rule.stop,
            escalate_after_minutes=rule.escalate_after_minutes,
            escalate_to=[names.get(i) or ids.show(i) for i in rule.escalate_to],
            repeat_minutes=rule.repeat_minutes,
            runbook_url=rule.runbook_url,
            runbook=rule.runbook,
        )

    return show


def _noted(reader: Tx, workspace_id: int, rule: Rule) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(seen(reader, workspace_id, rule))
    del shown["id"]
    return shown


def _draw(edit: Edit, rule: Rule, draft: Draft, present_name: str = "") -> None:
    """Puts the draft into the rule. Raises Invalid with every path that is wrong, Conflict for a taken name."""
    errors: list[tuple[str, str]] = []
    if draft.name is not UNSET:
        rule.name = draft.name
    for field in _PLAIN:
        value = getattr(draft, field)
        if value is not UNSET:
            setattr(rule, field, value)
    for field in ("channels", "escalate_to"):
        named = getattr(draft, field)
        if named is not UNSET:
            try:
                setattr(rule, field, channel_ids(edit.tx, edit.workspace_id, named or [], field))
            except Invalid as problem:
                errors += problem.errors
    for check in (lambda: _read_when(rule, draft), lambda: compile_rule(rule)):
        try:
            check()
        except Invalid as problem:
            # "tells at least one channel" is no news where the channels were not found.
            said = [path for path, _ in errors]
            errors += [(p, s) for p, s in problem.errors if not any(q.startswith(f"{p}[") for q in said)]
    if errors:
        raise Invalid(errors[0][1], errors=tuple(errors))
    if rule.name != present_name:
        checked_name(rule.name, store.find(edit.tx, edit.workspace_id, rule.name) is not None)


def _read_when(rule: Rule, draft: Draft) -> None:
    if draft.when is not UNSET:
        rule.when = read_condition(draft.when)


# -- dry run ----------------------------------------------------------------------------------------------------------


def try_out(
    reader: Tx,
    workspace_id: int,
    *,
    when: dict[str, Any] | None = None,
    rule_id: int | None = None,
    said: Said | None = None,
    event_id: int | None = None,
) -> Explanation:
    """What a rule says of an alert, question by question. Raises Invalid, NotFound."""
    if rule_id is not None:
        condition = store.get(reader, workspace_id, rule_id).rule().when
    else:
        condition = read_condition(when)
    facts = _facts_of_event(reader, workspace_id, event_id) if event_id is not None else _facts_said(said or Said())
    return explain(Rule(id=0, name="dry run", when=condition), facts)


def _facts_said(said: Said) -> Facts:
    severity = UNKNOWN
    if said.severity is not None:
        known = BY_NAME.get(said.severity.strip().lower())
        if known is None:
            raise Invalid(f"a severity is one of {', '.join(BY_NAME)}", path="event.severity")
        severity = known
    return Facts(
        environment=said.environment,
        severity=severity,
        project=said.project,
        source=said.source or "",
        title=said.title or "",
        message=said.message or "",
        # A sender says firing; the group that it would make is open.
        status="open" if said.status in (None, "firing") else said.status,
        count=said.count,
        users_affected=said.users if said.users_affected is None else said.users_affected,
        tags={k: v if isinstance(v, str) else msgspec.json.encode(v).decode() for k, v in (said.tags or {}).items()},
    )


def _facts_of_event(reader: Tx, workspace_id: int, event_id: int) -> Facts:
    event = store.event_of(reader, workspace_id, event_id)
    return facts_of(event, None if event.group_id is None else groups.load(reader, event.group_id))


def facts_of(event: events.Stored, group: Group | None) -> Facts:
    """As ingestion sees it: the event's own words, and its group as it is now, but never resolved by what fires."""
    severity = UNKNOWN if event.severity is None else Severity(event.severity)
    status = "open" if group is None else group.status
    return Facts(
        environment=event.environment if group is None else group.environment,
        severity=severity if group is None else group.severity,
        project=event.project if event.project is not None or group is None else group.project,
        source=event.source,
        title=event.title or ("" if group is None else group.title),
        message=event.message,
        status="open" if status == "resolved" and event.status == "firing" else status,
        count=1 if group is None else group.count,
        users_affected=event.users if group is None else group.users_affected,
        tags=event.tags,
    )
