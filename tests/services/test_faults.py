"""The program's own errors: alike ones together, masked, bounded, kept across restarts, shown without their cause."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalcraft import logs
from signalcraft.services.faults import KEPT_MS, Faults
from signalcraft.storage import faults as store
from signalcraft.storage.faults import Fault
from tests.services.desk import Desk

log = logging.getLogger("signalcraft.test")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as it:
        yield it


@pytest.fixture
def faults(desk: Desk) -> Iterator[Faults]:
    it = Faults(desk.db, lambda: desk.now_ms)
    it.listen()
    yield it
    it.deaf()


def kept(desk: Desk) -> list[Fault]:
    return desk.look(lambda tx: store.latest(tx, None, 1000))


def fails(number: int) -> None:
    raise ValueError(f"value {number} is wrong: Bearer abcdef-secret-{number}")


def fails_elsewhere(number: int) -> None:
    raise ValueError(f"value {number}")


def once(work: object, number: int, request: str = "") -> None:
    with logs.within(request):
        try:
            work(number)  # type: ignore[operator]
        except ValueError:
            log.exception("it failed")


def test_alike_errors_are_one_and_others_are_others(desk: Desk, faults: Faults) -> None:
    for number in range(5):
        once(fails, number, f"req-{number}")
    once(fails_elsewhere, 1)
    log.error("a line without an exception, of %s", "this")
    log.error("a line without an exception, of %s", "that")
    log.warning("this is no error")
    asyncio.run(faults.flush())
    found = sorted(kept(desk), key=lambda one: -one.n)
    assert [one.n for one in found] == [5, 2, 1]
    first = found[0]
    assert (first.kind, first.level, first.request_id, first.logger) == ("ValueError", "error", "req-4", log.name)
    assert "fails" in first.trace
    assert first.release
    assert found[1].message == "a line without an exception, of this"
    desk.now_ms += 1000
    once(fails, 9)
    asyncio.run(faults.flush())
    again = max(kept(desk), key=lambda one: one.n)
    assert (again.n, again.last_ms - again.first_ms) == (6, 1000)


def test_no_secret_is_kept_with_an_error(desk: Desk, faults: Faults) -> None:
    logs.redact.add("canary-of-the-faults")

    def leaks(_: int) -> None:
        raise ValueError("canary-of-the-faults, xoxb-1111-canary, Bearer sc_canarycanary")

    once(leaks, 0)
    asyncio.run(faults.flush())
    one = kept(desk)[0]
    assert "canary" not in one.message
    said = [line for line in one.trace.splitlines() if line.startswith("ValueError")]
    assert said
    assert "canary" not in said[0]


def test_what_cannot_be_written_now_is_written_later(
    desk: Desk, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    once(fails, 1)

    async def refused(_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(desk.db, "write", refused)
        with pytest.raises(OSError, match="full"):
            asyncio.run(faults.flush())
    once(fails, 2)
    asyncio.run(faults.flush())
    assert [one.n for one in kept(desk)] == [2]


def test_the_last_words_before_the_end_are_kept(desk: Desk, faults: Faults) -> None:
    log.critical("a loop died")
    faults.close()
    assert [(one.message, one.level) for one in kept(desk)] == [("a loop died", "critical")]
    log.error("nobody listens any more")
    asyncio.run(faults.flush())
    assert len(kept(desk)) == 1


def test_a_flood_of_different_errors_has_an_end(desk: Desk, faults: Faults) -> None:
    for number in range(1200):
        logging.getLogger(f"signalcraft.many{number}").error("x")
        if number % 150 == 0:
            desk.now_ms += 1
            asyncio.run(faults.flush())
    asyncio.run(faults.flush())
    assert len(kept(desk)) == store.KEPT_MAX


def test_health_says_that_and_not_why(desk: Desk, faults: Faults) -> None:
    assert asyncio.run(faults.health()).status == "ok"
    once(fails, 1)
    asyncio.run(faults.flush())
    said = asyncio.run(faults.health())
    assert said.status == "degraded"
    assert said.detail.startswith("1 kinds of unexpected errors in the last hour, 1 of them for the first time")
    assert "value" not in said.detail
    desk.now_ms += 3_600_001
    assert asyncio.run(faults.health()).status == "ok"


@pytest.mark.parametrize(("days", "there"), [(89, True), (91, False)])
def test_they_are_kept_for_ninety_days(desk: Desk, faults: Faults, days: int, there: bool) -> None:
    assert KEPT_MS == 90 * 86_400_000
    once(fails, 1)
    asyncio.run(faults.flush())
    desk.now_ms += days * 86_400_000
    asyncio.run(faults.tidy())
    assert bool(kept(desk)) is there
