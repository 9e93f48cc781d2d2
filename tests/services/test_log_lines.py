"""What happens without a request is found in the log by one id too: a delivery, a watch, a periodic job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
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


def test_care_that_fails_keeps_no_other_from_being_done(tmp_path: Path, lines: list[tuple[str, str]]) -> None:
    done: list[str] = []
    ran: list[tuple[str, bool]] = []

    def care(name: str) -> Any:
        async def works(*_: Any) -> None:
            done.append(name)
            if name == "watch":
                raise RuntimeError("no")

        return SimpleNamespace(tick=works, tend=works, tidy=works, fold=works)

    names = ("watch", "configure", "keyring", "rollups", "overview", "hold", "nightly")
    parts = {name: care(name) for name in names}
    system = SimpleNamespace(ran=lambda call, at_ms, took_ms, problem: ran.append((call, problem is None)))
    house = cast(House, SimpleNamespace(data_dir=tmp_path, stopping=False, now=lambda: 0, system=system, **parts))

    async def story() -> None:
        jobs = Jobs(house)
        await asyncio.to_thread(jobs._each_minute)
        jobs.huey.storage.close()

    asyncio.run(story())
    assert done[:3] == ["watch", "configure", "keyring"]
    assert done[-1] == "nightly"
    assert [message for _, message in lines].count("periodic care failed") == 1
    assert [well for _, well in ran] == [False, *(True for _ in done[1:])]


def test_a_periodic_job_carries_one_id_over_to_the_loop(tmp_path: Path, lines: list[tuple[str, str]]) -> None:
    log = logging.getLogger("signalcraft.test")

    async def says(*_: Any) -> None:
        log.warning("worked")

    house = cast(
        House,
        SimpleNamespace(
            data_dir=tmp_path, stopping=False, now=lambda: 0,
            watch=SimpleNamespace(tick=says), configure=SimpleNamespace(tidy=says), keyring=SimpleNamespace(tend=says),
            rollups=SimpleNamespace(fold=says), overview=SimpleNamespace(tend=says), hold=SimpleNamespace(tend=says),
            nightly=SimpleNamespace(tick=says),
            system=SimpleNamespace(ran=lambda *_: None),
        ),
    )  # fmt: skip

    async def story() -> None:
        jobs = Jobs(house)
        await asyncio.to_thread(jobs._each_minute)
        await asyncio.to_thread(jobs._each_minute)
        jobs.huey.storage.close()

    asyncio.run(story())
    ids_seen = [request for request, message in lines if message == "worked"]
    assert len(ids_seen) >= 6
    assert len(set(ids_seen)) == 2
    assert all(request.startswith("job-minute-") for request in ids_seen)
