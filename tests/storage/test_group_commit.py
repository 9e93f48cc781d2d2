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
