"""A question in SQL, asked by a person: read-only, over one workspace's long-range numbers and archive, in a process of
its own that is ended when it takes too long.

The process has no secrets in its environment and writes nothing. DuckDB is in memory with a copy of the workspace's
numbers (other workspaces' are not there); of the file system it may read the archive's files by name and nothing else,
and no statement can change that: external access is off and the settings are locked before the question is looked at,
and only a single SELECT is run.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from signalcraft.errors import Fault, Invalid
from signalcraft.storage import children
from signalcraft.storage.archive.manifest import Shelf
from signalcraft.storage.rollups.asking import FILE
from signalcraft.storage.rollups.file import LEVELS, patient, settings

if TYPE_CHECKING:
    import duckdb

SECONDS: Final = 10.0
ROWS_MAX: Final = 10_000
SQL_MAX: Final = 20_000
CELL_MAX: Final = 10_000
"""Characters of one value."""
_BYTES_MAX: Final = 16 << 20
_START_S: Final = 20.0
"""What a busy box may take to start the process and read the numbers, beside the question's own time."""
ARCHIVED: Final = ("event", "alert_group", "journal", "comment", "delivery", "escalation")
_KEPT_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")


class Question(Struct, frozen=True, kw_only=True):
    """One SELECT, and how many rows of its answer are wanted."""

    database: str
    workspace_id: int
    sql: str
    rows: int = ROWS_MAX
    seconds: float = SECONDS


class Table(Struct, frozen=True, kw_only=True):
    """The answer: columns with their types, rows of JSON values. `cut`: there were more rows than are shown.

    `wrong`: why there is none.
    """

    columns: list[tuple[str, str]] = []
    rows: list[list[Any]] = []
    cut: bool = False
    seconds: float = 0.0
    wrong: str = ""


# -- in the process that serves ---------------------------------------------------------------------------------------


def ask(question: Question) -> Table:
    """The answer. Blocks: to be called on a thread. Raises Invalid for a question that cannot be answered, Fault."""
    if len(question.sql) > SQL_MAX:
        raise Invalid(f"a question has at most {SQL_MAX:,} characters", path="sql")
    environment = {name: value for name, value in children.environment().items() if name in _KEPT_ENVIRONMENT}
    process = subprocess.Popen(  # noqa: S603  # this program itself
        children.program("metrics", "answer"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    timer = threading.Timer(question.seconds + _START_S, process.kill)
    timer.start()
    try:
        said, _ = process.communicate(msgspec.json.encode(question))
    finally:
        timer.cancel()
    if process.returncode != 0 or not said:
        raise Invalid("the question took more time or memory than a question may take", path="sql")
    table = msgspec.json.decode(said, type=Table)
    if table.wrong:
        raise Invalid(table.wrong, path="sql")
    return table


# -- in the child -----------------------------------------------------------------------------------------------------


def answer() -> None:
    """Reads a Question from standard input, and writes a Table to standard output."""
    import os
    import resource

    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CPU, (int(question.seconds + _START_S), int(question.seconds + _START_S)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    sys.stdout.buffer.write(msgspec.json.encode(answered(question)))
    sys.stdout.buffer.flush()


def answered(question: Question) -> Table:
    """The answer to a question, in this very process."""
    import time

    import duckdb

    try:
        duck = prepared(Path(question.database), question.workspace_id, question.sql)
    except Fault as problem:
        return Table(wrong=problem.detail)
    except (duckdb.Error, OSError) as problem:
        return Table(wrong=f"the numbers cannot be read: {_first(problem)}")
    began = time.perf_counter()
    timer = threading.Timer(question.seconds, duck.interrupt)
    timer.start()
    try:
        statements = duck.extract_statements(question.sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            return Table(wrong="only one SELECT can be asked at a time")
        cursor = duck.execute(statements[0])
        columns = [(str(one[0]), str(one[1])) for one in cursor.description or ()]
        found = cursor.fetchmany(min(question.rows, ROWS_MAX) + 1)
    except duckdb.InterruptException:
        return Table(wrong=f"the question took longer than {question.seconds:g} s")
    except (duckdb.Error, RuntimeError, MemoryError) as problem:
        return Table(wrong=_first(problem) or "it needs more memory than a question may take")
    finally:
        timer.cancel()
    rows: list[list[Any]] = []
    size = 0
    for row in found[: min(question.rows, ROWS_MAX)]:
        rows.append([_plain(value) for value in row])
        size += sum(len(value) if isinstance(value, str) else 8 for value in rows[-1])
        if size > _BYTES_MAX:
            return Table(wrong=f"the answer is larger than {_BYTES_MAX >> 20} MB")
    return Table(columns=columns, rows=rows, cut=len(found) > len(rows), seconds=time.perf_counter() - began)


def prepared(database: Path, workspace_id: int, sql: str) -> duckdb.DuckDBPyConnection:
    """A DuckDB with the workspace's numbers and views of its archive, that can reach nothing else any more."""
    import duckdb

    folder = database.parent
    config = {name: value for name, value in settings(folder).items() if "temp" not in name}
    duck = duckdb.connect(":memory:", config={**config, "temp_directory": "", "python_enable_replacements": False})
    asked = sql.lower()
    path = folder / FILE
    if path.exists():
        patient(lambda: duck.execute(f"attach '{_text(path)}' as numbers (read_only)"))
        for level in LEVELS:
            # Only what is asked for is brought in: a year of hours takes a third of a second.
            only = "" if level in asked else " and false"
            duck.execute(
                f"create table {level} as select bucket, what, dimension, name, bin, sum(n)::bigint as n,"
                f" sum(ms)::bigint as ms from numbers.{level} where workspace_id = {int(workspace_id)}{only}"
                " group by all"
            )
        duck.execute(
            "create table label as select dimension, name, id, label from numbers.label"
            f" where workspace_id = {int(workspace_id)}"
        )
        duck.execute("detach numbers")
    allowed = _views(duck, folder, workspace_id)
    duck.execute(f"set allowed_paths = [{', '.join(allowed)}]")
    duck.execute("set enable_external_access = false")
    duck.execute("set lock_configuration = true")
    return duck


def _views(duck: duckdb.DuckDBPyConnection, folder: Path, workspace_id: int) -> list[str]:
    shelf = Shelf(folder, workspace_id)
    allowed: list[str] = []
    for table in ARCHIVED:
        files = [
            f"'{_text(shelf.root / one.path)}'"
            for one in shelf.read().files
            if one.table == table and one.state == "done"
        ]
        if files:
            duck.execute(f"create view archived_{table} as select * from read_parquet([{', '.join(files)}])")
        allowed += files
    return allowed


def _text(path: Path) -> str:
    return str(path).replace("'", "''")


def _first(problem: BaseException) -> str:
    return str(problem).split("\n", 1)[0][:500]


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, bytes):
        return value.hex()[:CELL_MAX]
    return str(value)[:CELL_MAX]
