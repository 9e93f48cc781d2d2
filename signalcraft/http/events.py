"""/api/events: every statement that a sender made, with its bytes as they came."""

from __future__ import annotations

from typing import Annotated, Any, Final, get_args

from litestar import Response, get
from litestar.params import FromPath, QueryParameter

from signalcraft.domain import ids
from signalcraft.domain.event import Kind
from signalcraft.errors import NotFound
from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.shapes import EventOut, EventPage, event_out
from signalcraft.http.wire import Cursor, Limit, TheHouse, among, cursor_of, named, read_cursor, split
from signalcraft.storage import inbox, lists

KINDS: Final = get_args(Kind)
TAG: Final = ["events"]


@get("/api/events", guards=[scopes("alerts:read")], summary="Events", operation_id="list_events", tags=TAG)
async def list_events(
    house: TheHouse,
    caller: TheCaller,
    integration: Annotated[
        list[str] | None, QueryParameter(name="integration", description="A name or an id; several with commas.")
    ] = None,
    kind: Annotated[list[str] | None, QueryParameter(name="kind", description=f"Of {', '.join(KINDS)}.")] = None,
    group: Annotated[str | None, QueryParameter(name="group", description="The id of an alert group.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> EventPage:
    """The events of the workspace, newest first."""
    before = read_cursor(cursor, 1) or (lists.LAST,)
    kinds = among(kind, KINDS, "kind")
    group_id = ids.parse(group) if group else None
    wanted_names = split(integration)

    def read(tx: Any) -> EventPage:
        names = lists.integration_names(tx, caller.workspace_id)
        chosen = named(wanted_names, names)
        if wanted_names and not chosen:
            return EventPage([], None)
        wanted = lists.EventFilter(integrations=chosen, kinds=kinds, group_id=group_id)
        found = lists.events_page(tx, caller.workspace_id, wanted, before[0], limit + 1)
        more = cursor_of(found[limit - 1].id) if len(found) > limit else None
        return EventPage([event_out(event, names) for event in found[:limit]], more)

    return await house.db.read(read)


@get("/api/events/{id:str}", guards=[scopes("alerts:read")], summary="One event", operation_id="get_event", tags=TAG)
async def get_event(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> EventOut:
    """What was said, in our words."""
    event_id = ids.parse(id)

    def read(tx: Any) -> EventOut:
        event = lists.event(tx, caller.workspace_id, event_id)
        return event_out(event, lists.integration_names(tx, caller.workspace_id))

    return await house.db.read(read)


@get(
    "/api/events/{id:str}/payload",
    guards=[scopes("alerts:read")],
    summary="The bytes of an event",
    operation_id="get_event_payload",
    tags=TAG,
    media_type="application/octet-stream",
)
async def get_payload(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> Response[bytes]:
    """The body of the webhook exactly as it arrived; events of one webhook share it. 404 where it was not kept."""
    event_id = ids.parse(id)

    def read(tx: Any) -> bytes:
        event = lists.event(tx, caller.workspace_id, event_id)
        if event.inbox_id is None:
            raise NotFound("the bytes of this event were not kept: it was a repeat above the rate limit")
        return inbox.body(tx, caller.workspace_id, event.inbox_id)

    return raw(await house.db.read(read), f"event-{ids.show(event_id)}.bin")


def raw(body: bytes, filename: str) -> Response[bytes]:
    """Bytes for saving, never for showing: what a sender wrote must not run in a browser."""
    return Response(
        body,
        media_type="application/octet-stream",
        headers={"content-disposition": f'attachment; filename="{filename}"'},
    )


ROUTES = [list_events, get_event, get_payload]
