"""Answers that are kept: for how long, until when, for whom, and how many ask the database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from signalcraft.services.caching import STALE_MS, TTL_MS, Cache, Content, Kind, content
from signalcraft.storage.db import Db, Reader
from signalcraft.storage.touched import NAMED, STATEMENTS_MAX, WRITTEN, Names

NOW_MS = 1_700_000_000_000


class Bench:
    """A database with a table, a clock, a cache, and a question that counts how often it is read."""

    def __init__(self, folder: Path) -> None:
        self.now_ms = NOW_MS
        self.db = Db(folder / "some.db")
        with self.db.direct() as tx:
            tx.run("create table thing (id integer primary key, n integer) strict")
            tx.run("create table other (id integer primary key, n integer) strict")
            tx.run("insert into thing values (1, 10)")
        self.db.start()
        self.cache = Cache(self.db, lambda: self.now_ms, entries_max=8)
        self.read = 0

    def question(self, tx: Reader) -> int:
        self.read += 1
        found: int = tx.value("select sum(n) from thing")
        return found

    async def ask(self, kind: Kind = "stats", workspace_id: int = 1, key: Any = "sum") -> int:
        return await self.cache.read(kind, workspace_id, key, self.question)

    async def settled(self) -> None:
        while self.cache._readings:
            await asyncio.gather(*self.cache._readings.values(), return_exceptions=True)


def run(folder: Path, story: Callable[[Bench], Any]) -> None:
    """One story on a loop of its own."""
    it = Bench(folder)
    try:
        asyncio.run(story(it))
    finally:
        it.db.stop()


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        assert [await bench.ask() for _ in range(5)] == [10] * 5
        assert bench.read == 1
        assert bench.cache.asked == {("stats", "miss"): 1, ("stats", "hit"): 4}
        assert bench.cache.hit_ratio() == 0.8

    run(tmp_path, story)


def test_the_times_are_those_that_were_asked_for() -> None:
    assert TTL_MS == {"profile": 300_000, "counts": 60_000, "categories": 3_600_000, "stats": 300_000, "feed": 60_000}


@pytest.mark.parametrize("kind", get_args(Kind))
def test_an_answer_is_kept_as_long_as_its_kind_says(tmp_path: Path, kind: Kind) -> None:
    async def story(bench: Bench) -> None:
        await bench.ask(kind)
        bench.now_ms = NOW_MS + TTL_MS[kind] - 1
        await bench.ask(kind)
        assert bench.read == 1
        bench.now_ms = NOW_MS + TTL_MS[kind] + STALE_MS.get(kind, 0)
        await bench.ask(kind)
        assert bench.read == 2
        # A clock that was set back keeps nothing for ever.
        bench.now_ms = NOW_MS - 1
        await bench.ask(kind)
        assert bench.read == 3

    run(tmp_path, story)


def test_a_slow_kind_is_answered_as_it_was_while_it_is_read_anew(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        gate = threading.Event()
        first = await bench.cache.read("stats", 1, "k", lambda tx: 1)
        bench.now_ms += TTL_MS["stats"]

        def slow(tx: Reader) -> int:
            assert gate.wait(60)
            return 2

        assert first == await bench.cache.read("stats", 1, "k", slow) == 1  # nobody waits for the gate
        gate.set()
        await bench.settled()
        assert await bench.cache.read("stats", 1, "k", slow) == 2
        assert bench.cache.asked["stats", "stale"] == 1

    run(tmp_path, story)


def test_what_was_written_is_read_by_whoever_asks_next(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for n in range(20):
            await bench.db.write(lambda tx: tx.run("update thing set n = n + 1"))
            assert await bench.ask() == 11 + n
            assert await bench.ask() == 11 + n
        assert bench.read == 20
        # However a statement is asked for.
        await bench.db.write(lambda tx: tx.many("insert into thing values (?, ?)", [(2, 5), (3, 5)]))
        assert await bench.ask() == 40
        await bench.db.write(lambda tx: tx.value("update thing set n = 0 where id = 2 returning n"))
        assert await bench.ask() == 35
        await bench.db.write(lambda tx: tx.all("delete from thing where id = 3 returning n"))
        assert await bench.ask() == 30
        bench.read = 20
        await bench.db.write(lambda tx: tx.run("insert into other values (1, 1)"))
        await bench.ask()
        assert bench.read == 20, "another table is no reason"

    run(tmp_path, story)


def said(tx: Any) -> None:
    """What a sender's webhook does."""
    tx.unasked = True
    tx.run("update thing set n = n + 1")


