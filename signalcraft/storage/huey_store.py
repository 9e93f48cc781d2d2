"""Huey's queue in a file of its own, through apsw.

Huey's SqliteStorage opens its file with the standard library's sqlite3, a second SQLite library in our process: never
beside apsw (storage/db.py says why). Only how it connects is replaced. What it queues are hints: nothing that is owed
lives here, for Huey deletes a task before it runs (docs/decisions/0003-outbox-is-the-ledger.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
from huey.api import Huey
from huey.storage import SqliteStorage


class _Cursor:
    """The part of a DB-API cursor (PEP 249) that Huey uses."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.rowcount = -1

    def execute(self, sql: str, args: tuple[Any, ...] = ()) -> _Cursor:
        # Read to the end at once: apsw runs a statement only as far as its rows are read.
        self._rows = iter(self._cursor.execute(sql, tuple(args)).fetchall())
        self.rowcount = self._connection.changes()
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)

    def close(self) -> None:
        self._cursor.close()


class _Connection:
    """The part of a DB-API connection that Huey uses."""

    def __init__(self, filename: str) -> None:
        self._connection = apsw.Connection(filename)
        self._connection.set_busy_timeout(5000)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-1000"):
            self._connection.execute(f"pragma {pragma}").fetchall()

    def cursor(self) -> _Cursor:
        return _Cursor(self._connection)

    def commit(self) -> None:
        self._connection.execute("commit").fetchall()

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("rollback").fetchall()

    def close(self) -> None:
        self._connection.close()


class ApswStorage(SqliteStorage):  # type: ignore[misc]  # huey carries no types
    """Huey's own SQL, spoken through apsw."""

    integrity_error = apsw.ConstraintError
    operational_error = apsw.BusyError

    def _create_connection(self) -> _Connection:
        return _Connection(str(self.filename))


def open_huey(path: Path) -> Huey:
    """A Huey whose queue is this file. Times are UTC."""
    return Huey("signalcraft", storage_class=ApswStorage, filename=str(path), results=False, utc=True)
