"""/api/quarantine: webhooks from known senders that could not be read. Nothing of them is lost."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.errors import Invalid, Unreadable
from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.events import raw
from signalcraft.http.wire import (
    Cursor,
    Limit,
    TheHouse,
    among,
    cursor_of,
    named,
    read_cursor,
    show_id,
    show_time,
    split,
    time_of,
)
from signalcraft.services.quarantine import drop, replay_all, tried
from signalcraft.storage import lists

STATES: Final = ("quarantined", "replayed", "dropped")
TAG: Final = ["quarantine"]


class HeldOut(Struct, frozen=True, kw_only=True):
    """A webhook that was put in quarantine. state: quarantined, replayed, dropped. `why`: what could not be read."""

    id: str
    integration: str | None
    integration_id: str
    received_at: str
    state: str
    why: str | None
    stored_bytes: int


class HeldPage(Struct, frozen=True):
    """Newest first."""

    items: list[HeldOut]
    next: str | None


class HeldDetail(Struct, frozen=True, kw_only=True):
    """The same with what arrived. `raw`: the body as text, None where it is no UTF-8; `raw_base64`: its bytes."""

    id: str
    integration: str | None
    integration_id: str
    received_at: str
    state: str
    why: str | None
    path: str
    query: str
    headers: dict[str, str]
    raw: str | None
    raw_base64: str


class ReceiptOut(Struct, frozen=True):
    """What became of one statement."""

    event_id: str
    group_id: str | None
    duplicate: bool
    sampled: bool


class Replayed(Struct, frozen=True):
    """What the webhook said, now that it can be read."""

    id: str
    state: str
    events: list[ReceiptOut]


class TryReadingIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the integration's kind to read with, over those that it has."""

    config: dict[str, Any] = msgspec.field(default_factory=dict)


class WouldBe(Struct, frozen=True, kw_only=True):
    """One event that would be read. kind, severity and status: see an event."""

    kind: str
    status: str | None
    severity: str | None
    title: str | None
    message: str
    project: str | None
    environment: str | None
    dedup_key: str | None
    source_event_id: str | None
    link: str | None
    tags: dict[str, str]
    occurred_at: str | None
    users: int | None


class TriedReading(Struct, frozen=True, kw_only=True):
    """What the webhook would say with these settings; or `why` it still cannot be read, and at which `path` of it."""

    readable: bool
    why: str | None
    path: str | None
    events: list[WouldBe]


class ReplayAllIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`integration`: its id or name."""

    integration: str


class StillUnreadable(Struct, frozen=True):
    """One that waits on, and why."""

    id: str
    why: str


class ReplayedAll(Struct, frozen=True):
    """How many were read, and which could not be. `left` still wait, these among them."""

    replayed: int
    failed: list[StillUnreadable]
    left: int


class Dropped(Struct, frozen=True):
    """It waits no longer; its bytes are kept as long as any other's."""

    id: str
    state: str


