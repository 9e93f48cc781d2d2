"""The weekly digest: what came, how much noise was kept from people, what went wrong, and how the box itself is.

It goes to the channels that `[digest] channels` names as the message of an alert group of its own, so that it is owed
until they took it; no rule routes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain import group as grouping
from signalcraft.domain.escalation import span
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict
from signalcraft.services import own
from signalcraft.services.care.alarms import Alarms
from signalcraft.services.care.nightly import Planned
from signalcraft.services.care.runs import Running
from signalcraft.services.ingest import Ingest
from signalcraft.services.overview import Overview, Stretch, percent
from signalcraft.services.overview import Seen as Overviewed
from signalcraft.services.registry import OWN, Registry
from signalcraft.storage import digest as store
from signalcraft.storage import facts, faults, groups, journal, runs, security
from signalcraft.storage.db import Db, Tx

log = logging.getLogger(__name__)

KIND: Final = "digest"
WEEK_MS: Final = 7 * 86_400_000
TOP: Final = 5
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FACT: Final = "digest_group"
_CARE: Final = (("backup", "Backup"), ("drill", "Restore drill"), ("purge", "Clean-up"))


class Digest(Struct, frozen=True):
    """One digest. `text` has a line for each statement."""

    title: str
    text: str


class _Read(Struct, frozen=True):
    slowest: list[store.Slowest]
    noisiest: list[store.Noisy]
    errors: list[faults.Fault]
    security: dict[str, int]
    care: list[tuple[str, runs.Run | None]]


class Digests:
    """One instance, on the event loop."""

    def __init__(
        self,
        settings: Settings,
        db: Db,
        registry: Registry,
        ingest: Ingest,
        overview: Overview,
        alarms: Alarms,
        now: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._db = db
        self._registry = registry
        self._ingest = ingest
        self._overview = overview
        self._alarms = alarms
        self._now = now

    def planned(self) -> list[Planned]:
        """When it is due; never where no channel is chosen."""
        chosen = self._settings.digest
        if not chosen.channels:
            return []
        what = "Tells the chosen channels how the week was."
        return [Planned(kind=KIND, what=what, at=chosen.at, weekday=_DAYS.index(chosen.weekday), do=self._nightly)]

    async def _nightly(self, running: Running) -> None:
        told = await self.send()
        running.said = f"told {', '.join(told)}"

    async def send(self, by: Actor | None = None) -> list[str]:
        """Owes it to each chosen channel; their names. `by`: who asked for it now.

        Raises Conflict where none is chosen, or one is not there.
        """
        wanted = self._settings.digest.channels
        if not wanted:
            raise Conflict("no channel is chosen for the digest: name some in [digest] channels")
        live = {
            one.name: one.id
            for one in self._registry.snapshot.channels.values()
            if one.workspace_id == OWN.workspace_id and one.enabled
        }
        missing = [name for name in wanted if name not in live]
        if missing:
            raise Conflict(f"digest.channels names {', '.join(missing)}: there is no such channel, or it is disabled")
        made, now_ms = await self.made(), self._now()
        said = own.Said(
            condition=f"digest:{now_ms}",
            status="firing",
            severity="info",
            title=made.title,
            message=made.text,
            environment=self._settings.profile,
        )
        await self._close(now_ms)
        receipt = (await self._ingest.say(OWN, own.inbound(said), to=[live[name] for name in wanted]))[0]

        def told(tx: Tx) -> None:
            facts.put(tx, _FACT, str(receipt.group_id))
            if by is not None:
                journal.add(tx, now_ms, OWN.workspace_id, None, "digest.sent", by, {"channels": wanted})

        await self._db.write(told)
        return wanted

    async def _close(self, now_ms: int) -> None:
        """The last week's is over, and nobody needs to be told."""

        def work(tx: Tx) -> None:
            last = facts.get(tx, _FACT)
            group = groups.load(tx, int(last)) if last else None
            if group is not None and group.status != "resolved":
                grouping.resolve(group, own.LABEL, now_ms)
                groups.store(tx, group)

        await self._db.write(work)

    async def made(self) -> Digest:
        """The digest of the last seven days."""
        now_ms = self._now()
        seen = await self._overview.seen(OWN.workspace_id, WEEK_MS)
        found = await self._db.read(lambda tx: self._read(tx, now_ms))
        zone = ZoneInfo(self._settings.workspace.timezone)
        until = datetime.fromtimestamp(now_ms / 1000, zone)
        since = until - timedelta(days=7)
        title = f"SignalCraft: the week from {since:%d %b} to {until:%d %b}"
        lines = [*_figures(seen), *_people(found, seen), *_own(found, list(self._alarms.wrong), now_ms)]
        return Digest(title, "\n".join(lines))

    def _read(self, tx: Tx, now_ms: int) -> _Read:
        since_ms, workspace_id = now_ms - WEEK_MS, OWN.workspace_id
        errors = [one for one in faults.latest(tx, None, 50) if one.last_ms >= since_ms]
        return _Read(
            store.slowest(tx, workspace_id, since_ms, own.KIND, TOP),
            store.noisiest(tx, workspace_id, since_ms, own.KIND, TOP),
            sorted(errors, key=lambda one: -one.n)[:TOP],
            security.totals(tx, workspace_id, since_ms, now_ms),
            [(label, runs.last(tx, kind)) for kind, label in _CARE],
        )


