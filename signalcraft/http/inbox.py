"""What the inbox asks beside the list: what there is to choose from, the last day hour by hour, and many at once."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from litestar import get, post
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta, Struct

from signalcraft.domain import ids
from signalcraft.domain.roles import Access
from signalcraft.errors import Invalid, NotFound
from signalcraft.http.auth import Caller, TheCaller, scopes
from signalcraft.http.groups import SNOOZE_MINUTES_MAX, TAG, AssigneeIn, Note, assignee_of, snooze_end
from signalcraft.http.wire import ActorOut, TheHouse, split, time_of
from signalcraft.services.house import House
from signalcraft.services.respond import Verb
from signalcraft.storage import facets, people
from signalcraft.storage.facets import Counted, CountedTag

IDS_MAX: Final = 500
SPARKS_MAX: Final = 100
BulkVerb = Literal["ack", "snooze", "unsnooze", "resolve", "reopen", "assign"]


# -- to choose from ---------------------------------------------------------------------------------------------------


class AssigneeCount(Struct, frozen=True):
    """Somebody that alert groups can be assigned to, and how many of those looked at are theirs."""

    assignee: ActorOut
    count: int


class FacetsOut(Struct, frozen=True, kw_only=True):
    """What the alert groups seen last are made of, the commonest first. `looked_at`: how many (at most 2,000).

    `without_…`: how many of them have none. `assignees`: also the people of the workspace, for whoever may see them.
    """

    looked_at: int
    projects: list[Counted]
    environments: list[Counted]
    sources: list[Counted]
    tags: list[CountedTag]
    assignees: list[AssigneeCount]
    without_project: int
    without_environment: int
    without_assignee: int


@get(
    "/api/alert-groups/facets",
    guards=[scopes("alerts:read")],
    summary="What to search for",
    operation_id="get_alert_group_facets",
    tags=TAG,
)
async def get_facets(house: TheHouse, caller: TheCaller) -> FacetsOut:
    """Projects, environments, sources, tags and assignees with counts: what a search can be completed with."""
    sees_people = caller.may(Access("users", "read"))

    def read(tx: Any) -> FacetsOut:
        found = facets.facets(tx, caller.workspace_id)
        assignees = [AssigneeCount(ActorOut(a.actor.kind, a.actor.id, a.actor.name), a.count) for a in found.assignees]
        if sees_people:
            known = {one.assignee.id for one in assignees}
            for member in people.members(tx, caller.workspace_id):
                shown = ids.show(member.person.id)
                if shown not in known and member.person.disabled_ms is None:
                    assignees.append(AssigneeCount(ActorOut("user", shown, member.person.name), 0))
        return FacetsOut(
            looked_at=found.groups,
            projects=found.projects,
            environments=found.environments,
            sources=found.sources,
            tags=found.tags,
            assignees=assignees,
            without_project=found.without_project,
            without_environment=found.without_environment,
            without_assignee=found.without_assignee,
        )

    return await house.cache.read("categories", caller.workspace_id, ("facets", sees_people), read)


# -- hour by hour -----------------------------------------------------------------------------------------------------


class Spark(Struct, frozen=True):
    """Events of one alert group in each of the 24 hours, the oldest first."""

    id: str
    counts: list[int]


class SparksOut(Struct, frozen=True):
    """`since`: when the first hour began; the last one ends now. Unknown ids are left out."""

    since: str
    items: list[Spark]


@get(
    "/api/alert-groups/sparklines",
    guards=[scopes("alerts:read")],
    summary="Events an hour",
    operation_id="get_alert_group_sparklines",
    tags=TAG,
)
async def get_sparklines(
    house: TheHouse,
    caller: TheCaller,
    ids_: Annotated[
        list[str] | None,
        QueryParameter(name="ids", description=f"Ids of alert groups, with commas; at most {SPARKS_MAX}."),
    ] = None,
) -> SparksOut:
    """Events of the last 24 hours in 24 buckets, as they were counted when they came."""
    wanted = [_id(word, "ids") for word in split(ids_)]
    if len(wanted) > SPARKS_MAX:
        raise Invalid(f"at most {SPARKS_MAX} ids", path="ids")
    now_ms = house.now()
    minute = now_ms // 60_000
    found = await house.cache.read(
        "counts",
        caller.workspace_id,
        ("hourly", minute, *wanted),
        lambda tx: facets.hourly(tx, wanted, caller.workspace_id, now_ms),
    )
    since_ms = (minute - facets.HOURS * 60 + 1) * 60_000
    return SparksOut(time_of(since_ms), [Spark(ids.show(n), found[n]) for n in wanted if n in found])


def _id(text: str, path: str) -> int:
    try:
        return ids.parse(text)
    except NotFound as fault:
        raise Invalid(fault.detail, path=path) from None


# -- many at once -----------------------------------------------------------------------------------------------------


class BulkIn(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One verb for many. `note` with ack and resolve, `minutes` or `until` with snooze, `assignee` with assign."""

    ids: Annotated[list[str], Meta(min_length=1, max_length=IDS_MAX)]
    verb: BulkVerb
    note: Note = None
    minutes: Annotated[int, Meta(ge=1, le=SNOOZE_MINUTES_MAX)] | None = None
    until: str | None = None
    assignee: AssigneeIn | Annotated[str, Meta(min_length=1, max_length=100)] | None = None


class BulkItem(Struct, frozen=True):
    """What became of one. `state`: the status that it is in now; `detail`: why nothing was done."""

    id: str
    result: Literal["done", "conflict", "not_found"]
    state: str | None
    detail: str


class BulkOut(Struct, frozen=True):
    """In the order asked; an id that was named twice is there once."""

    items: list[BulkItem]
    done: int


@post(
    "/api/alert-groups/bulk",
    guards=[scopes("alerts:write")],
    summary="Answer many",
    operation_id="answer_alert_groups",
    tags=TAG,
    status_code=200,
)
async def bulk(house: TheHouse, caller: TheCaller, data: JSONBody[BulkIn]) -> BulkOut:
    """One verb for up to 500 alert groups. What one of them cannot do hinders no other: each has its own result."""
    wanted = list(dict.fromkeys(_id(text, "ids") for text in data.ids))
    verb = await _verb(house, caller, data)
    outcomes = await house.respond.many(caller.workspace_id, wanted, verb)
    items = [BulkItem(ids.show(one.group_id), one.result, one.state, one.detail) for one in outcomes]
    return BulkOut(items, sum(item.result == "done" for item in items))


_OF_VERB: Final = {"note": ("ack", "resolve"), "minutes": ("snooze",), "until": ("snooze",), "assignee": ("assign",)}


async def _verb(house: House, caller: Caller, data: BulkIn) -> Verb:
    for name, verbs in _OF_VERB.items():
        if getattr(data, name) is not None and data.verb not in verbs:
            raise Invalid(f"{name} goes with {' and '.join(verbs)} alone", path=name)
    respond, actor = house.respond, caller.actor
    if data.verb == "ack":
        return respond.acking(actor, data.note)
    if data.verb == "snooze":
        return respond.snoozing(actor, snooze_end(data.minutes, data.until, house.now()))
    if data.verb == "unsnooze":
        return respond.unsnoozing(actor)
    if data.verb == "resolve":
        return respond.resolving(actor, data.note)
    if data.verb == "reopen":
        return respond.reopening(actor)
    return respond.assigning(actor, await assignee_of(house, caller, data.assignee))


ROUTES: Final = [get_facets, get_sparklines, bulk]
