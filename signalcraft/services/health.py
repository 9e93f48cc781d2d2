"""How the appliance is: each part of it with a status and, where something is wrong, what to do.

ok: nothing to do. degraded: it works, and somebody should look. failing: alerts are not taken, or nobody is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Literal

from msgspec import Struct

from signalcraft import __version__
from signalcraft.config import Settings
from signalcraft.services.deliver import ChannelTrouble, Deliver, Status
from signalcraft.services.ingest import Ingest
from signalcraft.services.registry import Registry
from signalcraft.storage import gaps
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.gaps import Gap

Level = Literal["ok", "degraded", "failing"]

PROBE_S: Final = 3.0
"""How long a write may take before the database counts as failing."""
STUCK_S: Final = 30.0
"""How long one batch may keep the writer before the process counts as stuck."""
LATE_MS: Final = 5 * 60_000
"""How long a message may be owed before somebody should look."""
GAP_RECENT_MS: Final = 15 * 60_000
_DAY_MS: Final = 86_400_000
_NAMED_MAX: Final = 10
_ORDER: Final = ("ok", "degraded", "failing")


class Component(Struct, frozen=True):
    """One part. `detail`: one sentence or several, with what to do where there is something to do."""

    status: Level
    detail: str


class Report(Struct, frozen=True):
    """The worst of its components, and all of them. `version` is this program's."""

    status: Level
    version: str
    components: dict[str, Component]


