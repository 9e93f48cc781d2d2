"""Copies of a database: one snapshot, whole or not there, and what is not sound is found."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from signalcraft.errors import Conflict, Damaged
from signalcraft.storage import copies, migrate
from signalcraft.storage.copies import copy_database, verified
from signalcraft.storage.db import Db, Tx

NOW = 1_760_000_000_000


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    db = Db(tmp_path / "signalcraft.db")
    migrate.up(db)
    db.start()
    yield db
    db.stop()


def put(tx: Tx, number: int) -> None:
    """Two rows that belong together: a copy with one of them alone is no snapshot."""
    tx.run("insert into fact (name, value) values (?, ?)", (f"left{number}", "x" * 500))
    tx.run("insert into fact (name, value) values (?, ?)", (f"right{number}", "x" * 500))


def facts(path: Path, like: str) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        rows: list[tuple[Any, ...]] = connection.execute(
            "select count(*) from fact where name like ?", (like,)
        ).fetchall()
        return int(rows[0][0])
    finally:
        connection.close()


def test_a_copy_of_a_live_database_is_one_file_and_verifies(db: Db, tmp_path: Path) -> None:
    for number in range(50):
        db.call(lambda tx, number=number: put(tx, number))  # type: ignore[misc]
    heard: list[tuple[int, int]] = []
    target = tmp_path / "copies" / "one.db"
    target.parent.mkdir()
    copy_database(db.path, target, progress=lambda done, of: heard.append((done, of)))
    assert [path.name for path in target.parent.iterdir()] == ["one.db"]
    assert target.stat().st_mode & 0o777 == 0o600
    found = verified(target)
    assert [path.name for path in target.parent.iterdir()] == ["one.db"]  # looked at, and nothing put beside it
    assert (found.schema, found.rows["fact"] >= 100) == (migrate.newest(), True)
    assert found.pages * 4096 == target.stat().st_size
    assert found.sha256 == copies.sha256_of(target)
    assert heard[-1][0] == heard[-1][1] == found.pages
    with db.reading() as reader:
        assert reader.value("select count(*) from fact") == found.rows["fact"]


def test_the_writer_goes_on_and_the_copy_is_one_moment(db: Db, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other connections write between any two steps; without one snapshot the copy would begin anew each time."""
    monkeypatch.setattr(copies, "_STEP", 4)
    for number in range(300):
        db.call(lambda tx, number=number: put(tx, number))  # type: ignore[misc]
    steps: list[int] = []

    def write(done: int, _all: int) -> None:
        steps.append(done)
        assert len(steps) < 2000, "the copy begins anew with each write"
        db.call(lambda tx: put(tx, 1000 + len(steps)))

    copy_database(db.path, tmp_path / "copy.db", progress=write)
    assert len(steps) > 10
    assert steps == sorted(steps)
    assert facts(tmp_path / "copy.db", "left%") == facts(tmp_path / "copy.db", "right%") == 300
    assert facts(db.path, "left%") == 300 + len(steps)


def test_a_copy_that_is_broken_off_leaves_nothing(db: Db, tmp_path: Path) -> None:
    def fail(_done: int, _all: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "copy.db.part").write_bytes(b"of an earlier run that was killed")
    with pytest.raises(KeyboardInterrupt):
        copy_database(db.path, tmp_path / "copy.db", progress=fail)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("copy.db")]
    copy_database(db.path, tmp_path / "copy.db")  # and the next one is none the worse
    assert verified(tmp_path / "copy.db").schema == migrate.newest()


def test_nothing_that_is_there_is_overwritten(db: Db, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_bytes(b"mine")
    with pytest.raises(Conflict, match="there already"):
        copy_database(db.path, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_bytes() == b"mine"


def test_copies_in_parallel_do_not_disturb_each_other(db: Db, tmp_path: Path) -> None:
    threads = [threading.Thread(target=copy_database, args=(db.path, tmp_path / f"copy{n}.db")) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({verified(tmp_path / f"copy{n}.db").pages for n in range(3)}) == 1


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8192])


def _overwrite(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 + 100 : page * 4096 + 300] = b"\xff" * 200
    path.write_bytes(bytes(data))


def _other(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 something else entirely" * 400)


def _orphan(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("create table child (id integer primary key, of integer references fact (name))").fetchall()
    connection.execute("insert into child values (1, 'nobody')").fetchall()
    connection.close()


@pytest.mark.parametrize("harm", [_cut, _overwrite, _other, _orphan, Path.unlink, lambda path: path.write_bytes(b"")])
def test_what_is_not_sound_is_found(db: Db, tmp_path: Path, harm: object) -> None:
    copy = tmp_path / "copy.db"
    for number in range(100):
        db.call(lambda tx, number=number: put(tx, number))  # type: ignore[misc]
    copy_database(db.path, copy)
    harm(copy)  # type: ignore[operator]
    with pytest.raises(Damaged, match=r"copy\.db"):
        verified(copy)


def test_a_source_that_is_no_database_gives_no_copy(tmp_path: Path) -> None:
    (tmp_path / "source.db").write_bytes(b"something else entirely" * 400)
    for source in (tmp_path / "source.db", tmp_path / "nothing.db"):
        with pytest.raises(Damaged):
            copy_database(source, tmp_path / "copy.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.db"]
