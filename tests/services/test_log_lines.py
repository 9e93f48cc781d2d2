"""What happens without a request is found in the log by one id too: a delivery, a watch, a periodic job."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from signalcraft import logs
from signalcraft.domain import ids
from signalcraft.jobs import Jobs
from signalcraft.services.house import House
from tests.services.office import Office


@pytest.fixture
def lines() -> Iterator[list[tuple[str, str]]]:
    """(id, message) of every line, as the formatters see them."""
    found: list[tuple[str, str]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append((logs.request_id.get(), record.getMessage()))

    keep = Keep()
    logging.getLogger("signalcraft").addHandler(keep)
    yield found
    logging.getLogger("signalcraft").removeHandler(keep)


def test_the_lines_of_a_delivery_bear_its_id(office: Office, lines: list[tuple[str, str]]) -> None:
    office.outside.down = True
    office.opens()
    office.after(seconds=1)
    (owed,) = office.owed()
    assert (f"delivery-{ids.show(owed.id)}", "a delivery is tried again later") in lines


def test_the_lines_of_a_watch_bear_one_id(office: Office, lines: list[tuple[str, str]]) -> None:
    office.later(office.watch.tick(office.now_ms))
    office.now_ms -= 3_600_000
    office.later(office.watch.tick(office.now_ms))
    stepped = [request for request, message in lines if "clock" in message]
    assert stepped
    assert set(stepped) == {f"watch-{office.now_ms}"}


PARTS = ("watch", "configure", "keyring", "rollups", "overview", "hold", "upgrades", "drill", "backups", "nightly")


def housed(at: Path, ran: list[tuple[str, bool]], work: Callable[[str], Coroutine[Any, Any, None]]) -> House:
    """Parts that all do `work` with their own name, each minute."""

    def care(name: str) -> Any:
        def works(*_: Any) -> Coroutine[Any, Any, None]:
            return work(name)

        return SimpleNamespace(tick=works, tend=works, tidy=works, minute=works)

    system = SimpleNamespace(ran=lambda call, at_ms, took_ms, problem: ran.append((call, problem is None)))
    parts = {name: care(name) for name in PARTS}
    return cast(House, SimpleNamespace(data_dir=at, stopping=False, now=lambda: 0, system=system, **parts))


def test_care_that_fails_keeps_no_other_from_being_done(tmp_path: Path, lines: list[tuple[str, str]]) -> None:
    done: list[str] = []
    ran: list[tuple[str, bool]] = []

    async def works(name: str) -> None:
        done.append(name)
        if name == "watch":
            raise RuntimeError("no")

    async def story() -> None:
        jobs = Jobs(housed(tmp_path, ran, works))
        await asyncio.to_thread(jobs._each_minute)
        jobs.huey.storage.close()

    asyncio.run(story())
    assert done == list(PARTS)
    assert [message for _, message in lines].count("periodic care failed") == 1
    assert [well for _, well in ran] == [False, *(True for _ in done[1:])]


def test_a_periodic_job_carries_one_id_over_to_the_loop(tmp_path: Path, lines: list[tuple[str, str]]) -> None:
    log = logging.getLogger("signalcraft.test")

    async def says(_: str) -> None:
        log.warning("worked")

    async def story() -> None:
        jobs = Jobs(housed(tmp_path, [], says))
        await asyncio.to_thread(jobs._each_minute)
        await asyncio.to_thread(jobs._each_minute)
        jobs.huey.storage.close()

    asyncio.run(story())
    ids_seen = [request for request, message in lines if message == "worked"]
    assert len(ids_seen) == 2 * len(PARTS)
    assert len(set(ids_seen)) == 2
    assert all(request.startswith("job-minute-") for request in ids_seen)


def test_a_job_that_outlives_the_loop_leaves_nothing_half_begun(tmp_path: Path) -> None:
    ran: list[tuple[str, bool]] = []

    async def works(_: str) -> None:
        return

    async def story() -> Jobs:
        return Jobs(housed(tmp_path, ran, works))

    jobs = asyncio.run(story())
    jobs._each_minute()
    jobs.huey.storage.close()
    gc.collect()  # a coroutine that nobody awaited complains here
    assert [well for _, well in ran] == [False for _ in PARTS]
