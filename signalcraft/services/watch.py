"""Time passes: escalations, repeats, snoozes that end, answers that grow old, groups that fell silent.

Nothing here waits. `tick` does what is due at the time it is given, in small transactions; it may be called as often as
one likes, and by several callers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from signalcraft import logs
from signalcraft.config import Settings
from signalcraft.domain import escalation, ids
from signalcraft.domain import group as grouping
from signalcraft.domain.group import SYSTEM, Group
from signalcraft.services import telling
from signalcraft.services.registry import Registry
from signalcraft.storage import conversations, due, escalations, gaps, groups, journal, outbox
from signalcraft.storage.db import Db, Tx

if TYPE_CHECKING:
    from signalcraft.services.ingest import Ingest

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH: Final = 50
"""Groups that one transaction works on: the writer is shared with what comes in."""
BATCHES: Final = 40
"""Transactions of one sort that one tick makes at most; the rest is still due at the next one."""
ALIVE_MS: Final = 2_000
GAP_MS: Final = 5_000
PRUNE_MS: Final = 60_000
STATEMENTS: Final = 1_000
MINUTES_KEPT_DAYS: Final = 14
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


class Watch:
    """Does what time makes due. One instance, on the event loop."""

    def __init__(self, settings: Settings, db: Db, registry: Registry, ingest: Ingest, now: Callable[[], int]) -> None:
        self._settings = settings
        self._db = db
        self._registry = registry
        self._ingest = ingest
        self._now = now
        self._gate = asyncio.Lock()
        self._last_ms: int | None = None
        self._alive_ms: int | None = None
        self._pruned_ms: int | None = None
        # Of the present tick. A work that runs twice spaces wider and counts double: neither matters.
        self._spaced: dict[int, int] = {}
        self._late: list[int] = []
        self.escalated: Counter[str] = Counter()
        """Escalations that were carried out, by whether a channel was told. Counted on the writer's thread."""
        self.failed_at_ms: int | None = None
        """When something that was due last could not be done: for health."""
        self.held: Callable[[], bool] = lambda: False
        """Whether nobody may be told: what comes in is routed, and all else waits (services/care/hold.py)."""

    async def boot(self, now_ms: int) -> None:
        """The process starts: if an earlier one ended more than a few seconds ago, nobody took alerts since then."""

        def work(tx: Tx) -> int | None:
            alive_ms = due.alive_ms(tx)
            due.say_alive(tx, now_ms)
            if alive_ms is None or now_ms - alive_ms <= GAP_MS:
                return None
            for workspace_id in self._registry.snapshot.workspaces:
                gaps.add(tx, workspace_id, "down", alive_ms, now_ms, 0, now_ms)
            return now_ms - alive_ms

        down_ms = await self._db.write(work)
        self._alive_ms = now_ms
        if down_ms is not None:
            log.warning("nobody took alerts while this was down", extra={"seconds": down_ms // 1000})

    async def tick(self, now_ms: int) -> None:
        """Does what is due at `now_ms`, and what keeps the house tidy."""
        with logs.within(logs.request_id.get() or f"watch-{now_ms}"):
            await self._tick(now_ms)

    async def _tick(self, now_ms: int) -> None:
        async with self._gate:
            stepped = escalation.stepped(self._last_ms, now_ms)
            self._last_ms = now_ms
            if stepped < 0:
                await self._went_back(-stepped, now_ms)
            due_ms = await self._db.read(self.next_due_ms)
            if due_ms is not None and due_ms <= now_ms:
                await self._work_off(now_ms, stepped)
            await self._keep(now_ms)

    def next_due_ms(self, reader: Tx) -> int | None:
        """When something is due next; None where nothing is to come."""
        if self.held():
            return due.next_settle_ms(reader)
        found = [
            due.next_settle_ms(reader),
            due.next_snooze_ms(reader),
            escalations.next_due_ms(reader),
            conversations.next_repeat_ms(reader),
        ]
        if timeout_ms := self._ack_timeout_ms():
            answered_ms = due.oldest_answer_ms(reader)
            found.append(None if answered_ms is None else answered_ms + timeout_ms)
        if close_ms := self._close_ms():
            silent_ms = due.oldest_event_ms(reader, self._workspaces())
            found.append(None if silent_ms is None else silent_ms + close_ms)
        return min((at_ms for at_ms in found if at_ms is not None), default=None)

    def _ack_timeout_ms(self) -> int:
        return self._settings.grouping.ack_timeout_hours * HOUR_MS

    def _close_ms(self) -> int:
        return self._settings.grouping.auto_close_days * DAY_MS

    def _workspaces(self) -> list[int]:
        return list(self._registry.snapshot.workspaces)

    async def _work_off(self, now_ms: int, stepped: int) -> None:
        self._spaced, self._late = {}, []
        await self._each(
            lambda tx: groups.due_settles(tx, now_ms, BATCH), lambda tx, id_: self._ingest.settle(tx, id_, now_ms)
        )
        if self.held():
            return
        await self._each(lambda tx: due.snoozes(tx, now_ms, BATCH), lambda tx, id_: self._wake(tx, id_, now_ms))
        await self._each(
            lambda tx: [e.id for e in escalations.due(tx, now_ms, BATCH)],
            lambda tx, id_: self._escalate(tx, id_, now_ms),
        )
        await self._each(
            lambda tx: [(c.group_id, c.channel_id) for c in conversations.due_repeats(tx, now_ms, BATCH)],
            lambda tx, key: self._repeat(tx, *key, now_ms),
        )
        if timeout_ms := self._ack_timeout_ms():
            await self._each(
                lambda tx: due.old_answers(tx, now_ms - timeout_ms, BATCH),
                lambda tx, id_: self._ask_again(tx, id_, now_ms, timeout_ms),
            )
        if close_ms := self._close_ms():
            await self._each(
                lambda tx: due.silent(tx, self._workspaces(), now_ms - close_ms, BATCH),
                lambda tx, id_: self._close(tx, id_, now_ms, close_ms),
            )
        if stepped > 0 and self._late:
            await self._stepped(stepped, now_ms)

    async def _each(self, find: Callable[[Tx], Sequence[T]], do: Callable[[Tx, T], None]) -> None:
        """Does one sort of thing for everything that is due, a batch for each transaction.

        What cannot be done stays due and must not keep the rest from being done: a batch that fails is done one by one.
        """
        for _ in range(BATCHES):
            found = await self._db.read(find)
            if not found:
                return

            def work(tx: Tx, found: Sequence[T] = found) -> None:
                for one in found:
                    do(tx, one)

            try:
                await self._db.write(work)
            except Exception:
                log.warning("what is due is done one by one", exc_info=True)
                if not await self._one_by_one(found, do):
                    return  # the same ones would be found again

    async def _one_by_one(self, found: Sequence[T], do: Callable[[Tx, T], None]) -> bool:
        done = 0
        for one in found:
            try:
                await self._db.write(partial(_swapped, do, one))
                done += 1
            except Exception:
                self.failed_at_ms = self._now()
                log.exception("what is due could not be done", extra={"due": str(one)})
        return done == len(found)

    # -- what is due ----------------------------------------------------------------------------------------------

    def _wake(self, tx: Tx, group_id: int, now_ms: int) -> None:
        group = groups.load(tx, group_id)
        if group is None or group.status != "snoozed" or (group.snoozed_until_ms or 0) > now_ms:
            return
        grouping.unsnooze(group, now_ms)
        groups.store(tx, group)
        journal.add(tx, now_ms, group.workspace_id, group.id, "snooze_ended", SYSTEM)
        restarted = escalations.restart(tx, group.id, group.episode, now_ms)
        snapshot = self._registry.snapshot
        telling.retell(tx, snapshot, group, "the snooze has ended", now_ms, self._settings, everybody=restarted == 0)

    def _escalate(self, tx: Tx, escalation_id: int, now_ms: int) -> None:
        row = escalations.get(tx, escalation_id)
        if row is None or row.state != "pending" or row.due_ms > now_ms:
            return
        group = groups.load(tx, row.group_id)
        if group is None or not escalation.fires(group.status, group.episode, row.episode):
            escalations.cancel_one(tx, row.id, now_ms)
            return
        late_ms = escalation.late_ms(row.due_ms, now_ms)
        escalations.fired(tx, row.id, now_ms, late_ms)
        snapshot, reason = self._registry.snapshot, escalation.reason(row.after_minutes)
        next_ms = self._next_free_ms(row.channels, late_ms, now_ms)
        told = telling.escalate(tx, snapshot, group, row.channels, row.rule_id, reason, now_ms, next_ms)
        if not told:
            # Nobody to escalate to: those who were told hear it again, louder than silence.
            reason += ", and the channels to escalate to cannot be used"
            telling.retell(tx, snapshot, group, reason, now_ms, self._settings)
            log.error("an escalation reached no channel", extra={"group": ids.show(group.id)})
        outcome = "told" if told else "nobody"
        tx.then(lambda: self.escalated.update((outcome,)))
        names = {rule.id: rule.name for rule in snapshot.workspaces[group.workspace_id].rules}
        data = {
            "rule": names.get(row.rule_id, ""),
            "after_minutes": row.after_minutes,
            "channels": [snapshot.channels[channel_id].name for channel_id in told],
            "late_ms": late_ms,
        }
        journal.add(tx, now_ms, group.workspace_id, group.id, "escalated", SYSTEM, data)

    def _next_free_ms(self, channel_ids: Sequence[int], late_ms: int, now_ms: int) -> int:
        """When an escalation leaves: at once, or a second apart where a step of the clock made many due at once."""
        if late_ms <= escalation.STEP_MS:
            return now_ms
        self._late.append(late_ms)
        at_ms = max((self._spaced.get(channel_id, now_ms) for channel_id in channel_ids), default=now_ms)
        for channel_id in channel_ids:
            self._spaced[channel_id] = at_ms + escalation.SPACING_MS
        return at_ms

    def _repeat(self, tx: Tx, group_id: int, channel_id: int, now_ms: int) -> None:
        conversation = conversations.get(tx, group_id, channel_id)
        if conversation is None or conversation.next_repeat_ms is None or conversation.next_repeat_ms > now_ms:
            return
        conversations.repeat_owed(tx, group_id, channel_id)
        group = groups.load(tx, group_id)
        live = self._registry.snapshot.channels.get(channel_id)
        if group is None or group.status != "open" or live is None or not live.enabled:
            return
        if now_ms - conversation.next_repeat_ms > escalation.STEP_MS:
            self._late.append(now_ms - conversation.next_repeat_ms)
        reason = escalation.repeat_reason(conversation.repeat_ms or 0)
        telling.repeat(tx, group, conversation, reason, now_ms, self._settings)

    def _ask_again(self, tx: Tx, group_id: int, now_ms: int, timeout_ms: int) -> None:
        group = groups.load(tx, group_id)
        if group is None or group.status != "acknowledged":
            return
        if max(group.acknowledged_ms or 0, group.retold_ms) > now_ms - timeout_ms:
            return
        reason = f"acknowledged by {group.acknowledged_by or 'somebody'} {self._since(group, now_ms)} ago"
        journal.add(tx, now_ms, group.workspace_id, group.id, "asked_again", SYSTEM)
        reason += " and still not resolved"
        telling.retell(tx, self._registry.snapshot, group, reason, now_ms, self._settings)

    @staticmethod
    def _since(group: Group, now_ms: int) -> str:
        minutes = (now_ms - (group.acknowledged_ms or now_ms)) // escalation.MINUTE_MS
        return escalation.span(minutes if minutes < 120 else round(minutes / 60) * 60)

    def _close(self, tx: Tx, group_id: int, now_ms: int, close_ms: int) -> None:
        group = groups.load(tx, group_id)
        if group is None or group.status not in ("open", "acknowledged") or group.last_seen_ms > now_ms - close_ms:
            return
        why = f"no events for {close_ms // DAY_MS} days"
        grouping.resolve(group, SYSTEM.name, now_ms)
        groups.store(tx, group)
        journal.add(tx, now_ms, group.workspace_id, group.id, "resolved", SYSTEM, {"why": why, "by": SYSTEM.name})
        telling.tell_resolved(tx, self._registry.snapshot, group, now_ms, self._settings, why)

    # -- the clock ------------------------------------------------------------------------------------------------

    async def _went_back(self, by_ms: int, now_ms: int) -> None:
        """Nobody waits until a clock that stepped back has caught up: what is to come keeps its distance."""

        def work(tx: Tx) -> None:
            escalations.move_back(tx, by_ms)
            conversations.move_back(tx, by_ms)
            outbox.move_back(tx, now_ms, by_ms)
            for workspace_id in self._workspaces():
                journal.add(tx, now_ms, workspace_id, None, "clock_stepped", SYSTEM, {"by_ms": -by_ms})

        await self._db.write(work)
        self._alive_ms = self._pruned_ms = None
        log.warning("the clock stepped back", extra={"seconds": by_ms // 1000})

    async def _stepped(self, by_ms: int, now_ms: int) -> None:
        late = len(self._late)

        def work(tx: Tx) -> None:
            for workspace_id in self._workspaces():
                journal.add(tx, now_ms, workspace_id, None, "clock_stepped", SYSTEM, {"by_ms": by_ms, "late": late})

        await self._db.write(work)
        log.warning("the clock stepped: what came due is told late", extra={"seconds": by_ms // 1000, "late": late})

    # -- tidiness -------------------------------------------------------------------------------------------------

    async def _keep(self, now_ms: int) -> None:
        if self._alive_ms is None or now_ms - self._alive_ms >= ALIVE_MS:
            await self._db.write(lambda tx: due.say_alive(tx, now_ms))
            self._alive_ms = now_ms
        if self._pruned_ms is None or now_ms - self._pruned_ms >= PRUNE_MS:
            self._pruned_ms = now_ms
            await self._forget_statements(now_ms, 5)

    async def _forget_statements(self, now_ms: int, batches: int) -> None:
        below = ids.floor(now_ms - self._settings.grouping.idempotency_days * DAY_MS)
        for _ in range(batches):
            if await self._db.write(lambda tx: due.forget_statements(tx, below, STATEMENTS)) < STATEMENTS:
                return

    async def prune(self, now_ms: int) -> None:
        """The nightly care: forgets what is too old to matter, in small transactions."""
        await self._forget_statements(now_ms, 10_000)
        before_minute = (now_ms - MINUTES_KEPT_DAYS * DAY_MS) // escalation.MINUTE_MS
        last: int | None = 0
        while last is not None:
            after = last
            last = await self._db.write(partial(_forget_minutes, after, before_minute))


def _swapped(do: Callable[[Tx, T], None], one: T, tx: Tx) -> None:
    do(tx, one)


def _forget_minutes(after: int, before_minute: int, tx: Tx) -> int | None:
    return due.forget_minutes(tx, after, before_minute, 200)
