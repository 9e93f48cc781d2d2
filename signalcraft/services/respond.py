"""A person answers: acknowledges, snoozes, resolves, re-opens, assigns. One write transaction each."""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain import group as grouping
from signalcraft.domain import ids
from signalcraft.domain.delivery import Act
from signalcraft.domain.group import Actor, Group
from signalcraft.domain.wording import moment
from signalcraft.errors import Conflict, Fault, NotFound
from signalcraft.services import telling
from signalcraft.services.registry import Registry
from signalcraft.storage import escalations, groups, journal
from signalcraft.storage.db import Db, Tx

SNOOZE_MINUTES = 60
NINE = dt.time(9, 0)

CHUNK = 20
"""Alert groups of one write transaction where many are answered at once: others' writes come between."""

Verb = Callable[[Tx, Group, int], None]


class Outcome(Struct, frozen=True):
    """What became of one of many. `state`: the status that it is in now, None where there is no such group."""

    group_id: int
    result: Literal["done", "conflict", "not_found"]
    state: str | None = None
    detail: str = ""


class Respond:
    """What people do to alert groups, whoever carries it here: the API, Slack, a signed link."""

    def __init__(self, settings: Settings, db: Db, registry: Registry, now: Callable[[], int]) -> None:
        self.settings = settings
        self.db = db
        self.registry = registry
        self.now = now

    async def ack(self, workspace_id: int, group_id: int, actor: Actor, note: str | None = None) -> Group:
        """Somebody is on it: no escalation, no repeat. Raises NotFound, Conflict with the state."""
        return await self._do(workspace_id, group_id, self.acking(actor, note))

    async def snooze(self, workspace_id: int, group_id: int, actor: Actor, until_ms: int) -> Group:
        """Silent until then, unless it turns worse. Raises NotFound, Conflict, Invalid for a time that is past."""
        return await self._do(workspace_id, group_id, self.snoozing(actor, until_ms))

    async def unsnooze(self, workspace_id: int, group_id: int, actor: Actor) -> Group:
        """Awake again: escalations count from now. Raises NotFound, Conflict."""
        return await self._do(workspace_id, group_id, self.unsnoozing(actor))

    async def resolve(self, workspace_id: int, group_id: int, actor: Actor, note: str | None = None) -> Group:
        """It is over; the note is remembered for the next time. Raises NotFound, Conflict."""
        return await self._do(workspace_id, group_id, self.resolving(actor, note))

    async def reopen(self, workspace_id: int, group_id: int, actor: Actor) -> Group:
        """Not over after all: a new episode, told again, escalations from now. Raises NotFound, Conflict."""
        return await self._do(workspace_id, group_id, self.reopening(actor))

    async def assign(self, workspace_id: int, group_id: int, actor: Actor, assignee: Actor | None) -> Group:
        """Who looks after it; None: nobody. Raises NotFound."""
        return await self._do(workspace_id, group_id, self.assigning(actor, assignee))

    async def many(self, workspace_id: int, group_ids: Sequence[int], verb: Verb) -> list[Outcome]:
        """The same for many, in the order given: what one cannot do hinders no other. A few in each transaction."""
        outcomes: list[Outcome] = []
        for start in range(0, len(group_ids), CHUNK):
            chunk, now_ms = group_ids[start : start + CHUNK], self.now()
            work = functools.partial(_chunk, workspace_id=workspace_id, group_ids=chunk, verb=verb, now_ms=now_ms)
            outcomes += await self.db.write(work)
        return outcomes

    # -- the verbs: what each does to a group inside the transaction ----------------------------------------------

    def acking(self, actor: Actor, note: str | None = None) -> Verb:
        """The verb of `ack`."""

        def verb(tx: Tx, group: Group, now_ms: int) -> None:
            grouping.acknowledge(group, actor, now_ms)
            self._write(tx, group, "acknowledged", actor, now_ms, {"note": note} if note else {})
            telling.tell_changed(tx, group, now_ms, self.settings)

        return verb

    def snoozing(self, actor: Actor, until_ms: int) -> Verb:
        """The verb of `snooze`."""

        def verb(tx: Tx, group: Group, now_ms: int) -> None:
            grouping.snooze(group, until_ms, now_ms)
            self._write(tx, group, "snoozed", actor, now_ms, {"until_ms": until_ms})
            telling.tell_changed(tx, group, now_ms, self.settings)

        return verb

    def unsnoozing(self, actor: Actor) -> Verb:
        """The verb of `unsnooze`."""

        def verb(tx: Tx, group: Group, now_ms: int) -> None:
            grouping.unsnooze(group, now_ms)
            self._write(tx, group, "unsnoozed", actor, now_ms)
            escalations.restart(tx, group.id, group.episode, now_ms)
            telling.tell_changed(tx, group, now_ms, self.settings)

        return verb

    def resolving(self, actor: Actor, note: str | None = None) -> Verb:
        """The verb of `resolve`."""

        def verb(tx: Tx, group: Group, now_ms: int) -> None:
            grouping.resolve(group, actor.name, now_ms, note)
            minutes = max(now_ms - group.first_seen_ms, 0) // 60_000
            data = {"minutes": minutes, **({"note": note} if note else {})}
            self._write(tx, group, "resolved", actor, now_ms, data)
            telling.tell_resolved(tx, self.registry.snapshot, group, now_ms, self.settings)

        return verb

    def reopening(self, actor: Actor) -> Verb:
        """The verb of `reopen`."""

        def verb(tx: Tx, group: Group, now_ms: int) -> None:
            newer = [
                g
                for g in groups.unresolved_of(tx, group.workspace_id, group.identity)
                if g.group_key == group.group_key
            ]
            if newer:
                raise Conflict(f"a newer alert group of the same problem is {newer[0].status}: {ids.show(newer[0].id)}")
            grouping.reopen(group, now_ms)
            self._write(tx, group, "reopened", actor, now_ms)
            escalations.restart(tx, group.id, group.episode, now_ms)
            reason = f"{actor.name} re-opened it"
            telling.retell(tx, self.registry.snapshot, group, reason, now_ms, self.settings, everybody=False)

        return verb

    def assigning(self, actor: Actor, assignee: Actor | None) -> Verb:
        """The verb of `assign`."""

        def verb(tx: Tx, group: Group, now_ms: int) -> None:
            before = group.assignee.name if group.assignee else ""
            group.assignee = assignee
            group.updated_ms = now_ms
            data = {"from": before, "to": assignee.name if assignee else ""}
            self._write(tx, group, "assigned", actor, now_ms, data)
            telling.tell_changed(tx, group, now_ms, self.settings)

        return verb

    async def act(self, workspace_id: int, act: Act) -> str:
        """What somebody did from a channel; "" when it worked, else a kind sentence for that person alone."""
        actor = Actor(act.via, act.who_id, act.who_name)
        try:
            group_id = ids.parse(act.group_id)
            if act.verb == "ack":
                await self.ack(workspace_id, group_id, actor)
            elif act.verb == "resolve":
                await self.resolve(workspace_id, group_id, actor)
            elif act.verb == "unsnooze":
                await self.unsnooze(workspace_id, group_id, actor)
            else:
                until_ms = self._until(act)
                await self.snooze(workspace_id, group_id, actor, until_ms)
                return f"Snoozed until {moment(until_ms, self.settings.workspace.timezone)}."
        except NotFound:
            return "This alert group is no more."
        except Conflict as conflict:
            return _kind(conflict)
        except Fault as fault:
            return fault.detail
        return ""

    def _until(self, act: Act) -> int:
        now_ms = self.now()
        if act.until_nine:
            return next_nine(now_ms, self.settings.workspace.timezone)
        return now_ms + (act.minutes or SNOOZE_MINUTES) * 60_000

    async def _do(self, workspace_id: int, group_id: int, verb: Verb) -> Group:
        now_ms = self.now()

        def work(tx: Tx) -> Group:
            group = groups.get(tx, workspace_id, group_id)
            verb(tx, group, now_ms)
            return group

        return await self.db.write(work)

    @staticmethod
    def _write(
        tx: Tx, group: Group, verb: str, actor: Actor, now_ms: int, data: Mapping[str, object] | None = None
    ) -> None:
        groups.store(tx, group)
        journal.add(tx, now_ms, group.workspace_id, group.id, verb, actor, data)


