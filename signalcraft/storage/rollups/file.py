"""The file of long-range numbers: its tables, its marks, and how numbers are added to it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from signalcraft.errors import Busy
from signalcraft.storage.rollups.counting import Fact

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")
FORMAT: Final = 1
LOCKED_S: Final = 10.0
MEMORY: Final = "96MB"
LEVELS: Final = {"minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}
KEPT_MS: Final = {"minutes": 14 * 86_400_000, "hours": 400 * 86_400_000}
"""Days are kept for ever."""
_TABLE: Final = (
    "(workspace_id bigint, bucket timestamp, what varchar, dimension varchar, name varchar, bin smallint, n bigint,"
    " ms bigint)"
)


class Unusable(Exception):
    """The file cannot be read, or is not of this program's making: it is made anew."""


def settings(folder: Path) -> dict[str, Any]:
    """How DuckDB is opened: one thread, a limit, nothing fetched from anywhere."""
    return {
        "threads": 1,
        "memory_limit": MEMORY,
        "temp_directory": str(folder / "metrics.tmp"),
        "max_temp_directory_size": "512MB",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def patient(opened: Callable[[], T], wait_s: float = LOCKED_S) -> T:
    """Opens the file, which one process has open at a time. Raises Busy when another does not let go of it in time."""
    import duckdb

    until = time.monotonic() + wait_s
    while True:
        try:
            return opened()
        except duckdb.IOException as problem:
            if "lock on file" not in str(problem):
                raise
            if time.monotonic() > until:
                raise Busy("the long-range numbers are in use by another process") from None
            time.sleep(0.05)


class Numbers:
    """The open file. Raises Unusable for one that cannot be used."""

    def __init__(self, path: Path) -> None:
        import duckdb

        new = not path.exists()
        try:
            self.duck: duckdb.DuckDBPyConnection = patient(
                lambda: duckdb.connect(str(path), config=settings(path.parent))
            )
        except duckdb.Error as problem:
            raise Unusable(str(problem).split("\n", 1)[0]) from None
        try:
            with suppress(OSError):
                os.chmod(path, 0o600)
            if new:
                self._create()
            if self.mark("format") != FORMAT:
                raise Unusable("it was made by another version")
        except duckdb.Error as problem:
            self.close()
            raise Unusable(str(problem).split("\n", 1)[0]) from None
        except Unusable:
            self.close()
            raise

    def _create(self) -> None:
        with self.whole():
            self.duck.execute("create table mark (name varchar primary key, value bigint)")
            for level in LEVELS:
                self.duck.execute(f"create table {level} {_TABLE}")
            self.duck.execute(
                "create table label (workspace_id bigint, dimension varchar, name varchar, id varchar, label varchar)"
            )
            self.set_mark("format", FORMAT)

    def close(self) -> None:
        """Ends it; what was committed is in the file."""
        self.duck.close()

    def mark(self, name: str) -> int:
        """How far it has counted; 0 at first."""
        row = self.duck.execute("select value from mark where name = ?", [name]).fetchone()
        return 0 if row is None else int(row[0])

    def set_mark(self, name: str, value: int) -> None:
        """To be done in the transaction that counts."""
        self.duck.execute("insert or replace into mark values (?, ?)", [name, value])

    @contextmanager
    def whole(self) -> Iterator[None]:
        """One transaction: all of it or nothing."""
        self.duck.execute("begin")
        try:
            yield
        except BaseException:
            self.duck.execute("rollback")
            raise
        self.duck.execute("commit")

    def add(self, facts: Iterable[Fact], now_ms: int) -> None:
        """Adds them to minutes, hours and days; what is older than a level keeps is not added to it."""
        rows = list(facts)
        if not rows:
            return
        columns = [
            msgspec.json.encode(column).decode()
            for column in zip(*((f.workspace_id, f.at_ms, f.what, f.dimension, f.name, f.bin, f.n, f.ms) for f in rows),
                              strict=True)
        ]  # fmt: skip
        self.duck.execute(
            "create or replace temp table fact as select unnest(cast(?::json as bigint[])) as workspace_id,"
            " unnest(cast(?::json as bigint[])) as at_ms, unnest(cast(?::json as varchar[])) as what,"
            " unnest(cast(?::json as varchar[])) as dimension, unnest(cast(?::json as varchar[])) as name,"
            " unnest(cast(?::json as smallint[])) as bin, unnest(cast(?::json as bigint[])) as n,"
            " unnest(cast(?::json as bigint[])) as ms",
            columns,
        )
        self.spread("fact", now_ms)

    def spread(self, source: str, now_ms: int) -> None:
        """Adds the rows of a table with the columns of a Fact to every level."""
        for level, width in LEVELS.items():
            since = now_ms - KEPT_MS[level] if level in KEPT_MS else -(2**62)
            self.duck.execute(
                f"insert into {level} select workspace_id, make_timestamp(at_ms // {width} * {width} * 1000), what,"
                f" dimension, name, bin, sum(n), sum(ms) from {source} where at_ms >= {since}"
                " group by 1, 2, 3, 4, 5, 6"
            )

    def tidy(self, now_ms: int) -> None:
        """Forgets what a level keeps no longer, and packs rows that say the same."""
        with self.whole():
            for level in LEVELS:
                since = now_ms - KEPT_MS[level] if level in KEPT_MS else None
                where = (
                    ""
                    if since is None
                    else f" where bucket >= make_timestamp({since // LEVELS[level] * LEVELS[level]} * 1000)"
                )
                self.duck.execute(
                    f"create or replace temp table packed as select workspace_id, bucket, what, dimension, name, bin,"
                    f" sum(n)::bigint as n, sum(ms)::bigint as ms from {level}{where} group by 1, 2, 3, 4, 5, 6"
                )
                self.duck.execute(f"delete from {level}")
                self.duck.execute(
                    f"insert into {level} select * from packed order by bucket, workspace_id, what, dimension"
                )
                self.duck.execute("drop table packed")
        self.duck.execute("checkpoint")


def remove(path: Path) -> None:
    """Deletes the file and what DuckDB keeps beside it."""
    for one in (path, path.with_name(path.name + ".wal")):
        one.unlink(missing_ok=True)
