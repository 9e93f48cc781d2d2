"""Routing rules: who is told of an alert, and what if nobody answers.

Rules are compiled when they are written. For an event, `prepare` answers all that the event alone decides, before the
write transaction begins; `route` answers the rest inside it, from the stored group, at a few microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from signalcraft.domain.event import Event
from signalcraft.domain.matcher import (
    EVERYTHING,
    Actual,
    Condition,
    Facts,
    Known,
    Late,
    Leaf,
    Said,
    Split,
    Value,
    actual,
    ask,
    compile_condition,
    known_of,
    leaves,
    said_of,
)
from signalcraft.domain.severity import Severity
from signalcraft.errors import Invalid

RULES_MAX = 200
"""Rules a workspace may have."""
CHANNELS_MAX = 20
MINUTES_MAX = 7 * 24 * 60
NAME_MAX = 100
RUNBOOK_MAX = 20_000
"""Characters of a runbook's text."""
_MENTION = re.compile(r"none|here|channel|[A-Za-z0-9@._:+-]{2,100}")


class Rule(Struct, kw_only=True):
    """A routing rule as it is stored. Channels are ids. `priority`: lower is asked first.

    * `mention`: None the default policy, else "none", "here", "channel" or a vendor's id of a person or group.
    * `stop`: rules after this one are not asked when it holds.
    * `escalate_after_minutes`: unanswered for so long, the channels of `escalate_to` are told. None: never.
    * `repeat_minutes`: unanswered, its channels are told again so often. None: never.
    * `runbook_url`: what to do, as an address; `runbook`: the same as a text in Markdown.
    """

    id: int
    name: str
    priority: int = 0
    enabled: bool = True
    when: Condition = EVERYTHING
    channels: list[int] = []
    mention: str | None = None
    stop: bool = False
    escalate_after_minutes: int | None = None
    escalate_to: list[int] = []
    repeat_minutes: int | None = None
    runbook_url: str | None = None
    runbook: str | None = None


class CompiledRule(Struct, frozen=True, kw_only=True, eq=False):
    """A rule with its conditions as closures. `has_runbook`: an address, a text, or both."""

    id: int
    name: str
    priority: int
    channels: tuple[int, ...]
    mention: str | None
    stop: bool
    escalate_after_minutes: int | None
    escalate_to: tuple[int, ...]
    repeat_minutes: int | None
    runbook_url: str | None
    has_runbook: bool
    begin: Split


class Prepared(Struct, frozen=True):
    """What is left of the rules for one event: those that hold (True), and those that still ask about the group.

    `whole` is set instead where the event is silent about its title or project: the group's own are asked then.
    """

    rest: tuple[tuple[CompiledRule, bool | Late], ...] = ()
    whole: tuple[CompiledRule, ...] = ()


class Asked(Struct, frozen=True):
    """One question of a dry run. `path` is its place: `all[0].any[1]`."""

    path: str
    field: str
    operator: str
    expected: Value
    actual: Actual
    result: bool


class Explanation(Struct, frozen=True):
    """Whether a rule holds, and every question in order with its own answer."""

    matched: bool
    conditions: list[Asked]


def compile_rule(rule: Rule) -> CompiledRule:
    """The rule, ready to be asked. Raises Invalid with every path that is wrong, `when.all[0].value` among them."""
    errors = list(_errors(rule))
    try:
        part = compile_condition(rule.when)
    except Invalid as problem:
        raise Invalid(problem.detail, errors=(*errors, *problem.errors)) from None
    if errors:
        raise Invalid(errors[0][1], errors=tuple(errors))
    return CompiledRule(
        id=rule.id,
        name=rule.name,
        priority=rule.priority,
        channels=tuple(rule.channels),
        mention=rule.mention,
        stop=rule.stop,
        escalate_after_minutes=rule.escalate_after_minutes,
        escalate_to=tuple(rule.escalate_to),
        repeat_minutes=rule.repeat_minutes,
        runbook_url=rule.runbook_url,
        has_runbook=bool(rule.runbook_url or rule.runbook),
        begin=part.begin,
    )


