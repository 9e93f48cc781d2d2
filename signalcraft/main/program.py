"""The running program: listeners, loops, and an end in order that no open stream can hold up."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import uvloop

from signalcraft.config import Loaded, Settings
from signalcraft.http.control_socket import ControlServer
from signalcraft.http.entrance import Entrance
from signalcraft.jobs import Jobs
from signalcraft.main.build import close_house, open_house, system_now
from signalcraft.main.front import LISTENER, LISTENERS, Front, Life, watch_over
from signalcraft.main.handover import Handover
from signalcraft.main.sockets import SlackSockets
from signalcraft.main.systemd import Systemd
from signalcraft.services.house import House
from signalcraft.storage.lock import DataLock

if TYPE_CHECKING:
    from signalcraft.http.app import App

log = logging.getLogger(__name__)

REQUESTS_S = 8.0
"""How long a stop waits for requests under way."""
ROUTES = "routes"
HEARTBEAT = "heartbeat"
LOOPS_S = 5.0
"""How long it goes on taking in webhooks while loops come to their end."""


class Program:
    """One SignalCraft. `start` returns when it listens; `stop` ends it in order; `abort` ends it as a kill would."""

    def __init__(
        self, settings: Settings, *, now: Callable[[], int] = system_now, loaded: Loaded | None = None
    ) -> None:
        self.settings = settings
        self._loaded = loaded
        self.now = now
        self.house: House
        self._lock: DataLock
        self._entrance: Entrance
        self._front: Front | None = None
        self._life: Life | None = None
        self._control: ControlServer
        self._sockets: SlackSockets
        self._jobs: Jobs | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._stop = asyncio.Event()
        self._systemd = Systemd()
        self.failed: BaseException | None = None

    async def start(self) -> None:
        """Raises BadSetting when the data directory or the address cannot be used."""
        self.house, self._lock = open_house(self.settings, now=self.now)
        if self._loaded is not None:
            self.house.backups.materials.ran_with(self._loaded)
        try:
            entrance = self._entrance = Entrance(self.house)
            handover = Handover(self._systemd)
            front = self._front = Front(self.settings, entrance, self.now, self.house.warnings, handover)
            await front.start(self._spawn)
            self._control = ControlServer(entrance, self.house.data_dir)
            await self._control.start()
        except BaseException:
            if self._front is not None:
                self._front.end()
            await self._end_tasks()
            await self._end_life()
            await close_house(self.house, self._lock)
            raise
        await self.house.runs.boot()
        await self.house.hold.boot()
        await self.house.watch.boot(self.now())
        await self.house.alarms.boot()
        await self.house.upgrades.boot()
        await self.house.canary.boot()
        self.house.selfwatch.vitals.certificate = lambda: front.until_ms
        await asyncio.to_thread(self.house.selfwatch.vitals.look)
        self._spawn("deliver", self.house.deliver.run(self._stop))
        self._spawn("watch", self._every(1.0, self._second))
        self._spawn("selfwatch", self.house.selfwatch.run(self._stop))
        self._spawn(HEARTBEAT, self._every(1.0, self.house.heartbeat.tick))
        self._spawn("replica", self.house.replica.run(self._stop))
        self._sockets = SlackSockets(self.house)
        self._spawn("sockets", self._sockets.run(self._stop))
        self._jobs = Jobs(self.house)
        await asyncio.to_thread(self._jobs.start)
        self.house.ready = True
        self._systemd.tell("READY=1", f"STATUS=listening on {self.settings.http.listen}")
        self._spawn(ROUTES, self._routes(front))
        if self._systemd.watchdog_s:
            self._spawn("watchdog", self._every(self._systemd.watchdog_s / 3, self._alive))
        where = {"address": self.settings.http.listen, "data_dir": str(self.house.data_dir)}
        log.info("listening", extra={**where, "profile": self.settings.profile})

    async def _routes(self, front: Front) -> None:
        """What the API is made of is there a moment after readiness (docs/decisions/0012-routes-after-readiness.md)."""
        app = await self._entrance.build()
        self._life = await Life.begun(app)
        await watch_over(self.house, front, app.edge.exceeded, app.edge.heard).run(self._stop)

    @property
    def app(self) -> App:
        """The routes. Raises asyncio.InvalidStateError before they are there."""
        return self._entrance.app

    async def whole(self) -> None:
        """Until the routes are there. Raises RuntimeError where they cannot be built."""
        await self._entrance.whole()

    def _spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        # A loop that dies while we run means alerts that are not told: end loudly and be restarted.
        if self._stop.is_set() or task.cancelled() or (task.get_name() == LISTENER and task.exception() is None):
            return  # one listener of several, after a change of certificate
        self.failed = task.exception() or RuntimeError(f"{task.get_name()} ended by itself")
        log.critical("a loop died", extra={"loop": task.get_name()}, exc_info=self.failed)
        self._stop.set()

    async def _every(self, seconds: float, call: Callable[[], Awaitable[None]]) -> None:
        while not self._stop.is_set():
            try:
                await call()
            except Exception:
                log.exception("a periodic call failed")
            try:
                await asyncio.wait_for(self._stop.wait(), seconds)
            except TimeoutError:
                continue

    async def _second(self) -> None:
        await self._written(ending=False)
        await self.house.faults.flush()
        await self.house.watch.tick(self.now())

    async def _last_counts(self) -> None:
        """What was refused since the last second is written down too."""
        try:
            await asyncio.wait_for(self._written(ending=True), 2)
        except Exception:
            log.exception("what was refused last could not be written down")

    async def _written(self, *, ending: bool) -> None:
        await self.house.ingest.refusals.flush(ending=ending)
        await self.house.security.flush()

    async def _alive(self) -> None:
        # Alive means: a write commits and the delivery loop turns. systemd restarts what does not say so.
        await asyncio.wait_for(self.house.db.write(lambda tx: tx.value("select 1")), 5)
        if self.house.deliver.turning():
            self._systemd.tell("WATCHDOG=1")

    async def wait(self) -> None:
        """Until somebody asks for the end, or a loop died."""
        await self._stop.wait()

    def renew(self) -> None:
        """From a signal handler on the loop: the certificate's files were replaced."""
        if self._front is not None:
            self._front.renew()

    def ask_to_stop(self) -> None:
        """From a signal handler on the loop."""
        self._stop.set()

    async def stop(self) -> bool:
        """Ends in order: loops (5 s), streams, requests (8 s), writer (5 s), replica (30 s). False: one was late.

        What takes time comes first: webhooks are taken in meanwhile, and who comes after that waits the shorter for
        the next process.
        """
        self._systemd.tell("STOPPING=1")
        self._stop.set()
        self._entrance.leave()
        for task in self._tasks:
            if task.get_name() == HEARTBEAT:
                task.cancel()  # a self-check on its way needs the delivery loop, which ends now: it would wait in vain
        log.info("stopping: loops end")
        await asyncio.wait([task for task in self._tasks if task.get_name() not in LISTENERS], timeout=LOOPS_S)
        log.info("stopping: requests under way are answered")
        self.house.leaving = True
        if self._front is not None:
            await self._front.quiet(self._entrance.heard)
            self.house.stopping = True
            self._front.end()
        in_time = await self._end_tasks()
        await self._end_life()
        await self._control.stop()
        await self._last_counts()
        await self.house.nightly.end()
        await self.house.rollups.end()
        await self.house.drill.end()
        if self._jobs is not None:
            await asyncio.to_thread(self._jobs.stop)
        log.info("stopping: the writer is drained")
        drained = await close_house(self.house, self._lock)
        log.info("stopped", extra={"in_time": in_time and drained})
        return in_time and drained

    async def _end_tasks(self) -> bool:
        self._stop.set()
        if not self._tasks:
            return True
        _, late = await asyncio.wait(self._tasks, timeout=REQUESTS_S)
        for task in late:
            log.warning("did not end in time", extra={"loop": task.get_name()})
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=2)
        return all(task.get_name() == ROUTES for task in late)  # what nobody waited for may stay unbuilt

    async def _end_life(self) -> None:
        if self._life is not None:
            await self._life.end()

    async def abort(self) -> None:
        """Ends as a kill -9 would, as far as one process can: nothing is drained, settled or said. For tests."""
        self._stop.set()
        for task in self._tasks:
            task.cancel()
        self.house.faults.deaf()
        self.house.replica.child.kill()
        self.house.db.abandon()
        await asyncio.wait(self._tasks, timeout=5)
        if self._front is not None:
            self._front.end()
        await self._control.stop()
        await self._end_life()
        if self._jobs is not None:
            self._jobs.abandon()
        await self.house.nightly.end()
        await self.house.rollups.end()
        await self.house.backups.end()
        await self.house.postman.close()
        self._lock.release()


