"""Rules against the alerts that came lately: which they would match, before and while they count.

What is asked is what routing asks: the same compiled conditions. Time is bounded: where a rule is slow, fewer alerts
are looked at, and the answer says how many.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from signalcraft.domain import routing
from signalcraft.domain.deciding import decided_by
from signalcraft.domain.group import Group
from signalcraft.domain.matcher import Facts, read_condition
from signalcraft.domain.routing import Asked, CompiledRule, Rule
from signalcraft.errors import Fault
from signalcraft.services.configure.rules import facts_of
from signalcraft.storage import events, groups, lately
from signalcraft.storage import rules as store
from signalcraft.storage.db import Tx

BUDGET_S: Final = 0.5
"""How long one check may look. An alert that was begun is finished."""
MATCHED_MAX: Final = 50
OTHERS_MAX: Final = 10
_LAST: Final = (2**63 - 1, 2**63 - 1)


class Looked(Struct, frozen=True, kw_only=True):
    """One alert. `stopped_by`: the earlier rule behind which this one is not asked any more; `decided_by`: why not."""

    event: events.Stored
    facts: Facts
    matched: bool
    stopped_by: str | None = None
    decided_by: Asked | None = None


class Preview(Struct, frozen=True, kw_only=True):
    """Of the last alerts, newest first: those that match, then a few of the others. `since_ms`: of the oldest one.

    `stopped`: how many of the matching ones an earlier rule with `stop` keeps from this one. `whole`: every alert that
    was asked for was looked at, or there are no more.
    """

    looked_at: int
    matched: int
    stopped: int
    whole: bool
    since_ms: int | None
    items: list[Looked]


class Tally(Struct, frozen=True, kw_only=True):
    """How many of the last alerts a rule matches, and how many of those reach it. None: it cannot be used."""

    id: int
    matched: int | None
    reached: int | None


class Tallies(Struct, frozen=True, kw_only=True):
    """Every rule, in order. `unrouted`: alerts that no rule leads anywhere: they go to the default channels."""

    looked_at: int
    unrouted: int
    whole: bool
    since_ms: int | None
    items: list[Tally]


def preview(
    reader: Tx,
    workspace_id: int,
    asked: Sequence[CompiledRule],
    *,
    when: dict[str, Any] | None,
    last: int,
    rule_id: int | None = None,
    priority: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Preview:
    """What a rule's conditions match. `asked`: the rules in use, in order; `rule_id`: of the one that is changed.

    Raises Invalid with the place of what is wrong, NotFound for an unknown rule.
    """
    condition = read_condition(when)
    trial = Rule(id=0, name="preview", when=condition, channels=[0])
    compiled = routing.compile_rule(trial)
    stops = _before(reader, workspace_id, asked, rule_id, priority)
    found = lately.firing(reader, workspace_id, last)
    matching: list[Looked] = []
    others: list[Looked] = []
    looked = matched = stopped = 0
    for event, facts in _within(_with_facts(reader, found), clock):
        looked += 1
        if routing.route_facts((compiled,), facts):
            matched += 1
            stopper = next(iter(routing.route_facts(stops, facts)), None)
            stopped += stopper is not None
            if len(matching) < MATCHED_MAX:
                name = None if stopper is None else stopper.name
                matching.append(Looked(event=event, facts=facts, matched=True, stopped_by=name))
        elif len(others) < OTHERS_MAX:
            why = decided_by(condition, routing.explain(trial, facts))
            others.append(Looked(event=event, facts=facts, matched=False, decided_by=why))
    return Preview(
        looked_at=looked,
        matched=matched,
        stopped=stopped,
        whole=looked == len(found),
        since_ms=found[looked - 1].received_ms if looked else None,
        items=matching + others,
    )


def tallies(reader: Tx, workspace_id: int, *, last: int, clock: Callable[[], float] = time.monotonic) -> Tallies:
    """How many of the last alerts each rule matches, as the rules stand now."""
    usable: dict[int, CompiledRule] = {}
    stored = store.every(reader, workspace_id)
    for row in stored:
        try:
            usable[row.id] = routing.compile_rule(row.rule())
        except Fault:
            continue
    in_use = [usable[row.id] for row in stored if row.enabled and row.id in usable]
    matched, reached = dict.fromkeys(usable, 0), dict.fromkeys(usable, 0)
    found = lately.firing(reader, workspace_id, last)
    looked = unrouted = 0
    for _, facts in _within(_with_facts(reader, found), clock):
        looked += 1
        for rule in usable.values():
            matched[rule.id] += bool(routing.route_facts((rule,), facts))
        led = routing.route_facts(in_use, facts)
        for rule in led:
            reached[rule.id] += 1
        unrouted += not led
    return Tallies(
        looked_at=looked,
        unrouted=unrouted,
        whole=looked == len(found),
        since_ms=found[looked - 1].received_ms if looked else None,
        items=[Tally(id=row.id, matched=matched.get(row.id), reached=reached.get(row.id)) for row in stored],
    )


def _before(
    reader: Tx, workspace_id: int, asked: Sequence[CompiledRule], rule_id: int | None, priority: int | None
) -> list[CompiledRule]:
    """The rules with `stop` that are asked before the one in question; a new one without a priority is asked last."""
    place = _LAST if priority is None else (priority, _LAST[1])
    if rule_id is not None:
        row = store.get(reader, workspace_id, rule_id)
        place = (row.priority if priority is None else priority, row.id)
    return [rule for rule in asked if rule.stop and rule.id != rule_id and (rule.priority, rule.id) < place]


def _with_facts(reader: Tx, found: Sequence[events.Stored]) -> Iterator[tuple[events.Stored, Facts]]:
    held: dict[int, Group | None] = {}
    for event in found:
        group = None
        if event.group_id is not None:
            if event.group_id not in held:
                held[event.group_id] = groups.load(reader, event.group_id)
            group = held[event.group_id]
        yield event, facts_of(event, group)


def _within(
    found: Iterator[tuple[events.Stored, Facts]], clock: Callable[[], float]
) -> Iterator[tuple[events.Stored, Facts]]:
    until_s = clock() + BUDGET_S
    for one in found:
        yield one
        if clock() > until_s:
            return
