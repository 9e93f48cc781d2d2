"""The writer: what was answered is on disk, a poison work fails alone, a full queue says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalcraft.domain import ids
from signalcraft.errors import Busy
from signalcraft.storage import migrate
from signalcraft.storage.db import Db, Tx, connect


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    it = Db(tmp_path / "it.db")
    with it.direct() as tx:
        tx.run("create table t (id integer primary key, n integer not null)")
    it.start()
    yield it
    it.stop()


def count(db: Db) -> int:
    with db.reading() as reader:
        return int(reader.value("select count(*) from t"))


def test_a_write_is_there_when_it_is_answered(db: Db) -> None:
    db.call(lambda tx: tx.run("insert into t (n) values (1)"))
    assert count(db) == 1


def test_a_poison_work_fails_alone_and_its_neighbours_are_kept(db: Db) -> None:
    hold = threading.Event()

    async def go() -> list[object]:
        first = db.submit(lambda tx: hold.wait(5))  # lets the others gather into one batch
        works = [db.submit(_insert(n)) for n in range(20)]
        hold.set()
        await first
        return await asyncio.gather(*works, return_exceptions=True)

    results = asyncio.run(go())
    assert sum(isinstance(r, ValueError) for r in results) == 1
    assert count(db) == 19


def _insert(n: int):  # type: ignore[no-untyped-def]
    def work(tx: Tx) -> int:
        tx.run("insert into t (n) values (?)", (n,))
        if n == 7:
            raise ValueError("poison")
        return n

    return work


def test_what_was_done_before_a_failure_is_rolled_back(db: Db) -> None:
    with pytest.raises(ValueError, match="poison"):
        db.call(_insert(7))
    assert count(db) == 0


def test_calls_after_commit_come_only_when_it_committed(db: Db) -> None:
    seen: list[str] = []

    def works(tx: Tx) -> None:
        tx.then(lambda: seen.append("yes"))

    def fails(tx: Tx) -> None:
        tx.then(lambda: seen.append("no"))
        raise ValueError("poison")

    db.call(works)
    with pytest.raises(ValueError, match="poison"):
        db.call(fails)
    assert seen == ["yes"]


def test_a_full_queue_is_said_at_once(tmp_path: Path) -> None:
    it = Db(tmp_path / "it.db", queue_max=3)
    it.start()
    hold = threading.Event()

    async def go() -> None:
        it.submit(lambda tx: hold.wait(5))
        await _taken(it)
        for _ in range(3):
            it.submit(lambda tx: None)
        with pytest.raises(Busy) as told:
            it.submit(lambda tx: None)
        assert told.value.retry_after_s > 0
        hold.set()
        await it.write(lambda tx: None)

    asyncio.run(go())
    assert it.stop()


async def _taken(it: Db) -> None:
    for _ in range(2000):
        if not it.queued:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("the writer took nothing")


def test_a_reader_cannot_write(db: Db) -> None:
    with db.reading() as reader, pytest.raises(Exception, match=r"readonly|read-only"):
        reader.run("insert into t (n) values (1)")


def test_stop_drains_what_waits(tmp_path: Path) -> None:
    it = Db(tmp_path / "it.db")
    with it.direct() as tx:
        tx.run("create table t (id integer primary key, n integer not null)")
    it.start()

    async def go() -> None:
        for n in range(300):
            it.submit(lambda tx, n=n: tx.run("insert into t (n) values (?)", (n,)))  # type: ignore[misc]
        assert it.stop()

    asyncio.run(go())
    assert connect(tmp_path / "it.db").execute("select count(*) from t").fetchall() == [(300,)]


def test_ids_go_on_above_what_is_stored_when_the_clock_steps_back(tmp_path: Path) -> None:
    it = Db(tmp_path / "it.db")
    migrate.up(it)
    it.start()
    late = it.call(lambda tx: tx.new_id(2_000_000_000_000))
    it.call(lambda tx: tx.run("insert into workspace values (?, 'w', '{}', 0)", (late,)))
    it.stop()
    again = Db(tmp_path / "it.db")
    again.start()
    early = again.call(lambda tx: tx.new_id(1_700_000_000_000))
    again.stop()
    assert early > late
    assert ids.show(early) > ids.show(late)


def test_the_file_is_set_up_as_measured(db: Db) -> None:
    def pragmas(tx: Tx) -> list[object]:
        return [
            tx.value(f"pragma {p}") for p in ("journal_mode", "synchronous", "page_size", "auto_vacuum", "foreign_keys")
        ]

    assert db.call(pragmas) == ["wal", 2, 4096, 2, 1]
