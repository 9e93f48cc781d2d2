"""The archive's child process: the only one that works with DuckDB. It reads the database, and never writes it.

It is a process of its own so that neither DuckDB's memory nor its work is felt by what takes alerts in: who starts it
has it give way, it has one thread and a limit, and gives everything back at its end.
"""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import apsw
import msgspec

from signalcraft.errors import Damaged, DiskFull, Fault
from signalcraft.storage.archive.asking import TABLES, Answer, Ask, Check, Erase, Keys, Rewrite, Rows, Search, Write
from signalcraft.storage.archive.manifest import PART, Entry, sha256, sync, trouble

if TYPE_CHECKING:
    import duckdb

_TYPES: Final = {"integer": "bigint", "text": "varchar", "blob": "blob", "real": "double"}
_MEMORY: Final = "96MB"
_CHUNK: Final = 1000


def serve(database: Path, root: Path, asked: BinaryIO, out: BinaryIO) -> None:
    """Answers questions, a line each, until there are no more."""
    worker = Worker(database, root)
    decoder, encoder = msgspec.json.Decoder(Ask), msgspec.json.Encoder()
    for line in asked:
        out.write(encoder.encode(_answered(worker, decoder.decode(line))) + b"\n")
        out.flush()


def _answered(worker: Worker, ask: Ask) -> Answer:
    try:
        return worker.answer(ask)
    except DiskFull as problem:
        return Answer(wrong=problem.detail, full=True)
    except Fault as problem:
        return Answer(wrong=problem.detail, damaged=isinstance(problem, Damaged))
    except OSError as problem:
        told = trouble(problem, worker.root)
        return Answer(wrong=told.detail, full=isinstance(told, DiskFull))
    except Exception as problem:
        # DuckDB says it in words: "IO Error: Could not write file …: No space left on device".
        text = str(problem).split("\n", 1)[0]
        if os.strerror(errno.ENOSPC) in text:
            return Answer(wrong=trouble(OSError(errno.ENOSPC, ""), worker.root).detail, full=True)
        return Answer(wrong=f"{type(problem).__name__}: {text}"[:500])


