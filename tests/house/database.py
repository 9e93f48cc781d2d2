"""Draws docs/reference/database.md: every table and column, with what the migrations and columns.py say of each."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from tests.house.columns import COLUMNS, COMMON, TABLES
from tests.house.tree import ROOT

PAGE = "docs/reference/database.md"
MIGRATIONS = ROOT / "signalcraft/storage/migrations"
_HEAD = """\
# The database

This page is generated from the migrations (`make gen`). The main database is one SQLite file in the data directory,
opened by SignalCraft alone. Two SQLite libraries in one process corrupt a database, and another process that writes is
in the way of the writer: read a copy (a [backup](../how-to/back-up.md), the [replica](../how-to/replicate.md)), or ask
the [long-range numbers](../how-to/query.md). The schema may change with every version; what programs rely on is [the
API](http-api.md).

Times end in `_ms`: milliseconds since 1970 UTC. Secrets are sealed (`blob`); tokens and passwords are kept as hashes.
How the schema changes: [migrations](../explanation/migrations.md). How the tables of one alert belong together:
[the architecture](../explanation/architecture.md#the-schema).
"""


class Column(NamedTuple):
    """A column: `kind` with its limits as SQL spells them, `said`: one sentence, "" where nobody wrote one."""

    name: str
    kind: str
    said: str


class Table(NamedTuple):
    """A table with its columns in order; `since`: the migration that made it."""

    name: str
    said: str
    since: str
    columns: list[Column]


def tables() -> list[Table]:
    """What the migrations add up to, with their own words."""
    made: dict[str, Table] = {}
    for path in sorted(MIGRATIONS.glob("*.sql")):
        table: Table | None = None
        said: list[str] = []
        for line in path.read_text("utf-8").splitlines():
            if match := re.fullmatch(r"create table (\w+) \(", line):
                name = match[1]
                table = Table(name, TABLES.get(name, " ".join(said)), path.stem[:4], [])
                made[name], said = table, []
            elif line.startswith(")"):
                table = None
            elif table is not None:
                if match := re.match(r"    (\w+) ((?:integer|text|blob|real)\b.*?),? *(?:-- (.*))?$", line):
                    table.columns.append(_column(table.name, match[1], match[2], match[3]))
            elif match := re.match(r"alter table (\w+) add column (\w+) ([^;]+); *(?:-- (.*))?", line):
                made[match[1]].columns.append(_column(match[1], match[2], match[3], match[4] or " ".join(said)))
                said = []
            else:
                said = [*said, line[3:]] if line.startswith("-- ") else []
    return list(made.values())


def _column(table: str, name: str, kind: str, said: str | None) -> Column:
    words = COLUMNS.get(f"{table}.{name}") or said or COMMON.get(name, "")
    kind = re.sub(r" generated always as .*", ", drawn", kind.strip())
    return Column(name, kind, words[:1].upper() + words[1:])


def page() -> str:
    """The whole page."""
    out = [_HEAD]
    for table in tables():
        rows = [
            f"| `{c.name}` | {c.kind.replace('|', chr(92) + '|')} | {c.said.replace('|', '/')} |" for c in table.columns
        ]
        out.append(f"## {table.name}\n\n{table.said} (Migration {table.since}.)\n")
        out.append("| column | type | what it is |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(out)


def main() -> None:
    """Prints it."""
    sys.stdout.write(page())


if __name__ == "__main__":
    main()
