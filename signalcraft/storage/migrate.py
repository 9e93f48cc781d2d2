"""Migrations: numbered SQL files, forward only. All that a database lacks are applied in one transaction, in which
`user_version` moves too: whatever ends the program, the database is at its old schema or at the new one
(docs/decisions/0015-migrations-are-one-transaction.md). storage/migrating.py is the careful way around this.
"""

from __future__ import annotations

import re
import time
from importlib import resources

import apsw
from msgspec import Struct

from signalcraft.domain.ids import Mint
from signalcraft.errors import BadSetting, Conflict
from signalcraft.storage.db import Db, Tx


class Applied(Struct, frozen=True):
    """One migration that was applied, and how long that took."""

    number: int
    name: str
    took_ms: int

    @property
    def label(self) -> str:
        """As its file is called: `0010_care`."""
        return f"{self.number:04d}_{self.name}"


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
        return level(tx)


def level(tx: Tx) -> int:
    """The same, in a work."""
    return int(tx.value("pragma user_version"))


def newest() -> int:
    """The number of the last migration that this program has."""
    return steps()[-1][0]


def missing(now: int) -> list[tuple[int, str, str]]:
    """The migrations that a database at this schema lacks. Raises BadSetting for one that is newer than the program."""
    known = steps()
    if now > known[-1][0]:
        raise BadSetting(
            f"this database is at schema {now}, newer than this program's {known[-1][0]}: "
            "install the newer SignalCraft again, or go back with its `signalcraft migrate down`",
            path="data.dir",
        )
    return [step for step in known if step[0] > now]


def up(db: Db) -> list[str]:
    """Brings the database to this program's schema as it is, without a copy; the names of what was applied.

    Raises BadSetting for a database that is newer than the program: it is not touched.
    """
    lacks = missing(version(db))
    if not lacks:
        return []
    with db.direct() as tx:
        return [one.label for one in apply(tx, lacks)]


def apply(tx: Tx, lacks: list[tuple[int, str, str]]) -> list[Applied]:
    """Applies these migrations, in the caller's transaction. Raises Conflict naming the one that cannot be applied."""
    done = []
    for number, name, sql in lacks:
        began_s = time.perf_counter()
        try:
            for statement in statements(sql):
                tx.run(statement)
            tx.run(f"pragma user_version = {number}")
        except (apsw.FullError, apsw.IOError):
            raise
        except apsw.Error as problem:
            raise Conflict(f"migration {number:04d}_{name} cannot be applied to this database: {problem}") from problem
        done.append(Applied(number, name, round((time.perf_counter() - began_s) * 1000)))
    return done


def check(tx: Tx) -> None:
    """What must hold after migrations, in their transaction. Raises Conflict: a loose row, another shape than ours."""
    loose = tx.all('select "table", parent, count(*) from pragma_foreign_key_check group by 1, 2 limit 3')
    if loose:
        table, parent, n = loose[0]
        raise Conflict(f"after the migrations {n} rows of {table} belong to no row of {parent}")
    if level(tx) != newest():
        raise Conflict(f"after the migrations the database says schema {level(tx)}, not {newest()}")
    odd = sorted(shape(tx) ^ intended())
    if odd:
        raise Conflict(f"after the migrations {odd[0][0]} {odd[0][1]} is not as this program makes it")


def shape(tx: Tx) -> set[tuple[str, str, str]]:
    """Tables, indexes and triggers as (kind, name, SQL); without SQLite's own and Litestream's."""
    rows = tx.all("select type, name, sql from sqlite_master where sql not null")
    return {row for row in rows if not row[1].startswith(("sqlite_", "_litestream_"))}


def intended(to: int | None = None) -> set[tuple[str, str, str]]:
    """The shape that the migrations add up to, up to a number, on a database that holds nothing."""
    tx = in_memory()
    apply(tx, [step for step in steps() if to is None or step[0] <= to])
    return shape(tx)


def in_memory() -> Tx:
    """An empty database in memory."""
    return Tx(apsw.Connection(":memory:"), Mint())


def statements(sql: str) -> list[str]:
    """The statements of a migration, one by one, without comments."""
    # A statement ends with a semicolon at the end of a line; a trigger holds its own ones within one line. A test keeps
    # it so.
    bare = re.sub(r"--[^\n]*", "", sql)
    return [s.strip() for s in re.split(r";[ \t]*(?:\n|$)", bare) if s.strip()]


def schema(db: Db) -> str:
    """What the migrations add up to, as SQL text: the file schema.sql beside this one."""
    with db.direct() as tx:
        rows = tx.all("select sql from sqlite_master where sql not null and name not like 'sqlite_%' order by rowid")
    return (
        "-- GENERATED by `make gen`: what the migrations add up to.\n\n" + ";\n\n".join(sql for (sql,) in rows) + ";\n"
    )
