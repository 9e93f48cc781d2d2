"""How a database file is opened: one library, one set of pragmas."""

from __future__ import annotations

from pathlib import Path

import apsw


def connect(path: Path, *, read_only: bool = False) -> apsw.Connection:
    """An apsw connection with our pragmas. A new file gets page size and auto_vacuum before its first table."""
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(5000)
    if not read_only:
        # Asked of a file that has them already, the first two write: a start that is refused must touch nothing.
        new = connection.execute("pragma page_count").fetchall() == [(0,)]
        for pragma in ("page_size=4096", "auto_vacuum=INCREMENTAL") if new else ():
            connection.execute(f"pragma {pragma}").fetchall()
        # fast: what is deleted is overwritten where its page is written anyway. It costs nothing that can be measured.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=fast"):
            connection.execute(f"pragma {pragma}").fetchall()
    for pragma in ("foreign_keys=ON", "cache_size=-16000", "temp_store=MEMORY", "trusted_schema=OFF"):
        connection.execute(f"pragma {pragma}").fetchall()
    return connection
