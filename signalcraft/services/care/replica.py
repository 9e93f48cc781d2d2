"""The replica is kept: its process runs, it is in step, and somebody is told where it is not.

How far behind it is, is asked of it: a sync that ends well says that all committed before it began has arrived. The
time since then is the lag, whatever the cause: a server that is away, a wrong key, a process that does not run.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from signalcraft.config.replica import Replica
from signalcraft.errors import BadSetting, Fault, NoReplica
from signalcraft.services.care.alarms import Alarms
from signalcraft.services.figures import Figure
from signalcraft.services.health import Component
from signalcraft.storage import litestream
from signalcraft.storage.db import Db

log = logging.getLogger(__name__)

CONDITION: Final = "replica_behind"
SYNC_S: Final = 10.0
"""How long one sync may take before it counts as failed."""
STEADY_S: Final = 10.0
"""Later than this without a sync, it is no longer called in step."""
_BACKOFF_S: Final = (1.0, 60.0)
_LOOK_S: Final = {"file": 10.0, "s3": 120.0, "sftp": 120.0}
"""How often it is asked whether its place is there still, and is this box's."""
WAITING_BYTES: Final = 2 * 1024**3
"""Kept on this disk for a replica that does not answer. Beyond, it is dropped, and a new generation follows."""
_HUNG_BYTES: Final = 256 * 1024 * 1024
_WEIGH_S: Final = 5.0
_DOUBT_S: Final = 5.0
"""How often while the last answer was not good."""


Word = Literal["off", "held", "starting", "in_step", "late", "behind"]


class State(Struct, frozen=True):
    """How the replica is. `lag_s`: since when all that is committed is known to be there; `wal_bytes`: here.

    off: no `replica.url`. held: the box was restored and is held. starting: not in step yet, and not long enough for an
    alarm. `why`: what is wrong, one sentence; `superseded_by`: a later generation, of a box restored from this one.
    """

    state: Word
    url: str
    generation: int | None
    lag_s: float | None
    txid: int | None
    wal_bytes: int
    restarts: int
    why: str
    superseded_by: int | None


