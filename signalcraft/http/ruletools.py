"""Writing routing rules: what they would match, what can be asked, how they look as a file."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct

from signalcraft.domain import ids, matcher, severity
from signalcraft.domain.routing import CHANNELS_MAX, MINUTES_MAX, RULES_MAX, Asked
from signalcraft.errors import Fault, Invalid
from signalcraft.http.auth import TheCaller, needs, scopes
from signalcraft.http.rules import TAG, RuleIn
from signalcraft.http.wire import TheHouse, show_id, show_time, time_of
from signalcraft.services import rulecheck, ruletext
from signalcraft.services.configure import rules
from signalcraft.services.house import House
from signalcraft.services.kinds import SOURCE_KINDS
from signalcraft.storage import lately

ALERTS_MAX: Final = 500

Last = Annotated[
    int, QueryParameter(name="last", ge=1, le=ALERTS_MAX, description="How many of the last alerts are looked at.")
]


class PreviewIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A rule as it stands in an editor: only its conditions and its place are looked at. `last`: how many alerts.

    With an `id` it is that rule, changed: what is asked before it stays before it.
    """

    rule: RuleIn
    last: Annotated[int, Meta(ge=1, le=ALERTS_MAX)] = 200


class LookedOut(Struct, frozen=True, kw_only=True):
    """One alert. Severity and environment are its alert group's as of now, as they are asked.

    `decided_by`: the first question that keeps the rule from holding. `stopped_by`: it would match, but the rule of
    this name comes earlier and stops.
    """

    event_id: str
    group_id: str | None
    title: str
    severity: str
    project: str | None
    environment: str | None
    source: str
    received_at: str
    matched: bool
    decided_by: Asked | None
    stopped_by: str | None


class PreviewOut(Struct, frozen=True, kw_only=True):
    """`matched` of `looked_at` alerts, the oldest from `since`; at most 50 that match are listed, and 10 others.

    `stopped`: how many of the matching ones never reach the rule. `whole`: false where looking took too long to go on.
    """

    looked_at: int
    matched: int
    stopped: int
    whole: bool
    since: str | None
    items: list[LookedOut]


class TallyOut(Struct, frozen=True):
    """How many alerts a rule matches, and how many it routes: it is switched on, and none before it stops."""

    id: str
    matched: int | None
    reached: int | None


class TalliesOut(Struct, frozen=True, kw_only=True):
    """Every rule against the last alerts. `unrouted`: alerts that only the default channels hear of."""

    looked_at: int
    unrouted: int
    whole: bool
    since: str | None
    items: list[TallyOut]


class FieldWords(Struct, frozen=True):
    """A field that a rule can ask about. `kind`: text, severity, status or number; `values`: known ones."""

    name: str
    kind: str
    operators: list[str]
    values: list[str]


class TagWords(Struct, frozen=True):
    """A tag that alerts had lately."""

    key: str
    values: list[str]


class Limits(Struct, frozen=True):
    """What a rule may hold at most."""

    rules: int
    depth: int
    questions: int
    list_values: int
    value_characters: int
    channels: int
    minutes: int
    alerts: int


class VocabularyOut(Struct, frozen=True, kw_only=True):
    """What rules can ask. `tag_operators` are those of any `tags.<key>`, `tags` those that were seen lately."""

    fields: list[FieldWords]
    operators: list[str]
    list_operators: list[str]
    tag_operators: list[str]
    tags: list[TagWords]
    limits: Limits


class RuleForm(Struct, frozen=True, kw_only=True):
    """A rule with everything spelled out, also one that cannot be saved yet. `priority`: null for the last place."""

    name: str
    priority: int | None
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


class ConvertIn(Struct, frozen=True, forbid_unknown_fields=True):
    """One of both: a rule, or a file of `signalcraft apply` with one rule in it."""

    rule: RuleIn | None = None
    toml: str | None = None


class ConvertOut(Struct, frozen=True):
    """The same rule both ways."""

    rule: RuleForm
    toml: str


@post(
    "/api/routing-rules/preview",
    guards=[needs("alerts", "read")],
    summary="See what a routing rule would match",
    operation_id="preview_routing_rule",
    tags=TAG,
    status_code=200,
)
async def preview_rule(house: TheHouse, caller: TheCaller, data: JSONBody[PreviewIn]) -> PreviewOut:
    """Of the last alerts, asked with the conditions as routing asks them. Nothing is stored and nobody is told."""
    ws = caller.workspace_id
    rule = data.rule

    def read(tx: Any) -> rulecheck.Preview:
        return rulecheck.preview(
            tx,
            ws,
            house.registry.snapshot.workspaces[ws].rules,
            when=None if rule.when is UNSET else rule.when,
            last=data.last,
            rule_id=None if rule.id is UNSET else ids.parse(rule.id),
            priority=None if rule.priority is UNSET else rule.priority,
        )

    try:
        found = await house.db.read(read)
    except Fault as fault:
        fault.errors = tuple((f"rule.{path}", said) for path, said in fault.errors)
        raise
    return PreviewOut(
        looked_at=found.looked_at,
        matched=found.matched,
        stopped=found.stopped,
        whole=found.whole,
        since=show_time(found.since_ms),
        items=[_looked(one) for one in found.items],
    )