class Worker:
    """One archive folder and, where rows are archived, the database they come from."""

    def __init__(self, database: Path, root: Path) -> None:
        self.database = database
        self.root = root
        self._reader: apsw.Connection | None = None
        self._opened: duckdb.DuckDBPyConnection | None = None

    def answer(self, ask: Ask) -> Answer:
        """Raises Damaged, DiskFull, OSError and what DuckDB raises."""
        if isinstance(ask, Write):
            return self._write(ask)
        if isinstance(ask, Rewrite):
            return self._rewrite(ask)
        if isinstance(ask, Keys):
            return Answer(keys=self._keys(ask))
        if isinstance(ask, Rows):
            return self._rows(ask)
        if isinstance(ask, Search):
            return self._search(ask)
        if isinstance(ask, Check):
            self._file(ask.source)
            return Answer(entry=ask.source)
        return self._erase(ask)

    @contextmanager
    def _duck(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """DuckDB without a table: opened once, which takes longer than most of what is asked of it."""
        duck, self._opened = self._opened or _opened(self.root), None
        yield duck  # after a failure it is opened anew
        duck.execute("drop table if exists t")
        self._opened = duck

    # -- reading the database -----------------------------------------------------------------------------------------

    def _open(self) -> apsw.Connection:
        if self._reader is None:
            from signalcraft.storage.db import connect

            self._reader = connect(self.database, read_only=True)
        return self._reader

    def _columns(self, table: str) -> list[tuple[str, str]]:
        rows = self._open().execute("select name, lower(type) from pragma_table_info(?)", (table,)).fetchall()
        return [(str(name), str(kind)) for name, kind in rows]

    def _found(self, ask: Write, columns: Sequence[tuple[str, str]]) -> Iterator[tuple[Any, ...]]:
        table = TABLES[ask.table]
        column, values = (table.of_group, ask.groups) if ask.groups else (table.key, ask.keys)
        names = ", ".join(name for name, _ in columns)
        of = " and workspace_id = ?3" if any(name == "workspace_id" for name, _ in columns) else ""
        sql = (
            f"select {names} from {ask.table} where {column} in (select value from json_each(?1)){of}"
            f" order by {table.key} limit ?2"
        )
        text = msgspec.json.encode(values).decode()
        args = (text, ask.rows_max, ask.workspace_id) if of else (text, ask.rows_max)
        yield from self._open().execute(sql, args)

    # -- writing ------------------------------------------------------------------------------------------------------

    def _write(self, ask: Write) -> Answer:
        columns = self._columns(ask.table)
        with self._duck() as duck:
            _make(duck, columns)
            room, chunk = ask.bytes_max, list[tuple[Any, ...]]()
            for row in self._found(ask, columns):
                chunk.append(row)
                room -= sum(len(value) for value in row if isinstance(value, str | bytes)) + 8 * len(row)
                if len(chunk) >= _CHUNK:
                    _put(duck, columns, chunk)
                    chunk.clear()
                if room <= 0:
                    break
            _put(duck, columns, chunk)
            return self._kept(duck, ask.table, ask.month, ask.path, [name for name, _ in columns])

    def _kept(self, duck: duckdb.DuckDBPyConnection, table: str, month: str, path: str, names: list[str]) -> Answer:
        """The table `t` as a file that was read back; no entry where it is empty."""
        spec = TABLES[table]
        keys = [row[0] for row in duck.execute(f"select {spec.key} from t order by {spec.key}").fetchall()]
        if not keys:
            return Answer()
        file = self.root / path
        part = file.with_name(file.name + PART)
        try:
            order = ", ".join(_quoted(name) for name in names)
            rows = f"select {order} from t order by {spec.key}"
            duck.execute(f"copy ({rows}) to '{_text(part)}' (format parquet, compression zstd)")
            _synced(part)
            if _sum(duck, "t", names) != _sum(duck, f"read_parquet('{_text(part)}')", names):
                raise Damaged(f"{path} does not hold what was written to it: nothing was deleted")
            digest, size = sha256(part), part.stat().st_size
            span = duck.execute(f"select min({spec.at}), max({spec.at}) from t").fetchone() or (0, 0)
            part.rename(file)
            sync(file.parent)
        finally:
            part.unlink(missing_ok=True)
        entry = Entry(
            path=path, table=table, month=month, rows=len(keys), first_id=keys[0], last_id=keys[-1],
            from_ms=span[0], until_ms=span[1], sha256=digest, bytes=size,
        )  # fmt: skip
        return Answer(entry=entry, keys=keys)

    def _rewrite(self, ask: Rewrite) -> Answer:
        files = [self._file(one) for one in ask.sources]
        with self._duck() as duck:
            names = _take(duck, files)
            gone = 0
            for start in range(0, len(ask.without), 10_000):
                some = msgspec.json.encode(ask.without[start : start + 10_000]).decode()
                key = TABLES[ask.table].key
                gone += len(
                    duck.execute(
                        f"delete from t where {key} in (select unnest(cast(?::json as bigint[]))) returning 1", [some]
                    ).fetchall()
                )
            answer = self._kept(duck, ask.table, ask.month, ask.path, names)
        kept = answer.entry.rows if answer.entry is not None else 0
        if kept + gone != sum(one.rows for one in ask.sources):
            (self.root / ask.path).unlink(missing_ok=True)
            raise Damaged(f"{ask.path} would not hold every row of {len(files)} files")
        return Answer(entry=answer.entry, changed=gone)

    # -- reading files ------------------------------------------------------------------------------------------------

    def _file(self, entry: Entry) -> Path:
        """A file that is as it was written. Raises Damaged."""
        file = self.root / entry.path
        if not file.is_file():
            raise Damaged(f"{entry.path} is missing from the archive")
        if sha256(file) != entry.sha256:
            raise Damaged(f"{entry.path} is not as it was written: take it from a backup")
        return file

    def _keys(self, ask: Keys) -> list[int]:
        key = TABLES[ask.table].key
        with self._duck() as duck:
            return [
                row[0]
                for row in duck.execute(f"select {key} from read_parquet('{_text(self._file(ask.source))}')").fetchall()
            ]

    def _rows(self, ask: Rows) -> Answer:
        file = self._file(ask.source) if ask.skip == 0 else self.root / ask.source.path
        with self._duck() as duck:
            found = duck.execute(
                f"select * from read_parquet('{_text(file)}') order by {TABLES[ask.table].key} limit ? offset ?",
                [ask.most, ask.skip],
            )
            names = [one[0] for one in found.description or ()]
            return Answer(columns=names, rows=[[_plain(value) for value in row] for row in found.fetchall()])

    def _search(self, ask: Search) -> Answer:
        files = [str(self.root / one.path) for one in ask.sources if (self.root / one.path).is_file()]
        if not files:
            return Answer(columns=ask.columns)
        where, values = ["true"], list[Any]()
        if ask.from_ms is not None:
            where.append(f"{ask.order} >= ?")
            values.append(ask.from_ms)
        if ask.until_ms is not None:
            where.append(f"{ask.order} < ?")
            values.append(ask.until_ms)
        for column, value in ask.equal.items():
            where.append(f"cast({_quoted(column)} as varchar) = ?")
            values.append(value)
        if ask.text:
            where.append("(" + " or ".join(f"contains(lower({_quoted(one)}), ?)" for one in ask.within) + ")")
            values += [ask.text.lower()] * len(ask.within)
        listed = ", ".join(f"'{_text(Path(one))}'" for one in files)
        names = ", ".join(_quoted(name) for name in ask.columns)
        with self._duck() as duck:
            found = duck.execute(
                f"select {names} from read_parquet([{listed}], union_by_name = true)"
                f" where {' and '.join(where)} order by {ask.order} desc limit ?",
                [*values, ask.most],
            ).fetchall()
        return Answer(columns=ask.columns, rows=[[_plain(value) for value in row] for row in found])

    # -- erasing a person ---------------------------------------------------------------------------------------------

    def _erase(self, ask: Erase) -> Answer:
        from signalcraft.storage.archive.erasing import erased, telling

        file = self._file(ask.source)
        with self._duck() as duck:
            names = _take(duck, [file])
            if not ask.path:
                told = telling(duck, ask, names)
                return Answer(columns=names, rows=[[_plain(value) for value in row] for row in told])
            changed = erased(duck, ask, names)
            if not changed:
                return Answer()
            answer = self._kept(duck, ask.table, ask.month, ask.path, names)
            return Answer(entry=answer.entry, changed=changed)


# -- DuckDB -----------------------------------------------------------------------------------------------------------


def _opened(root: Path) -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(
        ":memory:",
        config={
            "memory_limit": _MEMORY,
            "threads": "1",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "temp_directory": str(root / ".tmp"),
            "max_temp_directory_size": "2GB",
            "preserve_insertion_order": "false",
        },
    )


def _make(duck: duckdb.DuckDBPyConnection, columns: Sequence[tuple[str, str]]) -> None:
    fields = ", ".join(f"{_quoted(name)} {_TYPES.get(kind, 'varchar')}" for name, kind in columns)
    duck.execute(f"create table t ({fields})")


def _take(duck: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> list[str]:
    """Everything of these files as the table `t`; its columns."""
    listed = ", ".join(f"'{_text(one)}'" for one in files)
    duck.execute(f"create table t as select * from read_parquet([{listed}], union_by_name = true)")
    return [row[0] for row in duck.execute("select column_name from (describe t)").fetchall()]


def _put(duck: duckdb.DuckDBPyConnection, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]) -> None:
    """Rows into the table `t`: a column at a time as JSON, the fastest way in that needs no further library."""
    if not rows:
        return
    parts, values = [], []
    for (_, kind), column in zip(columns, zip(*rows, strict=True), strict=True):
        given: Sequence[Any] = column
        shape = _TYPES.get(kind, "varchar")
        if shape == "blob":
            given = [None if one is None else base64.b64encode(one).decode() for one in column]
        listed = f"unnest(cast(?::json as {'varchar' if shape == 'blob' else shape}[]))"
        parts.append(f"from_base64({listed})" if shape == "blob" else listed)
        values.append(msgspec.json.encode(given).decode())
    duck.execute(f"insert into t select {', '.join(parts)}", values)


def _sum(duck: duckdb.DuckDBPyConnection, source: str, names: Sequence[str]) -> Any:
    every = ", ".join(_quoted(name) for name in names)
    return duck.execute(f"select count(*), coalesce(bit_xor(hash({every})), 0) from {source}").fetchone()


def _synced(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes | bytearray) else value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(path: Path) -> str:
    return str(path).replace("'", "''")
