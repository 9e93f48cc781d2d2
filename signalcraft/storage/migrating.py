"""The careful way to a newer schema: on a copy first, then a verified backup, then all of it in one transaction, then a
look at what came of it, and back to the backup where that does not hold. Each run is on record.

A failure that is met before anything was changed is remembered beside the database (`before/failed.json`): the database
itself stays untouched, and a service that restarts each second does not copy it each second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw
import msgspec
from msgspec import Struct

from signalcraft.errors import Conflict, Damaged, DiskFull, Fault
from signalcraft.storage import before, facts, migrate, rehearsal, runs
from signalcraft.storage.db import Db, Tx

log = logging.getLogger(__name__)

Say = Callable[[str], None]

KIND: Final = "migration"
LONG_MS: Final = 60_000
"""A migration that took longer is told (MIG-6)."""
PROGRAM: Final = "program_version"
"""The fact that says which version served this database last."""
_FAILED: Final = "failed.json"
_AGAIN_MS: Final = 600_000
"""So long a start is refused with the same words, without trying again; `signalcraft migrate up` tries at once."""


class Failed(Struct, frozen=True, kw_only=True):
    """A run that did not come to anything. `program`: the version that tried; `recorded`: it stands among the runs."""

    program: str
    schema: int
    to: int
    said: str
    began_ms: int
    ended_ms: int
    recorded: bool = False


class Way(Struct, frozen=True, kw_only=True):
    """What a migration needs from outside. `works` is asked afterwards whether the program can use the database: it
    raises a Fault where it cannot. `insist`: try again at once after a failure.
    """

    data_dir: Path
    program: str
    now: Callable[[], int]
    say: Say = lambda _text: None
    works: Callable[[Db], None] = lambda _db: None
    free: rehearsal.Free = rehearsal.free_disk
    insist: bool = False


def bring_up(db: Db, way: Way) -> list[str]:
    """Brings a database to this program's schema before its writer starts; the names of what was applied.

    Nothing is copied for a new database, and nothing is done for one that is up to date. Raises BadSetting for one that
    is newer, else Conflict, Damaged, DiskFull or Fault: the database has its old schema then, and all that was in it.
    """
    level = migrate.version(db)
    lacks = migrate.missing(level)
    if not lacks:
        return []
    if level == 0:
        done = migrate.up(db)
        way.say(f"a new database, schema {migrate.newest()}")
        return done
    before.tidy(way.data_dir)
    to, began_ms = lacks[-1][0], way.now()
    _not_again(way, level, began_ms)
    try:
        done = _carefully(db, way, level, began_ms)
    except Fault as fault:
        _remember(way, level, to, fault.detail, began_ms)
        raise
    except apsw.Error as problem:
        said = f"the migration from schema {level} to {to} failed: {problem}; the database has its old schema"
        _remember(way, level, to, said, began_ms)
        raise Fault(said) from problem
    (way.data_dir / before.FOLDER / _FAILED).unlink(missing_ok=True)
    before.prune(way.data_dir)
    return done


def _carefully(db: Db, way: Way, level: int, began_ms: int) -> list[str]:
    began_s = time.perf_counter()
    to = migrate.newest()
    way.say(f"the database is at schema {level} and this program's is {to}: it is checked on a copy first")
    seen = rehearsal.rehearse(db.path, way.data_dir, free=way.free)
    way.say(f"the copy took {seen.copy_ms} ms, its migration {seen.apply_ms} ms; a backup is made")
    kept = _kept(db, way, level, to)
    backed_s = time.perf_counter()
    way.say(f"the backup is before/{kept.file}; the database is migrated")
    figures: dict[str, int | float | str] = {
        "from": level,
        "to": to,
        "program": way.program,
        "backup": kept.file,
        "bytes": seen.size,
        "rehearsal_ms": seen.copy_ms + seen.apply_ms + seen.check_ms,
        "before_ms": round((backed_s - began_s) * 1000),
    }
    steps = _applied(db, way, level, began_ms, figures)
    checked_s = time.perf_counter()
    try:
        sound_after(db.path, to)
        way.works(db)
    except Exception as problem:
        raise _returned(db, way, kept, to, problem) from problem
    took_ms = round((time.perf_counter() - began_s) * 1000)
    way.say(
        f"schema {to}: {len(steps)} migrations in {took_ms} ms, of which {round((checked_s - backed_s) * 1000)} ms "
        "in the database"
    )
    return [step.label for step in steps]


def _kept(db: Db, way: Way, level: int, to: int) -> before.Kept:
    with db.direct() as tx:
        program = program_of(tx)
    try:
        return before.keep(db.path, way.data_dir, schema=level, program=program, to=to, now_ms=way.now())
    except Fault as fault:
        raise type(fault)(f"the backup before the migration failed: {fault.detail}; nothing was changed") from None


def program_of(tx: Tx) -> str:
    """The version that served this database last; "" where that was not written down."""
    return facts.get(tx, PROGRAM) or ""


def _applied(
    db: Db, way: Way, level: int, began_ms: int, figures: dict[str, int | float | str]
) -> list[migrate.Applied]:
    """Everything in one transaction, the record of the run too."""
    db.grow_ids()
    try:
        with db.direct() as tx:
            steps = migrate.apply(tx, migrate.missing(level))
            migrate.check(tx)
            took_ms = way.now() - began_ms
            for step in steps:
                figures[f"{step.label}_ms"] = step.took_ms
            said = f"schema {level} became {steps[-1].number}; the copy from before is before/{figures['backup']}"
            if took_ms > LONG_MS:
                said += f"; it took {took_ms // 1000} s, longer than {LONG_MS // 1000}"
            runs.end(tx, runs.begin(tx, KIND, began_ms), "ok", said, figures, way.now())
        return steps
    except (apsw.FullError, apsw.IOError) as problem:
        raise DiskFull(f"the disk gave up while migrating ({problem}): the database has its old schema") from None
    except Conflict as fault:
        raise Conflict(f"{fault.detail}; the database has its old schema") from None


def sound_after(database: Path, to: int) -> None:
    """Reads what was migrated over a connection of its own. Raises Damaged."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        level = connection.execute("pragma user_version").fetchall()[0][0]
        said = [str(row[0]) for row in connection.execute("pragma quick_check(1)").fetchall()]
    finally:
        connection.close()
    if level != to or said != ["ok"]:
        raise Damaged(f"after the migration the database says schema {level}, and: {said[0]}")


