"""Passwords at work: the parameters, one at a time, off the loop, and the same work for nobody's."""

from __future__ import annotations

import asyncio
import re
import threading
import time

import pytest

from signalcraft.services import passwords
from signalcraft.services.passwords import Passwords

SECRET = "tractor-lunar-vivid"


def test_a_hash_says_its_parameters_and_no_two_are_alike() -> None:
    async def go() -> tuple[str, str]:
        hashing = Passwords()
        return await hashing.hash(SECRET), await hashing.hash(SECRET)

    one, two = asyncio.run(go())
    assert re.fullmatch(r"\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}", one)
    assert one != two
    assert not Passwords().outdated(one)
    assert Passwords().outdated(one.replace("t=2", "t=1"))


def test_only_the_password_opens_it() -> None:
    async def go() -> list[bool]:
        hashing = Passwords()
        hashed = await hashing.hash(SECRET)
        tries = (SECRET, SECRET.upper(), SECRET + " ", "", "\udcff")
        return [await hashing.verify(hashed, one) for one in tries]

    assert asyncio.run(go()) == [True, False, False, False, False]


def test_one_password_however_the_keyboard_composed_it() -> None:
    async def go() -> bool:
        hashing = Passwords()
        return await hashing.verify(await hashing.hash("Zürich-am-Abend"), "Zu\u0308rich-am-Abend")

    assert asyncio.run(go())


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"])
def test_what_is_no_hash_opens_for_nobody(stored: str) -> None:
    assert asyncio.run(Passwords().verify(stored, SECRET)) is False


def test_nobodys_password_takes_the_work_of_anybodys_and_never_opens() -> None:
    """Whatever is typed: the hash that stands in for a missing account has today's parameters."""
    assert not Passwords().outdated(passwords._NOBODYS)
    assert asyncio.run(Passwords().verify(None, SECRET)) is False


def test_one_at_a_time_and_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    hashing = Passwords()
    under_way, most, threads = 0, 0, set()

    def slow(password_hash: str, password: bytes) -> bool:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        threads.add(threading.current_thread())
        time.sleep(0.02)
        under_way -= 1
        return True

    monkeypatch.setattr(hashing, "_is", slow)

    async def go() -> int:
        turns = 0
        work = asyncio.gather(*(hashing.verify("x", SECRET) for _ in range(10)))
        while not work.done():
            turns += 1
            await asyncio.sleep(0.005)
        await work
        return turns

    assert asyncio.run(go()) > 10
    assert most == 1
    assert threading.main_thread() not in threads
