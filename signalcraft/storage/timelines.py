"""What happened to one alert group, from three tables, each in the order of time behind a place (at_ms, id).

`newest`: against the order of time instead, before that place.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.domain.group import Actor
from signalcraft.storage.db import Tx
from signalcraft.storage.journal import Entry
from signalcraft.storage.outbox import Delivery
from signalcraft.storage.outbox.rows import FIELDS as DELIVERY_FIELDS

_ON: Final = {False: (">", ""), True: ("<", " desc")}


class EscalationEnd(Struct, frozen=True):
    """An escalation that was carried out or cancelled. Times in ms."""

    id: int
    rule: str | None
    channels: list[int]
    state: str
    after_minutes: int
    due_ms: int
    ended_ms: int
    late_ms: int | None


def entries(tx: Tx, group_id: int, after: tuple[int, int], limit: int, *, newest: bool = False) -> list[Entry]:
    """Lines of the journal, but for escalations, which `escalation_ends` knows better."""
    beyond, order = _ON[newest]
    rows = tx.all(
        "select id, workspace_id, at_ms, group_id, verb, actor, data from journal where group_id = ?"
        f" and verb <> 'escalated' and (at_ms, id) {beyond} (?, ?) order by at_ms{order}, id{order} limit ?",
        (group_id, *after, limit),
    )
    found = []
    for id_, workspace_id, at_ms, group, verb, actor, data in rows:
        who = msgspec.json.decode(actor, type=Actor)
        found.append(Entry(id_, workspace_id, at_ms, group, verb, who, msgspec.json.decode(data)))
    return found


def deliveries(tx: Tx, group_id: int, after: tuple[int, int], limit: int, *, newest: bool = False) -> list[Delivery]:
    """Deliveries, at the time when they came to be owed."""
    beyond, order = _ON[newest]
    rows = tx.all(
        f"select {DELIVERY_FIELDS} from delivery where group_id = ? and (owed_ms, id) {beyond} (?, ?)"
        f" order by owed_ms{order}, id{order} limit ?",
        (group_id, *after, limit),
    )
    return [Delivery(*row) for row in rows]


def escalation_ends(
    tx: Tx, group_id: int, after: tuple[int, int], limit: int, *, newest: bool = False
) -> list[EscalationEnd]:
    """Escalations that are over, at the time when they ended."""
    beyond, order = _ON[newest]
    rows = tx.all(
        "select e.id, r.name, e.channels, e.state, e.after_minutes, e.due_ms, e.ended_ms, e.late_ms from escalation e"
        " left join rule r on r.id = e.rule_id where e.group_id = ? and e.state <> 'pending'"
        f" and (e.ended_ms, e.id) {beyond} (?, ?) order by e.ended_ms{order}, e.id{order} limit ?",
        (group_id, *after, limit),
    )
    found = []
    for id_, rule, channels, state, after_minutes, due_ms, ended_ms, late_ms in rows:
        told = msgspec.json.decode(channels, type=list[int])
        found.append(EscalationEnd(id_, rule, told, state, after_minutes, due_ms, ended_ms, late_ms))
    return found
