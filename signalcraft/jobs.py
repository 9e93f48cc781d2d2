"""The doorbell and the periodic care: Huey tasks that each call one service with the time of now.

Huey is at-most-once and evaluates its crontab once a minute without catching up, so nothing here is the only one to do
a thing: what is due is read from our own tables, and each call finds what an earlier one missed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any

from huey import crontab
from huey.consumer import Consumer

from signalcraft import logs
from signalcraft.services.house import House
from signalcraft.storage.huey_store import open_huey

log = logging.getLogger(__name__)

PATIENCE_S = 60


class _Consumer(Consumer):  # type: ignore[misc]  # huey carries no types
    """Huey's consumer without its signal handlers: the program owns those."""

    def _set_signal_handlers(self) -> None:
        return


class Jobs:
    """Huey's scheduler and one worker, as threads of this process. Built on the event loop that the services use."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._loop = asyncio.get_running_loop()
        self.huey = open_huey(house.data_dir / "huey.db")
        self.huey.periodic_task(crontab(), name="each_minute")(self._each_minute)
        self._consumer = _Consumer(
            self.huey, workers=1, initial_delay=0.5, max_delay=5.0, check_worker_health=False, flush_locks=True
        )

    def start(self) -> None:
        """Starts the threads; returns at once."""
        self._consumer.start()

    def stop(self) -> None:
        """Ends them, the task under way included, and closes the file."""
        self._consumer.stop(graceful=True)
        self.huey.storage.close()

    def abandon(self) -> None:
        """Ends them as a kill would: a task under way may wait for a writer that is no more. For tests of crashes."""
        self._consumer.stop_flag.set()

    def _each_minute(self) -> None:
        house = self._house
        with logs.within(f"job-minute-{secrets.token_hex(4)}"):
            self._each(
                lambda: house.watch.tick(house.now()),
                house.configure.tidy,
                house.keyring.tend,
                house.rollups.minute,
                house.overview.tend,
                house.hold.tend,
                house.upgrades.tend,
                house.drill.tend,
                house.backups.tend,
                house.nightly.tick,
            )

    def _each(self, *care: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """One after the other; one that fails, or takes too long, keeps none of the others from being done."""
        for begin in care:
            if self._house.stopping:
                return
            work = begin()
            name, at_ms, began_s = getattr(work, "__qualname__", ""), self._house.now(), time.perf_counter()
            failed: Exception | None = None
            try:
                self._wait(work)
            except Exception as problem:
                failed = problem
                log.exception("periodic care failed", extra={"care": name})
            self._house.system.ran(name, at_ms, round((time.perf_counter() - began_s) * 1000), failed)

    def _wait(self, work: Coroutine[Any, Any, Any]) -> None:
        # It takes the job's id along: the loop is called with a copy of this thread's context.
        try:
            answer = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()  # the loop is closed: the program has ended under this thread
            raise
        answer.result(PATIENCE_S)
