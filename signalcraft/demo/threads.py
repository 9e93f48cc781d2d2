"""Runs a stand-in on its own thread and event loop, so that tests and benches can use it without one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar


class Startable(Protocol):
    """What can be run: it starts and stops on the loop that runs it."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


T = TypeVar("T", bound=Startable)
R = TypeVar("R")


class LoopThread(Generic[T]):
    """A stand-in on its own thread: `with LoopThread(it) as running: running.it …`.

    `it` may be read and told to fail from any thread where it says so; its coroutines go through `call`.
    """

    def __init__(self, it: T) -> None:
        self.it = it
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Starts the thread and waits until the stand-in serves; raises what its start raised."""
        loop = asyncio.new_event_loop()
        self._loop = loop
        self._thread = threading.Thread(target=loop.run_forever, name=f"stand-in {type(self.it).__name__}", daemon=True)
        self._thread.start()
        try:
            self.call(self.it.start(), timeout_s=10)
        except BaseException:
            self._end()
            raise
        return self

    def stop(self) -> None:
        """Stops the stand-in and its thread; does nothing a second time."""
        if self._loop is None:
            return
        try:
            self.call(self.it.stop(), timeout_s=10)
        finally:
            self._end()

    def call(self, work: Coroutine[Any, Any, R], timeout_s: float = 30) -> R:
        """The result of a coroutine of the stand-in, run on its loop."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the stand-in is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def _end(self) -> None:
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            # One more turn, so that transports that were closed last are done before the loop is.
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