def _figures(seen: Overviewed) -> list[str]:
    now = seen.now
    came = f"{_n(now, 'events')} events in {now.new_groups} new alert groups{_trend(seen, 'events')}"
    out = [f"{came}; {_n(now, 'notifications')} messages{_trend(seen, 'notifications')}"]
    quiet = percent(now.counted.get("events", 0) - now.counted.get("notifications", 0), now.counted.get("events", 0))
    if quiet is not None:
        out.append(f"Noise reduced: {quiet:g} % of the events made no sound")
    if now.to_acknowledge_ms is not None:
        out.append(f"Acknowledged: {now.acknowledged}, on the average after {_span(now.to_acknowledge_ms)}")
    failures = now.counted.get("failures", 0)
    out.append(f"Messages that no channel took: {failures}" if failures else "Every message was taken by its channel")
    return out


def _trend(seen: Overviewed, word: str) -> str:
    before = 0 if seen.previous is None else seen.previous.counted.get(word, 0)
    if not before:
        return ""
    return f" ({100 * (seen.now.counted.get(word, 0) - before) / before:+.0f} %)"


def _n(one: Stretch, word: str) -> str:
    return f"{one.counted.get(word, 0):,}"


def _people(found: _Read, seen: Overviewed) -> list[str]:
    out = []
    if found.slowest:
        waited = "; ".join(f"{one.title} ({_span(one.took_ms)})" for one in found.slowest)
        out.append(f"Waited longest for an answer: {waited}")
    if found.noisiest:
        out.append("Noisiest: " + "; ".join(f"{one.title} ({one.count:,} events)" for one in found.noisiest))
    silent = [one.row.name for one in seen.senders if one.state == "silent"]
    if silent:
        out.append(f"Silent for longer than usual: {', '.join(silent)}")
    return out


def _own(found: _Read, wrong: list[str], now_ms: int) -> list[str]:
    out = []
    if found.errors:
        told = "; ".join(f"{one.kind} in {one.place} ({one.n}×)" for one in found.errors)
        out.append(f"Own errors: {told}")
    refused = {kind: n for kind, n in found.security.items() if n}
    if refused:
        out.append("Security events: " + ", ".join(f"{kind} {n}" for kind, n in sorted(refused.items())))
    for label, run in found.care:
        if run is None:
            out.append(f"{label}: none yet")
        else:
            ago = _span(max(now_ms - run.began_ms, 0))
            out.append(f"{label}: {run.state}, {ago} ago" + (f" ({run.said})" if run.state == "failed" else ""))
    out.append(f"Wrong with SignalCraft itself now: {', '.join(wrong)}" if wrong else "SignalCraft itself is well")
    return out


def _span(ms: float) -> str:
    minutes = round(ms / 60_000)
    return span(minutes) if minutes else "less than a minute"
