"""/api/alert-groups: what people work on."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from signalcraft.domain import ids, severity
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict, Invalid
from signalcraft.http.auth import Caller, TheCaller, scopes
from signalcraft.http.shapes import GroupDetail, GroupPage, group_detail, group_out
from signalcraft.http.wire import Cursor, Limit, TheHouse, among, cursor_of, read_cursor, read_time, split
from signalcraft.services.house import House
from signalcraft.storage import groups, lists

STATUSES: Final = ("open", "acknowledged", "snoozed", "resolved")
SNOOZE_MINUTES_MAX: Final = 366 * 24 * 60
TAG: Final = ["alert groups"]
_TEXT_MAX: Final = 200

Note = Annotated[str, Meta(max_length=2000)] | None
Words = list[str] | None


def _many(name: str, of: str) -> QueryParameter:
    return QueryParameter(name=name, description=f"{of} Several: separated by commas, or the parameter again.")


class AckIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`note`: for the journal."""

    note: Note = None


class ResolveIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`note`: how it was resolved; the next alert group of the same key remembers it."""

    note: Note = None


class SnoozeIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Either so many minutes, or until an RFC 3339 time."""

    minutes: Annotated[int, Meta(ge=1, le=SNOOZE_MINUTES_MAX)] | None = None
    until: str | None = None


class AssigneeIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A Slack person by id, or anybody by name (kind `person`, the id being the name)."""

    kind: Annotated[str, Meta(pattern="^(slack|person)$")]
    id: Annotated[str, Meta(min_length=1, max_length=100)]
    name: Annotated[str, Meta(min_length=1, max_length=100)]


class AssignIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A Slack person (`{"kind": "slack", "id": "U012AB3CD", "name": "sam"}`), a name (`"Sam"`), or null for nobody."""

    assignee: AssigneeIn | Annotated[str, Meta(min_length=1, max_length=100)] | None


class StateConflict(Conflict):
    """A conflict with the state that the group is in as a member of its own."""

    def __init__(self, detail: str, state: str) -> None:
        super().__init__(detail)
        self.extra = {"state": state}