def _errors(rule: Rule) -> list[tuple[str, str]]:
    found = []
    if not rule.name.strip() or len(rule.name) > NAME_MAX:
        found.append(("name", f"a name has 1 to {NAME_MAX} characters"))
    if abs(rule.priority) > 1_000_000:
        found.append(("priority", "a priority lies between -1000000 and 1000000"))
    for field, ids in (("channels", rule.channels), ("escalate_to", rule.escalate_to)):
        if len(ids) > CHANNELS_MAX:
            found.append((field, f"a rule tells at most {CHANNELS_MAX} channels"))
    if not rule.channels:
        found.append(("channels", "a rule tells at least one channel"))
    for field, minutes in (
        ("escalate_after_minutes", rule.escalate_after_minutes),
        ("repeat_minutes", rule.repeat_minutes),
    ):
        if minutes is not None and not 1 <= minutes <= MINUTES_MAX:
            found.append((field, f"minutes lie between 1 and {MINUTES_MAX}"))
    if rule.escalate_after_minutes is not None and not rule.escalate_to:
        found.append(("escalate_to", "an escalation names the channels it goes to"))
    if rule.escalate_to and rule.escalate_after_minutes is None:
        found.append(("escalate_after_minutes", "an escalation says after how many minutes"))
    if rule.mention is not None and _MENTION.fullmatch(rule.mention) is None:
        found.append(("mention", "a mention is none, here, channel or a vendor's own id"))
    return [*found, *_runbook_errors(rule)]


def _runbook_errors(rule: Rule) -> list[tuple[str, str]]:
    found = []
    url = rule.runbook_url
    if url is not None and (not url.startswith(("http://", "https://")) or len(url) > 2_000 or not url.isprintable()):
        found.append(("runbook_url", "a runbook is an http or https address of at most 2000 characters"))
    if rule.runbook is not None and len(rule.runbook) > RUNBOOK_MAX:
        found.append(("runbook", f"a runbook has at most {RUNBOOK_MAX} characters"))
    return found


def prepare(rules: Sequence[CompiledRule], event: Event, source: str) -> Prepared:
    """Asks the rules (in order of priority) all that the event alone decides. `source` is the integration's kind."""
    if event.any_project or not event.title:
        return Prepared(whole=tuple(rules))
    said = Said(event.project, source, event.title, event.message, event.tags)
    rest: list[tuple[CompiledRule, bool | Late]] = []
    for rule in rules:
        answer = rule.begin(said)
        if answer is not False:
            rest.append((rule, answer))
            if answer is True and rule.stop:
                break
    return Prepared(tuple(rest))


def route(prepared: Prepared, facts: Facts) -> list[CompiledRule]:
    """The rules that hold, in order, up to the first with `stop`. `facts` are the group's, after the event."""
    if prepared.whole:
        return route_facts(prepared.whole, facts)
    rest = prepared.rest
    if not rest:
        return []
    known: Known = known_of(facts)
    held = []
    for rule, answer in rest:
        if answer is True or answer(known):  # type: ignore[operator]  # False was left out by prepare
            held.append(rule)
            if rule.stop:
                break
    return held


def route_facts(rules: Sequence[CompiledRule], facts: Facts) -> list[CompiledRule]:
    """The same where there is no event at hand (a group that is looked at again): everything is asked of the facts."""
    said, known = said_of(facts), known_of(facts)
    held = []
    for rule in rules:
        answer = rule.begin(said)
        if answer is True or (answer is not False and answer(known)):
            held.append(rule)
            if rule.stop:
                break
    return held


def mention_for(rule: CompiledRule | None, severity: Severity) -> str:
    """Who is called by name in a message: "" nobody, "here", "channel", or a vendor's id.

    Where the rule does not say, or none matched: "here" for high and critical, nobody below.
    """
    if rule is not None and rule.mention is not None:
        return "" if rule.mention == "none" else rule.mention
    return "here" if severity >= Severity.HIGH else ""


def explain(rule: Rule, facts: Facts) -> Explanation:
    """The dry run: every question with what was expected and what there is. Raises Invalid as `compile_rule` does."""
    compile_condition(rule.when)
    asked = {
        path: Asked(path, leaf.field, leaf.operator, leaf.value, actual(leaf.field, facts), ask(leaf, facts))
        for path, leaf in leaves(rule.when)
    }
    return Explanation(_holds(rule.when, "", asked), list(asked.values()))


def _holds(condition: Condition, path: str, asked: dict[str, Asked]) -> bool:
    def member(block: Literal["all", "any"], i: int, one: Leaf | Condition) -> bool:
        here = f"{path}.{block}[{i}]" if path else f"{block}[{i}]"
        return asked[here].result if isinstance(one, Leaf) else _holds(one, here, asked)

    every = all(member("all", i, one) for i, one in enumerate(condition.all))
    return every and (not condition.any or any(member("any", i, one) for i, one in enumerate(condition.any)))
