"""What is remembered of each channel while the process lives, and what may go out next."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain import backoff
from signalcraft.domain.delivery import Broken, Outcome, Retry
from signalcraft.domain.pacing import Breaker, Budget, Lane
from signalcraft.services.registry import ChannelLive, Snapshot
from signalcraft.storage import outbox
from signalcraft.storage.db import Tx

Mode = Literal["post", "edit", "probe", "test", "stand_in"]


class Plan(Struct, frozen=True):
    """The next thing to do for a channel, and when. `stand_in`: another channel is to be asked."""

    due_ms: int
    channel_id: int
    mode: Mode


class Lanes:
    """The lanes of all channels. Changed on the event loop only; `plans` looks at them from reader threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lanes: dict[int, tuple[object, Lane]] = {}
        self._budgets: dict[bytes, Budget] = {}
        self._lock = threading.Lock()

    def of(self, live: ChannelLive) -> Lane:
        """The lane of a channel. One whose settings were changed starts afresh, but for what is under way."""
        with self._lock:
            known = self._lanes.get(live.id)
            if known is not None:
                config, lane = known
                if config is live.config or config == live.config:
                    return lane
                lane.budget = self._budget(live)
                lane.breaker = self._breaker()
                lane.broken_probe_ms = 0
            else:
                lane = Lane(live.module.GAP_MS, self._budget(live), self._breaker())
            self._lanes[live.id] = (live.config, lane)
            return lane

    def _breaker(self) -> Breaker:
        delivery = self._settings.delivery
        return Breaker(delivery.breaker_failures, round(delivery.breaker_seconds * 1000))

    def _budget(self, live: ChannelLive) -> Budget:
        # Channels that share a credential share its limits.
        token = getattr(live.config, "bot_token", "") or f"channel {live.id}"
        key = hashlib.blake2b(f"{live.kind}\0{token}".encode(), digest_size=16).digest()
        budget = self._budgets.get(key)
        if budget is None:
            budget = self._budgets[key] = Budget(live.module.EDITS_PER_MINUTE)
        return budget

    def remember(self, tried: Iterable[outbox.Tried], snapshot: Snapshot, now_ms: int) -> None:
        """The pace goes on where the earlier process left it."""
        for one in tried:
            live = snapshot.channels.get(one.channel_id)
            if live is None:
                continue
            lane = self.of(live)
            pause_ms = 0 if one.hold_ms is None else max(one.hold_ms - now_ms, 0)
            if one.rank == outbox.POST:
                lane.posted(one.at_ms)
                if pause_ms:
                    lane.pause(now_ms, pause_ms)
            else:
                lane.budget.spend(one.at_ms)
                if pause_ms:
                    lane.budget.pause(now_ms, pause_ms)

    def went_back(self, by_ms: int) -> None:
        """The clock stepped back: nobody's pace is measured against a time that is yet to come."""
        with self._lock:
            for _, lane in self._lanes.values():
                lane.went_back(by_ms)
            for budget in self._budgets.values():
                budget.went_back(by_ms)

    def heard(self, live: ChannelLive, rank: int, outcome: Outcome, now_ms: int, roll: float) -> bool:
        """A try came back. Whether a silent channel answers again."""
        lane = self.of(live)
        if rank == outbox.POST:
            lane.posted(now_ms)
        else:
            lane.budget.spend(now_ms)
        if isinstance(outcome, Retry):
            if outcome.after_s is None:
                lane.breaker.failed(now_ms, roll)
            elif rank == outbox.POST:
                lane.pause(now_ms, round(outcome.after_s * 1000))
            else:
                lane.budget.pause(now_ms, round(outcome.after_s * 1000))
            if live.state == "broken":
                lane.broken_probe_ms = now_ms + backoff.BROKEN_PROBE_MS
            return False
        if isinstance(outcome, Broken):
            lane.broken_probe_ms = now_ms + backoff.BROKEN_PROBE_MS
        return lane.breaker.answered()

    def plans(self, reader: Tx, snapshot: Snapshot, now_ms: int) -> list[Plan]:
        """The next thing to do for each channel that is not busy."""
        found = []
        for channel_id in outbox.channels_owed(reader):
            live = snapshot.channels.get(channel_id)
            plan = self._plan(reader, snapshot, live, now_ms) if live is not None else None
            if plan is not None and plan.due_ms <= now_ms:
                found.append(plan)
                continue
            stand_in = self._stand_in(reader, snapshot, channel_id, live, now_ms)
            if stand_in is not None or plan is not None:
                found.append(stand_in or plan)  # type: ignore[arg-type]  # one of them is not None
        return found

    def _plan(self, reader: Tx, snapshot: Snapshot, live: ChannelLive, now_ms: int) -> Plan | None:
        lane = self.of(live)
        if lane.busy:
            return None
        broken = live.state == "broken"
        if not live.enabled or broken or lane.breaker.open:
            test = outbox.next_test(reader, live.id)
            if test is not None:
                return Plan(max(test.due_ms, lane.post_at_ms(now_ms)), live.id, "test")
            if not live.enabled or not (outbox.next_post(reader, live.id) or outbox.next_edit(reader, live.id)):
                return None
            return Plan(lane.probe_at_ms(now_ms, broken), live.id, "probe")
        post, edit = outbox.next_post(reader, live.id), outbox.next_edit(reader, live.id)
        best: Plan | None = None
        if post is not None:
            best = Plan(max(post.due_ms, lane.post_at_ms(now_ms)), live.id, "post")
        if edit is not None and (best is None or best.due_ms > now_ms):
            at_ms = max(edit.due_ms, lane.edit_at_ms(now_ms))
            if best is None or at_ms < best.due_ms:
                best = Plan(at_ms, live.id, "edit")
        return best

    def _stand_in(
        self, reader: Tx, snapshot: Snapshot, channel_id: int, live: ChannelLive | None, now_ms: int
    ) -> Plan | None:
        """Asking another channel, where this one cannot deliver and another one can."""
        if live is not None and live.state != "broken":
            return None
        other: ChannelLive | None = None
        for delivery in outbox.without_stand_in(reader, channel_id, 1):
            other = fallback_of(snapshot, delivery.workspace_id, channel_id)
        for delivery in () if other is not None else outbox.stand_ins_owed_to(reader, channel_id, 1):
            other = fallback_of(snapshot, delivery.workspace_id, channel_id)
        return None if other is None else Plan(now_ms, channel_id, "stand_in")


def fallback_of(snapshot: Snapshot, workspace_id: int, channel_id: int) -> ChannelLive | None:
    """The channel that stands in for another one; None where none is set, or it cannot deliver either."""
    workspace = snapshot.workspaces.get(workspace_id)
    if workspace is None or workspace.fallback_channel in (None, channel_id):
        return None
    live = snapshot.channels.get(workspace.fallback_channel)
    return live if live is not None and live.enabled and live.state == "ok" else None
