"""Looking at connections touches sockets alone: closing any descriptor of the database would drop this process's locks.

https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
"""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from signalcraft.main import connections
from signalcraft.main.connections import Connections
from signalcraft.storage.db import Db
from tests.cli.conftest import Box

_READ = (
    "import apsw, sys\nfile = apsw.Connection(sys.argv[1])\nfile.execute('select * from sqlite_master').fetchall()\n"
)


def another_program_reads(database: Path) -> None:
    """As `sqlite3` on the shell would. The last one to close a database takes its write-ahead log away."""
    subprocess.run([sys.executable, "-c", _READ, str(database)], check=True, timeout=30)


def looking() -> Connections:
    return Connections(
        [1], most=100, per_address=10, send_s=10, subject=str, exempt=lambda _: False, told=lambda *_: None
    )


def test_the_database_stays_locked_while_connections_are_looked_at(tmp_path: Path) -> None:
    db = Db(tmp_path / "it.db")
    with db.direct() as tx:
        tx.run("create table one (a)")
    with db.reading():
        pass
    looking().look(time.monotonic())
    another_program_reads(tmp_path / "it.db")
    assert (tmp_path / "it.db-wal").exists()
    db.stop()


def test_what_became_a_file_meanwhile_is_never_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the copy a number may become a database's."""
    db = Db(tmp_path / "it.db")
    with db.direct() as tx:
        tx.run("create table one (a)")
    number = next(n for n in map(int, os.listdir("/proc/self/fd")) if _behind(n) == str(tmp_path / "it.db"))
    real: Callable[[str], str] = os.readlink
    monkeypatch.setattr(os, "readlink", lambda path: "socket:[1]" if path.endswith(f"/{number}") else real(path))
    assert connections._seen(number, [1]) is None
    another_program_reads(tmp_path / "it.db")
    assert (tmp_path / "it.db-wal").exists()
    db.stop()


def test_a_look_that_no_descriptor_is_left_for_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program ends by whatever ends this loop."""
    looks = []

    def listed(path: str) -> list[str]:
        looks.append(path)
        raise OSError(errno.EMFILE, "too many open files")

    async def story() -> None:
        stop = asyncio.Event()
        watched = asyncio.create_task(looking().run(stop))
        await asyncio.sleep(0.2)
        stop.set()
        await watched

    monkeypatch.setattr(connections, "LOOK_S", 0.01)
    monkeypatch.setattr(os, "listdir", listed)
    asyncio.run(asyncio.wait_for(story(), 10))
    assert len(looks) >= 2


def test_another_program_may_read_the_database_of_a_serving_process(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.serving()
    try:
        time.sleep(2 * connections.LOOK_S + 0.5)
        another_program_reads(box.data / "signalcraft.db")
        assert (box.data / "signalcraft.db-wal").exists()
    finally:
        box.close()


def _behind(number: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""
