"""What a work sees of the database: `Tx` inside the writer's transaction, `Reader` in a read-only one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import apsw

from signalcraft.domain.ids import Mint
from signalcraft.logs.spans import Trace
from signalcraft.storage.origin import Origin
from signalcraft.storage.slow import SLOW_S, Slow
from signalcraft.storage.touched import NAMED, WRITTEN

Row = tuple[Any, ...]
Args = Sequence[Any] | dict[str, Any]


class Tx:
    """What a work may do with the database. Cursors are always exhausted: apsw runs a statement only as far as read."""

    __slots__ = (
        *("_connection", "_cursor", "_mint", "after_commit", "audit_key", "endings"),
        *("origin", "touched", "unasked"),
    )

    def __init__(self, connection: apsw.Connection, mint: Mint, audit_key: bytes = b"") -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._mint = mint
        self.after_commit: list[Callable[[], None]] = []
        self.endings: list[Callable[[], None]] = []
        self.origin: Origin | None = None
        self.audit_key = audit_key
        self.touched: set[str] = set()
        """Tables that were written."""
        self.unasked = False
        """Set by a work that follows from what senders and channels say, not from what a person or a program asked for:
        whoever is content with what was so a moment ago need not have it at once."""

    def new_id(self, now_ms: int) -> int:
        """An id larger than every id before it, also when the clock stepped back."""
        return self._mint.next(now_ms)

    def run(self, sql: str, args: Args = ()) -> int:
        """Executes one statement; the number of rows it changed."""
        self.touched |= WRITTEN[sql]
        self._cursor.execute(sql, args).fetchall()
        return self._connection.changes()

    def one(self, sql: str, args: Args = ()) -> Row | None:
        """The first row, or None."""
        self.touched |= WRITTEN[sql]
        rows = self._cursor.execute(sql, args).fetchall()
        return rows[0] if rows else None

    def value(self, sql: str, args: Args = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, args)
        return None if row is None else row[0]

    def all(self, sql: str, args: Args = ()) -> list[Row]:
        """Every row."""
        self.touched |= WRITTEN[sql]
        return self._cursor.execute(sql, args).fetchall()

    def many(self, sql: str, rows: Sequence[Args]) -> None:
        """Executes one statement for each of the rows."""
        self.touched |= WRITTEN[sql]
        self._cursor.executemany(sql, rows).fetchall()

    def then(self, call: Callable[[], None]) -> None:
        """Calls back on the writer thread once this work's commit is on disk; not at all if it is rolled back."""
        self.after_commit.append(call)

    def at_end(self, call: Callable[[], None]) -> None:
        """Calls back inside the transaction, once the present work has ended well."""
        self.endings.append(call)

    def end(self) -> None:
        """Runs what waits for the end of a work."""
        while self.endings:
            endings, self.endings = self.endings, []
            for call in endings:
                call()


class Reader(Tx):
    """A read-only view. Inside `Db.reading()` all its reads see one snapshot. A slow query says so, once."""

    __slots__ = ("read", "slow", "trace")
    slow: Slow
    read: set[str] | None
    """What the statements named, where somebody wants to know."""
    trace: Trace | None
    """That of the request which reads."""

    def all(self, sql: str, args: Args = ()) -> list[Row]:
        """Every row."""
        if self.read is not None:
            self.read |= NAMED[sql]
        began_s = time.perf_counter()
        rows = self._cursor.execute(sql, args).fetchall()
        took_s = time.perf_counter() - began_s
        if took_s >= SLOW_S:
            self.slow.saw("query", sql, took_s)
        if self.trace is not None:
            self.trace.add("query", sql, began_s, depth=2)
        return rows

    def one(self, sql: str, args: Args = ()) -> Row | None:
        """The first row, or None."""
        rows = self.all(sql, args)
        return rows[0] if rows else None
