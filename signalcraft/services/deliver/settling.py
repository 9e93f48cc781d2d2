"""What a try means for the ledger: one transaction for each outcome, with everything that follows from it."""

from __future__ import annotations

import logging

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain import backoff, ids
from signalcraft.domain.delivery import Broken, Outcome, Refused, Retry, Sent
from signalcraft.domain.escalation import span
from signalcraft.domain.group import SYSTEM
from signalcraft.services.configure import channels as configure
from signalcraft.services.deliver import standing_in
from signalcraft.services.deliver.claiming import Claim
from signalcraft.services.deliver.lanes import fallback_of
from signalcraft.services.registry import Registry
from signalcraft.storage import channels, conversations, counts, groups, journal, outbox
from signalcraft.storage.db import Tx
from signalcraft.storage.outbox import Delivery

TEST_TRIES = 3
"""A person waits for a test: it is not tried for a day."""


class Remark(Struct, frozen=True):
    """A line for the log, once the transaction is on disk."""

    level: int
    text: str
    extra: dict[str, str]


class Settler:
    """Settles claims. `settle` is called inside a work, with the chance of a backoff as an argument."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings = settings
        self._registry = registry

    def settle(
        self, tx: Tx, claim: Claim, outcome: Outcome, receipt: dict[str, str], now_ms: int, roll: float
    ) -> list[Remark]:
        """Writes down what became of a try. `receipt` is what earlier steps of it left."""
        held = outbox.load(tx, claim.delivery.id)
        if held is None or held.state != "sending":
            return []  # its channel was deleted meanwhile, and what was owed to it dropped
        if isinstance(outcome, Sent):
            return self._sent(tx, claim, {**receipt, **outcome.receipt}, now_ms)
        if receipt and held.group_id is not None:
            conversations.posted(tx, held.group_id, held.channel_id, receipt, now_ms)
        if isinstance(outcome, Retry):
            return self._retry(tx, claim, outcome, now_ms, roll)
        if isinstance(outcome, Broken):
            return self._broken(tx, claim, outcome.why, now_ms)
        return self._refused(tx, claim, outcome, now_ms)

    # -- taken ----------------------------------------------------------------------------------------------------

    def _sent(self, tx: Tx, claim: Claim, receipt: dict[str, str], now_ms: int) -> list[Remark]:
        delivery, live = claim.delivery, claim.live
        outbox.sent(tx, delivery.id, now_ms)
        channels.sent(tx, live.id, now_ms)
        remarks = []
        if configure.mark_ok(tx, self._registry, live.id, now_ms):
            remarks.append(Remark(logging.WARNING, "the channel takes messages again", {"channel": live.name}))
        if claim.probe or remarks:
            outbox.hurry(tx, live.id, now_ms)
        if delivery.group_id is None:
            return remarks
        conversations.posted(tx, delivery.group_id, live.id, receipt, now_ms)
        if delivery.kind == "update":
            counts.bump(tx, delivery.workspace_id, now_ms, "edits", live.id)
            return remarks
        self._said(tx, claim, delivery.group_id, now_ms)
        for taken in (delivery, *claim.joined):
            standing_in.took_over(tx, self._registry.snapshot, taken, live, now_ms)
            standing_in.call_off(tx, taken, f"{live.name} took it after all")
        return remarks

    def _said(self, tx: Tx, claim: Claim, group_id: int, now_ms: int) -> None:
        delivery, live = claim.delivery, claim.live
        included = f"included in {ids.show(delivery.id)}"
        if claim.root:
            outbox.drop_edits(tx, group_id, live.id, claim.mark, included)
        for other in claim.joined:
            held = outbox.load(tx, other.id)
            if held is not None and held.state == "owed":
                outbox.end(tx, other.id, "dropped", included)
        if claim.note.kind != "resolved":
            conversations.repeat_from(tx, group_id, live.id, now_ms)
        counts.bump(tx, delivery.workspace_id, now_ms, "notifications", live.id)
        data = {"channel": live.name, "kind": claim.note.kind, "delivery": ids.show(delivery.id)}
        if claim.note.reason:
            data["reason"] = claim.note.reason
        journal.add(tx, now_ms, delivery.workspace_id, group_id, "told", SYSTEM, data)

    # -- not taken ------------------------------------------------------------------------------------------------

    def _retry(self, tx: Tx, claim: Claim, outcome: Retry, now_ms: int, roll: float) -> list[Remark]:
        delivery = claim.delivery
        age_ms = now_ms - delivery.owed_ms
        if standing_in.was_told_elsewhere(tx, delivery):
            self._end_told_elsewhere(tx, delivery, outcome.why)
            return []
        if age_ms >= self._settings.delivery.retry_hours_max * 3_600_000:
            return self._fail(tx, claim, f"tried for {span(age_ms // 3_600_000 * 60)}: {outcome.why}", now_ms)
        if delivery.kind == "test" and outcome.after_s is None and delivery.attempts >= TEST_TRIES:
            return self._fail(tx, claim, outcome.why, now_ms)
        if outcome.after_s is not None:
            next_ms = now_ms + round(outcome.after_s * 1000)
            outbox.requeue(tx, delivery, next_ms, outcome.why, hold_ms=next_ms)
            return []
        wait_ms = backoff.delay_ms(
            delivery.attempts,
            age_ms,
            roll,
            first_ms=round(self._settings.delivery.backoff_first_seconds * 1000),
            cap_ms=round(self._settings.delivery.backoff_max_seconds * 1000),
        )
        outbox.requeue(tx, delivery, now_ms + wait_ms, outcome.why)
        return []

    def _broken(self, tx: Tx, claim: Claim, why: str, now_ms: int) -> list[Remark]:
        delivery, live = claim.delivery, claim.live
        remarks = []
        if configure.mark_broken(tx, self._registry, live.id, why, now_ms):
            extra = {"channel": live.name, "why": why}
            remarks.append(Remark(logging.ERROR, "the channel cannot deliver until somebody mends it", extra))
            if fallback_of(self._registry.snapshot, live.workspace_id, live.id) is None:
                remarks.append(Remark(logging.ERROR, "and no fallback channel can: what is owed stays owed", extra))
        if delivery.kind == "test":
            return remarks + self._fail(tx, claim, why, now_ms)
        if standing_in.was_told_elsewhere(tx, delivery):
            self._end_told_elsewhere(tx, delivery, why)
        else:
            outbox.requeue(tx, delivery, now_ms, why)
        return remarks

    def _end_told_elsewhere(self, tx: Tx, delivery: Delivery, why: str) -> None:
        said = f"told through the fallback channel instead: {why}"
        outbox.end(tx, delivery.id, "failed", said)
        standing_in.forget_edits(tx, delivery, said)

    def _refused(self, tx: Tx, claim: Claim, outcome: Refused, now_ms: int) -> list[Remark]:
        delivery = claim.delivery
        if outcome.gone and delivery.group_id is not None and not claim.root:
            self._gone(tx, delivery, delivery.group_id, outcome.why, now_ms)
            return []
        if not claim.note.plain:
            outbox.requeue(tx, delivery, now_ms, outcome.why, plain=True)
            return []
        return self._fail(tx, claim, outcome.why, now_ms)

    def _gone(self, tx: Tx, delivery: Delivery, group_id: int, why: str, now_ms: int) -> None:
        """The group's message is no more: what was owed to it becomes a message of its own."""
        conversations.lost(tx, group_id, delivery.channel_id)
        if delivery.kind != "update":
            outbox.requeue(tx, delivery, now_ms, why)
            return
        outbox.end(tx, delivery.id, "dropped", why)
        outbox.drop_edits(tx, group_id, delivery.channel_id, 2**63 - 1, why)
        group = groups.load(tx, group_id)
        if group is None or group.status == "resolved" or outbox.pending_post(tx, group_id, delivery.channel_id):
            return
        outbox.owe(
            tx,
            now_ms=now_ms,
            workspace_id=delivery.workspace_id,
            group_id=group_id,
            channel_id=delivery.channel_id,
            kind="first",
            episode=group.episode,
            reason="its earlier message was deleted",
        )

    def _fail(self, tx: Tx, claim: Claim, why: str, now_ms: int) -> list[Remark]:
        """It cannot be delivered, and that is said aloud; another channel is asked, where there is one."""
        delivery, live = claim.delivery, claim.live
        outbox.end(tx, delivery.id, "failed", why)
        counts.bump(tx, delivery.workspace_id, now_ms, "failures", live.id)
        data = {"channel": live.name, "kind": delivery.kind, "delivery": ids.show(delivery.id), "why": why}
        journal.add(tx, now_ms, delivery.workspace_id, delivery.group_id, "delivery_failed", SYSTEM, data)
        if delivery.kind in ("update", "test"):
            return [Remark(logging.WARNING, f"a {delivery.kind} could not be delivered", data)]
        standing_in.forget_edits(tx, delivery, why)
        other = fallback_of(self._registry.snapshot, delivery.workspace_id, live.id)
        asked = other is not None and standing_in.ask(
            tx, delivery, other, f"{live.name} did not take it: {why}", now_ms
        )
        text = "a message could not be delivered" + ("; the fallback channel is asked" if asked else "")
        return [Remark(logging.ERROR, text, data)]
