"""Steps of the clean-up: short ones, as long as the machine lets them be, and time for others between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from signalcraft.services.care.pace import LEAST, MOST, QUIET_S, SHARE_BUSY, SHARE_IDLE, TARGET_S, Pace


class Bench:
    """A writer whose every step takes as long as a test says; `others` write as much between two steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.works = 0
        self.others = 0
        self.took_s = 0.0
        self.commit_s = 0.0
        self.now_s = 100.0
        self.slept: list[float] = []
        monkeypatch.setattr("time.perf_counter", lambda: self.now_s)
        monkeypatch.setattr("asyncio.sleep", self.sleep)
        self.pace = Pace(self)  # type: ignore[arg-type]

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def write_between(self, work: Callable[[Any], Any]) -> Any:
        self.works += 1
        answer = work(None)
        self.now_s += self.commit_s
        return answer

    def step(self, times: int = 1) -> None:
        def work(_tx: Any) -> None:
            self.now_s += self.took_s

        async def steps() -> None:
            for _ in range(times):
                self.works += self.others
                await self.pace.step(work)

        asyncio.run(steps())


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_a_slow_machine_is_given_short_steps_and_a_quick_one_long_ones(bench: Bench) -> None:
    bench.took_s = 10 * TARGET_S
    bench.step()
    assert bench.pace.size == 5
    bench.step(5)
    assert bench.pace.size == LEAST
    bench.took_s = TARGET_S / 100
    bench.step()
    assert LEAST < bench.pace.size <= 2 * LEAST, "it grows little by little"
    bench.step(40)
    assert bench.pace.size == MOST
    assert bench.pace.longest_s == pytest.approx(10 * TARGET_S)


def test_between_steps_others_have_the_writer(bench: Bench) -> None:
    """A step keeps it until its commit is on the disk."""
    bench.took_s, bench.commit_s = 0.003, 0.005
    bench.step(2)
    idle_s = bench.slept[-1]
    assert idle_s == pytest.approx(0.008 * (1 - SHARE_IDLE) / SHARE_IDLE)
    assert bench.pace.longest_s == pytest.approx(0.003)
    bench.others = 3
    bench.step(2)
    assert bench.slept[-1] == pytest.approx(0.008 * (1 - SHARE_BUSY) / SHARE_BUSY)
    assert bench.slept[-1] > 20 * idle_s
    # They come and go: a moment without them is not yet the end of it.
    bench.others = 0
    bench.step()
    assert bench.slept[-1] > 20 * idle_s
    bench.now_s += QUIET_S
    bench.step()
    assert bench.slept[-1] == pytest.approx(idle_s)


def test_all_keys_are_gone_over_once(bench: Bench) -> None:
    seen: list[int] = []

    def work(_tx: Any, some: list[int]) -> int:
        bench.now_s += TARGET_S
        seen.extend(some)
        return len(some)

    assert asyncio.run(bench.pace.over(list(range(1234)), work)) == 1234
    assert seen == list(range(1234))