def _chunk(tx: Tx, workspace_id: int, group_ids: Sequence[int], verb: Verb, now_ms: int) -> list[Outcome]:
    outcomes = []
    for group_id in group_ids:
        try:
            group = groups.get(tx, workspace_id, group_id)
        except NotFound as fault:
            outcomes.append(Outcome(group_id, "not_found", None, fault.detail))
            continue
        before = group.status
        try:
            verb(tx, group, now_ms)  # what it refuses it refuses before it has written anything
        except Fault as fault:
            outcomes.append(Outcome(group_id, "conflict", before, fault.detail))
        else:
            outcomes.append(Outcome(group_id, "done", group.status))
    return outcomes


def _kind(conflict: Conflict) -> str:
    said = conflict.detail
    return f"Nothing changed: {said}."


def next_nine(now_ms: int, timezone: str) -> int:
    """The next nine o'clock in the morning of a zone, at least a minute away."""
    zone = zoneinfo.ZoneInfo(timezone)
    local = dt.datetime.fromtimestamp(now_ms / 1000, zone)
    nine = dt.datetime.combine(local.date(), NINE, zone)
    if (nine.timestamp() * 1000) - now_ms < 60_000:
        nine = dt.datetime.combine(local.date() + dt.timedelta(days=1), NINE, zone)
    return round(nine.timestamp() * 1000)
