"""What a program of the tests leaves out because it goes by the real clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import signalcraft.main.program as real
from signalcraft.jobs import Jobs
from signalcraft.main import Program, front

front.QUIET_MS = front.SILENT_MS = front.BEGUN_MS = 0  # a world ends when its test has: nobody is about to speak


class _NoMinute(Jobs):
    """The care of each minute, for a test to call; it does not come by itself."""

    def start(self) -> None:
        return

    def stop(self) -> None:
        self.huey.storage.close()


async def without(program: Program | None, *loops: str) -> None:
    """These loops of a program that runs end: what they do is done by the test alone, and not between its lines."""
    assert program is not None
    ending = [task for task in program._tasks if task.get_name() in loops]
    assert len(ending) == len(loops), [task.get_name() for task in program._tasks]
    for task in ending:
        task.cancel()
    await asyncio.wait(ending)


@contextmanager
def beginning(*, minutely: bool) -> Iterator[None]:
    """A program that starts meanwhile is cared for each minute, or is not."""
    real.Jobs = Jobs if minutely else _NoMinute  # type: ignore[misc]
    try:
        yield
    finally:
        real.Jobs = Jobs  # type: ignore[misc]
