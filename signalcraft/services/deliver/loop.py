"""The delivery loop: it looks what is due, takes it in hand, has it carried, and settles it before the next one.

Everything due is read against the one clock. In real time it sleeps until something is due or a commit rings the bell,
at most a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import Final, Protocol

import msgspec

from signalcraft import logs
from signalcraft.config import Settings
from signalcraft.domain import ids
from signalcraft.domain.delivery import HttpCall, Outcome, Refused, Reply, Retry, Sent, Step
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict
from signalcraft.services.deliver import again, standing_in
from signalcraft.services.deliver.again import Again
from signalcraft.services.deliver.claiming import Claim, claim
from signalcraft.services.deliver.lanes import Lanes, Plan
from signalcraft.services.deliver.settling import Remark, Settler
from signalcraft.services.deliver.status import Status, moods, status
from signalcraft.services.registry import ChannelLive, Registry, Snapshot
from signalcraft.storage import journal, outbox
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.outbox import Delivery
from signalcraft.storage.vault import Vault

log = logging.getLogger(__name__)

LINK_PURPOSE: Final = "answer links"
"""What the key of acknowledge links is derived for."""
TICK_S = 1.0
SPACING_S = 0.02
"""How soon after one look the next may come: a thousand commits a second ring one bell."""
RECENT_MS = 61_000
HOUR_MS = 3_600_000
ROUNDS = 50


class Carrier(Protocol):
    """Who carries a step to the other side: the postman."""

    async def send(self, step: Step) -> Reply: ...


class Deliver:
    """Delivers what is owed. One instance, on the event loop; `wake` may be called from any thread."""

    def __init__(
        self,
        settings: Settings,
        db: Db,
        registry: Registry,
        vault: Vault,
        postman: Carrier,
        now: Callable[[], int],
        *,
        roll: Callable[[], float] = SystemRandom().random,
    ) -> None:
        self._settings = settings
        self._db = db
        self._registry = registry
        self._link_key = vault.derive(LINK_PURPOSE)
        self._postman = postman
        self._now = now
        self._roll = roll
        self._lanes = Lanes(settings)
        self._settler = Settler(settings, registry)
        self._tasks: set[asyncio.Task[None]] = set()
        self._gate = asyncio.Lock()
        self._bell = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = False
        self._warm = False
        self._clock_ms = 0
        self._turned = True
        self._stopping = False
        self.held: Callable[[], bool] = lambda: False
        """Whether nothing may leave: services/care/hold.py."""
        self.replied: Callable[[Reply], None] = lambda reply: None
        self.told: Callable[[str, float], None] = lambda channel_kind, seconds: None
        """A first message was taken, so many seconds after it came to be owed."""

    # -- the loop -------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Delivers until `stop`; then waits for what is under way."""
        self._loop = asyncio.get_running_loop()
        ender = asyncio.create_task(self._end(stop))
        try:
            while not stop.is_set():
                self._rung = False
                self._bell.clear()
                wait_s = await self._turn()
                self._turned = True
                await self._sleep(wait_s)
            while self._tasks:
                await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            raise
        finally:
            ender.cancel()

    async def _end(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stopping = True
        self._bell.set()

    async def _turn(self) -> float:
        try:
            now_ms = self._now()
            _, due_ms = await self._begin(now_ms)
        except Exception:
            # A full disk, a locked file: what is owed is still there when that is over.
            log.exception("delivery could not look at what is owed")
            return TICK_S
        return TICK_S if due_ms is None else min(max((due_ms - self._now()) / 1000, SPACING_S), TICK_S)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._bell.wait(), seconds)
        except TimeoutError:
            return
        await asyncio.sleep(0 if self._stopping else SPACING_S)

    def wake(self) -> None:
        """Something may be owed. From any thread; many calls ring once."""
        loop = self._loop
        if self._rung or loop is None:
            return
        self._rung = True
        try:
            loop.call_soon_threadsafe(self._bell.set)
        except RuntimeError:
            self._loop = None  # the loop is closed: nobody is there to wake

    def turning(self) -> bool:
        """Whether the loop has looked at what is owed since this was asked last."""
        turned, self._turned = self._turned, False
        return turned

    async def step(self, now_ms: int) -> int:
        """One pass: whatever is due at `now_ms` is sent and settled, and what is under way with it. How many."""
        began, _ = await self._begin(now_ms)
        under_way = list(self._tasks)
        if under_way:
            await asyncio.wait(under_way)
        return max(began, len(under_way))

    @property
    def idle(self) -> bool:
        """Whether nothing is under way and nothing is due now. It reads the database: for tests and shutdown."""
        if self._tasks or self._gate.locked():
            return False
        if self.held():
            return True
        now_ms = self._now()
        with self._db.reading() as reader:
            if outbox.under_way(reader):
                return False
            return all(plan.due_ms > now_ms for plan in self._lanes.plans(reader, self._registry.snapshot, now_ms))

    def next_due_ms(self, reader: Tx) -> int | None:
        """When the next message may leave; None where nothing is owed that could."""
        if self.held():
            return None
        plans = self._lanes.plans(reader, self._registry.snapshot, self._now())
        return min((plan.due_ms for plan in plans), default=None)

    # -- one pass -------------------------------------------------------------------------------------------------

    async def _begin(self, now_ms: int) -> tuple[int, int | None]:
        """Starts whatever is due. (How much, when the next thing is due that was not.)"""
        async with self._gate:
            self._follow_clock()
            if self.held():
                return 0, None
            if not self._warm:
                await self._remember(now_ms)
            snapshot = self._registry.snapshot
            plans, expired = await self._db.read(
                lambda reader: (self._lanes.plans(reader, snapshot, now_ms), outbox.expired(reader, now_ms))
            )
            if expired and not self._tasks:
                released = await self._db.write(lambda tx: outbox.release_expired(tx, now_ms))
                log.error("deliveries were lost on their way and are owed again", extra={"deliveries": released})
            ready = [plan for plan in plans if plan.due_ms <= now_ms]
            later = min((plan.due_ms for plan in plans if plan.due_ms > now_ms), default=None)
            if not ready or self._stopping:
                return 0, later
            return await self._start(snapshot, ready, now_ms), later

    def _follow_clock(self) -> None:
        clock_ms, last_ms = self._now(), self._clock_ms
        self._clock_ms = clock_ms
        if clock_ms < last_ms:
            self._lanes.went_back(last_ms - clock_ms)

    async def _remember(self, now_ms: int) -> None:
        """The first look: the pace goes on where the earlier process left it, and nobody waits for its backoffs."""

        def work(tx: Tx) -> list[outbox.Tried]:
            for channel_id in outbox.channels_owed(tx):
                outbox.hurry(tx, channel_id, now_ms)
            return outbox.tried_since(tx, now_ms - RECENT_MS, ids.floor(now_ms - HOUR_MS))

        self._lanes.remember(await self._db.write(work), self._registry.snapshot, now_ms)
        self._warm = True

    async def _start(self, snapshot: Snapshot, ready: list[Plan], now_ms: int) -> int:
        lanes = [self._lanes.of(snapshot.channels[plan.channel_id]) for plan in ready if plan.mode != "stand_in"]
        for lane in lanes:
            lane.busy = True

        def work(tx: Tx) -> tuple[list[Claim], int]:
            tx.unasked = True
            claims, asked = [], 0
            for plan in ready:
                if plan.mode == "stand_in":
                    asked += standing_in.stand_in(tx, snapshot, plan.channel_id, now_ms)
                    continue
                live = snapshot.channels[plan.channel_id]
                taken = claim(tx, self._settings, self._link_key, live, plan, now_ms)
                if taken is not None:
                    claims.append(taken)
            return claims, asked

        claims: list[Claim] = []
        try:
            claims, asked = await self._db.write(work)
        finally:
            taken = {claim.live.id for claim in claims}
            for plan in ready:
                if plan.mode != "stand_in" and plan.channel_id not in taken:
                    self._lanes.of(snapshot.channels[plan.channel_id]).busy = False
        for one in claims:
            with logs.within(f"delivery-{ids.show(one.delivery.id)}"):  # every line of this delivery bears its id
                task = asyncio.get_running_loop().create_task(self._carry(one))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(claims) + asked

    async def _carry(self, claim: Claim) -> None:
        """One delivery from here to its settling; the channel is busy until that is on disk."""
        outcome, receipt = await self._send(claim)
        now_ms, roll = self._now(), self._roll()
        remarks = await self._settle(claim, outcome, receipt, now_ms, roll)
        if isinstance(outcome, Sent) and claim.delivery.kind == "first":
            self.told(claim.live.kind, max(now_ms - claim.delivery.owed_ms, 0) / 1000)
        if self._lanes.heard(claim.live, claim.delivery.rank, outcome, now_ms, roll):
            remarks = [*remarks, Remark(logging.WARNING, "the channel answers again", {"channel": claim.live.name})]
            await self._hurry(claim.live, now_ms)
        self._lanes.of(claim.live).busy = False
        self._said(claim, outcome, remarks)
        self._rung = False
        self.wake()

    async def _settle(
        self, claim: Claim, outcome: Outcome, receipt: dict[str, str], now_ms: int, roll: float
    ) -> list[Remark]:
        def work(tx: Tx) -> list[Remark]:
            tx.unasked = True
            return self._settler.settle(tx, claim, outcome, receipt, now_ms, roll)

        while True:
            try:
                return await self._db.write(work)
            except Exception:
                # Sent and not written down: another try would be a second message, so the channel waits for the disk.
                log.exception("a delivery could not be settled", extra={"channel": claim.live.name})
                await asyncio.sleep(TICK_S)

    async def _hurry(self, live: ChannelLive, now_ms: int) -> None:
        try:
            await self._db.write(lambda tx: outbox.hurry(tx, live.id, now_ms))
        except Exception:
            log.exception("what waits for a later try could not be hurried", extra={"channel": live.name})

    def _said(self, claim: Claim, outcome: Outcome, remarks: list[Remark]) -> None:
        for remark in remarks:
            log.log(remark.level, remark.text, extra=remark.extra)
        if isinstance(outcome, Retry):
            lane = self._lanes.of(claim.live)
            extra = {"channel": claim.live.name, "why": outcome.why, "attempt": claim.delivery.attempts}
            level = logging.WARNING if lane.breaker.failures in (1, 5) or outcome.after_s is not None else logging.DEBUG
            log.log(level, "a delivery is tried again later", extra=extra)

    async def _send(self, claim: Claim) -> tuple[Outcome, dict[str, str]]:
        """Composes, carries and judges. What a channel's own code trips over is a refusal of this one message."""
        live, note = claim.live, claim.note
        receipt: dict[str, str] = {}
        try:
            steps = live.module.compose(live.config, note, claim.receipt)
        except Exception as problem:
            log.exception("a message could not be composed", extra={"channel": live.name})
            return Refused(f"it could not be composed: {type(problem).__name__}"), receipt
        for step in steps:
            reply = await self._reply(step)
            self.replied(reply)
            try:
                outcome: Outcome = live.module.judge(live.config, note, step, reply)
            except Exception as problem:
                log.exception("an answer could not be judged", extra={"channel": live.name})
                return Retry(f"the answer could not be judged: {type(problem).__name__}"), receipt
            if not isinstance(outcome, Sent):
                return outcome, receipt
            receipt |= outcome.receipt
        return Sent(receipt), {}

    async def _reply(self, step: Step) -> Reply:
        if isinstance(step, HttpCall):
            step = msgspec.structs.replace(step, timeout_s=self._settings.delivery.timeout_seconds)
        # The postman has time limits of his own; this one is for what they do not see. It ends before the lease does.
        limit_s = self._settings.delivery.lease_seconds * 0.9
        try:
            return await asyncio.wait_for(self._postman.send(step), limit_s)
        except TimeoutError:
            return Reply(status=0, error=f"nothing came back in {limit_s:.0f} s", sent_maybe=True)
        except Exception as problem:
            log.exception("the postman failed")
            return Reply(status=0, error=f"{type(problem).__name__}", sent_maybe=True)

    # -- for people -----------------------------------------------------------------------------------------------

    def status(self, reader: Tx, workspace_id: int | None = None) -> Status:
        """How delivery stands in a workspace, or everywhere."""
        return status(reader, self._registry.snapshot, self._lanes, self._now(), workspace_id)

    def moods(self, workspace_id: int) -> tuple[tuple[int, str, str], ...]:
        """Each channel that is in trouble by what is remembered of it, and how: without the database."""
        return moods(self._registry.snapshot, self._lanes, self._now(), workspace_id)

    async def retry(self, workspace_id: int, delivery_id: int, actor: Actor) -> Delivery:
        """Tries a delivery at once: one that waits, failed or was dropped. Raises NotFound, Conflict with its state."""
        now_ms = self._now()

        def work(tx: Tx) -> Delivery:
            held = outbox.get(tx, workspace_id, delivery_id)
            if held.state in ("sending", "sent"):
                raise Conflict(f"this delivery is {'on its way' if held.state == 'sending' else 'already sent'}")
            if not outbox.requeue(tx, held, now_ms, held.last_error or ""):
                raise Conflict("a later edit of this message is owed already")
            self._note(tx, held, "delivery_retried", actor, now_ms)
            return outbox.get(tx, workspace_id, delivery_id)

        return await self._db.write(work)

    async def retry_channel(self, workspace_id: int, channel_id: int, actor: Actor) -> Again:
        """The same for every failed message of a channel, at most MOST at a time. Raises NotFound."""
        now_ms, snapshot = self._now(), self._registry.snapshot
        return await self._db.write(
            lambda tx: again.of_channel(tx, snapshot, workspace_id, channel_id, actor, now_ms, self._note)
        )

    async def retry_many(self, workspace_id: int, delivery_ids: Sequence[int], actor: Actor) -> Again:
        """The same for these; what is sent or on its way is skipped. Raises NotFound."""
        now_ms = self._now()
        return await self._db.write(lambda tx: again.of_ids(tx, workspace_id, delivery_ids, actor, now_ms, self._note))

    async def drop(self, workspace_id: int, delivery_id: int, actor: Actor) -> Delivery:
        """A person decides that it need not be told. Raises NotFound, Conflict with its state."""
        now_ms = self._now()

        def work(tx: Tx) -> Delivery:
            held = outbox.get(tx, workspace_id, delivery_id)
            if held.state not in ("owed", "failed"):
                raise Conflict(f"this delivery is {'on its way' if held.state == 'sending' else held.state}")
            why = f"dropped by {actor.name}"
            outbox.end(tx, held.id, "dropped", why)
            standing_in.call_off(tx, held, why)
            if held.kind != "update" and not _others_pending(tx, held):
                standing_in.forget_edits(tx, held, why)
            self._note(tx, held, "delivery_dropped", actor, now_ms)
            return outbox.get(tx, workspace_id, delivery_id)

        return await self._db.write(work)

    def _note(self, tx: Tx, held: Delivery, verb: str, actor: Actor, now_ms: int) -> None:
        live = self._registry.snapshot.channels.get(held.channel_id)
        name = ids.show(held.channel_id) if live is None else live.name
        data = {"delivery": ids.show(held.id), "channel": name, "kind": held.kind}
        journal.add(tx, now_ms, held.workspace_id, held.group_id, verb, actor, data)


def _others_pending(tx: Tx, held: Delivery) -> bool:
    return held.group_id is not None and outbox.pending_post(tx, held.group_id, held.channel_id) is not None