async def _serve(settings: Settings, loaded: Loaded | None) -> int:
    program = Program(settings, loaded=loaded)
    loop = asyncio.get_running_loop()
    # Before the start: who sees that it is ready may ask it to end in the same moment.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, program.ask_to_stop)
    loop.add_signal_handler(signal.SIGHUP, program.renew)
    await program.start()
    settling = asyncio.create_task(_settle(program))
    await _tell_setup_code(program.house)
    await program.wait()
    # Whatever hangs, the end comes: systemd's own limit is 60 s.
    loop.call_later(55, lambda: os._exit(1))
    settling.cancel()
    in_time = await program.stop()
    return 0 if in_time and program.failed is None else 1


async def _settle(program: Program) -> None:
    """The garbage collector, off since the start, comes on when all is built and lets that alone for good.

    Measured: a full collection takes 34 ms of every request's time, after this 0.01 ms; the start is 5 % shorter.
    """
    try:
        await program.whole()
    except RuntimeError:
        return  # the program is about to end by that
    finally:
        gc.freeze()
        # A batch of webhooks makes some thousand objects, nearly all gone by reference count when it is answered.
        gc.set_threshold(10_000, 10, 10)
        gc.enable()


async def _tell_setup_code(house: House) -> None:
    """As long as nobody owns anything here, each start prints a new code; under systemd it stands in the journal."""
    code = await house.people.new_setup_code()
    if code is not None:
        sys.stdout.write(
            f"Nobody owns this SignalCraft yet. Open {house.people.base} and make its owner with the code {code}\n"
            "The code works once, until the next start. Or, on this box:"
            " signalcraft user add YOU@EXAMPLE.COM --role owner --password-stdin\n"
        )
        sys.stdout.flush()


def serve(settings: Settings, loaded: Loaded | None = None) -> int:
    """Runs until a signal; the exit code. Raises BadSetting before anything listens. `loaded`: where they came from."""
    sys.setswitchinterval(0.005)
    gc.disable()  # hardly anything that a start makes is garbage; _settle turns it on
    return uvloop.run(_serve(settings, loaded))
