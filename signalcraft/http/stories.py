"""What lies behind one alert group: its events, its deliveries, its timeline, and why somebody was told or not."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from litestar import get
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.routing import Asked
from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.shapes import DeliveryOut, DeliveryPage, EventPage, delivery_out, event_out
from signalcraft.http.wire import (
    ActorOut,
    Cursor,
    Limit,
    TheHouse,
    actor_out,
    cursor_of,
    read_cursor,
    time_of,
)
from signalcraft.services import timeline, why
from signalcraft.services.timeline import Moment
from signalcraft.storage import groups, lists

TAG: Final = ["alert groups"]
Order = Literal["oldest", "newest"]
_TIMES: Final = ("until_ms", "from_ms", "edited_ms")
_LATEST: Final = (1 << 62, 0)


class MomentOut(Struct, frozen=True, kw_only=True):
    """One thing that happened. kind: journal, delivery, escalation, and events where they are folded.

    `delivery` is set where `kind` is delivery; `channels` are names.
    """

    id: str
    at: str
    kind: str
    verb: str
    actor: ActorOut | None
    channels: list[str]
    delivery: DeliveryOut | None
    data: dict[str, Any]


class UpcomingOut(Struct, frozen=True, kw_only=True):
    """One thing that will happen then, unless somebody acts before."""

    at: str
    kind: str
    detail: str
    channels: list[str]


class Timeline(Struct, frozen=True):
    """In the order that was asked for. `upcoming`: soonest first."""

    items: list[MomentOut]
    next: str | None
    upcoming: list[UpcomingOut]


class WhyRule(Struct, frozen=True, kw_only=True):
    """A rule asked of the group as it is now. `asked` false: it is disabled, or an earlier rule stops."""

    id: str
    name: str
    priority: int
    enabled: bool
    asked: bool
    matched: bool
    detail: str
    conditions: list[Asked]
    channels: list[str]


class WhyChannel(Struct, frozen=True, kw_only=True):
    """What became of telling a channel, and why.

    result: told, owed, failed, dropped, to_come (by escalation), suppressed, not_routed.
    """

    id: str
    name: str
    kind: str
    result: str
    detail: str
    deliveries: list[DeliveryOut]


class Why(Struct, frozen=True):
    """Every rule and every channel of the workspace, for one alert group. `as_of`: when the rules were asked."""

    group_id: str
    as_of: str
    rules: list[WhyRule]
    channels: list[WhyChannel]


@get(
    "/api/alert-groups/{id:str}/events",
    guards=[scopes("alerts:read")],
    summary="Events of an alert group",
    operation_id="list_alert_group_events",
    tags=TAG,
)
async def group_events(
    house: TheHouse, caller: TheCaller, id: FromPath[str], limit: Limit = 50, cursor: Cursor = None
) -> EventPage:
    """What was said of it, newest first."""
    group_id = ids.parse(id)
    before = read_cursor(cursor, 1) or (lists.LAST,)

    def read(tx: Any) -> EventPage:
        groups.get(tx, caller.workspace_id, group_id)
        wanted = lists.EventFilter(group_id=group_id)
        found = lists.events_page(tx, caller.workspace_id, wanted, before[0], limit + 1)
        names = lists.integration_names(tx, caller.workspace_id)
        more = cursor_of(found[limit - 1].id) if len(found) > limit else None
        return EventPage([event_out(event, names) for event in found[:limit]], more)

    return await house.db.read(read)


@get(
    "/api/alert-groups/{id:str}/deliveries",
    guards=[scopes("alerts:read")],
    summary="Deliveries of an alert group",
    operation_id="list_alert_group_deliveries",
    tags=TAG,
)
async def group_deliveries(
    house: TheHouse, caller: TheCaller, id: FromPath[str], limit: Limit = 50, cursor: Cursor = None
) -> DeliveryPage:
    """What is and was owed for it, newest first."""
    group_id = ids.parse(id)
    before = read_cursor(cursor, 1) or (lists.LAST,)

    def read(tx: Any) -> DeliveryPage:
        groups.get(tx, caller.workspace_id, group_id)
        wanted = lists.DeliveryFilter(group_id=group_id)
        found = lists.deliveries_page(tx, caller.workspace_id, wanted, before[0], limit + 1)
        names = lists.channel_names(tx, caller.workspace_id)
        more = cursor_of(found[limit - 1].id) if len(found) > limit else None
        return DeliveryPage([delivery_out(delivery, names) for delivery in found[:limit]], more)

    return await house.db.read(read)


@get(
    "/api/alert-groups/{id:str}/timeline",
    guards=[scopes("alerts:read")],
    summary="Timeline of an alert group",
    operation_id="get_alert_group_timeline",
    tags=TAG,
)
async def group_timeline(
    house: TheHouse,
    caller: TheCaller,
    id: FromPath[str],
    order: Annotated[Order, QueryParameter(name="order", description="What comes first: oldest or newest.")] = "oldest",
    fold: Annotated[
        bool,
        QueryParameter(name="fold", description="With order=newest: the events between, one moment for each run."),
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Timeline:
    """What happened: the journal, comments, deliveries and escalations; and what comes next, and when."""
    group_id = ids.parse(id)
    newest = order == "newest"
    after = read_cursor(cursor, 2) or (_LATEST if newest else (-1, 0))

    def read(tx: Any) -> Timeline:
        group = groups.get(tx, caller.workspace_id, group_id)
        names = lists.channel_names(tx, caller.workspace_id)
        found = timeline.past(tx, group, names, (after[0], after[1]), limit + 1, newest=newest)
        last = found[limit - 1] if len(found) > limit else None
        shown = found[:limit]
        if newest and fold:
            shown = timeline.folded(tx, group, shown, after[0], rest=last is None)
        return Timeline(
            [_moment(moment, names) for moment in shown],
            None if last is None else cursor_of(last.at_ms, last.id),
            [
                UpcomingOut(at=time_of(one.at_ms), kind=one.kind, detail=one.detail, channels=one.channels)
                for one in timeline.upcoming(tx, group, names, house.settings)
            ],
        )

    return await house.db.read(read)


def _moment(moment: Moment, names: dict[int, str]) -> MomentOut:
    return MomentOut(
        id=ids.show(moment.id),
        at=time_of(moment.at_ms),
        kind=moment.kind,
        verb=moment.verb,
        actor=actor_out(moment.actor),
        channels=moment.channels,
        delivery=None if moment.delivery is None else delivery_out(moment.delivery, names),
        data=_data(moment.data),
    )


def _data(data: dict[str, Any]) -> dict[str, Any]:
    """A verb's own data; its times look as all times do."""
    return {
        name.removesuffix("_ms") if name in _TIMES else name: time_of(value) if name in _TIMES else value
        for name, value in data.items()
    }