def _looked(one: rulecheck.Looked) -> LookedOut:
    return LookedOut(
        event_id=ids.show(one.event.id),
        group_id=show_id(one.event.group_id),
        title=one.facts.title or one.event.message[:120],
        severity=one.facts.severity.label,
        project=one.facts.project,
        environment=one.facts.environment,
        source=one.event.source,
        received_at=time_of(one.event.received_ms),
        matched=one.matched,
        decided_by=one.decided_by,
        stopped_by=one.stopped_by,
    )


@get(
    "/api/routing-rules/matches",
    guards=[scopes("config:read")],
    summary="How many alerts each routing rule matches",
    operation_id="count_routing_rule_matches",
    tags=TAG,
)
async def count_matches(house: TheHouse, caller: TheCaller, last: Last = 200) -> TalliesOut:
    """The rules as they stand now, asked of the last alerts; those that are switched off too."""
    found = await house.db.read(lambda tx: rulecheck.tallies(tx, caller.workspace_id, last=last))
    return TalliesOut(
        looked_at=found.looked_at,
        unrouted=found.unrouted,
        whole=found.whole,
        since=show_time(found.since_ms),
        items=[TallyOut(ids.show(one.id), one.matched, one.reached) for one in found.items],
    )


@get(
    "/api/routing-rules/vocabulary",
    guards=[needs("alerts", "read")],
    summary="What routing rules can ask",
    operation_id="get_routing_vocabulary",
    tags=TAG,
)
async def get_vocabulary(house: TheHouse, caller: TheCaller) -> VocabularyOut:
    """Fields with the operators that they take, and the words that the latest alerts used."""
    ws = caller.workspace_id
    words = await house.db.read(lambda tx: lately.words(tx, ws))
    known = {
        "severity": list(severity.BY_NAME),
        "status": list(matcher.STATUSES),
        "source": sorted({*words.sources, *_sources(house, ws)}),
        "project": words.projects,
        "environment": words.environments,
    }
    return VocabularyOut(
        fields=[
            FieldWords(name, _kind(name), list(matcher.operators_of(name)), known.get(name, []))
            for name in matcher.FIELDS
        ],
        operators=list(matcher.OPERATORS),
        list_operators=list(matcher.LISTS),
        tag_operators=list(matcher.operators_of(f"{matcher.TAG}key")),
        tags=[TagWords(key, values) for key, values in words.tags.items()],
        limits=Limits(
            rules=RULES_MAX,
            depth=matcher.DEPTH_MAX,
            questions=matcher.LEAVES_MAX,
            list_values=matcher.LIST_MAX,
            value_characters=matcher.TEXT_MAX,
            channels=CHANNELS_MAX,
            minutes=MINUTES_MAX,
            alerts=ALERTS_MAX,
        ),
    )


def _sources(house: House, workspace_id: int) -> set[str]:
    live = house.registry.snapshot.integrations.values()
    return {one.kind for one in live if one.workspace_id == workspace_id and one.kind in SOURCE_KINDS}


def _kind(field: str) -> str:
    if field in ("severity", "status"):
        return field
    return "number" if field in matcher.NUMBERS else "text"


@post(
    "/api/routing-rules/convert",
    guards=[scopes("config:read")],
    summary="Show a routing rule both ways",
    operation_id="convert_routing_rule",
    tags=TAG,
    status_code=200,
)
async def convert_rule(caller: TheCaller, data: JSONBody[ConvertIn]) -> ConvertOut:
    """As an object and as `signalcraft apply` takes it. Channels are taken as they are named; nothing is stored."""
    if (data.rule is None) == (data.toml is None):
        raise Invalid("either rule or toml is needed", path="rule")
    place, draft = ("rule", data.rule) if data.rule is not None else ("rules[0]", ruletext.read_one(data.toml or ""))
    when: dict[str, Any] = {}
    if draft.when is not UNSET:
        try:
            condition = matcher.read_condition(draft.when)
            matcher.compile_condition(condition)
        except Invalid as fault:
            fault.errors = tuple((f"{place}.{path}", said) for path, said in fault.errors)
            raise
        when = matcher.show_condition(condition)
    form = _form(draft, when)
    return ConvertOut(form, ruletext.write_one(form))


def _form(draft: rules.Draft, when: dict[str, Any]) -> RuleForm:
    given = {name: getattr(draft, name) for name in RuleForm.__struct_fields__}
    empty: dict[str, Any] = {"name": "", "enabled": True, "channels": [], "escalate_to": [], "stop": False}
    form: dict[str, Any] = {name: empty.get(name) if said in (UNSET, None) else said for name, said in given.items()}
    return RuleForm(**(form | {"when": when}))


ROUTES: Final = [preview_rule, count_matches, get_vocabulary, convert_rule]
