"""Work that outlasts a request: asked for again it is waited for, and much later it is done anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from signalcraft.services.errands import TOLD_MS, Errands


class Clock:
    def __init__(self) -> None:
        self.at_ms = 0

    def __call__(self) -> int:
        return self.at_ms


def counted(seconds: float) -> tuple[list[int], Callable[[], Coroutine[Any, Any, int]]]:
    times: list[int] = []

    async def work() -> int:
        times.append(1)
        await asyncio.sleep(seconds)
        return len(times)

    return times, work


def test_whoever_asks_again_is_told_of_the_same_errand() -> None:
    async def story() -> None:
        times, work = counted(0.1)
        errands: Errands[int] = Errands(Clock())
        assert await errands.within(0.01, "one", work) is None
        assert await errands.within(5, "one", work) == 1
        assert len(times) == 1

    asyncio.run(story())


def test_an_errand_that_nobody_came_back_for_is_done_anew_later() -> None:
    async def story() -> None:
        clock = Clock()
        times, work = counted(0.05)
        errands: Errands[int] = Errands(clock)
        assert await errands.within(0.01, "one", work) is None
        await asyncio.sleep(0.2)
        clock.at_ms += TOLD_MS
        assert await errands.within(5, "one", work) == 2
        assert len(times) == 2

    asyncio.run(story())


def test_other_errands_are_their_own_and_a_fault_is_told_once() -> None:
    async def story() -> None:
        times, work = counted(0)
        errands: Errands[int] = Errands(Clock())
        assert await errands.within(5, "one", work) == 1
        assert await errands.within(5, "two", work) == 2

        async def fails() -> int:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await errands.within(5, "one", fails)
        assert await errands.within(5, "one", work) == 3
        assert len(times) == 3

    asyncio.run(story())
