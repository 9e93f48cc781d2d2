"""/api/deliveries: the ledger of what is owed, was taken, failed or was dropped."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any, Final, get_args

from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct
from msgspec.structs import replace

from signalcraft.domain import ids
from signalcraft.domain.delivery import NoteKind, State
from signalcraft.domain.severity import Severity
from signalcraft.errors import Invalid, NotFound
from signalcraft.http.auth import Caller, TheCaller, scopes
from signalcraft.http.shapes import DeliveryOut, delivery_out
from signalcraft.http.wire import (
    Cursor,
    Limit,
    TheHouse,
    among,
    cursor_of,
    named,
    read_cursor,
    read_time,
    show_time,
    split,
)
from signalcraft.services.deliver import again
from signalcraft.services.house import House
from signalcraft.storage import ledger, lists, outbox
from signalcraft.storage.outbox import Delivery

STATES: Final = get_args(State)
KINDS: Final = get_args(NoteKind)
TAG: Final = ["deliveries"]


class LedgerRow(DeliveryOut, frozen=True, kw_only=True):
    """The same with what it is about. `reason`: why it is told at all; `tried_at`: when its last try began."""

    channel_id: str
    group_title: str | None
    group_severity: str | None
    group_status: str | None
    reason: str
    tried_at: str | None


class LedgerSummary(Struct, frozen=True):
    """How many deliveries of the workspace are in each state, whatever the filters: counted up to 10,000, so that
    10,001 means more.
    """

    owed: int
    sending: int
    sent: int
    failed: int
    dropped: int


class LedgerPage(Struct, frozen=True):
    """Newest first. `summary` comes with the first page."""

    items: list[LedgerRow]
    next: str | None
    summary: LedgerSummary | None


class RetryIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Which: every failed one of a `channel` (its name or id), or these `ids` (at most 500)."""

    channel: str | None = None
    ids: Annotated[list[str], Meta(max_length=again.MOST)] | None = None


class SkippedOut(Struct, frozen=True):
    """One that is not tried again."""

    id: str
    why: str


class RetriedOut(Struct, frozen=True):
    """How many are owed again. `more`: there are further failed ones of this channel, ask again."""

    retried: int
    skipped: list[SkippedOut]
    more: bool


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
    since: Annotated[str | None, QueryParameter(name="since", description="Owed since then, RFC 3339.")] = None,
    until: Annotated[str | None, QueryParameter(name="until", description="Owed before then, RFC 3339.")] = None,
    q: Annotated[
        str | None, QueryParameter(name="q", description="The last error holds this text.", max_length=200)
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> LedgerPage:
    """The deliveries of the workspace, newest first; without a filter in every state."""
    before = read_cursor(cursor, 1) or (lists.LAST,)
    wanted = ledger.Wanted(
        states=among(in_state, STATES, "state"),
        kinds=among(kind, KINDS, "kind"),
        group_id=ids.parse(group) if group else None,
        since_ms=read_time(since, "since") if since else None,
        until_ms=read_time(until, "until") if until else None,
        text=(q or "").strip(),
    )
    wanted_names = split(channel)

    def read(tx: Any) -> LedgerPage:
        names = lists.channel_names(tx, caller.workspace_id)
        counts = None if cursor else LedgerSummary(**ledger.summary(tx, caller.workspace_id))
        chosen = named(wanted_names, names)
        if wanted_names and not chosen:
            return LedgerPage([], None, counts)
        narrowed = replace(wanted, channels=chosen)
        found = ledger.page(tx, caller.workspace_id, narrowed, before[0], limit + 1)
        more = cursor_of(found[limit - 1].id) if len(found) > limit else None
        return LedgerPage(_rows(tx, found[:limit], names), more, counts)

    if cursor or since or until:  # times move on with whoever asks: nobody else asks for the same
        return await house.db.read(read)
    key = ("deliveries", repr(wanted), *wanted_names, limit)
    return await house.cache.read("feed", caller.workspace_id, key, read)


@get(
    "/api/deliveries/{id:str}",
    guards=[scopes("alerts:read")],
    summary="One delivery",
    operation_id="get_delivery",
    tags=TAG,
)
async def get_delivery(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> LedgerRow:
    """One message to a channel."""
    delivery_id = ids.parse(id)

    def read(tx: Any) -> LedgerRow:
        found = outbox.get(tx, caller.workspace_id, delivery_id)
        return _rows(tx, [found], lists.channel_names(tx, caller.workspace_id))[0]

    return await house.db.read(read)


def _rows(tx: Any, found: list[Delivery], names: dict[int, str]) -> list[LedgerRow]:
    about = ledger.subjects(tx, [d.group_id for d in found if d.group_id is not None])
    out = []
    for delivery in found:
        shown = delivery_out(delivery, names)
        group = None if delivery.group_id is None else about.get(delivery.group_id)
        out.append(
            LedgerRow(
                **{name: getattr(shown, name) for name in shown.__struct_fields__},
                channel_id=ids.show(delivery.channel_id),
                group_title=None if group is None else group.title,
                group_severity=None if group is None else Severity(group.severity).label,
                group_status=None if group is None else group.status,
                reason=delivery.reason,
                tried_at=show_time(delivery.tried_ms),
            )
        )
    return out


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
    "/api/deliveries/retry",
    guards=[scopes("alerts:write")],
    summary="Try failed deliveries again",
    operation_id="retry_deliveries",
    tags=TAG,
    status_code=200,
)
async def retry_many(house: TheHouse, caller: TheCaller, data: JSONBody[RetryIn]) -> RetriedOut:
    """All that failed of a channel, at most 500 at a time, or those that are named. What is sent is skipped."""
    if (data.channel is None) == (data.ids is None):
        raise Invalid("name either a channel or ids", path="channel")
    if data.ids is not None:
        done = await house.deliver.retry_many(caller.workspace_id, list(map(ids.parse, data.ids)), caller.actor)
    else:
        names = await house.db.read(lambda tx: lists.channel_names(tx, caller.workspace_id))
        chosen = named([data.channel or ""], names)
        if not chosen:
            raise NotFound("no such channel")
        done = await house.deliver.retry_channel(caller.workspace_id, chosen[0], caller.actor)
    return RetriedOut(done.retried, [SkippedOut(ids.show(one.delivery_id), one.why) for one in done.skipped], done.more)


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


ROUTES = [list_deliveries, get_delivery, retry_many, retry, drop]