def _returned(db: Db, way: Way, kept: before.Kept, to: int, problem: Exception) -> Fault:
    """Goes back to the backup after a commit; the fault to raise."""
    why = problem.detail if isinstance(problem, Fault) else f"{type(problem).__name__}: {problem}"
    way.say(f"what came of the migration does not hold ({why}): the backup is put back")
    before.give_back(before.sound(way.data_dir, kept), db.path)
    if migrate.version(db) != kept.schema:
        return Fault(f"the migration failed ({why}), and so did the way back: restore before/{kept.file}")
    return Fault(f"the migration to schema {to} was undone, the database is as before/{kept.file} has it: {why}")


# -- what failed ------------------------------------------------------------------------------------------------------


def failed(data_dir: Path) -> Failed | None:
    """The last run, where it came to nothing."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((data_dir / before.FOLDER / _FAILED).read_bytes(), type=Failed)
    return None


def recorded(data_dir: Path, one: Failed) -> None:
    """Notes that it stands among the runs."""
    done = msgspec.structs.replace(one, recorded=True)
    before.write(data_dir / before.FOLDER / _FAILED, msgspec.json.encode(done))


def _remember(way: Way, level: int, to: int, said: str, began_ms: int) -> None:
    one = Failed(program=way.program, schema=level, to=to, said=said, began_ms=began_ms, ended_ms=way.now())
    log.error("the database was not migrated", extra={"said": said})
    try:
        before.write(before.folder(way.data_dir) / _FAILED, msgspec.json.encode(one))
    except (Fault, OSError):
        log.warning("that the migration failed could not be written down")


def _not_again(way: Way, level: int, now_ms: int) -> None:
    last = failed(way.data_dir)
    if way.insist or last is None or (last.program, last.schema) != (way.program, level):
        return
    if 0 <= now_ms - last.ended_ms < _AGAIN_MS:
        raise Conflict(
            f"{last.said} (tried {(now_ms - last.ended_ms) // 1000} s ago; `signalcraft migrate up` tries again at "
            f"once, a start after {_AGAIN_MS // 60_000} minutes)"
        )
