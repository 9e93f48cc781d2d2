"""A database of the newest schema. It is migrated once; a copy of its file is there far sooner than a migration."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from signalcraft.storage import migrate
from signalcraft.storage.db import Db


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        db = Db(Path(folder) / "it.db")
        migrate.up(db)
        db.stop()
        return db.path.read_bytes()


def fresh(path: Path) -> Db:
    """One in this file, for tests in which nobody pulls the plug: it does not wait for the disk."""
    path.write_bytes(_empty())
    db = Db(path)
    db._connection.execute("pragma synchronous = off").fetchall()
    return db
