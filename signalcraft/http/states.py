"""How integrations and channels have done lately, as they leave."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from signalcraft.http.wire import show_time
from signalcraft.services.heard import Said
from signalcraft.services.house import House
from signalcraft.storage import health
from signalcraft.storage.db import Tx

_DAY_MS = 86_400_000


class IntegrationHealth(Struct, frozen=True, kw_only=True):
    """When it was heard last and why it was last sent away; null: never. Times before the last start are to the minute.

    `…_24h`: counted in the last 24 hours, by whole minutes. `quarantined`: webhooks that wait to be read.
    """

    last_webhook_at: str | None
    last_refused_at: str | None
    last_refused_why: str | None
    events_24h: int
    duplicates_24h: int
    refused_signature_24h: int
    refused_limit_24h: int
    quarantined: int


class ChannelHealth(Struct, frozen=True):
    """Messages of the last 24 hours, and what is owed to it now. `edits_24h` of messages make no sound."""

    owed: int
    notifications_24h: int
    edits_24h: int
    failures_24h: int


def integrations_health(
    tx: Tx, house: House, workspace_id: int, integration_ids: Iterable[int]
) -> dict[int, IntegrationHealth]:
    """Of each of them."""
    said = house.ingest.heard.of(tx, workspace_id, integration_ids)
    counted = health.counted(tx, workspace_id, house.now() - _DAY_MS)
    waiting = health.quarantined(tx, workspace_id)
    return {number: _integration(one, counted.get(number, {}), waiting.get(number, 0)) for number, one in said.items()}


def _integration(said: Said, counted: dict[str, int], waiting: int) -> IntegrationHealth:
    return IntegrationHealth(
        last_webhook_at=show_time(said.webhook_ms),
        last_refused_at=show_time(said.refused_ms),
        last_refused_why=said.refused_why,
        events_24h=counted.get("events", 0),
        duplicates_24h=counted.get("duplicates", 0),
        refused_signature_24h=counted.get("refused_signature", 0),
        refused_limit_24h=counted.get("refused_limit", 0),
        quarantined=waiting,
    )


def channels_health(tx: Tx, workspace_id: int, now_ms: int, channel_ids: Iterable[int]) -> dict[int, ChannelHealth]:
    """Of each of them."""
    counted = health.counted(tx, workspace_id, now_ms - _DAY_MS)
    owed = health.owed(tx, workspace_id)
    out = {}
    for number in channel_ids:
        mine = counted.get(number, {})
        out[number] = ChannelHealth(
            owed.get(number, 0), mine.get("notifications", 0), mine.get("edits", 0), mine.get("failures", 0)
        )
    return out
