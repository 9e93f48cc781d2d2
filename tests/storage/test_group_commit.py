"""Many writes, one fsync: what waits for the writer is committed together, and nobody hears of it before."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from signalcraft.storage.db import Db, Tx


def test_what_waits_is_committed_together(tmp_path: Path) -> None:
    """A thousand works need at most five commits: 256 fit in one."""
    db = Db(tmp_path / "it.db")
    with db.direct() as tx:
        tx.run("create table t (id integer primary key, n integer not null)")
    db.start()
    held, hold = threading.Event(), threading.Event()
    seen: list[int] = []

    async def go() -> None:
        first = db.submit(lambda tx: (held.set(), hold.wait(10)))
        await asyncio.to_thread(held.wait, 10)
        works = [db.submit(_insert(n)) for n in range(1000)]
        works[0].add_done_callback(lambda _: seen.append(db_size(db)))
        before = db.commits
        hold.set()
        await asyncio.gather(first, *works)
        assert db.commits - before <= 5

    asyncio.run(go())
    assert db_size(db) == 1000
    assert seen[0] >= 255, "who is answered first finds the whole batch on disk"
    assert db.stop()


def _insert(n: int):  # type: ignore[no-untyped-def]
    def work(tx: Tx) -> None:
        tx.run("insert into t (n) values (?)", (n,))

    return work


def db_size(db: Db) -> int:
    """Rows that a reader sees."""
    with db.reading() as reader:
        return int(reader.value("select count(*) from t"))


def test_what_can_wait_goes_between_the_others_and_alone(tmp_path: Path) -> None:
    """It was there first, and is done last, unless it has waited for too long."""
    db = Db(tmp_path / "it.db")
    with db.direct() as tx:
        tx.run("create table t (id integer primary key, n integer not null)")
    db.start()
    held, hold = threading.Event(), threading.Event()
    done: list[str] = []

    async def go() -> None:
        first = db.submit(lambda tx: (held.set(), hold.wait(10)))
        await asyncio.to_thread(held.wait, 10)
        works = [
            asyncio.ensure_future(db.write_between(_says(done, "later"), 60)),
            asyncio.ensure_future(db.write_between(_says(done, "later still"), 60)),
        ]
        await asyncio.sleep(0)
        works += [asyncio.ensure_future(db.write(_says(done, word))) for word in ("one", "two")]
        await asyncio.sleep(0)
        assert db.queued == 4
        before = db.commits
        hold.set()
        await asyncio.gather(first, *works)
        assert (done, db.commits - before, db.queued) == (["one", "two", "later", "later still"], 4, 0)

    asyncio.run(go())
    assert db_size(db) == 4
    assert db.stop()


def test_what_can_wait_does_not_wait_for_ever(tmp_path: Path) -> None:
    db = Db(tmp_path / "it.db")
    with db.direct() as tx:
        tx.run("create table t (id integer primary key, n integer not null)")
    done: list[str] = []

    async def go() -> None:
        works = [asyncio.ensure_future(db.write(_says(done, "one")))]
        works += [asyncio.ensure_future(db.write_between(_says(done, "its time has come"), 0.0))]
        works += [asyncio.ensure_future(db.write_between(_says(done, "later"), 60))]
        await asyncio.sleep(0)
        db.start()
        await asyncio.gather(*works)

    asyncio.run(go())
    assert done == ["its time has come", "one", "later"]
    assert db.stop()


def _says(done: list[str], word: str):  # type: ignore[no-untyped-def]
    def work(tx: Tx) -> None:
        tx.run("insert into t (n) values (1)")
        done.append(word)

    return work
