"""What changed in a workspace since the last look, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.group import Group
from signalcraft.errors import NotFound
from signalcraft.http.shapes import DeliveryOut, GroupOut, delivery_out, group_out
from signalcraft.http.states import IntegrationHealth
from signalcraft.http.wire import ActorOut, actor_out, time_of
from signalcraft.storage import groups, journal, lists
from signalcraft.storage.db import Tx
from signalcraft.storage.journal import Entry
from signalcraft.storage.outbox import Delivery

REPLAY_MAX: Final = 1000
"""Lines of the journal that a stream catches up with; further back it is told to read everything anew."""
_ENTRIES_MAX: Final = 500
_DELIVERIES_MAX: Final = 500
_GROUPS_MAX: Final = 100
_ENCODER: Final = msgspec.json.Encoder()


class GroupChanged(Struct, frozen=True, kw_only=True):
    """A group as it is now. `verb`: what happened to it; `counted` for nothing but another event."""

    verb: str
    at: str
    actor: ActorOut | None
    group: GroupOut


class DeliveryChanged(Struct, frozen=True):
    """A delivery as it is now."""

    delivery: DeliveryOut


class IntegrationHeard(Struct, frozen=True):
    """An integration spoke, or was sent away: how it does now."""

    id: str
    health: IntegrationHealth


class Reset(Struct, frozen=True):
    """Something was missed that cannot be caught up with: read the lists anew."""

    why: str


def sse(
    event: Literal["group", "delivery", "integration", "health", "reset"], data: Any, number: int | None = None
) -> bytes:
    """One event. `number`: its place in the journal, which the browser sends back as Last-Event-ID."""
    lines = [] if number is None else [b"id: " + ids.show(number).encode()]
    lines += [b"event: " + event.encode(), b"data: " + _ENCODER.encode(data), b"", b""]
    return b"\n".join(lines)


class Feed:
    """Follows one workspace. `read` is called with a reader, `now_ms` being the present."""

    def __init__(self, workspace_id: int) -> None:
        self.workspace_id = workspace_id
        self.cursor = 0
        self._last_delivery = 0
        self._owed: dict[int, tuple[str, int, str | None]] = {}
        self._seen_ms = 0
        self._counted: dict[int, tuple[int, int]] = {}

    def begin(self, tx: Tx) -> None:
        """From here on."""
        self.cursor = journal.last_id(tx)
        self._last_delivery = lists.last_delivery_id(tx)
        self._owed = {d.id: _mark(d) for d in lists.deliveries_under_way(tx, self.workspace_id, _DELIVERIES_MAX)}
        self._seen_ms = lists.last_seen_ms(tx, self.workspace_id) + 1

    def read(self, tx: Tx, now_ms: int, *, counts: bool) -> list[bytes]:
        """What happened since the last look, in order. `counts`: groups that had nothing but another event, too."""
        entries = journal.since(tx, self.workspace_id, self.cursor, _ENTRIES_MAX)
        out = _groups_changed(tx, entries, now_ms)
        if entries:
            self.cursor = entries[-1].id
        out += _deliveries(tx, self.workspace_id, self._deliveries(tx, _named(tx, self.workspace_id, entries)))
        if counts:
            told = {entry.group_id for entry in entries}
            out += [_counted(tx, group, now_ms) for group in self._groups(tx) if group.id not in told]
        return out

    def _deliveries(self, tx: Tx, named: list[Delivery]) -> list[Delivery]:
        under_way = {d.id: d for d in lists.deliveries_under_way(tx, self.workspace_id, _DELIVERIES_MAX)}
        fresh = lists.deliveries_after(tx, self.workspace_id, self._last_delivery, _DELIVERIES_MAX)
        over = lists.deliveries_of(tx, [number for number in self._owed if number not in under_way])
        changed = {d.id: d for d in under_way.values() if self._owed.get(d.id) != _mark(d)}
        # One that was tried again and sent between two looks was never seen to be owed: the journal names it.
        changed |= {d.id: d for d in (*named, *over, *fresh)}
        self._owed = {number: _mark(d) for number, d in under_way.items()}
        if fresh:
            self._last_delivery = fresh[-1].id
        return [changed[number] for number in sorted(changed)]

    def _groups(self, tx: Tx) -> list[Group]:
        found = lists.groups_seen_since(tx, self.workspace_id, self._seen_ms, _GROUPS_MAX)
        fresh = [group for group in found if self._counted.get(group.id) != (group.last_seen_ms, group.count)]
        if found:
            self._seen_ms = found[-1].last_seen_ms
            self._counted = {
                group.id: (group.last_seen_ms, group.count) for group in found if group.last_seen_ms >= self._seen_ms
            }
        return fresh


def catch_up(tx: Tx, workspace_id: int, last_event_id: str, until: int, now_ms: int) -> list[bytes]:
    """What a stream missed since the event it saw last, up to the line `until`; a reset where that is too much."""
    try:
        last = ids.parse(last_event_id)
    except NotFound:
        return [sse("reset", Reset("this Last-Event-ID is none of ours"), until)]
    if last > until or 0 < last < lists.first_entry_id(tx):
        return [sse("reset", Reset("what happened since then is no longer known"), until)]
    entries = [e for e in journal.since(tx, workspace_id, last, REPLAY_MAX + 1) if e.id <= until]
    if len(entries) > REPLAY_MAX:
        return [sse("reset", Reset("too much happened since then"), until)]
    out = _groups_changed(tx, entries, now_ms)
    return out + _deliveries(tx, workspace_id, _named(tx, workspace_id, entries))


def _named(tx: Tx, workspace_id: int, entries: list[Entry]) -> list[Delivery]:
    """The deliveries that lines of the journal speak of."""
    found = []
    for entry in entries:
        try:
            found.append(ids.parse(str(entry.data.get("delivery", ""))))
        except NotFound:
            continue
    return [d for d in lists.deliveries_of(tx, found) if d.workspace_id == workspace_id] if found else []


def _mark(delivery: Delivery) -> tuple[str, int, str | None]:
    return delivery.state, delivery.attempts, delivery.last_error


def _groups_changed(tx: Tx, entries: list[Entry], now_ms: int) -> list[bytes]:
    shown: dict[int, GroupOut] = {}
    out = []
    for entry in entries:
        if entry.group_id is None:
            continue
        if entry.group_id not in shown:
            group = groups.load(tx, entry.group_id)
            if group is None:
                continue
            shown[entry.group_id] = group_out(tx, group, now_ms)
        changed = GroupChanged(
            verb=entry.verb, at=time_of(entry.at_ms), actor=actor_out(entry.actor), group=shown[entry.group_id]
        )
        out.append(sse("group", changed, entry.id))
    return out


def _counted(tx: Tx, group: Group, now_ms: int) -> bytes:
    changed = GroupChanged(
        verb="counted", at=time_of(group.last_seen_ms), actor=None, group=group_out(tx, group, now_ms)
    )
    return sse("group", changed)


def _deliveries(tx: Tx, workspace_id: int, changed: list[Delivery]) -> list[bytes]:
    if not changed:
        return []
    names = lists.channel_names(tx, workspace_id)
    return [sse("delivery", DeliveryChanged(delivery_out(delivery, names))) for delivery in changed]
