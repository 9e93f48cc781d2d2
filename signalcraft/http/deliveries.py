"""/api/deliveries: the ledger of what is owed, was taken, failed or was dropped."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any, Final, get_args

from litestar import get, post
from litestar.params import FromPath, QueryParameter

from signalcraft.domain import ids
from signalcraft.domain.delivery import NoteKind, State
from signalcraft.http.auth import Caller, TheCaller, scopes
from signalcraft.http.shapes import DeliveryOut, DeliveryPage, delivery_out
from signalcraft.http.wire import Cursor, Limit, TheHouse, among, cursor_of, named, read_cursor, split
from signalcraft.services.house import House
from signalcraft.storage import lists, outbox
from signalcraft.storage.outbox import Delivery

STATES: Final = get_args(State)
KINDS: Final = get_args(NoteKind)
TAG: Final = ["deliveries"]


@get("/api/deliveries", guards=[scopes("alerts:read")], summary="Deliveries", operation_id="list_deliveries", tags=TAG)
async def list_deliveries(
    house: TheHouse,
    caller: TheCaller,
    in_state: Annotated[list[str] | None, QueryParameter(name="state", description=f"Of {', '.join(STATES)}.")] = None,
    kind: Annotated[list[str] | None, QueryParameter(name="kind", description=f"Of {', '.join(KINDS)}.")] = None,
    channel: Annotated[
        list[str] | None, QueryParameter(name="channel", description="A name or an id; several with commas.")
    ] = None,
    group: Annotated[str | None, QueryParameter(name="group", description="The id of an alert group.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DeliveryPage:
    """The deliveries of the workspace, newest first; without a filter in every state."""
    before = read_cursor(cursor, 1) or (lists.LAST,)
    states, kinds = among(in_state, STATES, "state"), among(kind, KINDS, "kind")
    group_id = ids.parse(group) if group else None
    wanted_names = split(channel)

    def read(tx: Any) -> DeliveryPage:
        names = lists.channel_names(tx, caller.workspace_id)
        chosen = named(wanted_names, names)
        if wanted_names and not chosen:
            return DeliveryPage([], None)
        wanted = lists.DeliveryFilter(states=states, kinds=kinds, channels=chosen, group_id=group_id)
        found = lists.deliveries_page(tx, caller.workspace_id, wanted, before[0], limit + 1)
        more = cursor_of(found[limit - 1].id) if len(found) > limit else None
        return DeliveryPage([delivery_out(delivery, names) for delivery in found[:limit]], more)

    return await house.db.read(read)


@get(
    "/api/deliveries/{id:str}",
    guards=[scopes("alerts:read")],
    summary="One delivery",
    operation_id="get_delivery",
    tags=TAG,
)
async def get_delivery(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> DeliveryOut:
    """One message to a channel."""
    delivery_id = ids.parse(id)

    def read(tx: Any) -> DeliveryOut:
        found = outbox.get(tx, caller.workspace_id, delivery_id)
        return delivery_out(found, lists.channel_names(tx, caller.workspace_id))

    return await house.db.read(read)


async def _done(house: House, caller: Caller, act: Awaitable[Delivery]) -> DeliveryOut:
    delivery = await act
    names = await house.db.read(lambda tx: lists.channel_names(tx, caller.workspace_id))
    return delivery_out(delivery, names)


@post(
    "/api/deliveries/{id:str}/retry",
    guards=[scopes("alerts:write")],
    summary="Try a delivery again",
    operation_id="retry_delivery",
    tags=TAG,
    status_code=200,
)
async def retry(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> DeliveryOut:
    """At once, whatever it waits for; one that failed or was dropped too. 409 when it is sent or on its way."""
    return await _done(house, caller, house.deliver.retry(caller.workspace_id, ids.parse(id), caller.actor))


@post(
    "/api/deliveries/{id:str}/drop",
    guards=[scopes("alerts:write")],
    summary="Drop a delivery",
    operation_id="drop_delivery",
    tags=TAG,
    status_code=200,
)
async def drop(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> DeliveryOut:
    """It need not be told. 409 when it is sent, on its way or dropped already."""
    return await _done(house, caller, house.deliver.drop(caller.workspace_id, ids.parse(id), caller.actor))


ROUTES = [list_deliveries, get_delivery, retry, drop]