class Health:
    """Asks the parts how they are. One instance, on the event loop."""

    def __init__(
        self,
        settings: Settings,
        db: Db,
        registry: Registry,
        deliver: Deliver,
        ingest: Ingest,
        now: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.db = db
        self.registry = registry
        self.deliver = deliver
        self.ingest = ingest
        self.now = now
        self.version = __version__
        self.more: dict[str, Callable[[], Awaitable[Component]]] = {}
        self.box: Callable[[], dict[str, Component]] = dict
        """What is known of the box already: services/care/selfwatch.py."""
        self._under_way: dict[tuple[bool, bool], asyncio.Task[Report]] = {}
        self._probe: asyncio.Task[float | None] | None = None

    def live(self) -> Component:
        """Whether the process does its work at all: the writer is not stuck. Costs nothing."""
        busy_since_s = self.db.busy_since_s
        if busy_since_s is not None and time.monotonic() - busy_since_s > STUCK_S:
            return Component("failing", f"the writer has been stuck for more than {STUCK_S:.0f} s: restart the program")
        return Component("ok", "the process answers and the writer is not stuck")

    async def report(self, *, ready: bool, stopping: bool, warnings: Iterable[str] = ()) -> Report:
        """Everything. `ready`, `stopping` and `warnings` are the house's.

        Whoever asks while somebody else's answer is being found out gets that one: health is asked without a key.
        """
        key = (ready, stopping)
        held = self._under_way.get(key)
        if held is None or held.done():
            held = asyncio.get_running_loop().create_task(self._report(ready, stopping, list(warnings)))
            self._under_way[key] = held
        return await asyncio.shield(held)

    async def _report(self, ready: bool, stopping: bool, warnings: list[str]) -> Report:
        database = await self.database()
        components = {"process": self._process(ready, stopping), "database": database, "queue": self._queue()}
        if database.status == "ok":
            now_ms = self.now()
            status, recent = await self.db.read(lambda tx: self._read(tx, now_ms))
            components["deliveries"] = _deliveries(status, now_ms)
            components["channels"] = _channels(status)
            components["unrouted"] = self._unrouted(status)
            components["gaps"] = self._gaps(recent, now_ms)
            looks = await asyncio.gather(*(look() for look in self.more.values()))
            components |= dict(zip(self.more, looks, strict=True))
        components |= self.box()
        components["configuration"] = _configuration(self.registry.problems)
        components["warnings"] = Component("degraded" if warnings else "ok", _several(warnings) if warnings else "none")
        worst = max((c.status for c in components.values()), key=_ORDER.index)
        return Report(worst, self.version, components)

    def _read(self, tx: Tx, now_ms: int) -> tuple[Status, list[Gap]]:
        recent = [
            gap
            for workspace_id in self.registry.snapshot.workspaces
            for gap in gaps.since(tx, workspace_id, now_ms - _DAY_MS)
        ]
        return self.deliver.status(tx), recent

    def _process(self, ready: bool, stopping: bool) -> Component:
        if stopping:
            return Component("failing", "it is stopping")
        if not ready:
            return Component("failing", "it is starting")
        return self.live()

    async def database(self) -> Component:
        """Whether something can be written now."""
        # One probe at a time, whoever asks: health is asked without a key.
        if self._probe is None or self._probe.done():
            self._probe = asyncio.get_running_loop().create_task(self._written())
        took_s = await asyncio.shield(self._probe)
        if self.db.trouble.said:
            # The probe only reads, which goes well on a full disk.
            return Component("failing", f"{self.db.trouble.said}: senders are told to try again. Make room or mend it")
        if took_s is None:
            return Component(
                "failing", "nothing can be written: look at the log, the disk's free space and its permissions"
            )
        return Component("ok", f"a write took {took_s * 1000:.0f} ms")

    async def _written(self) -> float | None:
        began_s = time.monotonic()
        try:
            await asyncio.wait_for(self.db.write(lambda tx: tx.value("select 1")), PROBE_S)
        except Exception:  # whatever it is, the answer is the same: nothing can be written
            return None
        return time.monotonic() - began_s

    def _queue(self) -> Component:
        queued, most = self.db.queued, self.settings.limits.queue_max
        detail = f"{queued} of {most} places of the writer's queue are taken"
        if queued >= most:
            return Component("failing", f"{detail}: webhooks are answered 503 until it drains")
        return Component("degraded" if queued > most / 2 else "ok", detail)

    def _unrouted(self, status: Status) -> Component:
        snapshot = self.registry.snapshot
        bare = [w.name for w in snapshot.workspaces.values() if not w.default_channels]
        hint = ""
        if bare:
            hint = f"; there is no default channel in {_names(bare)}: what no rule routes is told to nobody"
        if status.untold_groups:
            return Component(
                "degraded",
                f"{status.untold_groups} open alert groups were told to nobody: add a rule or a default channel{hint}",
            )
        return Component("ok", f"every open alert group was routed{hint}")

    def _gaps(self, recent: list[Gap], now_ms: int) -> Component:
        going_on = self.ingest.refusals.open_gaps()
        if going_on:
            refused = sum(gap[4] for gap in going_on)
            return Component("degraded", f"webhooks are being refused now ({going_on[0][1]}): {refused} so far")
        if not recent:
            return Component("ok", "no alert was missed in the last 24 hours")
        newest = max(recent, key=lambda gap: gap.until_ms)
        seconds = max(newest.until_ms - newest.from_ms, 0) // 1000
        detail = (
            f"{len(recent)} gaps in the last 24 hours, the latest ({newest.why}) of {seconds} s"
            f" with {newest.refused} webhooks refused: senders that try once may have lost alerts"
        )
        return Component("degraded" if now_ms - newest.until_ms < GAP_RECENT_MS else "ok", detail)


def _deliveries(status: Status, now_ms: int) -> Component:
    owed = status.owed_posts + status.owed_edits
    late_ms = 0 if status.oldest_owed_ms is None else now_ms - status.oldest_owed_ms
    detail = f"{owed} owed" + (f", the oldest for {late_ms // 1000} s" if owed else "")
    if status.failed_last_day:
        detail += (
            f"; {status.failed_last_day} could not be delivered in the last 24 hours:"
            " GET /api/deliveries?state=failed, then /retry or /drop"
        )
    return Component("degraded" if late_ms > LATE_MS or status.failed_last_day else "ok", detail)


_TO_DO: Final = {
    "broken": "mend its settings, then POST /api/channels/{id}/test",
    "silent": "nothing to do unless it lasts: it is tried again by itself",
    "waiting": "nothing to do: it goes on by itself",
    "held": "enable it, or drop what it is owed",
    "unusable": "set its secrets again, or delete it",
}


def _channels(status: Status) -> Component:
    if not status.troubles:
        return Component("ok", "every channel delivers")
    detail = _several([_trouble(one) for one in status.troubles])
    if status.cannot_deliver:
        detail = f"nobody takes the messages for {_names(status.cannot_deliver)}. {detail}"
        return Component("failing", detail)
    quiet = all(one.state == "waiting" for one in status.troubles)
    return Component("ok" if quiet else "degraded", detail)


def _trouble(one: ChannelTrouble) -> str:
    text = f"{one.name} is {one.state}: {one.why}"
    if one.owed:
        text += f"; {one.owed} messages wait"
    if one.told_by_fallback:
        text += "; the fallback channel is told instead"
    return f"{text}. What to do: {_TO_DO.get(one.state, 'look at it')}"


def _configuration(problems: tuple[str, ...]) -> Component:
    if not problems:
        return Component("ok", "everything that is configured can be used")
    return Component("degraded", _several(problems))


def _several(sentences: Iterable[str]) -> str:
    every = list(sentences)
    more = f" … and {len(every) - _NAMED_MAX} more" if len(every) > _NAMED_MAX else ""
    return " | ".join(every[:_NAMED_MAX]) + more


def _names(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:_NAMED_MAX]) + (" …" if len(every) > _NAMED_MAX else "")
