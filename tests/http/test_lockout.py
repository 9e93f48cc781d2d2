"""Nobody tries for ever: by account, by address, through restarts, and without telling who has an account."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.http.asking import problem
from tests.http.browsing import OTHER_PASSWORD, PASSWORD, QUIET, Browser, browser, journal, person, token_of
from tests.world import World

SAM = "sam@example.com"
MINUTE = 60_000
BY_ACCOUNT = {"limits.sign_in_per_minute": "0"}
PROXY = {"http.trusted_proxies": "127.0.0.1"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Only accounts are counted."""
    with World(tmp_path / "data", **BY_ACCOUNT) as it:
        yield it


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[World]:
    """As it comes, behind a proxy that says who asks."""
    with World(tmp_path / "data", **PROXY) as it:
        yield it


def fails(world: World, times: int, email: str = SAM) -> None:
    with Browser(world) as eve:
        for _ in range(times):
            problem(eve.signs_in(email, OTHER_PASSWORD), 401, "wrong_credentials")


def refused(world: World, email: str = SAM, password: str = PASSWORD) -> int:
    """The seconds after which it may be tried again."""
    with Browser(world) as it:
        answer = it.signs_in(email, password)
        said = problem(answer, 429, "too_many")
        assert "failed sign-ins" in said["detail"]
        return int(answer.headers["retry-after"])


def opens(world: World, email: str = SAM, password: str = PASSWORD) -> bool:
    with Browser(world) as it:
        return it.signs_in(email, password).status_code == 200


# -- by account -------------------------------------------------------------------------------------------------------


def test_ten_failures_lock_the_account_for_fifteen_minutes_and_then_for_thirty(world: World) -> None:
    person(world, SAM)
    fails(world, 10)
    assert refused(world) == 15 * 60
    world.clock.at_ms += 15 * MINUTE - 1
    assert refused(world) == 1
    world.clock.at_ms += 1
    fails(world, 10)
    assert refused(world) == 30 * 60
    world.clock.at_ms += 30 * MINUTE
    assert opens(world)
    verbs = [verb for verb, _ in journal(world)]
    assert verbs.count("sign_in_failed") == 20
    assert verbs.count("account_locked") == 2


@pytest.mark.whole
def test_a_right_password_wipes_the_failures_before_it(world: World) -> None:
    person(world, SAM)
    for _ in range(3):
        fails(world, 9)
        assert opens(world)


def test_a_lock_survives_a_restart_and_so_do_the_failures_before_it(world: World) -> None:
    person(world, SAM)
    fails(world, 9)
    world.killed().restarted()
    fails(world, 1)
    assert refused(world) == 15 * 60
    world.stopped().restarted()
    assert refused(world) == 15 * 60


def test_an_account_that_does_not_exist_locks_like_one_that_does(world: World) -> None:
    fails(world, 10, "nobody@example.com")
    assert refused(world, "nobody@example.com") == 15 * 60
    assert refused(world, " Nobody@EXAMPLE.com") == 15 * 60


def test_one_account_says_nothing_about_another(world: World) -> None:
    person(world, SAM)
    person(world, "kim@example.com")
    fails(world, 10)
    assert opens(world, "kim@example.com")


def test_a_wrong_code_counts_and_a_missing_one_does_not(world: World) -> None:
    with browser(world, SAM) as it, Browser(world) as eve:
        it.enrols()
        for _ in range(20):
            problem(eve.signs_in(SAM), 401, "second_factor_needed")
        for _ in range(10):
            problem(eve.signs_in(SAM, code="000000"), 401, "wrong_code")
        assert refused(world) == 15 * 60


@pytest.mark.whole
def test_guessing_the_password_in_a_stolen_session_locks_too(world: World) -> None:
    with browser(world, SAM) as it:
        for path, body in (
            ("/api/auth/step-up", {"password": OTHER_PASSWORD}),
            ("/api/auth/password", {"current": OTHER_PASSWORD, "new": "plover-Gravel-under"}),
        ):
            for _ in range(5):
                problem(it.ask("POST", path, body), 401, "wrong_credentials")
        problem(it.ask("POST", "/api/auth/step-up", {"password": PASSWORD}), 429, "too_many")
        assert it.signed_in, "who is signed in stays so"


def test_an_admin_unlocks_and_so_does_a_new_password(world: World) -> None:
    number = person(world, SAM)
    fails(world, 10)
    assert world.get(f"/api/people/{number}")["locked_until"] == "2026-03-02T09:15:00.000Z"
    with browser(world, "admin@example.com", "admin") as admin:
        admin.post(f"/api/people/{number}/unlock", status=204)
    assert world.get(f"/api/people/{number}")["locked_until"] is None
    assert opens(world)
    fails(world, 10)
    made = world.post(f"/api/people/{number}/reset-link")
    with Browser(world) as it:
        it.post("/api/auth/reset", {"token": token_of(made["url"]), "password": OTHER_PASSWORD}, 204)
    assert opens(world, SAM, OTHER_PASSWORD)
    assert ("account_unlocked", "sam@example.com") in [(verb, data.get("email")) for verb, data in journal(world)]


def test_a_hundred_at_once_are_ten_tries(world: World) -> None:
    """Parallel guesses do not slip by while the first are still being checked."""
    person(world, SAM)

    def guess(n: int) -> int:
        with Browser(world) as eve:
            return eve.signs_in(SAM, f"guess-number-{n}-of-many").status_code

    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(guess, range(60)))
    assert said.count(401) == 10
    assert set(said) <= {401, 429, 503}


