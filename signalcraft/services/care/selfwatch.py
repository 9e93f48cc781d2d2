"""The watch over the appliance itself: looks every few seconds, and says what is wrong to services/care/alarms.py.

"The program is down" and "nothing can be written" it cannot tell from inside: the heartbeat that stops tells them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final

from signalcraft.config import Settings
from signalcraft.domain.delivery import Reply
from signalcraft.errors import Fault
from signalcraft.services import own
from signalcraft.services.care.alarms import Alarms
from signalcraft.services.care.canary import Canary
from signalcraft.services.care.vitals import Clock, Seen, Vitals, size
from signalcraft.services.deliver import Deliver, Status
from signalcraft.services.health import Component, Health
from signalcraft.services.measures import Lately, Measures
from signalcraft.services.overview import Overview
from signalcraft.services.registry import Registry
from signalcraft.storage import canary as store
from signalcraft.storage import health as counted
from signalcraft.storage.db import Db, Tx

log = logging.getLogger(__name__)

TICK_S: Final = 5.0
LAG_S: Final = 0.25
"""How often the loop is asked how late it is."""
MINUTE_MS: Final = 60_000
REFUSED_MS: Final = 10 * MINUTE_MS
FAILED_MS: Final = 15 * MINUTE_MS
STEP_TOLD_MS: Final = 10 * MINUTE_MS
"""How long a step of the clock is told after it happened."""
DAY_MS: Final = 86_400_000


class SelfWatch:
    """One instance, on the event loop."""

    def __init__(
        self,
        settings: Settings,
        db: Db,
        registry: Registry,
        deliver: Deliver,
        overview: Overview,
        health: Health,
        measures: Measures,
        canary: Canary,
        alarms: Alarms,
        vitals: Vitals,
        now: Callable[[], int],
    ) -> None:
        self._settings = settings.monitoring
        self._queue_max = settings.limits.queue_max
        self._db = db
        self._registry = registry
        self._deliver = deliver
        self._overview = overview
        self._health = health
        self._measures = measures
        self._canary = canary
        self._alarms = alarms
        self.vitals = vitals
        self._now = now
        self._requests = Lately(measures.requests)
        self._notified = Lately(measures.notified)
        self._senders_ms = 0
        self._lag_s = 0.0
        self._lags: deque[tuple[int, float]] = deque()
        self._gate = asyncio.Lock()
        self.skew: tuple[float, int] | None = None
        """By how many seconds a vendor's clock was ahead of ours, and when it said so."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`: measures how late the loop is, and looks every few seconds."""
        ticked_s = asked_s = time.monotonic()
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), LAG_S)
            except TimeoutError:
                pass
            now_s = time.monotonic()
            self.late(max(now_s - asked_s - LAG_S, 0.0))
            if now_s - ticked_s >= TICK_S:
                ticked_s = now_s
                try:
                    await self.tick()
                except Exception:
                    log.exception("the watch over the appliance itself failed")
            asked_s = time.monotonic()

    def late(self, seconds: float) -> None:
        """The loop was so late for something."""
        self._measures.lag.saw(seconds)
        self._lag_s = max(self._lag_s, seconds)

    async def tick(self) -> None:
        """Looks at everything once."""
        async with self._gate:
            await self._look()

    async def _look(self) -> None:
        now_ms = self._now()
        lag_s = self.vitals.lag_s = self._latest(now_ms)
        seen = await asyncio.to_thread(self.vitals.look)
        for name, wrong in (
            ("disk_low", self._disk(seen)),
            ("memory_high", self._memory(seen)),
            ("clock_wrong", self._clock(seen.clock, now_ms)),
            ("certificate_ending", self._certificate(seen.certificate_ms, now_ms)),
            ("queue_deep", self._queue(lag_s)),
            ("self_check_failed", self._self_check()),
            *self._traffic(now_ms),
        ):
            await self._alarms.say(name, wrong)
        await self._alarms.say("database_failing", await self._database())
        try:
            await self._alarms.say("delivery_failing", await self._deliveries(now_ms))
            if not 0 <= now_ms - self._senders_ms < MINUTE_MS:
                self._senders_ms = now_ms
                await self._alarms.say("integration_failing", await self._senders(now_ms))
        except Fault:
            log.warning("what is owed could not be looked at", exc_info=True)
        await self._alarms.tick()

    def _latest(self, now_ms: int) -> float:
        """The longest by which the loop was late within the last minute."""
        self._lags.append((now_ms, self._lag_s))
        self._lag_s = 0.0
        while not 0 <= now_ms - self._lags[0][0] <= MINUTE_MS:
            self._lags.popleft()
        return max(lag_s for _, lag_s in self._lags)

    # -- the box --------------------------------------------------------------------------------------------------

    def _disk(self, seen: Seen) -> str | None:
        disk, least = seen.disk, self._settings.disk_free_percent
        free = 100 * disk.free / max(disk.total, 1)
        room = f"{size(disk.free)} of {size(disk.total)} are free ({free:.1f} %)"
        if free < least:
            return f"{room}, less than monitoring.disk_free_percent: make room, or give it a larger disk"
        hours = disk.full_in_h
        if hours is not None and hours < self._settings.disk_full_hours:
            return f"{room}, and as it fills now it is full in {hours:.1f} hours: look what grows, and make room"
        return None

    def _memory(self, seen: Seen) -> str | None:
        used, limit = seen.memory.used, seen.memory.limit
        if used is None or not limit:
            return None
        share = 100 * used / limit
        if share < self._settings.memory_percent:
            return None
        return (
            f"it takes {used >> 20} MB, {share:.0f} % of the {limit >> 20} MB that {seen.memory.of} allows: restart it "
            "at a quiet time, and raise the limit"
        )

    def _clock(self, clock: Clock, now_ms: int) -> str | None:
        if clock.stepped_ms is not None and 0 <= now_ms - clock.stepped_ms < STEP_TOLD_MS:
            return f"it stepped by {clock.stepped_s:+.0f} s: look at the box's time service; what was due is caught up"
        if self.skew is not None and abs(self.skew[0]) >= self._settings.clock_seconds:
            return (
                f"a vendor's clock is {self.skew[0]:+.0f} s away from this box's: set the time, and let a time service "
                "keep it (timedatectl set-ntp true)"
            )
        return None

    def replied(self, reply: Reply) -> None:
        """A vendor answered: its Date header (RFC 9110, to the second) says what time it is there."""
        date = reply.headers.get("date")
        if date is None or not self._settings.self_watch:
            return
        try:
            their_ms = parsedate_to_datetime(date).timestamp() * 1000
        except ValueError:
            return
        now_ms = self._now()
        self.skew = ((their_ms - now_ms) / 1000, now_ms)

    def _certificate(self, until_ms: int | None, now_ms: int) -> str | None:
        if until_ms is None or until_ms - now_ms >= self._settings.certificate_days * DAY_MS:
            return None
        days = (until_ms - now_ms) / DAY_MS
        when = f"ends in {days:.0f} days" if days >= 0 else f"ended {-days:.0f} days ago"
        return f"the certificate of http.tls_certificate {when}: renew it, then send SIGHUP"

    # -- the program ----------------------------------------------------------------------------------------------

    def _queue(self, lag_s: float) -> str | None:
        queued, share = self._db.queued, 100 * self._db.queued / max(self._queue_max, 1)
        if share >= self._settings.queue_percent:
            return (
                f"{queued} writes wait, {share:.0f} % of what may: senders will be sent away; look at the disk's speed"
            )
        if lag_s * 1000 >= self._settings.loop_lag_ms:
            return f"the program was {lag_s:.1f} s late for its own work: look at the load of the box's processors"
        return None

    def _self_check(self) -> str | None:
        last = self._canary.last
        if last is None or not last.wrong:
            return None
        return f"an alert of its own did not get through the pipeline: {last.wrong}; look at the log"

    def _traffic(self, now_ms: int) -> list[tuple[str, str | None]]:
        settings = self._settings
        n, failed, p95_s = self._requests.mark(now_ms, self._measures.failed)
        errors = slow = late = None
        if n >= settings.requests_least:
            if 100 * failed / n >= settings.error_percent:
                errors = (
                    f"{failed} of {n} requests of the last five minutes were answered 500 or more: "
                    "`signalcraft errors` names the causes"
                )
            if p95_s is not None and p95_s * 1000 > settings.slow_ms:
                bound = f"{p95_s:g} s" if p95_s != float("inf") else "more than 10 s"
                slow = f"95 of 100 of the last {n} requests took up to {bound}: look at the load and the slow queries"
        told, _, told_p95_s = self._notified.mark(now_ms)
        if told and told_p95_s is not None and told_p95_s > settings.latency_seconds:
            late = (
                f"of {told} messages of the last five minutes one in twenty took longer than "
                f"{settings.latency_seconds:g} s from the alert's arrival: look at the channels"
            )
        last = self._canary.last
        if late is None and last is not None and last.took_s > settings.latency_seconds:
            late = f"a test alert took {last.took_s:.0f} s through the pipeline"
        return [("errors_high", errors), ("responses_slow", slow), ("latency_high", late)]

    async def _database(self) -> str | None:
        began_s = time.perf_counter()
        probe = await self._health.database()
        took_ms = (time.perf_counter() - began_s) * 1000
        if probe.status != "ok":
            return probe.detail
        if took_ms > self._settings.write_ms:
            return f"a write took {took_ms:.0f} ms: look at the disk's speed and at what else writes to it"
        return None

    # -- senders and channels -------------------------------------------------------------------------------------

    async def _deliveries(self, now_ms: int) -> str | None:
        late_ms = now_ms - round(self._settings.owed_minutes * MINUTE_MS)
        workspaces = list(self._registry.snapshot.workspaces)

        def read(tx: Tx) -> tuple[Status, tuple[int, int | None, int]]:
            return (
                self._deliver.status(tx),
                store.messages(tx, own.KIND, workspaces, late_ms, now_ms - FAILED_MS),
            )

        status, (owed, oldest_ms, failed) = await self._db.read(read)
        broken = [one for one in status.troubles if one.state in ("broken", "silent", "unusable")]
        said = [f"{one.name} is {one.state}: {one.why}" for one in broken[:5]]
        if owed and oldest_ms is not None:
            said.append(f"{owed} messages are owed for longer than {self._settings.owed_minutes:g} minutes")
        if failed:
            said.append(f"{failed} messages were given up in the last 15 minutes")
        return ". ".join(said) + ". Settings → Channels and Deliveries say what to do" if said else None

    async def _senders(self, now_ms: int) -> str | None:
        said = []
        for workspace in list(self._registry.snapshot.workspaces.values()):
            lately = await self._db.read(partial(_lately, workspace_id=workspace.id, since_ms=now_ms - REFUSED_MS))
            for live in self._registry.snapshot.integrations.values():
                refused = lately.get(live.id, {}).get("refused_signature", 0)
                if live.workspace_id == workspace.id and 0 < self._settings.refused_least <= refused:
                    said.append(f"{live.name}: {refused} webhooks of the last 10 minutes had a wrong signature")
            if self._settings.silent_senders:
                seen = await self._overview.seen(workspace.id, 60 * MINUTE_MS)
                silent = [one.row.name for one in seen.senders if one.state == "silent"]
                said += [f"{name} is quiet for longer than it ever was in a week" for name in silent]
        return ". ".join(said[:10]) + ". Settings → Integrations say what to do" if said else None

    # -- health ---------------------------------------------------------------------------------------------------

    def components(self) -> dict[str, Component]:
        """Memory, disk, clock, certificate, loop and self-check as they were seen last. Costs nothing."""
        seen = self.vitals.seen
        if seen is None:
            return {}
        now_ms = self._now()
        found = {
            "disk": _component(self._disk(seen), _disk_fine(seen)),
            "memory": _component(self._memory(seen), _memory_fine(seen)),
            "clock": _component(self._clock(seen.clock, now_ms), _clock_fine(seen.clock)),
            "loop": _component(
                self._queue(self.vitals.lag_s), f"at most {self.vitals.lag_s * 1000:.0f} ms late for its own work"
            ),
        }
        if seen.certificate_ms is not None:
            days = (seen.certificate_ms - now_ms) // DAY_MS
            found["certificate"] = _component(
                self._certificate(seen.certificate_ms, now_ms), f"it holds for another {days} days"
            )
        last = self._canary.last
        if last is not None:
            fine = f"a test alert went through the pipeline in {last.took_s * 1000:.0f} ms"
            found["self_check"] = _component(self._self_check(), fine)
        return found