def test_whoever_is_content_gets_what_was_a_moment_ago_and_is_told(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.ask()
        content.set(asking := Content(3_000))
        assert (await bench.ask(), asking.newer_in_ms) == (10, 0), "nothing happened: it is the newest"
        await bench.db.write(said)
        bench.now_ms += 2_999
        assert (await bench.ask(), asking.newer_in_ms) == (10, 1)
        bench.now_ms += 1
        assert (await bench.ask(), bench.read) == (11, 2)
        await bench.db.write(said)
        content.set(None)
        assert await bench.ask() == 12, "nobody else has to be"
        assert bench.cache.asked == {("stats", "hit"): 1, ("stats", "behind"): 1, ("stats", "miss"): 3}
        bench.now_ms -= 1
        content.set(Content(3_000))
        await bench.db.write(said)
        assert await bench.ask() == 13, "a clock that was set back"

    run(tmp_path, story)


def test_what_somebody_asked_for_shows_at_once_to_whoever_is_content(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        content.set(Content(3_000))
        await bench.ask()
        add = "update thing set n = n + 1"
        await bench.db.write(lambda tx: tx.run(add))
        assert await bench.ask() == 11
        # Both in one commit; the next batch begins anew.
        await asyncio.gather(bench.db.submit(said), bench.db.submit(lambda tx: tx.run(add)), bench.db.submit(said))
        assert await bench.ask() == 14
        await bench.db.write(said)
        assert await bench.ask() == 14

    run(tmp_path, story)


def test_a_write_that_fails_drops_nothing(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.ask()

        def fails(tx: Any) -> None:
            tx.run("update thing set n = 0")
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await bench.db.write(fails)
        assert await bench.ask() == 10
        assert bench.read == 1

    run(tmp_path, story)


def test_fifty_at_once_are_one_reading(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        gate = threading.Event()
        read = 0

        def slow(tx: Reader) -> str:
            nonlocal read
            read += 1
            assert gate.wait(60)
            return "there"

        asking = [asyncio.ensure_future(bench.cache.read("stats", 1, "k", slow)) for _ in range(50)]
        await asyncio.sleep(0.05)
        gate.set()
        assert await asyncio.gather(*asking) == ["there"] * 50
        assert read == 1

    run(tmp_path, story)


def test_who_asks_after_a_write_does_not_get_what_was_being_read_before_it(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        seen, gate = threading.Event(), threading.Event()

        def slow(tx: Reader) -> int:
            found: int = tx.value("select sum(n) from thing")
            seen.set()
            assert gate.wait(60)
            return found

        early = asyncio.ensure_future(bench.cache.read("stats", 1, "k", slow))
        await asyncio.to_thread(seen.wait, 10)
        await bench.db.write(lambda tx: tx.run("update thing set n = 99"))
        late = asyncio.ensure_future(bench.cache.read("stats", 1, "k", slow))
        await asyncio.sleep(0.02)
        gate.set()
        assert (await early, await late) == (10, 99)
        assert await bench.cache.read("stats", 1, "k", slow) == 99

    run(tmp_path, story)


def test_whoever_leaves_takes_the_reading_from_nobody_and_a_fault_is_not_kept(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        gate = threading.Event()

        def slow(tx: Reader) -> int:
            assert gate.wait(60)
            return 1

        leaves = asyncio.ensure_future(bench.cache.read("stats", 1, "k", slow))
        stays = asyncio.ensure_future(bench.cache.read("stats", 1, "k", slow))
        await asyncio.sleep(0.02)
        leaves.cancel()
        gate.set()
        assert await stays == 1

        def broken(tx: Reader) -> int:
            raise LookupError

        for _ in range(2):
            with pytest.raises(LookupError):
                await bench.cache.read("stats", 1, "broken", broken)
        assert bench.cache.entries == 1

    run(tmp_path, story)


def test_no_workspace_gets_what_another_asked_for(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        answers = [await bench.cache.read("stats", number, "k", lambda tx, n=number: n) for number in (1, 2, 1, 2)]  # type: ignore[misc]
        assert answers == [1, 2, 1, 2]
        assert bench.cache.asked["stats", "miss"] == 2

    run(tmp_path, story)


def test_only_so_many_are_kept_those_that_are_asked_for(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for number in range(50):
            await bench.ask(key=number)
            await bench.ask(key=0)
        assert bench.cache.entries == 8
        assert bench.cache.asked["stats", "miss"] == 50, "the one that is asked for all the time stays"

    run(tmp_path, story)


def test_metrics_say_what_was_kept(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for _ in range(4):
            await bench.ask("feed")
        said = {(one.name, one.labels): one.value for one in bench.cache.figures()}
        assert said["signalcraft_cache_hits", (("cache", "feed"),)] == 3
        assert said["signalcraft_cache_misses", (("cache", "feed"),)] == 1
        assert said["signalcraft_cache_entries", ()] == 1

    run(tmp_path, story)


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("insert into thing values (?)", {"thing"}),
        ("INSERT OR IGNORE INTO thing (a) select a from other", {"thing"}),
        ('  update "thing" set a = 1 where id in (select id from other)', {"thing"}),
        ("delete from thing", {"thing"}),
        ("replace into thing values (1)", {"thing"}),
        ("with a as (select 1) insert into thing select * from a returning id", {"thing"}),
        ("select n from thing", set()),
        ("begin immediate", set()),
    ],
)
def test_the_tables_that_a_statement_writes(sql: str, written: set[str]) -> None:
    assert WRITTEN[sql] == written
    assert written <= NAMED[sql]


def test_only_so_many_statements_are_remembered() -> None:
    names = Names(str.split)
    for number in range(STATEMENTS_MAX + 10):
        assert names[f"select {number}"] == {"select", str(number)}
    assert len(names) <= STATEMENTS_MAX