@get(
    "/api/quarantine",
    guards=[scopes("alerts:read")],
    summary="Webhooks that could not be read",
    operation_id="list_quarantine",
    tags=TAG,
)
async def list_quarantine(
    house: TheHouse,
    caller: TheCaller,
    in_state: Annotated[list[str] | None, QueryParameter(name="state", description=f"Of {', '.join(STATES)}.")] = None,
    integration: Annotated[
        list[str] | None, QueryParameter(name="integration", description="A name or an id; several with commas.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> HeldPage:
    """What was ever put in quarantine, newest first; `state=quarantined` for what still waits."""
    before = read_cursor(cursor, 1) or (lists.LAST,)
    states = among(in_state, STATES, "state")
    wanted_names = split(integration)

    def read(tx: Any) -> HeldPage:
        names = lists.integration_names(tx, caller.workspace_id)
        chosen = named(wanted_names, names)
        if wanted_names and not chosen:
            return HeldPage([], None)
        found = lists.quarantine_page(tx, caller.workspace_id, states, chosen, before[0], limit + 1)
        items = [
            HeldOut(
                id=ids.show(held.id),
                integration=names.get(held.integration_id),
                integration_id=ids.show(held.integration_id),
                received_at=time_of(held.received_ms),
                state=held.state,
                why=held.why,
                stored_bytes=held.stored_bytes,
            )
            for held in found[:limit]
        ]
        return HeldPage(items, cursor_of(found[limit - 1].id) if len(found) > limit else None)

    return await house.db.read(read)


@get(
    "/api/quarantine/{id:str}",
    guards=[scopes("alerts:read")],
    summary="One webhook that could not be read",
    operation_id="get_quarantined",
    tags=TAG,
)
async def get_quarantined(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> HeldDetail:
    """What arrived, whole, and why it could not be read."""
    inbox_id = ids.parse(id)

    def read(tx: Any) -> HeldDetail:
        kept = lists.held(tx, caller.workspace_id, inbox_id)
        body = kept.inbound.body
        try:
            text: str | None = body.decode("utf-8")
        except UnicodeDecodeError:
            text = None
        return HeldDetail(
            id=ids.show(kept.id),
            integration=lists.integration_names(tx, caller.workspace_id).get(kept.integration_id),
            integration_id=ids.show(kept.integration_id),
            received_at=time_of(kept.received_ms),
            state=kept.state,
            why=kept.why,
            path=kept.inbound.rest,
            query=kept.inbound.query,
            headers=dict(kept.inbound.headers),
            raw=text,
            raw_base64=base64.b64encode(body).decode("ascii"),
        )

    return await house.db.read(read)


@get(
    "/api/quarantine/{id:str}/payload",
    guards=[scopes("alerts:read")],
    summary="The bytes of a webhook that could not be read",
    operation_id="get_quarantined_payload",
    tags=TAG,
    media_type="application/octet-stream",
)
async def get_quarantined_payload(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> Response[bytes]:
    """The body exactly as it arrived."""
    inbox_id = ids.parse(id)
    kept = await house.db.read(lambda tx: lists.held(tx, caller.workspace_id, inbox_id))
    return raw(kept.inbound.body, f"quarantine-{ids.show(inbox_id)}.bin")


@post(
    "/api/quarantine/{id:str}/replay",
    guards=[scopes("alerts:write")],
    summary="Read it again",
    operation_id="replay_quarantined",
    tags=TAG,
    status_code=200,
)
async def replay(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> Replayed:
    """Reads it as if it came now. 422 when it still cannot be read, 409 when it waits no longer."""
    inbox_id = ids.parse(id)
    await house.db.read(lambda tx: lists.held(tx, caller.workspace_id, inbox_id))
    try:
        receipts = await house.ingest.replay(caller.workspace_id, inbox_id, caller.actor)
    except Unreadable as fault:
        raise Unreadable(f"it still cannot be read: {fault.detail}") from None
    return Replayed(
        ids.show(inbox_id),
        "replayed",
        [ReceiptOut(ids.show(r.event_id), show_id(r.group_id), r.duplicate, r.sampled) for r in receipts],
    )


@post(
    "/api/quarantine/{id:str}/try",
    guards=[scopes("alerts:read")],
    summary="See how it would be read",
    operation_id="try_quarantined",
    tags=TAG,
    status_code=200,
)
async def try_it(
    house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[TryReadingIn | None] = None
) -> TriedReading:
    """Reads it with its integration's settings and those given here over them. Nothing changes, nobody is told."""
    given = data.config if data is not None else {}
    read = await tried(house.ingest, caller.workspace_id, ids.parse(id), given)
    events = [
        WouldBe(
            kind=event.kind,
            status=event.status,
            severity=None if event.severity is None else event.severity.label,
            title=event.title,
            message=event.message,
            project=event.project,
            environment=event.environment,
            dedup_key=event.dedup_key,
            source_event_id=event.source_event_id,
            link=event.link,
            tags=event.tags,
            occurred_at=show_time(event.occurred_ms),
            users=event.users,
        )
        for event in read.events
    ]
    return TriedReading(readable=read.why is None, why=read.why, path=read.path or None, events=events)


@post(
    "/api/quarantine/replay",
    guards=[scopes("alerts:write")],
    summary="Read all of an integration's again",
    operation_id="replay_quarantine",
    tags=TAG,
    status_code=200,
)
async def replay_everything(house: TheHouse, caller: TheCaller, data: JSONBody[ReplayAllIn]) -> ReplayedAll:
    """What waits of one integration, the oldest first, at most 200 at once: ask again while some are left."""
    names = await house.db.read(lambda tx: lists.integration_names(tx, caller.workspace_id))
    found = named([data.integration], names)
    if not found:
        raise Invalid("no such integration", path="integration")
    done = await replay_all(house.ingest, caller.workspace_id, found[0], caller.actor)
    return ReplayedAll(
        done.replayed, [StillUnreadable(ids.show(one.inbox_id), one.why) for one in done.failed], done.left
    )


@post(
    "/api/quarantine/{id:str}/drop",
    guards=[scopes("alerts:write")],
    summary="Give it up",
    operation_id="drop_quarantined",
    tags=TAG,
    status_code=200,
)
async def drop_it(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> Dropped:
    """Nobody will read it. 409 when it waits no longer."""
    inbox_id = ids.parse(id)
    await drop(house.db, caller.workspace_id, inbox_id, caller.actor, house.now())
    return Dropped(ids.show(inbox_id), "dropped")


ROUTES = [list_quarantine, get_quarantined, get_quarantined_payload, try_it, replay, replay_everything, drop_it]