@get(
    "/api/alert-groups",
    guards=[scopes("alerts:read")],
    summary="Alert groups",
    operation_id="list_alert_groups",
    tags=TAG,
)
async def list_groups(
    house: TheHouse,
    caller: TheCaller,
    status: Annotated[Words, _many("status", "open, acknowledged, snoozed, resolved.")] = None,
    severity: Annotated[Words, _many("severity", "info, low, medium, high, critical.")] = None,
    environment: Annotated[Words, _many("environment", "As the events spell it.")] = None,
    project: Annotated[Words, _many("project", "As the events spell it.")] = None,
    source: Annotated[Words, _many("source", "The kind of the integration: sentry.")] = None,
    assignee: Annotated[Words, _many("assignee", "A name or an id; `none` for nobody.")] = None,
    q: Annotated[str | None, QueryParameter(name="q", description="Held by the title, in any case; or the id.")] = None,
    since: Annotated[str | None, QueryParameter(name="since", description="Active at this time or later.")] = None,
    until: Annotated[str | None, QueryParameter(name="until", description="Active at this time or earlier.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> GroupPage:
    """The alert groups of the workspace, the latest seen first; without a filter in every status."""
    wanted = lists.GroupFilter(
        statuses=among(status, STATUSES, "status"),
        severities=[_RANKS[name] for name in among(severity, _RANKS, "severity")],
        environments=split(environment),
        projects=split(project),
        sources=split(source),
        assignees=split(assignee),
        text=_text(q),
        since_ms=None if since is None else read_time(since, "since"),
        until_ms=None if until is None else read_time(until, "until"),
    )
    after = read_cursor(cursor, 2)
    now_ms = house.now()

    def read(tx: Any) -> GroupPage:
        found = lists.groups_page(tx, caller.workspace_id, wanted, after, limit + 1)
        more = None
        if len(found) > limit:
            last = found[limit - 1]
            more = cursor_of(last.last_seen_ms, last.id)
        return GroupPage([group_out(tx, group, now_ms) for group in found[:limit]], more)

    return await house.db.read(read)


_RANKS: Final = {name: int(rank) for name, rank in severity.BY_NAME.items()}


def _text(q: str | None) -> str:
    text = (q or "").strip()
    if len(text) > _TEXT_MAX:
        raise Invalid(f"at most {_TEXT_MAX} characters", path="q")
    return text


async def _shown(house: House, caller: Caller, group_id: int) -> GroupDetail:
    now_ms = house.now()
    return await house.db.read(lambda tx: group_detail(tx, groups.get(tx, caller.workspace_id, group_id), now_ms))


@get(
    "/api/alert-groups/{id:str}",
    guards=[scopes("alerts:read")],
    summary="One alert group",
    operation_id="get_alert_group",
    tags=TAG,
)
async def get_group(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> GroupDetail:
    """The group with its latest event's message, link and tags."""
    return await _shown(house, caller, ids.parse(id))


async def _acted(house: House, caller: Caller, group_id: int, act: Awaitable[Any]) -> GroupDetail:
    try:
        await act
    except Conflict as fault:
        now = await _shown(house, caller, group_id)
        raise StateConflict(fault.detail, now.status) from None
    return await _shown(house, caller, group_id)


@post(
    "/api/alert-groups/{id:str}/ack",
    guards=[scopes("alerts:write")],
    summary="Acknowledge",
    operation_id="acknowledge_alert_group",
    tags=TAG,
    status_code=200,
)
async def ack(
    house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[AckIn | None] = None
) -> GroupDetail:
    """Somebody is on it: escalations and repeats end. 409 when it is acknowledged or resolved already."""
    group_id = ids.parse(id)
    note = data.note if data else None
    return await _acted(house, caller, group_id, house.respond.ack(caller.workspace_id, group_id, caller.actor, note))


@post(
    "/api/alert-groups/{id:str}/snooze",
    guards=[scopes("alerts:write")],
    summary="Snooze",
    operation_id="snooze_alert_group",
    tags=TAG,
    status_code=200,
)
async def snooze(house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[SnoozeIn]) -> GroupDetail:
    """Silent until then, unless it turns worse. 409 when it is resolved."""
    group_id = ids.parse(id)
    until_ms = _until(data, house.now())
    return await _acted(
        house, caller, group_id, house.respond.snooze(caller.workspace_id, group_id, caller.actor, until_ms)
    )


def _until(data: SnoozeIn, now_ms: int) -> int:
    if (data.minutes is None) == (data.until is None):
        raise Invalid("say either minutes or until", path="minutes")
    if data.minutes is not None:
        return now_ms + data.minutes * 60_000
    until_ms = read_time(data.until or "", "until")
    if until_ms <= now_ms:
        raise Invalid("a snooze must end in the future", path="until")
    if until_ms > now_ms + SNOOZE_MINUTES_MAX * 60_000:
        raise Invalid("a snooze lasts at most 366 days", path="until")
    return until_ms


@post(
    "/api/alert-groups/{id:str}/unsnooze",
    guards=[scopes("alerts:write")],
    summary="Wake",
    operation_id="unsnooze_alert_group",
    tags=TAG,
    status_code=200,
)
async def unsnooze(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> GroupDetail:
    """Awake again before its time. 409 when it is not snoozed."""
    group_id = ids.parse(id)
    return await _acted(house, caller, group_id, house.respond.unsnooze(caller.workspace_id, group_id, caller.actor))


@post(
    "/api/alert-groups/{id:str}/resolve",
    guards=[scopes("alerts:write")],
    summary="Resolve",
    operation_id="resolve_alert_group",
    tags=TAG,
    status_code=200,
)
async def resolve(
    house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[ResolveIn | None] = None
) -> GroupDetail:
    """It is over. 409 when it is resolved already."""
    group_id = ids.parse(id)
    note = data.note if data else None
    return await _acted(
        house, caller, group_id, house.respond.resolve(caller.workspace_id, group_id, caller.actor, note)
    )


@post(
    "/api/alert-groups/{id:str}/reopen",
    guards=[scopes("alerts:write")],
    summary="Open again",
    operation_id="reopen_alert_group",
    tags=TAG,
    status_code=200,
)
async def reopen(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> GroupDetail:
    """Not over after all: a new episode. 409 when it is not resolved."""
    group_id = ids.parse(id)
    return await _acted(house, caller, group_id, house.respond.reopen(caller.workspace_id, group_id, caller.actor))


@post(
    "/api/alert-groups/{id:str}/assign",
    guards=[scopes("alerts:write")],
    summary="Assign",
    operation_id="assign_alert_group",
    tags=TAG,
    status_code=200,
)
async def assign(house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[AssignIn]) -> GroupDetail:
    """Somebody's, or nobody's."""
    group_id = ids.parse(id)
    assignee = _assignee(data.assignee)
    return await _acted(
        house, caller, group_id, house.respond.assign(caller.workspace_id, group_id, caller.actor, assignee)
    )


def _assignee(said: AssigneeIn | str | None) -> Actor | None:
    if said is None:
        return None
    if isinstance(said, str):
        name = said.strip()
        if not name:
            raise Invalid("a name, or null for nobody", path="assignee")
        return Actor("person", name, name)
    return Actor(said.kind, said.id, said.name)


ROUTES = [list_groups, get_group, ack, snooze, unsnooze, resolve, reopen, assign]
