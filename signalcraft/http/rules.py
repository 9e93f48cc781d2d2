"""/api/routing-rules: who is told of what."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Response, delete, get, patch, post, put
from litestar.params import FromPath, HeaderParameter, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from signalcraft.domain import ids
from signalcraft.domain.routing import Asked, Explanation
from signalcraft.errors import Fault, Invalid
from signalcraft.http.auth import Caller, TheCaller, scopes
from signalcraft.http.pages import page_of
from signalcraft.http.wire import Cursor, Limit, TheHouse
from signalcraft.services.configure import Edit, rules
from signalcraft.services.house import House
from signalcraft.services.tomltext import drafted
from signalcraft.storage import rules as rows

TAG: Final = ["routing rules"]
_OF_AN_EVENT: Final = frozenset(
    (
        "event_id",
        "group_id",
        "integration",
        "kind",
        "source_event_id",
        "dedup_key",
        "link",
        "occurred_at",
        "received_at",
    )
)
"""What GET /api/events/{id} tells besides what rules can ask about."""


IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match", max_length=1_000, description="The ETag that was read: only if nobody changed it since."
    ),
]


class RuleIn(rules.Draft, kw_only=True, forbid_unknown_fields=True):
    """A rule. Channels by name or id; `priority`: lower is asked first, left out it is asked last.

    `when`: `{"all": [...], "any": [...]}` of questions `{field, operator, value}` or further conditions; `{}` holds
    always. `mention`: none, here, channel or a vendor's id; null: @here for high and critical alone.
    """

    id: str | UnsetType = UNSET


class RuleOut(rules.Seen, frozen=True, kw_only=True):
    """A rule; channels by name."""


class RulePage(Struct, frozen=True):
    """In the order in which they are asked."""

    items: list[RuleOut]
    next: str | None


class OrderIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The rules that come first, in this order; the others follow as they were."""

    ids: Annotated[list[str], Meta(max_length=1000)]


class TrialIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A rule (written out, or stored) and an alert (described, or a stored event)."""

    rule: RuleIn | None = None
    rule_id: str | None = None
    event: dict[str, Any] | None = None
    event_id: str | None = None


class TrialOut(Struct, frozen=True):
    """Whether the rule holds, and every question in order."""

    matched: bool
    conditions: list[Asked]


def _out(seen: rules.Seen) -> RuleOut:
    return RuleOut(**{name: getattr(seen, name) for name in seen.__struct_fields__})


async def _shown(house: House, caller: Caller, rule_id: int) -> Response[RuleOut]:
    ws = caller.workspace_id

    def read(tx: Any) -> Response[RuleOut]:
        stored = rows.get(tx, ws, rule_id)
        return Response(_out(rules.seen(tx, ws, stored.rule())), headers={"etag": f'"{stored.version}"'})

    return await house.db.read(read)


def _versions(if_match: str | None) -> list[str]:
    """The versions that If-Match names; none where any will do (RFC 9110, section 13.1.1)."""
    tags = [tag.strip() for tag in (if_match or "").split(",")]
    # A weak tag never matches: it stays as it is, and is nobody's.
    return [] if tags == [""] or "*" in tags else [tag.strip('"') for tag in tags]


@get(
    "/api/routing-rules",
    guards=[scopes("config:read")],
    summary="Routing rules",
    operation_id="list_routing_rules",
    tags=TAG,
)
async def list_rules(house: TheHouse, caller: TheCaller, limit: Limit = 50, cursor: Cursor = None) -> RulePage:
    """Every rule, switched off or on, in the order in which they are asked."""

    def read(tx: Any) -> RulePage:
        stored, more = page_of(rows.every(tx, caller.workspace_id), limit, cursor)
        show = rules.shower(tx, caller.workspace_id)
        return RulePage([_out(show(row.rule())) for row in stored], more)

    return await house.db.read(read)


@post(
    "/api/routing-rules",
    guards=[scopes("config:write")],
    summary="Make a routing rule",
    operation_id="create_routing_rule",
    tags=TAG,
)
async def create_rule(house: TheHouse, caller: TheCaller, data: JSONBody[RuleIn]) -> RuleOut:
    """It routes from the next alert on."""
    made = await house.configure.change(
        caller.workspace_id, caller.actor, lambda edit: rules.seen(edit.tx, edit.workspace_id, rules.create(edit, data))
    )
    return _out(made)


@get(
    "/api/routing-rules/{id:str}",
    guards=[scopes("config:read")],
    summary="One routing rule",
    operation_id="get_routing_rule",
    tags=TAG,
)
async def get_rule(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> Response[RuleOut]:
    """The rule. Its ETag changes with it, but not when it is moved in the order."""
    return await _shown(house, caller, ids.parse(id))


@put(
    "/api/routing-rules/{id:str}",
    guards=[scopes("config:write")],
    summary="Replace a routing rule",
    operation_id="replace_routing_rule",
    tags=TAG,
)
async def replace_rule(
    house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[RuleIn], if_match: IfMatch = None
) -> Response[RuleOut]:
    """What is left out goes back to its default; the priority stays where it is left out."""
    if data.name is UNSET:
        raise Invalid("name: is needed", path="name")
    return await _updated(house, caller, ids.parse(id), data, if_match, whole=True)


@patch(
    "/api/routing-rules/{id:str}",
    guards=[scopes("config:write")],
    summary="Change a routing rule",
    operation_id="change_routing_rule",
    tags=TAG,
)
async def change_rule(
    house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[RuleIn], if_match: IfMatch = None
) -> Response[RuleOut]:
    """What is left out stays as it is."""
    return await _updated(house, caller, ids.parse(id), data, if_match, whole=False)


async def _updated(
    house: House, caller: Caller, rule_id: int, data: RuleIn, if_match: str | None, *, whole: bool
) -> Response[RuleOut]:
    versions = _versions(if_match)
    await house.configure.change(
        caller.workspace_id,
        caller.actor,
        lambda edit: rules.update(edit, rule_id, data, whole=whole, versions=versions),
    )
    return await _shown(house, caller, rule_id)


@delete(
    "/api/routing-rules/{id:str}",
    guards=[scopes("config:write")],
    summary="Delete a routing rule",
    operation_id="delete_routing_rule",
    tags=TAG,
    status_code=204,
)
async def delete_rule(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> None:
    """Nobody new is told by it; what it made owed stays owed."""
    rule_id = ids.parse(id)
    await house.configure.change(caller.workspace_id, caller.actor, lambda edit: rules.delete(edit, rule_id))


@post(
    "/api/routing-rules/{id:str}/duplicate",
    guards=[scopes("config:write")],
    summary="Duplicate a routing rule",
    operation_id="duplicate_routing_rule",
    tags=TAG,
)
async def duplicate_rule(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> RuleOut:
    """The same rule once more, behind it, under a name of its own and switched off."""
    rule_id = ids.parse(id)

    def work(edit: Edit) -> rules.Seen:
        return rules.seen(edit.tx, edit.workspace_id, rules.duplicate(edit, rule_id))

    return _out(await house.configure.change(caller.workspace_id, caller.actor, work))


async def _switched(house: House, caller: Caller, id: str, enabled: bool) -> RuleOut:
    rule_id = ids.parse(id)

    def work(edit: Edit) -> rules.Seen:
        return rules.seen(edit.tx, edit.workspace_id, rules.set_enabled(edit, rule_id, enabled))

    return _out(await house.configure.change(caller.workspace_id, caller.actor, work))


@post(
    "/api/routing-rules/{id:str}/enable",
    guards=[scopes("config:write")],
    summary="Switch a routing rule on",
    operation_id="enable_routing_rule",
    tags=TAG,
    status_code=200,
)
async def enable_rule(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> RuleOut:
    """Twice is no fault."""
    return await _switched(house, caller, id, True)


@post(
    "/api/routing-rules/{id:str}/disable",
    guards=[scopes("config:write")],
    summary="Switch a routing rule off",
    operation_id="disable_routing_rule",
    tags=TAG,
    status_code=200,
)
async def disable_rule(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> RuleOut:
    """It keeps its place. Twice is no fault."""
    return await _switched(house, caller, id, False)


@post(
    "/api/routing-rules/reorder",
    guards=[scopes("config:write")],
    summary="Put routing rules in order",
    operation_id="reorder_routing_rules",
    tags=TAG,
    status_code=200,
)
async def reorder_rules(house: TheHouse, caller: TheCaller, data: JSONBody[OrderIn]) -> RulePage:
    """Priorities become 10, 20, 30, … in the new order; all rules come back."""

    def work(edit: Edit) -> RulePage:
        rules.reorder(edit, data.ids)
        show = rules.shower(edit.tx, edit.workspace_id)
        return RulePage([_out(show(row.rule())) for row in rows.every(edit.tx, edit.workspace_id)], None)

    return await house.configure.change(caller.workspace_id, caller.actor, work)


@post(
    "/api/routing-rules/test",
    guards=[scopes("config:read")],
    summary="Try a routing rule",
    operation_id="test_routing_rule",
    tags=TAG,
    status_code=200,
)
async def test_rule(house: TheHouse, caller: TheCaller, data: JSONBody[TrialIn]) -> TrialOut:
    """Nothing is stored and nobody is told: every question with what was expected, what is there, and its answer."""
    if (data.rule is None) == (data.rule_id is None):
        raise Invalid("either rule or rule_id is needed", path="rule")
    if (data.event is None) == (data.event_id is None):
        raise Invalid("either event or event_id is needed", path="event")
    found = await house.db.read(lambda tx: _tried(tx, caller.workspace_id, data))
    return TrialOut(found.matched, found.conditions)


def _tried(tx: Any, workspace_id: int, data: TrialIn) -> Explanation:
    said = None
    if data.event is not None:
        try:
            known = {k: v for k, v in data.event.items() if k not in _OF_AN_EVENT}
            said = drafted(known, rules.Said)
        except Invalid as problem:
            raise Invalid(problem.detail, path=f"event.{problem.path}".rstrip(".")) from None
    when = None
    if data.rule is not None and data.rule.when is not UNSET:
        when = data.rule.when
    try:
        return rules.try_out(
            tx,
            workspace_id,
            when=when,
            rule_id=None if data.rule_id is None else ids.parse(data.rule_id),
            said=said,
            event_id=None if data.event_id is None else ids.parse(data.event_id),
        )
    except Fault as fault:
        fault.errors = tuple((f"rule.{p}" if p.startswith("when") else p, s) for p, s in fault.errors)
        raise


ROUTES: Final = [
    list_rules, create_rule, get_rule, replace_rule, change_rule, delete_rule, duplicate_rule, enable_rule,
    disable_rule, reorder_rules, test_rule,
]  # fmt: skip
