"""The write-ahead log stays small, whoever else reads the database.

SQLite copies the log back by itself after 1000 pages, but begins anew at its front only when nobody reads it at that
moment: with readers always about, it grows for ever. So between two commits the writer empties it once it is large. It
never waits for that: where a reader is in the way (Litestream, while it lives, always is, and then does the same
itself, storage/litestream/command.py), it is tried again a second later.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import apsw

BOUND_BYTES: Final = 64 * 1024 * 1024
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

    def bytes(self) -> int:
        """Its size; 0 where there is none."""
        try:
            return self._file.stat().st_size
        except OSError:
            return 0

    def tend(self) -> None:
        """Between two commits: empties it where it is large and nobody reads it."""
        now_s = time.monotonic()
        if now_s < self._next_s:
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
