"""What lists and pages read: alert groups, events, deliveries, quarantine, in pages that a cursor continues.

Every filter that is given becomes one constant piece of SQL, in a fixed order; values are always bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.domain.group import Group
from signalcraft.errors import NotFound
from signalcraft.storage import events, groups, inbox
from signalcraft.storage.db import Row, Tx
from signalcraft.storage.outbox import Delivery
from signalcraft.storage.outbox.rows import FIELDS as DELIVERY_FIELDS

LAST: Final = 2**63 - 1
"""An id behind every other: where a list that goes backwards begins."""


class Where:
    """Conditions with their values, joined by `and`."""

    def __init__(self, condition: str, *args: Any) -> None:
        self._parts = [condition]
        self.args: list[Any] = list(args)

    def add(self, condition: str, *args: Any) -> None:
        self._parts.append(condition)
        self.args.extend(args)

    def among(self, column: str, values: Sequence[Any]) -> None:
        if values:
            self.add(f"{column} in (select value from json_each(?))", msgspec.json.encode(list(values)).decode())

    def __str__(self) -> str:
        return " and ".join(self._parts)


def groups_seen_since(tx: Tx, workspace_id: int, since_ms: int, limit: int) -> list[Group]:
    """The groups that had an event since then, in the order of their latest one."""
    rows = tx.all(
        f"select {groups.FIELDS} from alert_group where workspace_id = ? and last_seen_ms >= ?"
        " order by last_seen_ms, id limit ?",
        (workspace_id, since_ms, limit),
    )
    return [groups.from_row(row) for row in rows]


def last_seen_ms(tx: Tx, workspace_id: int) -> int:
    """When the latest event of any group came; 0 for none."""
    value = tx.value("select max(last_seen_ms) from alert_group where workspace_id = ?", (workspace_id,))
    return int(value or 0)


# -- events -----------------------------------------------------------------------------------------------------------


class EventFilter(Struct, frozen=True, kw_only=True):
    """Which events. Integrations by id."""

    integrations: Sequence[int] = ()
    kinds: Sequence[str] = ()
    group_id: int | None = None


def events_page(tx: Tx, workspace_id: int, wanted: EventFilter, before: int, limit: int) -> list[events.Stored]:
    """Events, newest first, those with ids below `before`."""
    where = Where("id < ?", before)
    if wanted.group_id is not None:
        where.add("group_id = ?", wanted.group_id)
    where.add("+workspace_id = ?" if wanted.group_id is not None else "workspace_id = ?", workspace_id)
    where.among("integration_id", wanted.integrations)
    where.among("kind", wanted.kinds)
    rows = tx.all(f"select {events.FIELDS} from event where {where} order by id desc limit ?", (*where.args, limit))
    return [events.from_row(row) for row in rows]


def event(tx: Tx, workspace_id: int, event_id: int) -> events.Stored:
    """One event. Raises NotFound, also for another workspace's."""
    row = tx.one(f"select {events.FIELDS} from event where id = ? and workspace_id = ?", (event_id, workspace_id))
    if row is None:
        raise NotFound("no such event")
    return events.from_row(row)


# -- names ------------------------------------------------------------------------------------------------------------


def integration_names(tx: Tx, workspace_id: int) -> dict[int, str]:
    """{id: name} of a workspace's integrations."""
    return dict(tx.all("select id, name from integration where workspace_id = ?", (workspace_id,)))


def channel_names(tx: Tx, workspace_id: int) -> dict[int, str]:
    """{id: name} of a workspace's channels."""
    return dict(tx.all("select id, name from channel where workspace_id = ?", (workspace_id,)))


# -- deliveries -------------------------------------------------------------------------------------------------------


class DeliveryFilter(Struct, frozen=True, kw_only=True):
    """Which deliveries. Channels by id."""

    states: Sequence[str] = ()
    kinds: Sequence[str] = ()
    channels: Sequence[int] = ()
    group_id: int | None = None


def deliveries_page(tx: Tx, workspace_id: int, wanted: DeliveryFilter, before: int, limit: int) -> list[Delivery]:
    """Deliveries, newest first, those with ids below `before`."""
    where = Where("workspace_id = ? and id < ?", workspace_id, before)
    where.among("state", wanted.states)
    where.among("kind", wanted.kinds)
    where.among("channel_id", wanted.channels)
    if wanted.group_id is not None:
        where.add("group_id = ?", wanted.group_id)
    rows = tx.all(
        f"select {DELIVERY_FIELDS} from delivery where {where} order by id desc limit ?", (*where.args, limit)
    )
    return [Delivery(*row) for row in rows]


def deliveries_under_way(tx: Tx, workspace_id: int, limit: int) -> list[Delivery]:
    """What is owed or on its way, oldest first."""
    rows = tx.all(
        f"select {DELIVERY_FIELDS} from delivery where workspace_id = ? and state in ('owed', 'sending')"
        " order by id limit ?",
        (workspace_id, limit),
    )
    return [Delivery(*row) for row in rows]


def deliveries_after(tx: Tx, workspace_id: int, after: int, limit: int) -> list[Delivery]:
    """Deliveries with ids above `after`, in order."""
    rows = tx.all(
        f"select {DELIVERY_FIELDS} from delivery where id > ? and workspace_id = ? order by id limit ?",
        (after, workspace_id, limit),
    )
    return [Delivery(*row) for row in rows]


def last_delivery_id(tx: Tx) -> int:
    """The id of the newest delivery, 0 for none."""
    return int(tx.value("select coalesce(max(id), 0) from delivery"))


def first_entry_id(tx: Tx) -> int:
    """The id of the oldest line of the journal that is kept, 0 for none."""
    return int(tx.value("select coalesce(min(id), 0) from journal"))


def deliveries_of(tx: Tx, delivery_ids: Sequence[int]) -> list[Delivery]:
    """Deliveries by their ids, in order."""
    rows = tx.all(
        f"select {DELIVERY_FIELDS} from delivery where id in (select value from json_each(?)) order by id",
        (msgspec.json.encode(list(delivery_ids)).decode(),),
    )
    return [Delivery(*row) for row in rows]


# -- quarantine -------------------------------------------------------------------------------------------------------


class Held(Struct, frozen=True):
    """A webhook in quarantine, without its bytes. `stored_bytes` is what it takes on disk."""

    id: int
    integration_id: int
    received_ms: int
    state: str
    why: str | None
    stored_bytes: int


_HELD: Final = "id, integration_id, received_ms, state, why, length(body)"


def quarantine_page(
    tx: Tx, workspace_id: int, states: Sequence[str], integrations: Sequence[int], before: int, limit: int
) -> list[Held]:
    """What was ever put in quarantine, newest first, those with ids below `before`."""
    where = Where("workspace_id = ? and id < ? and state <> 'read'", workspace_id, before)
    where.among("state", states)
    where.among("integration_id", integrations)
    rows = tx.all(f"select {_HELD} from inbox where {where} order by id desc limit ?", (*where.args, limit))
    return [_held(row) for row in rows]


def held(tx: Tx, workspace_id: int, inbox_id: int) -> inbox.Kept:
    """One of them with its bytes. Raises NotFound, also for a webhook that was read when it came."""
    kept = inbox.get(tx, workspace_id, inbox_id)
    if kept.state == "read":
        raise NotFound("no such webhook was put in quarantine")
    return kept


def _held(row: Row) -> Held:
    return Held(row[0], row[1], row[2], row[3], row[4], row[5])
