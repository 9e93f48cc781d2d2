"""The write-ahead log is emptied by the writer where readers keep SQLite from it, and never while it is handed over."""

from __future__ import annotations

import time
from pathlib import Path

from signalcraft.storage import rotation
from signalcraft.storage.db import Db, Tx, connect
from signalcraft.storage.wal import Wal


def grown(db: Db, rows: int = 3000) -> None:
    def work(tx: Tx) -> None:
        tx.run("create table if not exists t (x)")
        tx.many("insert into t values (randomblob(?))", [(4000,)] * (rows // 10))

    for _ in range(10):
        db.call(work)


def opened(tmp_path: Path, bound: int = 1024 * 1024) -> Db:
    db = Db(tmp_path / "t.db")
    db.wal = Wal(db.path, db._connection, bound)
    db.start()
    return db


def test_a_log_that_grew_past_a_reader_is_emptied_once_it_is_gone(tmp_path: Path) -> None:
    db = opened(tmp_path)
    grown(db, 100)
    reader = connect(db.path, read_only=True)
    reader.execute("begin").fetchall()
    reader.execute("select count(*) from t").fetchall()
    began = time.monotonic()
    grown(db)
    assert time.monotonic() - began < 5, "the writer waited for a reader"
    assert db.wal.bytes() > db.wal.bound
    reader.execute("rollback").fetchall()
    reader.close()
    time.sleep(1.1)
    grown(db, 10)
    assert db.wal.bytes() <= db.wal.bound
    assert db.wal.emptied == 1
    db.stop()


def test_what_is_handed_over_is_left_alone(tmp_path: Path) -> None:
    db = opened(tmp_path)
    db.call(lambda tx: db.wal.hand_over(True))
    grown(db)
    size = db.wal.bytes()
    assert size > 10 * db.wal.bound, "the log was checkpointed by somebody"
    db.call(lambda tx: tx.then(lambda: rotation.emptied(tx)))  # as an erasure and a rotation of keys end
    assert db.wal.bytes() >= size
    db.call(lambda tx: db.wal.hand_over(False))
    time.sleep(0.3)
    grown(db, 10)
    assert db.wal.bytes() <= db.wal.bound
    db.stop()
