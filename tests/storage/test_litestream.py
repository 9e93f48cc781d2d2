"""The replica's command line, places and restores, with the real Litestream on a folder."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import pytest

from signalcraft.config.replica import Replica
from signalcraft.errors import BadSetting, Conflict, NoReplica
from signalcraft.storage import children, facts, litestream, migrate
from signalcraft.storage.db import Db
from signalcraft.storage.litestream import child as child_module
from signalcraft.storage.litestream.command import environment, settings_file
from signalcraft.storage.litestream.places import database_of


class Box:
    """A data directory whose database may be written, and a replica in a folder."""

    def __init__(self, folder: Path, replica: Replica | None = None) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.db = Db(self.data / "signalcraft.db")
        migrate.up(self.db)
        self.replica = replica or Replica(url=f"file://{folder}/the replica $HOME")

    def put(self, name: str, value: str) -> None:
        with self.db.direct() as tx:
            facts.put(tx, name, value)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    yield box
    box.db.stop()


def read(path: Path, name: str) -> str | None:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        rows = connection.execute("select value from fact where name = ?", (name,)).fetchall()
        return str(rows[0][0]) if rows else None
    finally:
        connection.close()


async def started(child: litestream.Child, place: litestream.Place) -> litestream.Synced:
    """Starts a child and waits for its first sync."""
    child.start(place)
    for _ in range(200):
        try:
            return await child.sync(5)
        except NoReplica:
            await asyncio.sleep(0.05)
    raise AssertionError(child.last_words)


def test_what_was_written_is_in_the_replica_after_a_sync_and_comes_back(box: Box, tmp_path: Path) -> None:
    async def work() -> None:
        child = litestream.Child(box.data, box.replica)
        await started(child, place)
        box.put("colour", "blue")
        await child.sync(5)
        child.kill()  # as a power cut would: nothing more is synced

    place = litestream.claim(box.data, box.replica, 1)
    asyncio.run(work())
    restored = litestream.restore(box.replica, tmp_path / "back.db")
    assert read(tmp_path / "back.db", "colour") == "blue"
    assert restored.generation == place.generation == 1
    assert stat.S_IMODE((tmp_path / "back.db").stat().st_mode) == 0o600
    newest = litestream.newest(box.replica)
    assert (newest.txid, newest.box) == (restored.txid, place.box)
    with pytest.raises(Conflict, match="exists already"):
        litestream.restore(box.replica, tmp_path / "back.db")


def test_the_end_syncs_what_no_sync_had_time_for(box: Box, tmp_path: Path) -> None:
    async def work() -> None:
        child = litestream.Child(box.data, box.replica)
        await started(child, place)
        box.put("last", "word")
        assert await child.end()
        assert child.pid is None

    place = litestream.claim(box.data, box.replica, 1)
    asyncio.run(work())
    litestream.restore(box.replica, tmp_path / "back.db")
    assert read(tmp_path / "back.db", "last") == "word"


@pytest.mark.whole
def test_a_moment_is_restored_with_the_resolution_that_is_said(box: Box, tmp_path: Path) -> None:
    moments: list[int] = []

    async def work() -> None:
        child = litestream.Child(box.data, box.replica)
        await started(child, place)
        for number in range(4):
            await asyncio.sleep(1.1)
            moments.append(time.time_ns() // 1_000_000)
            box.put("number", str(number))
            await child.sync(5)
        await child.end()

    place = litestream.claim(box.data, box.replica, 1)
    asyncio.run(work())
    at_ms = moments[2] - 50  # just before the third was written
    restored = litestream.restore(box.replica, tmp_path / "back.db", at_ms=at_ms)
    assert read(tmp_path / "back.db", "number") == "1"
    assert restored.at_ms <= at_ms
    assert restored.resolution_ms is not None
    assert restored.at_ms + restored.resolution_ms + 1000 >= moments[2]  # times are told to the second
    with pytest.raises(NoReplica, match="holds nothing of 2001-09-09"):
        litestream.restore(box.replica, tmp_path / "none.db", at_ms=1_000_000_000_000)
    assert not list(tmp_path.glob("none.db*"))


def test_a_restored_database_never_goes_on_where_the_earlier_one_wrote(box: Box, tmp_path: Path) -> None:
    first = litestream.claim(box.data, box.replica, 1)
    assert litestream.mine(box.data, box.replica) == first
    # Another file in the same directory, as after a restore: the place is none of its.
    box.db.stop()
    (box.data / "signalcraft.db").rename(box.data / "earlier.db")
    box.db = Db(box.data / "signalcraft.db")
    assert litestream.mine(box.data, box.replica) is None
    second = litestream.claim(box.data, box.replica, 2)
    assert (first.generation, second.generation) == (1, 2)
    assert litestream.newer(first, box.replica) == 2
    assert litestream.newer(second, box.replica) is None
    # Another address: nothing of it is this box's either.
    assert litestream.mine(box.data, Replica(url=f"file://{tmp_path}/elsewhere")) is None


def test_the_place_of_another_box_is_known_as_such(box: Box) -> None:
    place = litestream.claim(box.data, box.replica, 1)
    assert litestream.lost(place, box.replica) is None
    stranger = litestream.Place(place.url, 1, "another", place.inode, 1, place.device)
    assert "belongs to another" in str(litestream.lost(stranger, box.replica))
    moved = litestream.Place(place.url, 7, place.box, place.inode, 1, place.device)
    assert "has vanished" in str(litestream.lost(moved, box.replica))
    away = litestream.Place(place.url, 7, place.box, place.inode, 1, place.device + 1)
    with pytest.raises(litestream.Unmounted, match="mounted"):
        litestream.lost(away, box.replica)


def test_the_child_dies_with_its_parent(box: Box, tmp_path: Path) -> None:
    place = litestream.claim(box.data, box.replica, 1)
    pid = os.fork()
    if pid == 0:  # the parent that will be killed
        child = litestream.Child(box.data, box.replica)
        child.start(place)
        (tmp_path / "pid").write_text(str(child.pid))
        time.sleep(60)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.02)
    grandchild = int((tmp_path / "pid").read_text())
    time.sleep(2.5)  # it has said what it says at its start: it would die of its next line too, nobody hearing it
    assert _lives(grandchild)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + 1
    while _lives(grandchild) and time.monotonic() < deadline:
        time.sleep(0.02)
    lived = _lives(grandchild)
    _end(grandchild)
    assert not lived


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_one_that_lived_on_is_ended_before_the_next_begins(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    place = litestream.claim(box.data, box.replica, 1)

    async def work() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(child_module, "die_with_parent", lambda _: None)  # a kernel that does not do it
            left_over = litestream.Child(box.data, box.replica)
            await started(left_over, place)
        old = left_over.pid
        assert old is not None
        following = litestream.Child(box.data, box.replica)
        await started(following, place)
        assert left_over.pid is None, "two of them ran at a time"
        assert following.pid not in (None, old)
        await left_over.end()
        await following.end()

    asyncio.run(work())


def test_no_secret_is_on_disk_or_on_the_command_line(box: Box) -> None:
    from signalcraft.config.secret import Secret

    replica = Replica(url="s3://b/p", access_key_id=Secret("AKIATESTS"), secret_access_key=Secret('ver"y\nsecret$PATH'))
    assert "AKIATESTS" not in settings_file(replica, socket=True)
    found = environment(replica, box.data / "x.db", box.data / "meta", "0001/db")
    assert found["SC_SECRET"] == 'ver\\"y\\nsecret$PATH'
    assert found["SC_URL"] == "s3://b/p/0001/db"


def test_a_missing_binary_is_one_sentence(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Any:
        raise BadSetting("the program litestream is missing", path="replica")

    place = litestream.claim(box.data, box.replica, 1)
    monkeypatch.setattr(children, "litestream", none)
    with pytest.raises(BadSetting, match="missing"):
        litestream.Child(box.data, box.replica).start(place)
    with pytest.raises(BadSetting, match="missing"):
        litestream.newest(box.replica)


def test_nothing_there_is_one_sentence(tmp_path: Path) -> None:
    replica = Replica(url=f"file://{tmp_path}/nowhere")
    for ask in (litestream.newest, litestream.generations):
        with pytest.raises(NoReplica, match=r"holds no copy|no such folder"):
            ask(replica)
    with pytest.raises(NoReplica, match="holds no copy"):
        litestream.restore(replica, tmp_path / "x.db")
    assert not list(tmp_path.glob("x.db*"))


def test_a_copy_that_sqlite_finds_unsound_is_refused(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.put("colour", "blue")
    box.db.stop()
    raw = apsw.Connection(str(box.data / "signalcraft.db"))
    row = raw.execute("select * from sqlite_master where type = 'index' and sql is not null limit 1").fetchall()[0]
    raw.execute("pragma writable_schema = on").fetchall()
    raw.execute("update sqlite_master set rootpage = (select rootpage from sqlite_master where name = 'fact')"
                " where name = ?", (row[1],)).fetchall()  # fmt: skip
    raw.close()

    async def work() -> None:
        child = litestream.Child(box.data, box.replica)
        child.start(place)
        await asyncio.sleep(1.5)
        await child.end()

    place = litestream.claim(box.data, box.replica, 1)
    asyncio.run(work())
    with pytest.raises(NoReplica, match="the copy is not sound"):
        litestream.restore(box.replica, tmp_path / "back.db")
    assert not list(tmp_path.glob("back.db*"))


def test_a_damaged_replica_is_refused_and_leaves_nothing(box: Box, tmp_path: Path) -> None:
    async def work() -> None:
        child = litestream.Child(box.data, box.replica)
        await started(child, place)
        await child.end()

    place = litestream.claim(box.data, box.replica, 1)
    asyncio.run(work())
    files = sorted((box.replica.folder / database_of(1)).rglob("*.ltx"))
    for file in files:
        raw = bytearray(file.read_bytes())
        raw[len(raw) // 2] ^= 0xFF
        file.write_bytes(bytes(raw))
    with pytest.raises(NoReplica):
        litestream.restore(box.replica, tmp_path / "back.db")
    assert not list(tmp_path.glob("back.db*"))
