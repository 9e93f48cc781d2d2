"""Work that may outlast a request: whoever asks waits for a while, and asks again for how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

TOLD_MS: Final = 15 * 60_000
"""For so long after its end an errand is told to who asks again; later it is done anew."""


class Errands(Generic[T]):
    """One at a time of each key. Used on the event loop."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._tasks: dict[Hashable, asyncio.Task[T]] = {}
        self._ended: dict[asyncio.Task[T], int] = {}

    async def within(self, seconds: float, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """What the errand gave; None while it goes on, and the next call waits for it too. Raises what it raises."""
        self._forget()
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.get_running_loop().create_task(work(), name="errand")
            task.add_done_callback(self._over)
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            return None
        if self._tasks.get(key) is task:
            del self._tasks[key]
        self._ended.pop(task, None)
        return task.result()

    def _over(self, task: asyncio.Task[T]) -> None:
        self._ended[task] = self._now()

    def _forget(self) -> None:
        """What nobody came back for is not told to who asks much later: they want it done."""
        now_ms = self._now()
        for key, task in list(self._tasks.items()):
            if abs(now_ms - self._ended.get(task, now_ms)) >= TOLD_MS:
                del self._tasks[key]
                del self._ended[task]