@get(
    "/api/alert-groups/{id:str}/why",
    guards=[scopes("alerts:read")],
    summary="Why was somebody told, or not?",
    operation_id="explain_alert_group",
    tags=TAG,
)
async def group_why(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> Why:
    """Every rule with its conditions, asked of the group as it is now; every channel with what became of it."""
    group_id = ids.parse(id)
    now_ms = house.now()
    snapshot = house.registry.snapshot

    def read(tx: Any) -> Why:
        group = groups.get(tx, caller.workspace_id, group_id)
        names = lists.channel_names(tx, caller.workspace_id)
        answers = why.rule_answers(tx, group, names)
        rules = [
            WhyRule(
                id=ids.show(one.id),
                name=one.name,
                priority=one.priority,
                enabled=one.enabled,
                asked=one.asked,
                matched=one.matched,
                detail=one.detail,
                conditions=one.conditions,
                channels=one.channels,
            )
            for one in answers
        ]
        channels = [
            WhyChannel(
                id=ids.show(one.id),
                name=one.name,
                kind=one.kind,
                result=one.result,
                detail=one.detail,
                deliveries=[delivery_out(delivery, names) for delivery in one.deliveries],
            )
            for one in why.channel_answers(tx, snapshot, group, answers)
        ]
        return Why(ids.show(group.id), time_of(now_ms), rules, channels)

    return await house.db.read(read)


ROUTES = [group_events, group_deliveries, group_timeline, group_why]