def _lately(tx: Tx, *, workspace_id: int, since_ms: int) -> dict[int, dict[str, int]]:
    return counted.counted(tx, workspace_id, since_ms)


def _component(wrong: str | None, fine: str) -> Component:
    return Component("ok", fine) if wrong is None else Component("degraded", wrong)


def _disk_fine(seen: Seen) -> str:
    hours = seen.disk.full_in_h
    when = "" if hours is None or hours > 10_000 else f"; as it fills now it is full in {hours / 24:.0f} days"
    return f"{size(seen.disk.free)} of {size(seen.disk.total)} are free{when}"


def _memory_fine(seen: Seen) -> str:
    used, limit = seen.memory.used, seen.memory.limit
    if used is None:
        return "the system does not tell it"
    return _room(used) + (f" of the {_room(limit)} of {seen.memory.of}" if limit else "")


def _room(count: int) -> str:
    """Memory as the settings and systemd say it (512M is 512 MB here), from 10 GB on by the gigabyte."""
    return f"{count >> 20} MB" if count < 10 << 30 else f"{count / (1 << 30):.1f} GB"


def _clock_fine(clock: Clock) -> str:
    if clock.synchronized is None:
        return "the system does not say whether a time service keeps it right"
    if clock.synchronized:
        return f"a time service keeps it right (to {clock.error_s or 0:.3f} s)"
    return "it did not step; the system says that no time service keeps it right"
