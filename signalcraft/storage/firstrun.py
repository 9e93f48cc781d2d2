"""How far a workspace has come: what is connected, what arrived, who was told. Each answer is a look at a few rows."""

from __future__ import annotations

from msgspec import Struct

from signalcraft.storage import rolled
from signalcraft.storage.db import Tx


class ChannelSeen(Struct, frozen=True):
    """The channel that took a message last, else the newest one."""

    id: int
    name: str
    kind: str
    state: str
    broken_why: str | None
    last_sent_ms: int | None


class IntegrationSeen(Struct, frozen=True):
    """The integration whose webhook was the first one kept (`first_ms`), else the newest one."""

    id: int
    name: str
    kind: str
    updated_ms: int
    first_ms: int | None


class AlertTold(Struct, frozen=True):
    """An alert whose first message a channel took."""

    group_id: int
    channel_id: int
    sent_ms: int


def channel(reader: Tx, workspace_id: int) -> ChannelSeen | None:
    """See ChannelSeen; None where there is no channel that is switched on."""
    row = reader.one(
        "select id, name, kind, state, broken_why, last_sent_ms from channel where workspace_id = ? and enabled"
        " order by last_sent_ms is null, last_sent_ms desc, id desc",
        (workspace_id,),
    )
    return None if row is None else ChannelSeen(*row)


def integration(reader: Tx, workspace_id: int) -> IntegrationSeen | None:
    """See IntegrationSeen; None where there is none that is switched on."""
    # An event of a webhook has its bytes; nearly every event has, so that the first one is found at once.
    row = reader.one(
        "select i.id, i.name, i.kind, i.updated_ms, e.received_ms"
        " from event e join integration i on i.id = e.integration_id"
        " where e.workspace_id = ? and e.inbox_id is not null and i.enabled order by e.id limit 1",
        (workspace_id,),
    ) or reader.one(
        "select id, name, kind, updated_ms, null from integration where workspace_id = ? and enabled"
        " order by id desc limit 1",
        (workspace_id,),
    )
    return None if row is None else IntegrationSeen(*row)


def quarantined(reader: Tx, workspace_id: int, integration_id: int, from_ms: int) -> int:
    """How many webhooks of an integration could not be read since then."""
    return rolled.sums(reader, workspace_id, from_ms // 60_000, rolled.FOREVER)["quarantined", integration_id]


def told(reader: Tx, workspace_id: int) -> AlertTold | None:
    """The first alert that anybody was told of."""
    row = reader.one(
        "select group_id, channel_id, sent_ms from delivery where workspace_id = ? and state = 'sent'"
        " and group_id is not null and kind = 'first' order by id limit 1",
        (workspace_id,),
    )
    return None if row is None else AlertTold(*row)
