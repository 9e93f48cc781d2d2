"""Migrations: numbered SQL files, forward only, one transaction each, `user_version` moving in the same transaction."""

from __future__ import annotations

import re
from importlib import resources

from signalcraft.errors import BadSetting
from signalcraft.storage.db import Db


def steps() -> list[tuple[int, str, str]]:
    """Every migration as (number, name, SQL), in order."""
    found = []
    for entry in resources.files("signalcraft.storage").joinpath("migrations").iterdir():
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", entry.name)
        if match:
            found.append((int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    return sorted(found)


def version(db: Db) -> int:
    """The number of the last migration that this database has; 0 for an empty one."""
    with db.direct() as tx:
        return int(tx.value("pragma user_version"))


def newest() -> int:
    """The number of the last migration that this program has."""
    return steps()[-1][0]


def up(db: Db) -> list[str]:
    """Brings the database to this program's schema; the names of what was applied.

    Raises BadSetting for a database that is newer than the program: it is not touched.
    """
    now = version(db)
    if now > newest():
        raise BadSetting(
            f"this database is at schema {now}, newer than this program's {newest()}: "
            "install the newer SignalCraft again",
            path="data.dir",
        )
    done = []
    for number, name, sql in steps():
        if number <= now:
            continue
        with db.direct() as tx:
            for statement in _statements(sql):
                tx.run(statement)
            tx.run(f"pragma user_version = {number}")
        done.append(f"{number:04d}_{name}")
    return done


def _statements(sql: str) -> list[str]:
    # The files hold no semicolon inside a literal, comment or trigger; a test keeps it so.
    bare = re.sub(r"--[^\n]*", "", sql)
    return [s.strip() for s in bare.split(";") if s.strip()]
