"""Runs of the appliance's own care: one row each, kept as long as the appliance lives (a few a day)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import apsw
import msgspec
from msgspec import Struct

from signalcraft.storage.db import Tx

State = Literal["running", "ok", "failed", "cut"]
_COLUMNS: Final = "id, kind, state, began_ms, ended_ms, said, figures"


class Run(Struct, frozen=True):
    """One run. `cut`: the program ended before the run did. `figures`: names to numbers or texts."""

    id: int
    kind: str
    state: State
    began_ms: int
    ended_ms: int | None
    said: str
    figures: dict[str, int | float | str]


def begin(tx: Tx, kind: str, now_ms: int) -> int:
    """A new run, under way; its id."""
    number = tx.new_id(now_ms)
    tx.run(
        f"insert into maintenance_run ({_COLUMNS}) values (?, ?, 'running', ?, null, '', '{{}}')",
        (number, kind, now_ms),
    )
    return number


def end(tx: Tx, number: int, state: State, said: str, figures: dict[str, int | float | str], now_ms: int) -> None:
    """What came of a run."""
    tx.run(
        "update maintenance_run set state = ?, ended_ms = ?, said = ?, figures = ? where id = ?",
        (state, now_ms, said, msgspec.json.encode(figures).decode(), number),
    )


def cut(tx: Tx, now_ms: int) -> int:
    """Closes the runs that an earlier process left under way; how many."""
    return tx.run(
        "update maintenance_run set state = 'cut', ended_ms = ?, said = 'the program ended before it was done'"
        " where state = 'running'",
        (now_ms,),
    )


def last(tx: Tx, kind: str, state: State | None = None) -> Run | None:
    """The newest run of a kind (in a state)."""
    row = tx.one(
        f"select {_COLUMNS} from maintenance_run where kind = ?1 and (?2 is null or state = ?2)"
        " order by id desc limit 1",
        (kind, state),
    )
    return None if row is None else _run(row)


def last_done_ms(database: Path, kind: str) -> int | None:
    """When a run of a kind last went well, read beside whatever serves the database; None where none did."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(5000)
        if not connection.execute("select count(*) from sqlite_master where name = 'maintenance_run'").fetchall()[0][0]:
            return None
        sql = "select max(ended_ms) from maintenance_run where kind = ? and state = 'ok'"
        found = connection.execute(sql, (kind,)).fetchall()[0][0]
        return found if isinstance(found, int) else None
    finally:
        connection.close()


def newest(tx: Tx, kind: str | None = None, below: int | None = None, limit: int = 50) -> list[Run]:
    """Runs, newest first, below an id where one is given."""
    rows = tx.all(
        f"select {_COLUMNS} from maintenance_run where (?1 is null or kind = ?1) and (?2 is null or id < ?2)"
        " order by id desc limit ?3",
        (kind, below, limit),
    )
    return [_run(row) for row in rows]


def _run(row: Any) -> Run:
    number, kind, state, began_ms, ended_ms, said, figures = row
    return Run(number, kind, state, began_ms, ended_ms, said, msgspec.json.decode(figures))
