"""A restored box is held: alerts are taken, nobody is told. A person sees what is owed, decides, and it goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from signalcraft.domain import ids, resuming
from signalcraft.domain.group import SYSTEM, Actor
from signalcraft.domain.resuming import Choice, Verdict
from signalcraft.domain.severity import Severity
from signalcraft.errors import Conflict, NotFound
from signalcraft.services.care.alarms import Alarms
from signalcraft.services.deliver import Deliver, standing_in
from signalcraft.services.health import Component
from signalcraft.services.registry import Registry
from signalcraft.storage import due, escalations, gaps, hold, journal, outbox, runs
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.hold import Coming, Held, Waiting

log = logging.getLogger(__name__)

CONDITION: Final = "restored"
_BATCH: Final = 200
_NAMED_MAX: Final = 10


class Message(Struct, frozen=True):
    """A message that is owed, and what becomes of it."""

    waiting: Waiting
    channel: str
    verdict: Verdict


class Rung(Struct, frozen=True):
    """An escalation that is to come, and what becomes of it."""

    coming: Coming
    channels: tuple[str, ...]
    verdict: Verdict


class Plan(Struct, frozen=True):
    """What a resume would do. `repeats`: that were due and wait their time again; `snoozes`: that end at once."""

    held: Held
    at_ms: int
    messages: list[Message]
    escalations: list[Rung]
    repeats: int
    snoozes: int

    def counted(self, fate: resuming.Fate) -> int:
        """How many messages have this fate."""
        return sum(one.verdict.fate == fate for one in self.messages)


class Hold:
    """One instance, on the event loop. `held` may be asked from any thread."""

    def __init__(self, db: Db, registry: Registry, deliver: Deliver, alarms: Alarms, now: Callable[[], int]) -> None:
        self._db = db
        self._registry = registry
        self._deliver = deliver
        self._alarms = alarms
        self._now = now
        self._held: Held | None = None
        with db.reading() as tx:
            self._held = hold.get(tx)
            self._untold = hold.any_untold(tx)
        if self._held is not None:
            log.warning("this box was restored and is held: nobody is told", extra={"why": self._held.why})

    @property
    def held(self) -> bool:
        """Whether nothing may be sent."""
        return self._held is not None

    @property
    def state(self) -> Held | None:
        """How it is held; None where it is not."""
        return self._held

    async def boot(self) -> None:
        """The first start after a restore: what happened since the copy is a gap, and the restore is on record."""
        held, now_ms = self._held, self._now()
        if held is None:
            return

        def work(tx: Tx) -> None:
            if not hold.first_start(tx):
                return
            due.say_alive(tx, now_ms)  # the gap below says it: the time since the copy is not told twice
            for workspace_id in self._registry.snapshot.workspaces:
                gaps.add(tx, workspace_id, "restored", held.copy_ms, now_ms, 0, now_ms)
                data = {"why": held.why, "copy_ms": held.copy_ms}
                journal.add(tx, now_ms, workspace_id, None, "hold.begun", SYSTEM, data)
            figures: dict[str, int | float | str] = {"missing_seconds": max(now_ms - held.copy_ms, 0) / 1000}
            runs.end(tx, runs.begin(tx, "restore", held.since_ms), "ok", f"restored {held.why}", figures, now_ms)

        await self._db.write(work)

    async def plan(self, choice: Choice) -> Plan:
        """What a resume would do now. Raises Conflict where the box is not held, NotFound for an unknown `keep`."""
        held, now_ms = self._must(), self._now()
        return await self._db.read(lambda tx: self._plan(tx, held, choice, now_ms))

    def _must(self) -> Held:
        if self._held is None:
            raise Conflict("this box is not held: nothing waits for a resume")
        return self._held

    def _plan(self, tx: Tx, held: Held, choice: Choice, now_ms: int) -> Plan:
        copy = resuming.Copy(held.copy_ms, held.lost_ms, held.mark)
        live = self._registry.snapshot.channels
        waiting = hold.waiting(tx)
        unknown = choice.keep - {one.id for one in waiting}
        if unknown:
            raise NotFound(f"nothing is owed under {', '.join(sorted(map(ids.show, unknown))[:5])}")
        owed = [
            resuming.Owed(one.id, one.group_id, one.channel_id, one.kind, one.owed_ms, one.next_ms, one.status)
            for one in waiting
        ]
        gaps_ms = {number: one.module.GAP_MS for number, one in live.items()}
        verdicts = resuming.messages(owed, gaps_ms, copy, choice, now_ms)
        names = {number: one.name for number, one in live.items()}
        rungs = []
        for one in hold.coming(tx):
            rung = resuming.Escalation(one.id, one.due_ms, one.after_minutes, one.status)
            to = tuple(names.get(number, "?") for number in one.channels)
            rungs.append(Rung(one, to, resuming.escalation(rung, copy, choice, now_ms)))
        return Plan(
            held=held,
            at_ms=now_ms,
            messages=[Message(one, names.get(one.channel_id, "?"), verdicts[one.id]) for one in waiting],
            escalations=rungs,
            repeats=hold.repeats_due(tx, now_ms),
            snoozes=hold.snoozes_over(tx, now_ms),
        )

    async def resume(self, choice: Choice, actor: Actor) -> Plan:
        """Does it: what is to be dropped is dropped first, then the box goes on. What was done.

        Cut off half way, the box is still held, and what is left is decided anew. Raises Conflict, NotFound.
        """
        plan = await self.plan(choice)
        drops = [one for one in plan.messages if one.verdict.fate == "drop"]
        for start in range(0, len(drops), _BATCH):
            some = drops[start : start + _BATCH]
            await self._db.write(lambda tx, some=some: self._drop(tx, some, actor, plan.at_ms))  # type: ignore[misc]
        await self._db.write(lambda tx: self._end(tx, plan, actor))
        self._held = None
        self._deliver.wake()
        log.warning("the box is held no longer", extra={"by": actor.name, "dropped": len(drops)})
        await self.tend()
        return plan

    def _drop(self, tx: Tx, some: list[Message], actor: Actor, now_ms: int) -> None:
        for one in some:
            held = outbox.load(tx, one.waiting.id)
            if held is None or held.state != "owed":
                continue
            why = f"dropped after a restore: {one.verdict.why}"
            outbox.end(tx, held.id, "dropped", why)
            standing_in.call_off(tx, held, why)
            if held.group_id is None:
                continue
            if held.kind != "update" and outbox.pending_post(tx, held.group_id, held.channel_id) is None:
                standing_in.forget_edits(tx, held, why)
            data = {"delivery": ids.show(held.id), "channel": one.channel, "kind": held.kind, "why": one.verdict.why}
            journal.add(tx, now_ms, held.workspace_id, held.group_id, "delivery_dropped", actor, data)

    def _end(self, tx: Tx, plan: Plan, actor: Actor) -> None:
        now_ms = self._now()
        for rung in plan.escalations:
            if rung.verdict.fate == "drop":
                escalations.cancel_one(tx, rung.coming.id, now_ms)
            elif rung.verdict.due_ms not in (None, rung.coming.due_ms):
                hold.count_again(tx, rung.coming.id, int(rung.verdict.due_ms or 0))
        hold.repeat_from(tx, now_ms)
        untold = [
            one.waiting.group_id
            for one in plan.messages
            if one.verdict.fate == "drop"
            and one.verdict.why in resuming.UNSAID
            and one.waiting.status == "open"
            and (one.waiting.severity or 0) >= Severity.HIGH
            and one.waiting.group_id is not None
        ]
        if untold:
            hold.say_untold(tx, untold)
            tx.then(self._some_untold)
        data = {
            "why": plan.held.why,
            "held_since_ms": plan.held.since_ms,
            "sent": plan.counted("send"),
            "dropped": plan.counted("drop"),
            "escalations_dropped": sum(one.verdict.fate == "drop" for one in plan.escalations),
        }
        for workspace_id in self._registry.snapshot.workspaces:
            journal.add(tx, now_ms, workspace_id, None, "hold.resumed", actor, data)
        hold.end(tx)

    def _some_untold(self) -> None:
        self._untold = True

    async def tend(self) -> None:
        """Each minute: open groups whose message was dropped at the resume are an alarm until somebody answers."""
        if not self._untold:
            return
        left = await self._db.read(hold.still_untold)
        if left:
            more = f" and {len(left) - _NAMED_MAX} more" if len(left) > _NAMED_MAX else ""
            named = "; ".join(f"{one.title} ({Severity(one.severity).label})" for one in left[:_NAMED_MAX])
            await self._alarms.say(
                CONDITION,
                f"After the restore the messages of {len(left)} open alert groups were not sent again, because the"
                f" earlier box may have sent them: {named}{more}. Look at them: acknowledge or resolve each.",
            )
            return
        await self._db.write(hold.forget_untold)
        self._untold = False
        await self._alarms.say(CONDITION, None)

    async def health(self) -> Component:
        """For /health."""
        held = self._held
        if held is None:
            return Component("ok", "messages leave as they should")
        return Component(
            "degraded",
            f"this box was restored ({held.why}) and is held: alerts are taken, and nobody is told. See what would be"
            " sent, and go on: Settings, System, or `signalcraft resume`",
        )
