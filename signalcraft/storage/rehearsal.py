"""A rehearsal: the migrations a database lacks are applied to a copy of it first. The database itself is only read."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import apsw
from msgspec import Struct

from signalcraft.errors import Conflict, Damaged, DiskFull
from signalcraft.storage import before, copies, migrate
from signalcraft.storage.db import Db

Free = Callable[[Path], int]


class Rehearsal(Struct, frozen=True, kw_only=True):
    """What came of it. Bytes and ms. `growth`: what the write-ahead log takes while the migrations are applied;
    `needed`: free disk that the migration itself wants, its backup included; `rows`: of all tables, afterwards.
    """

    schema: int
    to: int
    steps: list[migrate.Applied]
    copy_ms: int
    apply_ms: int
    check_ms: int
    size: int
    growth: int
    needed: int
    free: int
    rows: dict[str, int]


def free_disk(folder: Path) -> int:
    """Bytes that this user may still write there."""
    return shutil.disk_usage(folder).free


def level_of(database: Path) -> int:
    """The schema of a database file, live in another process or not. Raises Damaged."""
    try:
        connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(5000)
            return int(connection.execute("pragma user_version").fetchall()[0][0])  # type: ignore[arg-type]
        finally:
            connection.close()
    except apsw.Error as problem:
        raise Damaged(f"{database} cannot be read: {problem}") from None


def size_of(database: Path) -> int:
    """Bytes of a database with its write-ahead log."""
    wal = database.with_name(database.name + "-wal")
    return database.stat().st_size + (wal.stat().st_size if wal.exists() else 0)


def rehearse(database: Path, data_dir: Path, *, free: Free = free_disk) -> Rehearsal:
    """Copies, checks the copy, migrates it, checks it again, and removes it.

    Raises BadSetting (newer than the program), DiskFull (no room for the copy, or for the migration itself), Damaged
    (the database is not sound), Conflict (a migration cannot be applied, or what comes of it does not hold together).
    """
    schema = level_of(database)
    lacks = migrate.missing(schema)
    size, have = size_of(database), free(data_dir)
    enough(data_dir, 2 * size + before.RESERVE, have, "to check on a copy")
    copy = before.scratch(data_dir, "rehearsal")
    try:
        began_s = time.perf_counter()
        copies.copy_database(database, copy)
        copied_s = time.perf_counter()
        copies.verified(copy)
        steps, growth = _applied(copy, lacks)
        applied_s = time.perf_counter()
        seen = copies.verified(copy)
    except Damaged as fault:
        raise Damaged(fault.detail.replace(str(copy), str(database))) from None
    finally:
        copies.discard(copy)
    needed = size + growth + before.RESERVE
    enough(data_dir, needed, free(data_dir), "for the backup and the migration")
    return Rehearsal(
        schema=schema,
        to=seen.schema,
        steps=steps,
        copy_ms=round((copied_s - began_s) * 1000),
        apply_ms=sum(step.took_ms for step in steps),
        check_ms=round((time.perf_counter() - applied_s) * 1000),
        size=size,
        growth=growth,
        needed=needed,
        free=have,
        rows=seen.rows,
    )


def enough(folder: Path, needed: int, have: int, what: str) -> None:
    """Raises DiskFull where there is less room than needed."""
    if have < needed:
        raise DiskFull(
            f"{megabytes(needed)} of free disk are needed {what} and {folder} has {megabytes(have)}: "
            "make room and try again; nothing was changed",
            retry_after_s=60,
        )


def megabytes(number: int) -> str:
    """For people: `12 MB`."""
    return f"{-(-number // 1_000_000)} MB"


def _applied(copy: Path, lacks: list[tuple[int, str, str]]) -> tuple[list[migrate.Applied], int]:
    """Migrates the copy; what was applied, and how large its write-ahead log became."""
    db = Db(copy)
    try:
        with db.direct() as tx:
            steps = migrate.apply(tx, lacks)
            migrate.check(tx)
        wal = copy.with_name(copy.name + "-wal")
        return steps, wal.stat().st_size if wal.exists() else 0
    except apsw.FullError:
        raise DiskFull("the disk became full while migrating a copy; nothing was changed", retry_after_s=60) from None
    except Conflict as fault:
        raise Conflict(f"{fault.detail}; this was seen on a copy, nothing was changed") from None
    finally:
        db.stop()
