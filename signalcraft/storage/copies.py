"""Whole copies of a database, made while it is in use, and whether one is sound.

A copy goes through SQLite's backup API (https://www.sqlite.org/backup.html) on a connection of its own, inside one read
transaction: the source's writer goes on, and the copy never has to begin anew because of it.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import apsw
from msgspec import Struct

from signalcraft.errors import Conflict, Damaged, DiskFull, Fault

PART: Final = ".part"
"""What a copy under way is called after its own name."""
_STEP: Final = 512
_SIDE: Final = ("-journal", "-wal", "-shm")


class Verified(Struct, frozen=True):
    """A database that is sound. `rows`: tables to how many rows they have; `sha256`: of the file, in hex."""

    schema: int
    pages: int
    rows: dict[str, int]
    sha256: str


def copy_database(source: Path, target: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
    """A consistent copy of a database, live or not, as one file for its owner alone (no WAL beside it).

    It is written to `target.part`, made durable and renamed, so `target` is whole or not there. `progress` hears pages
    done and pages in all, now and then. Raises Conflict where `target` is there, Damaged for a source that cannot be
    read, DiskFull, Fault for another failure of a disk: having left nothing.
    """
    if target.exists():
        raise Conflict(f"{target} is there already")
    part = target.with_name(target.name + PART)
    discard(part)
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _fill(source, part, progress or (lambda _done, _all: None))
        _durable(part)
        part.rename(target)
        sync_folder(target.parent)
    except (apsw.Error, OSError) as problem:
        raise _told(problem, source, target) from None
    finally:
        discard(part)


def verified(path: Path) -> Verified:
    """Reads a copy whole: SQLite's integrity check, foreign keys, rows counted, the file hashed.

    For a copy alone, never the live file of this process. Raises Damaged, also for a file that is not there.
    """
    try:
        connection = _opened(path)
        try:
            found = _checked(connection, path)
        finally:
            connection.close()
        return Verified(*found, sha256_of(path))
    except (apsw.Error, OSError) as problem:
        raise Damaged(f"{path} is no sound database: {_why(problem)}") from None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hex, read piece by piece. Raises OSError."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def discard(path: Path) -> None:
    """Removes a file and what SQLite put beside it, as far as it is there."""
    for name in (path.name, *(path.name + side for side in _SIDE)):
        with suppress(OSError):
            path.with_name(name).unlink()


def sync_folder(folder: Path) -> None:
    """Makes a rename inside a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fill(source: Path, part: Path, progress: Callable[[int, int], None]) -> None:
    if not source.is_file():
        raise Damaged(f"there is no database at {source}")
    reader = apsw.Connection(_uri(source, "mode=ro"), flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    writer = apsw.Connection(str(part), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        reader.set_busy_timeout(5000)
        # One snapshot for all steps: without it, each write of another connection would start the copy anew.
        reader.execute("begin").fetchall()
        reader.execute("select count(*) from sqlite_master").fetchall()
        for pragma in ("synchronous=off", "journal_mode=off", "cache_size=-2000"):
            writer.execute(f"pragma {pragma}").fetchall()
        with writer.backup("main", reader, "main") as backup:
            while not backup.done:
                backup.step(_STEP)
                progress(backup.page_count - backup.remaining, backup.page_count)
    finally:
        writer.close()
        reader.close()
    # The source's first page says that there is a WAL; the copy is to be one file.
    single = apsw.Connection(str(part), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        single.execute("pragma journal_mode=delete").fetchall()
    finally:
        single.close()


def _durable(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _opened(path: Path) -> apsw.Connection:
    if not path.is_file():
        raise Damaged(f"there is no database at {path}")
    with suppress(OSError):
        if path.stat().st_size == 0:
            raise Damaged(f"{path} is empty")
    wal = path.with_name(path.name + "-wal")
    alone = not wal.exists() or wal.stat().st_size == 0
    options = "mode=ro&immutable=1" if alone else "mode=ro"  # immutable: nothing is made beside it
    return apsw.Connection(_uri(path, options), flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def _checked(connection: apsw.Connection, path: Path) -> tuple[int, int, dict[str, int]]:
    connection.set_busy_timeout(5000)
    _asked(connection, "pragma cache_size=-8000")
    said = [str(text) for (text,) in _asked(connection, "pragma integrity_check(5)")]
    if said != ["ok"]:
        raise Damaged(f"{path} is no sound database: {said[0]}")
    loose = _asked(connection, 'select "table", parent from pragma_foreign_key_check limit 1')
    if loose:
        raise Damaged(f"{path} is no sound database: a row of {loose[0][0]} belongs to no row of {loose[0][1]}")
    schema, pages = _asked(connection, "select user_version, page_count from pragma_user_version, pragma_page_count")[0]
    tables = _asked(
        connection, "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name"
    )
    rows: dict[str, int] = {name: _asked(connection, f'select count(*) from "{name}"')[0][0] for (name,) in tables}
    return schema, pages, rows


def _asked(connection: apsw.Connection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()


def _uri(path: Path, options: str) -> str:
    return f"file:{quote(str(path.absolute()))}?{options}"


def _why(problem: Exception) -> str:
    return (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)


def _told(problem: Exception, source: Path, target: Path) -> Fault:
    if isinstance(problem, apsw.FullError) or (isinstance(problem, OSError) and problem.errno == errno.ENOSPC):
        return DiskFull(
            f"the disk of {target.parent} is full: the copy of {source.name} was not kept", retry_after_s=60
        )
    if isinstance(problem, apsw.CorruptError | apsw.NotADBError):
        return Damaged(f"{source} is no sound database: {problem}")
    return Fault(f"{source.name} could not be copied to {target.parent}: {_why(problem)}")
