"""The way back to an earlier schema: the copy from before the migration is put in the database's place, in one
transaction. What was written since is told first, row by row, and stays aside in the newer file.

What people were told since is not told again: a delivery that the newer database knows as settled is settled in the
older one too, and it knows the messages that were posted. With `carry`, everything that the older schema has room for
is taken along; else the older database is as it was.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import apsw
import msgspec
from msgspec import Struct

from signalcraft.domain.ids import Mint
from signalcraft.errors import Conflict, Damaged
from signalcraft.storage import before, copies, facts, rehearsal, runs
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.migrating import KIND, PROGRAM

_PEOPLE: Final = "('user', 'api_key', 'slack', 'email', 'webhook')"
_LEFT: Final = ("sqlite_", "_litestream_")
_DELIVERIES: Final = (
    "update delivery set state = n.state, attempts = n.attempts, last_error = n.last_error, sent_ms = n.sent_ms,"
    " tried_ms = n.tried_ms, lease_ms = null from newer.delivery n where n.id = delivery.id"
    " and delivery.state in ('owed', 'sending') and n.state in ('sent', 'failed', 'dropped')"
)
_ESCALATIONS: Final = (
    "update escalation set state = n.state, ended_ms = n.ended_ms from newer.escalation n where n.id = escalation.id"
    " and escalation.state = 'pending' and n.state <> 'pending'"
)


class Since(Struct, frozen=True, kw_only=True):
    """What a database holds that an earlier copy of it does not: new rows by table, and those that people ask about.
    `acts`: what people did; `kept_back`: rows of tables that the earlier schema does not have.
    """

    events: int
    groups: int
    deliveries: int
    acts: int
    rows: dict[str, int]
    kept_back: dict[str, int]


class Plan(Struct, frozen=True, kw_only=True):
    """A way back. `kept` is what would come."""

    schema: int
    kept: before.Kept
    since: Since


class Returned(Struct, frozen=True, kw_only=True):
    """What was done. `newer`: where the newer database is."""

    plan: Plan
    newer: str
    carried: bool


def plan(data_dir: Path, to: int | None, at_most: int | None = None) -> Plan:
    """What going back would bring and cost, to a schema or to one up to `at_most`. Reads alone.

    Raises Conflict (nothing to go back to), Damaged.
    """
    database = data_dir / "signalcraft.db"
    level = rehearsal.level_of(database)
    if to is not None and to >= level:
        raise Conflict(f"the database is at schema {level}: there is no way back to {to}")
    kept = before.choose(data_dir, level, to, at_most)
    return Plan(schema=level, kept=kept, since=since(database, before.sound(data_dir, kept)))


def since(newer: Path, older: Path) -> Since:
    """What the newer one has and the older one has not. Rows are known by their keys."""
    with _both(newer, older, "older", read_only=True) as tx:
        counted = {table: tx.value(f"select count(*) {_only_newer(tx, table)}") for table in _tables(tx, "main")}
        acts = tx.value(
            f"select count(*) {_only_newer(tx, 'journal')} and json_extract(m.actor, '$.kind') in {_PEOPLE}"
        )
        here = set(_tables(tx, "older"))
    rows = {table: n for table, n in counted.items() if n and table in here}
    return Since(
        events=rows.get("event", 0),
        groups=rows.get("alert_group", 0),
        deliveries=rows.get("delivery", 0),
        acts=acts,
        rows=rows,
        kept_back={table: n for table, n in counted.items() if n and table not in here},
    )


def go_back(
    data_dir: Path, chosen: Plan, *, program: str, now_ms: int, carry: bool, free: rehearsal.Free = rehearsal.free_disk
) -> Returned:
    """Puts the older database in place; the caller holds the lock of the data directory, and consent.

    Killed at any moment, the database is the newer one or the older one, whole. Raises DiskFull, Damaged, Conflict
    (what was written since does not fit into the older schema), Fault: the database is the newer one then, as it was.
    """
    database = data_dir / "signalcraft.db"
    before.tidy(data_dir)
    size = rehearsal.size_of(database)
    needed = size + 3 * chosen.kept.bytes + (size if carry else 0) + before.RESERVE
    rehearsal.enough(data_dir, needed, free(data_dir), "to go back")
    newer = before.keep(
        database, data_dir, schema=chosen.schema, program=program, to=chosen.kept.schema, now_ms=now_ms, newer=True,
        since={**chosen.since.rows, **chosen.since.kept_back},
    )  # fmt: skip
    draft = before.scratch(data_dir, "return")
    try:
        copies.copy_database(before.sound(data_dir, chosen.kept), draft)
        _prepare(draft, data_dir / before.FOLDER / newer.file, chosen, newer, now_ms, carry=carry)
        try:
            copies.verified(draft)
        except Damaged as fault:
            raise Conflict(f"what was written since does not fit into schema {chosen.kept.schema}: {fault}") from None
        before.give_back(draft, database)
    except BaseException:
        before.discard(data_dir, newer)
        raise
    finally:
        copies.discard(draft)
    return Returned(plan=chosen, newer=newer.file, carried=carry)


class Wanted(Struct, frozen=True, kw_only=True):
    """A way back, for the next start of an older program. `to`: the highest schema it has; `program`: who asked."""

    to: int
    carry: bool
    program: str
    at_ms: int


def want(data_dir: Path, wanted: Wanted | None) -> None:
    """Asks for it, or for none any more. Raises Fault."""
    if wanted is None:
        (data_dir / before.FOLDER / before.WANTED).unlink(missing_ok=True)
    else:
        before.write(before.folder(data_dir) / before.WANTED, msgspec.json.encode(wanted))


def wanted(data_dir: Path) -> Wanted | None:
    """What is asked for; None where nothing is."""
    try:
        return msgspec.json.decode((data_dir / before.FOLDER / before.WANTED).read_bytes(), type=Wanted)
    except (OSError, msgspec.MsgspecError):
        return None


def as_wanted(data_dir: Path, newest: int, *, program: str, now_ms: int) -> Returned | None:
    """Goes back where that is asked for and this program needs it; the caller holds the lock of the data directory.

    A kill in the middle is gone over again at the next start. Raises what `go_back` and `plan` raise: it is asked for
    no more then, and the database is the newer one.
    """
    asked = wanted(data_dir)
    if asked is None:
        return None
    try:
        if rehearsal.level_of(data_dir / "signalcraft.db") <= newest:
            return None  # it was done, or the newer program is in use again
        chosen = plan(data_dir, None, at_most=min(asked.to, newest))
        return go_back(data_dir, chosen, program=program, now_ms=now_ms, carry=asked.carry)
    finally:
        want(data_dir, None)


def written(data_dir: Path, name: str | None) -> Iterator[dict[str, Any]]:
    """The rows that a database put aside has and the present one has not: `{"table", "row": {column: value}}`.

    Bytes are given in base64 as `{"base64": …}`. Raises Conflict where nothing was put aside, or not under this name.
    """
    aside = [one for one in before.kept(data_dir) if one.newer and name in (None, one.file)]
    if not aside:
        raise Conflict(f"no database called {name} was put aside" if name else "no database was put aside")
    file = before.sound(data_dir, aside[0])
    with _both(file, data_dir / "signalcraft.db", "older", read_only=True) as tx:
        for table in _tables(tx, "main"):
            names = _columns(tx, "main", table)
            listed = ", ".join(f'm."{one}"' for one in names)
            for row in tx.all(f"select {listed} {_only_newer(tx, table)}"):
                yield {"table": table, "row": dict(zip(names, map(_shown, row), strict=True))}


# -- inside -----------------------------------------------------------------------------------------------------------


class _both:
    """A database with another one attached to it, for as long as the block lasts."""

    def __init__(self, main: Path, other: Path, name: str, *, read_only: bool) -> None:
        flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
        self._connection = apsw.Connection(str(main), flags=flags | apsw.SQLITE_OPEN_URI)
        self._connection.set_busy_timeout(5000)
        self._connection.execute(f"attach ? as {name}", (f"file:{quote(str(other.absolute()))}?mode=ro",)).fetchall()

    def __enter__(self) -> Tx:
        return Tx(self._connection, Mint())

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _prepare(draft: Path, newer: Path, chosen: Plan, kept: before.Kept, now_ms: int, *, carry: bool) -> None:
    """What is settled is settled, what was posted is known, the run is on record; with `carry`, all that fits."""
    with _both(draft, newer, "newer", read_only=False) as tx:
        tx.run("pragma foreign_keys=off")
        tx.run("begin immediate")
        try:
            if carry:
                _carry(tx)
            else:
                for sql in (_DELIVERIES, _ESCALATIONS):
                    tx.run(sql)
                listed = _shared(tx, "conversation")
                tx.run(
                    f"insert or replace into main.conversation ({listed}) select {listed} from newer.conversation"
                    " where group_id in (select id from main.alert_group)"
                )
            facts.put(tx, PROGRAM, chosen.kept.program)
        except apsw.ConstraintError as problem:
            raise Conflict(
                f"what was written since does not fit into schema {chosen.kept.schema} ({problem}): go back without"
                " --carry; it stays in the newer file"
            ) from None
        tx.run("commit")
    _record(draft, chosen, kept, now_ms, carry=carry)


def _record(draft: Path, chosen: Plan, kept: before.Kept, now_ms: int, *, carry: bool) -> None:
    db = Db(draft)
    try:
        db.grow_ids()
        with db.direct() as tx:
            if not tx.value("select count(*) from sqlite_master where name = 'maintenance_run'"):
                return
            figures: dict[str, int | float | str] = {}
            figures |= {"from": chosen.schema, "to": chosen.kept.schema, "newer": kept.file}
            figures |= {f"since_{table}": n for table, n in chosen.since.rows.items()}
            how = "taken along" if carry else "kept aside alone"
            said = f"went back from schema {chosen.schema} to {chosen.kept.schema}; what was written since was {how}"
            runs.end(tx, runs.begin(tx, KIND, now_ms), "ok", said, figures, now_ms)
    finally:
        db.stop()


def _carry(tx: Tx) -> None:
    """Every table of the older schema gets the newer one's rows, as far as it has columns for them."""
    triggers = tx.all("select name, sql from main.sqlite_master where type = 'trigger'")
    for name, _ in triggers:
        tx.run(f'drop trigger main."{name}"')
    known = set(_tables(tx, "newer"))
    for table in _tables(tx, "main"):
        if table not in known:
            continue
        listed = _shared(tx, table)
        tx.run(f'delete from main."{table}"')
        tx.run(f'insert into main."{table}" ({listed}) select {listed} from newer."{table}"')
    for _, sql in triggers:
        tx.run(sql)


def _tables(tx: Tx, schema: str) -> list[str]:
    rows = tx.all(f"select name from {schema}.sqlite_master where type = 'table' order by name")
    return [name for (name,) in rows if not name.startswith(_LEFT)]


def _columns(tx: Tx, schema: str, table: str) -> list[str]:
    """Those that hold something of their own: generated ones do not."""
    return [row[1] for row in tx.all(f"select * from pragma_table_xinfo(?, '{schema}')", (table,)) if row[6] == 0]


def _shared(tx: Tx, table: str) -> str:
    """The columns that both have, as SQL lists them."""
    there = _columns(tx, "newer", table)
    return ", ".join(f'"{one}"' for one in _columns(tx, "main", table) if one in there)


def _only_newer(tx: Tx, table: str) -> str:
    """`from … where …` of the rows of a table whose keys the older database does not have."""
    if table not in _tables(tx, "older"):
        return f'from main."{table}" m where true'
    key = [row[1] for row in tx.all("select * from pragma_table_xinfo(?, 'main')", (table,)) if row[5]] or ["rowid"]
    same = " and ".join(f'o."{one}" is m."{one}"' for one in key)
    return f'from main."{table}" m where not exists (select 1 from older."{table}" o where {same})'


def _shown(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