class Replication:
    """One instance, on the event loop. `run` is its loop; `end` comes after the writer's."""

    def __init__(
        self,
        replica: Replica,
        db: Db,
        alarms: Alarms,
        held: Callable[[], bool],
        now: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.replica = replica
        self._db = db
        self._data_dir: Path = db.path.parent
        self._alarms = alarms
        self._held = held
        self._now = now
        self._monotonic = monotonic
        self.child = litestream.Child(self._data_dir, replica)
        self.place: litestream.Place | None = None
        self.txid: int | None = None
        self.restarts = 0
        self.why = ""
        self.superseded_by: int | None = None
        self._synced_s = monotonic()
        self._tried_s: float | None = None
        self._looked_s = 0.0
        self._failures = 0
        self._next_s = 0.0
        self._definite = False
        self._doubt = ""
        self._weighed_s = 0.0

    @property
    def on(self) -> bool:
        """Whether a replica is wanted at all."""
        return bool(self.replica.url)

    # -- the loop -----------------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Whatever goes wrong is told and tried again."""
        over = asyncio.ensure_future(stop.wait())
        while self.on and not stop.is_set():
            step = asyncio.ensure_future(self._stepped())
            await asyncio.wait({step, over}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                step.cancel()  # a sync that is not answered must not hold up the end
                await asyncio.wait({step})
            await asyncio.wait({over}, timeout=1.0)
        await over

    async def _stepped(self) -> None:
        try:
            await self.step()
        except Fault as fault:
            self._failed(fault)
        except Exception as problem:
            log.exception("the replica could not be looked after")
            self._failed(NoReplica(f"{type(problem).__name__}: {problem}"))
        await self._tell()

    async def step(self) -> None:
        """One round: what is due is done. Raises the fault that stands in the way."""
        if self._held():
            await self._end_child()
            self.place, self._synced_s, self.why = None, self._monotonic(), ""
            return
        if self.child.ended is not None:
            code, words = self.child.ended, self.child.last_words
            await self._end_child()
            raise NoReplica(f"Litestream ended by itself with {code}. {words}".strip())
        if self.child.pid is None:
            if self._monotonic() < self._next_s:
                return
            await self._start()
        often_s = _DOUBT_S if self._doubt else _LOOK_S[self.replica.kind]
        if self.place is not None and self._monotonic() - self._looked_s >= often_s:
            await self._look(self.place)
        if self._failures and self._db.wal.bytes() > _HUNG_BYTES:
            self.child.kill()  # it empties the log no more: the writer does so again
            await self._end_child()
            raise NoReplica("Litestream let the database's log grow: it is begun anew")
        if self._failures and self._monotonic() - self._weighed_s >= _WEIGH_S:
            self._weighed_s = self._monotonic()
            await self._weigh()
        if self._tried_s is None or self._monotonic() - self._tried_s >= max(1.0, self.replica.sync_s) - 0.1:
            await self.sync()

    async def _start(self) -> None:
        replica, data_dir = self.replica, self._data_dir
        place = await asyncio.to_thread(litestream.mine, data_dir, replica)
        self._doubt = ""
        if place is not None:
            self.place = place
            try:
                wrong = await asyncio.to_thread(litestream.lost, place, replica)
            except litestream.Unmounted:
                raise
            except NoReplica as fault:
                # Litestream keeps what changes until it is answered. Whose the place is, is asked again later.
                wrong, self._doubt = None, fault.detail
            if wrong is not None:
                log.warning("another place is taken for the replica", extra={"said": wrong})
                place = None
        if place is None:
            place = await asyncio.to_thread(litestream.claim, data_dir, replica, self._now())
        self.place, self.txid = place, None
        await self._db.write(lambda tx: self._db.wal.hand_over(True))
        try:
            self.child.start(place)
        finally:
            if self.child.pid is None:
                await self._db.write(lambda tx: self._db.wal.hand_over(False))
        self._looked_s = self._tried_s = self._monotonic()  # it needs a moment until it can be asked
        if not self._doubt:
            await self._supersession(place)

    async def _end_child(self) -> None:
        """It ends, where it still runs, and the database's log is the writer's own again."""
        await self.child.end()
        if self._db.wal.handed_over:
            await self._db.write(lambda tx: self._db.wal.hand_over(False))

    async def _weigh(self) -> None:
        """What waits for a replica that is away must not fill the disk of the box."""
        if await asyncio.to_thread(litestream.waiting, self._data_dir) <= WAITING_BYTES:
            return
        self.child.kill()
        await self._end_child()
        # Not its changes alone: Litestream would count from one again, under what it had sent before.
        await asyncio.to_thread(litestream.forget, self._data_dir)
        raise NoReplica(f"more than {WAITING_BYTES >> 20} MB waited for it and were dropped: a new generation follows")

    async def _look(self, place: litestream.Place) -> None:
        """Whether what was written there is there still: Litestream would write on into an emptied folder."""
        self._looked_s = self._monotonic()
        try:
            wrong = await asyncio.to_thread(litestream.lost, place, self.replica)
        except litestream.Unmounted as fault:
            wrong = fault.detail
        except NoReplica as fault:
            self._doubt = fault.detail
            raise
        if wrong is not None:
            self.child.kill()  # without a last sync: it would go where it is not wanted
            await self._end_child()
            raise NoReplica(wrong)
        self._doubt = ""
        await self._supersession(place)

    async def _supersession(self, place: litestream.Place) -> None:
        later = await asyncio.to_thread(litestream.newer, place, self.replica)
        if later and later != self.superseded_by:
            log.warning("a later generation lies at the replica", extra={"generation": later})
        self.superseded_by = later

    async def sync(self, timeout_s: float = SYNC_S) -> None:
        """What was committed before this call is in the replica when it returns. Raises NoReplica."""
        began_s = self._tried_s = self._monotonic()
        if self.child.pid is None:
            raise NoReplica(self.why or "Litestream does not run")
        done = await self.child.sync(timeout_s)
        if self._doubt:  # where nothing changes, a sync ends well without the replica
            raise NoReplica(self._doubt)
        if self._failures:
            log.info("the replica is in step again")
        self.txid, self._synced_s = done.txid, began_s
        self.why, self._failures, self._definite = "", 0, False

    def _failed(self, fault: Fault) -> None:
        if self.why != fault.detail:
            log.warning("the replica is not in step", extra={"said": fault.detail})
        self.why = fault.detail
        self._definite = isinstance(fault, BadSetting)
        self._failures += 1
        if self.child.pid is None:
            self.restarts += 1
            first, longest = _BACKOFF_S
            wait_s = min(first * 2 ** min(self._failures - 1, 10), longest)
            self._next_s = self._monotonic() + wait_s * random.uniform(0.7, 1.0)  # noqa: S311 - no secret

    # -- what it says -------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """How it is now."""
        lag_s = self._monotonic() - self._synced_s if self.on and not self._held() else None
        word: Word
        if not self.on:
            word = "off"
        elif lag_s is None:
            word = "held"
        elif self._definite or lag_s > self.replica.behind_alarm_seconds:
            word = "behind"
        elif self.txid is None or lag_s > STEADY_S + self.replica.sync_s:
            word = "starting" if self.txid is None else "late"
        else:
            word = "in_step"
        return State(
            state=word,
            url=litestream.shown(self.replica),
            generation=None if self.place is None else self.place.generation,
            lag_s=lag_s,
            txid=self.txid,
            wal_bytes=self._db.wal.bytes(),
            restarts=self.restarts,
            why=self.why,
            superseded_by=self.superseded_by,
        )

    async def _tell(self) -> None:
        now = self.state()
        if now.state == "behind":
            await self._alarms.say(CONDITION, self._trouble(now))
        elif now.state != "late":
            await self._alarms.say(CONDITION, None)

    def _trouble(self, now: State) -> str:
        for_s = "" if now.lag_s is None else f" for {now.lag_s:.0f} s"
        why = f": {now.why}" if now.why else ""
        return (
            f"The replica has not been in step{for_s}{why}. SignalCraft works on, and what it takes in is safe on its"
            " own disk alone. Look at docs/runbooks/replica.md"
        )

    async def health(self) -> Component:
        """For /health."""
        now = self.state()
        if now.state == "off":
            return Component("ok", "off: no copy of the database is kept elsewhere (replica.url)")
        if now.state == "held":
            return Component("ok", "it waits: this box is held, and takes a place of its own once it goes on")
        where = f"{now.url}, generation {now.generation}" if now.generation else now.url
        if now.state == "behind":
            return Component("degraded", self._trouble(now))
        if now.superseded_by:
            return Component(
                "degraded",
                f"at {now.url} lies generation {now.superseded_by}, and this box writes {now.generation}: a box was"
                " restored from here. Stop the one of the two that is not wanted, or give it a replica.url of its own",
            )
        if now.state == "in_step":
            return Component("ok", f"in step, {now.lag_s or 0:.1f} s behind ({where})")
        return Component("ok", f"{now.lag_s or 0:.0f} s behind ({where}){f': {now.why}' if now.why else ''}")

    def figures(self) -> list[Figure]:
        """For /metrics."""
        now = self.state()
        wal = Figure("signalcraft_database_wal_bytes", "Size of the database's write-ahead log.", now.wal_bytes)
        if not self.on:
            return [wal]
        up = float(self.child.pid is not None)
        found = [
            wal,
            Figure("signalcraft_replica_up", "1 while the process that keeps the replica runs.", up),
            Figure("signalcraft_replica_restarts", "Times that it had to be started again.", self.restarts, "counter"),
        ]
        if now.lag_s is not None:
            what = "Seconds since when all that is committed is known to be in the replica."
            found.append(Figure("signalcraft_replica_lag_seconds", what, now.lag_s))
            what = "When all that is committed was in the replica last, in Unix time."
            found.append(
                Figure("signalcraft_replica_last_sync_timestamp_seconds", what, self._now() / 1000 - now.lag_s)
            )
        if now.txid is not None:
            found.append(
                Figure("signalcraft_replica_transaction", "The newest transaction that is in the replica.", now.txid)
            )
        return found

    # -- the end ------------------------------------------------------------------------------------------------------

    async def end(self) -> bool:
        """After the writer's end: a last sync, up to 30 s. False: it was not done in time."""
        if self.child.pid is None:
            return True
        log.info("stopping: the replica's last sync")
        return await self.child.end()
