"""/api/alert-groups: what people work on."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Annotated, Any, Final, cast

from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct
from msgspec.structs import replace

from signalcraft.domain import ids, severity
from signalcraft.domain import search as search_language
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict, Invalid, NotFound
from signalcraft.http.auth import Caller, TheCaller, scopes
from signalcraft.http.shapes import GroupDetail, GroupPage, TotalOut, group_detail, groups_out
from signalcraft.http.wire import Cursor, Limit, TheHouse, among, cursor_of, read_cursor, read_time, split
from signalcraft.services.house import House
from signalcraft.storage import groups, people, searching
from signalcraft.storage.searching import GroupBy, GroupFilter, Place, Sort

STATUSES: Final = search_language.STATUSES
SNOOZE_MINUTES_MAX: Final = 366 * 24 * 60
TAG: Final = ["alert groups"]
_TEXT_MAX: Final = 200
_GROUP_BY: Final = f"Those with the same one stand together: {', '.join(searching.GROUPINGS)}."
_SEARCH: Final = (
    'The search language: `severity>=high project:api -environment:staging assignee:none seen<2h "timeout"`.'
    f" Keys: {', '.join(search_language.KEYS)} (as `tag.release:1.2.3`); free words are looked for in title, project"
    " and message. Every word must hold, also beside the other parameters."
)

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
    """Somebody of this workspace (kind `user`, by id alone), a Slack person by id, or anybody by name (kind `person`,
    the id being the name).
    """

    kind: Annotated[str, Meta(pattern="^(user|slack|person)$")]
    id: Annotated[str, Meta(min_length=1, max_length=100)]
    name: Annotated[str, Meta(max_length=100)] = ""


class AssignIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody (`{"kind": "slack", "id": "U012AB3CD", "name": "sam"}`), a name (`"Sam"`), or null for nobody."""

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
    search: Annotated[str | None, QueryParameter(name="search", description=_SEARCH)] = None,
    sort: Annotated[str, QueryParameter(name="sort", description=f"Of {', '.join(searching.SORTS)}.")] = "last_seen",
    order: Annotated[str, QueryParameter(name="order", description="desc or asc.")] = "desc",
    group_by: Annotated[str | None, QueryParameter(name="group_by", description=_GROUP_BY)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> GroupPage:
    """The alert groups of the workspace, the latest seen first; without a filter in every status.

    The first page says how many there are in all; to count them, at most 10,000 are looked at.
    """
    now_ms = house.now()
    wanted = GroupFilter(
        statuses=among(status, STATUSES, "status"),
        severities=[_RANKS[name] for name in among(severity, _RANKS, "severity")],
        environments=split(environment),
        projects=split(project),
        sources=split(source),
        assignees=split(assignee),
        text=_text(q),
        since_ms=None if since is None else read_time(since, "since"),
        until_ms=None if until is None else read_time(until, "until"),
        search=_search(caller, search),
        me=(caller.actor.id, caller.actor.name),
        now_ms=now_ms,
    )
    sorted_by = cast(Sort, _one_of(sort, searching.SORTS, "sort"))
    descending = _one_of(order, ("desc", "asc"), "order") == "desc"
    grouped_by = cast(GroupBy, _one_of(group_by, searching.GROUPINGS, "group_by")) if group_by else None
    shape = searching.SORTS.index(sorted_by) * 10 + (searching.GROUPINGS.index(grouped_by) + 1 if grouped_by else 0)
    after = _place(cursor, shape)

    def read(tx: Any) -> GroupPage:
        found, place = searching.groups_page(
            tx,
            caller.workspace_id,
            wanted,
            after,
            limit,
            sort=sorted_by,
            descending=descending,
            group_by=grouped_by,
        )
        total = None
        if after is None:
            n, whole = searching.count(tx, caller.workspace_id, wanted) if place is not None else (len(found), True)
            total = TotalOut(max(n, len(found)), not whole)
        more = None
        if place is not None:
            more = cursor_of(shape, place.number, place.last_seen_ms, place.id)
        return GroupPage(groups_out(tx, found, now_ms), more, total)

    if after is not None:
        return await house.db.read(read)
    # Who asks matters where the search says `me`; what is now, only as far as a minute.
    asked = repr(replace(wanted, now_ms=0, me=wanted.me if wanted.search.asks_for_me else ("", "")))
    key = ("groups", asked, sorted_by, descending, grouped_by, limit)
    return await house.cache.read("feed", caller.workspace_id, key, read)


def _search(caller: Caller, text: str | None) -> search_language.Search:
    found = search_language.parse(text or "")
    if found.asks_for_me and caller.session is None:
        raise Invalid("`me` is whoever is signed in; an API key is nobody", path="search")
    return found


def _one_of(word: str, allowed: Sequence[str], path: str) -> str:
    found = among([word], allowed, path)
    if len(found) != 1:
        raise Invalid(f"one of {', '.join(allowed)}", path=path)
    return found[0]


def _place(cursor: str | None, shape: int) -> Place | None:
    numbers = read_cursor(cursor, 4)
    if numbers is None:
        return None
    if numbers[0] != shape:
        raise Invalid("this cursor is of a list in another order; leave it out to start over", path="cursor")
    return Place(*numbers[1:])


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
    until_ms = snooze_end(data.minutes, data.until, house.now())
    return await _acted(
        house, caller, group_id, house.respond.snooze(caller.workspace_id, group_id, caller.actor, until_ms)
    )


def snooze_end(minutes: int | None, until: str | None, now_ms: int) -> int:
    """When a snooze ends. Raises Invalid."""
    if (minutes is None) == (until is None):
        raise Invalid("say either minutes or until", path="minutes")
    if minutes is not None:
        return now_ms + minutes * 60_000
    until_ms = read_time(until or "", "until")
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
    assignee = await assignee_of(house, caller, data.assignee)
    return await _acted(
        house, caller, group_id, house.respond.assign(caller.workspace_id, group_id, caller.actor, assignee)
    )


async def assignee_of(house: House, caller: Caller, said: AssigneeIn | str | None) -> Actor | None:
    """Whom a request means. Raises Invalid at `assignee`, also for a person of another workspace."""
    if said is None:
        return None
    if isinstance(said, str):
        name = said.strip()
        if not name:
            raise Invalid("a name, or null for nobody", path="assignee")
        return Actor("person", name, name)
    if said.kind != "user":
        if not said.name.strip():
            raise Invalid("a name is needed", path="assignee.name")
        return Actor(said.kind, said.id, said.name)
    try:
        person_id = ids.parse(said.id)
        member = await house.db.read(lambda tx: people.member(tx, caller.workspace_id, person_id))
    except NotFound:
        raise Invalid("nobody of this workspace has this id", path="assignee.id") from None
    return Actor("user", ids.show(person_id), member.person.name)


ROUTES = [list_groups, get_group, ack, snooze, unsnooze, resolve, reopen, assign]