def test_what_was_typed_by_mistake_is_not_kept(world: World) -> None:
    """A password in the e-mail field, or an address of nobody's, is nowhere to be read afterwards."""
    fails(world, 2, "my-secret-by-mistake")
    stored = b"".join(file.read_bytes() for file in world.data_dir.glob("signalcraft.db*"))
    assert b"my-secret-by-mistake" not in stored


# -- by address -------------------------------------------------------------------------------------------------------


def from_address(world: World, address: str) -> Browser:
    return Browser(world, **{"X-Forwarded-For": address, "X-Forwarded-Proto": "https"})


def test_five_failures_a_minute_close_the_door_for_an_address(strict: World) -> None:
    for name in ("sam", "kim"):
        person(strict, f"{name}@example.com")
    with from_address(strict, "203.0.113.9") as eve, from_address(strict, "203.0.113.10") as other:
        for n in range(5):
            problem(eve.signs_in(f"guess{n}@example.com", OTHER_PASSWORD), 401, "wrong_credentials")
        answer = eve.signs_in("kim@example.com")
        problem(answer, 429, "too_many")
        assert answer.headers["retry-after"] == "60"
        assert other.signs_in(SAM).status_code == 200, "another address"
        strict.clock.at_ms += MINUTE
        assert eve.signs_in("kim@example.com").status_code == 200
        for _ in range(5):
            problem(eve.signs_in(SAM, OTHER_PASSWORD), 401, "wrong_credentials")
        assert eve.signs_in(SAM).headers["retry-after"] == "120"


def test_right_sign_ins_close_no_door(strict: World) -> None:
    """A whole team behind one address, at nine in the morning."""
    person(strict, SAM)
    with from_address(strict, "203.0.113.9") as it:
        for _ in range(12):
            assert it.signs_in(SAM).status_code == 200


def test_the_door_stays_closed_through_a_restart(strict: World) -> None:
    with from_address(strict, "203.0.113.9") as eve:
        for _ in range(5):
            problem(eve.signs_in(SAM), 401, "wrong_credentials")
    strict.killed().restarted()
    with from_address(strict, "203.0.113.9") as eve:
        problem(eve.signs_in(SAM), 429, "too_many")


def test_an_address_is_what_a_trusted_proxy_says_and_an_ipv6_subscriber_is_one(strict: World) -> None:
    for n in range(5):
        with from_address(strict, f"198.51.100.{n}, 203.0.113.9") as eve:
            problem(eve.signs_in(f"guess{n}@example.com"), 401, "wrong_credentials")
    with from_address(strict, "203.0.113.9") as eve:
        problem(eve.signs_in(SAM), 429, "too_many")
    for n in range(5):
        with from_address(strict, f"2001:db8:1:2::{n + 1}") as eve:
            problem(eve.signs_in(f"guess{n}@example.com"), 401, "wrong_credentials")
    with from_address(strict, "2001:db8:1:2:ffff::1") as eve, from_address(strict, "2001:db8:1:3::1") as neighbour:
        problem(eve.signs_in(SAM), 429, "too_many")
        problem(neighbour.signs_in(SAM), 401, "wrong_credentials")


def test_guessing_the_setup_code_closes_the_door_too(strict: World) -> None:
    strict._call(strict.house.people.new_setup_code())
    body = {"email": SAM, "name": "Sam", "password": PASSWORD}
    with from_address(strict, "203.0.113.9") as eve:
        for n in range(5):
            problem(eve.ask("POST", "/api/auth/setup", {"code": f"code-{n}", **body}), 401, "wrong_credentials")
        problem(eve.ask("POST", "/api/auth/setup", {"code": "code", **body}), 429, "too_many")


def test_a_flood_of_sign_ins_is_told_to_come_back(tmp_path: Path) -> None:
    """More than can be checked one after the other are refused at once, not queued without end."""
    from signalcraft.services.gate import WAITING_MAX

    with World(tmp_path / "data", **QUIET) as world:
        gate = world.house.signin.gate

        async def flood() -> list[BaseException | None]:
            hold = asyncio.Event()

            async def slow() -> None:
                await hold.wait()

            waiting = [asyncio.ensure_future(gate.tried("192.0.2.1", SAM, slow)) for _ in range(WAITING_MAX + 5)]
            await asyncio.sleep(0.1)
            refused_now = [task.exception() for task in waiting if task.done()]
            hold.set()
            await asyncio.gather(*waiting, return_exceptions=True)
            return refused_now

        refused_now = world._call(flood())
        assert len(refused_now) == 5
        assert {type(fault).__name__ for fault in refused_now} == {"Busy"}


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.trial
def test_the_time_of_an_answer_does_not_tell_who_has_an_account(tmp_path: Path) -> None:
    """Medians of many tries, taken in turn, differ by less than a tenth."""
    with World(tmp_path / "data", **QUIET) as world:
        person(world, SAM)
        took: dict[str, list[float]] = {SAM: [], "nobody@example.com": []}
        with Browser(world) as eve:
            for _ in range(60):
                for email, times in took.items():
                    began = time.perf_counter()
                    eve.signs_in(email, OTHER_PASSWORD)
                    times.append(time.perf_counter() - began)
        known, unknown = (statistics.median(times[5:]) for times in took.values())
        print(f"known {known * 1000:.1f} ms, unknown {unknown * 1000:.1f} ms")
        assert abs(known - unknown) / known < 0.1
