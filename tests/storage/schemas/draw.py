"""Databases at each schema that SignalCraft ever had, with data of every table: `NNNN.sql.gz` beside this file.

`python -m tests.storage.schemas.draw` makes those that are missing and never touches one that is there: what a release
wrote stays as it is. The data come from a whole SignalCraft that lived through a few alerts; a database of an earlier
schema gets what its tables and columns can hold of them, written through that schema's own migrations.
"""

from __future__ import annotations

import base64
import gzip
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw

from signalcraft.storage import migrate
from signalcraft.storage.db import Db, Tx, connect

HERE = Path(__file__).parent
KEY = base64.b64encode(bytes(range(32))) + b"\n"
"""The master key of all of them."""
LATER = {12: ("minute_count", ("began", "answered", "answer_ms", "mended", "mend_ms"))}
"""Schema: a table, and what of its column `what` is counted from that schema on alone."""


def levels() -> list[int]:
    """The schemas that are kept here."""
    return sorted(int(file.name[:4]) for file in HERE.glob("*.sql.gz"))


def text(level: int) -> str:
    """A kept database as SQL."""
    return gzip.decompress((HERE / f"{level:04d}.sql.gz").read_bytes()).decode()


def laid(level: int, data_dir: Path) -> Path:
    """A data directory with a kept database and its master key, as that release left it; the database's path."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keyed(data_dir)
    file = data_dir / "signalcraft.db"
    connection = connect(file)
    connection.execute("pragma foreign_keys=off").fetchall()
    connection.execute("begin").fetchall()
    for statement in statements(level):
        connection.execute(statement).fetchall()
    connection.execute("commit").fetchall()
    connection.close()
    return file


def keyed(data_dir: Path) -> None:
    """The master key of all of them."""
    (data_dir / "master.key").write_bytes(KEY)
    (data_dir / "master.key").chmod(0o600)


def statements(level: int) -> list[str]:
    """The kept database's statements, one by one."""
    return text(level).split(";\n--\n")[:-1]


def inserts(level: int) -> list[str]:
    """The rows alone."""
    return [one for one in statements(level) if one.startswith("insert into ")]


def columns(tx: Tx, table: str) -> list[str]:
    """The columns that hold something of their own; generated ones do not."""
    return [row[1] for row in tx.all("select * from pragma_table_xinfo(?)", (table,)) if row[6] == 0]


def tables(tx: Tx) -> list[str]:
    """Its tables by name."""
    rows = tx.all("select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name")
    return [name for (name,) in rows]


def rows(tx: Tx, table: str, names: list[str]) -> list[tuple[Any, ...]]:
    """What is in some columns of a table, in an order of its own."""
    chosen = ", ".join(f'"{name}"' for name in names)
    return sorted(tx.all(f'select {chosen} from "{table}"'), key=repr)


def dump(level: int, source: Tx) -> Iterator[str]:
    """The statements of a database at a schema, with what it can hold of another's data."""
    with tempfile.TemporaryDirectory() as folder:
        old = Db(Path(folder) / "old.db")
        with old.direct() as tx:
            migrate.apply(tx, [step for step in migrate.steps() if step[0] <= level])
            made = tx.all("select type, sql from sqlite_master where sql not null and name not like 'sqlite_%'")
            yield from (sql for kind, sql in made if kind == "table")
            for table in tables(tx):
                names = [name for name in columns(tx, table) if name in columns(source, table)]
                listed = ", ".join(f'"{name}"' for name in names)
                later = {what for n, (of, whats) in LATER.items() if of == table and level < n for what in whats}
                for row in rows(source, table, names):
                    if later and row[names.index("what")] in later:
                        continue
                    values = ", ".join(apsw.format_sql_value(value) for value in row)
                    yield f'insert into "{table}" ({listed}) values ({values})'
            yield from (sql for kind, sql in made if kind != "table")
        old.stop()
    yield f"pragma user_version = {level}"


def main() -> None:
    """Makes the missing ones."""
    lacking = [number for number, _, _ in migrate.steps() if number not in levels()]
    if not lacking:
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        folder.mkdir(mode=0o700)
        keyed(folder)
        from tests.storage.schemas.life import live

        live(folder)
        db = Db(folder / "signalcraft.db")
        with db.direct() as tx:
            for level in lacking:
                whole = "".join(f"{one};\n--\n" for one in dump(level, tx))
                (HERE / f"{level:04d}.sql.gz").write_bytes(gzip.compress(whole.encode(), 9, mtime=0))
                sys.stdout.write(f"tests/storage/schemas/{level:04d}.sql.gz\n")
            empty = [name for name in tables(tx) if not tx.value(f'select count(*) from "{name}"')]
            sys.stdout.write(f"tables without a row: {', '.join(empty) or 'none'}\n")
        db.stop()


if __name__ == "__main__":
    main()
