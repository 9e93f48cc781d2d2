"""/api/integrations/{id}/payloads: what an integration sent last, as it came."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import get
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.wire import TheHouse, show_id, time_of
from signalcraft.storage import health, inbox, integrations
from signalcraft.storage.db import Tx

HEAD_MAX: Final = 8_192
_LOOKBACK_MS: Final = 30 * 86_400_000


class PayloadOut(Struct, frozen=True, kw_only=True):
    """A webhook as it came. `head`: the first 8 kB of its body as text, null where it is no UTF-8; `bytes`: all of it.

    `event_id`: the first event that was read from it, whose payload holds all bytes. state: read, quarantined,
    replayed, dropped; `why` it was quarantined.
    """

    id: str
    received_at: str
    state: str
    why: str | None
    path: str
    query: str
    headers: dict[str, str]
    head: str | None
    bytes: int
    event_id: str | None


class Payloads(Struct, frozen=True):
    """Newest first."""

    items: list[PayloadOut]


@get(
    "/api/integrations/{id:str}/payloads",
    guards=[scopes("alerts:read")],
    summary="What an integration sent last",
    operation_id="list_payloads",
    tags=["integrations"],
)
async def list_payloads(
    house: TheHouse,
    caller: TheCaller,
    id: FromPath[str],
    limit: Annotated[int, QueryParameter(name="limit", ge=1, le=100, description="How many, at most 100.")] = 10,
) -> Payloads:
    """Its latest webhooks of the last 30 days whose bytes are kept, credentials in their headers left out."""
    integration_id = ids.parse(id)
    since_ms = house.now() - _LOOKBACK_MS

    def read(tx: Any) -> Payloads:
        integrations.get(tx, caller.workspace_id, integration_id)
        found = health.latest_webhooks(tx, caller.workspace_id, integration_id, since_ms, limit)
        return Payloads([_out(tx, inbox.get(tx, caller.workspace_id, number)) for number in found])

    return await house.db.read(read)


def _out(tx: Tx, kept: inbox.Kept) -> PayloadOut:
    body = kept.inbound.body
    try:
        # A character that the cut went through is not held against the rest.
        head: str | None = body[:HEAD_MAX].decode("utf-8", "strict" if len(body) <= HEAD_MAX else "ignore")
    except UnicodeDecodeError:
        head = None
    return PayloadOut(
        id=ids.show(kept.id),
        received_at=time_of(kept.received_ms),
        state=kept.state,
        why=kept.why,
        path=kept.inbound.rest,
        query=kept.inbound.query,
        headers=dict(kept.inbound.headers),
        head=head,
        bytes=len(body),
        event_id=show_id(health.first_event_of(tx, kept.id)) if kept.state == "read" else None,
    )
