"""The write-ahead log stays small, and while a replica is kept, one alone empties it.

Alone, the writer lets SQLite copy the log back after each 1000 pages, and empties it between two commits where readers
have kept it from beginning anew. While Litestream lives it must not: a log that begins anew between two looks of it is
copied with a hole, and what is restored is damaged (measured, docs/decisions/0016-a-place-for-each-generation.md). So
the log is handed over before it starts and taken back once it has ended; it does the same meanwhile.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import apsw

BOUND_BYTES: Final = 64 * 1024 * 1024
_PAGES: Final = 1000
_LOOK_S: Final = 0.2
_AGAIN_S: Final = 1.0


class Wal:
    """The log of one database, tended by the thread that owns `connection`."""

    def __init__(self, database: Path, connection: apsw.Connection, bound: int = BOUND_BYTES) -> None:
        # Its size is asked by its name alone: opening it would drop the locks of this process (storage/db.py).
        self._file = database.with_name(database.name + "-wal")
        self._connection = connection
        self.bound = bound
        self._next_s = 0.0
        self.emptied = 0
        self.handed_over = False

    def bytes(self) -> int:
        """Its size; 0 where there is none."""
        try:
            return self._file.stat().st_size
        except OSError:
            return 0

    def hand_over(self, away: bool) -> None:
        """On the writer thread: from now on somebody else empties it, or this connection again."""
        self._connection.wal_autocheckpoint(0 if away else _PAGES)
        self.handed_over = away

    def tend(self) -> None:
        """Between two commits: empties it where it is large and nobody reads it."""
        now_s = time.monotonic()
        if self.handed_over or now_s < self._next_s:
            return
        self._next_s = now_s + _LOOK_S
        if self.bytes() <= self.bound:
            return
        self._connection.set_busy_timeout(0)
        try:
            busy = self._connection.execute("pragma wal_checkpoint(truncate)").fetchall()[0][0]
        except apsw.Error:
            busy = 1
        finally:
            self._connection.set_busy_timeout(5000)
        self.emptied += not busy
        self._next_s = time.monotonic() + (_AGAIN_S if busy else _LOOK_S)
