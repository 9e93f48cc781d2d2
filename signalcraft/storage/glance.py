"""A look at the database file from outside: read-only, beside a process that serves it or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from signalcraft.domain import ids
from signalcraft.domain.ids import Mint
from signalcraft.errors import Damaged
from signalcraft.storage.db import Tx
from signalcraft.storage.opening import connect

READ_THROUGH_BYTES: Final = 256 << 20
"""Up to this size `sound` reads a database whole; a larger one would take minutes."""


@contextmanager
def glance(database: Path) -> Iterator[Tx]:
    """One snapshot of it. Raises Damaged where it cannot be read. Not in a process that has it open (storage/db.py)."""
    try:
        connection = connect(database, read_only=True)
    except apsw.Error as problem:
        raise Damaged(f"{database} cannot be opened: {problem}") from None
    try:
        reader = Tx(connection, Mint())
        reader.run("begin")
        yield reader
    except apsw.Error as problem:
        raise Damaged(f"{database} cannot be read: {problem}") from None
    finally:
        connection.close()


def sound(reader: Tx) -> str:
    """What SQLite finds wrong with the file, its first words; "" where nothing is."""
    said = str(reader.value("pragma quick_check(1)"))
    return "" if said == "ok" else said.strip().splitlines()[0]


def latest_ms(reader: Tx) -> int:
    """The latest that this box's clock ever said when something was written down; 0 for nothing yet."""
    return ids.at_ms(int(reader.value("select max(id) from journal") or 0))
