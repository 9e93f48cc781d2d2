"""`migrate`: the database's schema, forward and back."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import signalcraft
from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, on_terminal, say, say_json, table
from signalcraft.errors import Conflict, Fault, Invalid

if TYPE_CHECKING:
    from signalcraft.storage import returning
    from signalcraft.storage.before import Kept
    from signalcraft.storage.rehearsal import Rehearsal


@click.command()
@click.argument("what", type=click.Choice(["status", "check", "up", "down", "export"]), default="up")
@click.option("--to", type=int, metavar="SCHEMA", help="down: which schema to go back to. [default: the last one kept]")
@click.option("--yes", is_flag=True, help="down: do not ask.")
@click.option("--carry", is_flag=True, help="down: take along what was written since, as far as it fits.")
@click.option("--from", "name", metavar="NAME", help="export: which database put aside. [default: the newest]")
@as_json
@where(workspace=False)
def migrate(where: Where, what: str, to: int | None, yes: bool, carry: bool, name: str | None, as_json: bool) -> int:
    """Bring the database to this program's schema, look at it, or go back.

    up (also without a word) does what serve does when it starts: tries on a copy, makes a backup, applies what is
    missing in one transaction, looks, and returns where it does not hold. status shows the schema and the backups kept;
    check tries on a copy and exits 1 where something is to be applied or cannot be. down puts back the backup of an
    earlier schema, says before what was written since, and keeps the newer database aside; export prints what was
    written since from there, one JSON object a line.

    \b
    Example:
      signalcraft migrate status
      signalcraft migrate check
      signalcraft migrate up
      signalcraft migrate down --to 10
      signalcraft migrate export > since.jsonl
    """
    data_dir = where.loaded().settings.data.path
    if what == "export":
        return _export(data_dir, name)
    if what == "down":
        return _down(data_dir, to, yes=yes, carry=carry, as_json=as_json)
    if what == "check":
        return _check(data_dir, as_json=as_json)
    applied = _up(data_dir) if what == "up" else []
    state = _state(data_dir, applied)
    if as_json:
        say_json(state)
        return 0
    for one in state["applied"]:
        say(f"applied  {one}")
    for one in state["pending"]:
        say(f"pending  {one}")
    say(_standing(state))
    if state["kept"] and what == "status":
        say()
        say(_kept_table(state["kept"]))
    if state["failed"]:
        note(f"The last try failed at {_time(state['failed']['ended_ms'])}: {state['failed']['said']}")
    return 0


def _standing(state: dict[str, Any]) -> str:
    how = f"{len(state['pending'])} to apply" if state["pending"] else "up to date"
    if state["schema"] > state["newest"]:
        how = "the database is newer than the program"
    return f"schema {state['schema']}, the program's is {state['newest']}: {how}"


def _kept_table(kept: list[dict[str, Any]]) -> str:
    rows = [
        (one["file"], str(one["schema"]), _time(one["made_ms"]), f"{one['bytes'] / 1e6:.1f} MB",
         "put aside by a way back" if one["newer"] else f"from before schema {one['to']}")
        for one in kept
    ]  # fmt: skip
    return table(("KEPT IN before/", "SCHEMA", "MADE", "SIZE", ""), rows)


def _level(data_dir: Path) -> int:
    from signalcraft.storage.rehearsal import level_of

    file = data_dir / "signalcraft.db"
    return level_of(file) if file.exists() else 0


def _state(data_dir: Path, applied: list[str]) -> dict[str, Any]:
    from signalcraft.storage import before, migrating
    from signalcraft.storage import migrate as steps

    schema, failed = _level(data_dir), migrating.failed(data_dir)
    return {
        "schema": schema,
        "newest": steps.newest(),
        "pending": [f"{number:04d}_{name}" for number, name, _ in steps.steps() if number > schema],
        "applied": applied,
        "kept": [_kept(one) for one in before.kept(data_dir)],
        "failed": None if failed is None else {"said": failed.said, "ended_ms": failed.ended_ms, "to": failed.to},
    }


def _kept(one: Kept) -> dict[str, Any]:
    return {
        "file": one.file, "schema": one.schema, "to": one.to, "program": one.program, "made_ms": one.made_ms,
        "bytes": one.bytes, "newer": one.newer, "sha256": one.sha256,
    }  # fmt: skip


def _check(data_dir: Path, *, as_json: bool) -> int:
    """On a copy; beside a running process too, of an older version even. Nothing is changed."""
    from signalcraft.storage.rehearsal import rehearse

    state = _state(data_dir, [])
    seen: Rehearsal | None = None
    problem = ""
    if state["pending"] and state["schema"]:
        try:
            seen = rehearse(data_dir / "signalcraft.db", data_dir)
        except Fault as fault:
            problem = fault.detail
    elif state["schema"] > state["newest"]:
        problem = _standing(state)
    told = None
    if seen is not None:
        told = {
            "copy_ms": seen.copy_ms, "apply_ms": seen.apply_ms, "check_ms": seen.check_ms, "size": seen.size,
            "growth": seen.growth, "needed": seen.needed, "free": seen.free,
            "steps": [{"name": step.label, "took_ms": step.took_ms} for step in seen.steps],
        }  # fmt: skip
    if as_json:
        say_json({**state, "ok": not problem, "problem": problem, "rehearsal": told})
    else:
        _show_check(state, seen, problem)
    return 1 if problem or state["pending"] else 0


def _show_check(state: dict[str, Any], seen: Rehearsal | None, problem: str) -> None:
    from signalcraft.storage.rehearsal import megabytes

    if seen is not None:
        took = {step.label: step.took_ms for step in seen.steps}
        for name in state["pending"]:
            say(f"pending  {name}  {took[name]} ms on the copy")
        say(
            f"On a copy of {megabytes(seen.size)}: copied in {seen.copy_ms} ms, migrated in {seen.apply_ms} ms, "
            f"checked in {seen.check_ms} ms; needs {megabytes(seen.needed)} of disk, {megabytes(seen.free)} are free."
        )
    elif not problem:
        for name in state["pending"]:
            say(f"pending  {name}")
    say(_standing(state))
    if problem and state["schema"] <= state["newest"]:
        note(f"signalcraft: {problem}")


def _up(data_dir: Path) -> list[str]:
    from signalcraft.cli.client import lock_or_socket
    from signalcraft.storage import migrate as steps
    from signalcraft.storage import migrating
    from signalcraft.storage.db import Db

    lock = lock_or_socket(data_dir, "migrate")
    if lock is None:
        if _level(data_dir) != steps.newest():
            raise Conflict("another version of SignalCraft serves this data directory now: stop it first")
        return []
    try:
        db = Db(data_dir / "signalcraft.db")
        try:
            way = migrating.Way(data_dir=data_dir, program=signalcraft.__version__, now=_now, say=note, insist=True)
            return migrating.bring_up(db, way)
        finally:
            db.stop()
    finally:
        lock.release()


def _down(data_dir: Path, to: int | None, *, yes: bool, carry: bool, as_json: bool) -> int:
    from signalcraft.cli.client import lock_or_socket
    from signalcraft.storage import returning

    lock = lock_or_socket(data_dir, "migrate down")
    if lock is None:
        raise Conflict("SignalCraft serves this data directory now: stop it first")
    try:
        if not (data_dir / "signalcraft.db").exists():
            raise Conflict(f"there is no database in {data_dir}")
        chosen = returning.plan(data_dir, to)
        if not as_json:
            _show_plan(chosen, carry=carry)
        if not yes:
            if not (sys.stdin.isatty() and on_terminal()):
                raise Invalid("going back needs a word of yours: --yes, nothing was changed")
            click.confirm("Go back?", abort=True)
        done = returning.go_back(data_dir, chosen, program=signalcraft.__version__, now_ms=_now(), carry=carry)
    finally:
        lock.release()
    if as_json:
        since = {name: getattr(chosen.since, name) for name in chosen.since.__struct_fields__}
        say_json(
            {"schema": chosen.kept.schema, "was": chosen.schema, "backup": chosen.kept.file, "newer": done.newer,
             "carried": done.carried, "since": since}
        )  # fmt: skip
    else:
        say(f"The database is at schema {chosen.kept.schema}; the newer one is before/{done.newer}.")
        say("What was written since: signalcraft migrate export. Start a program of that schema now.")
    return 0


def _show_plan(chosen: returning.Plan, *, carry: bool) -> None:
    since, kept = chosen.since, chosen.kept
    say(f"Back from schema {chosen.schema} to {kept.schema}: before/{kept.file}, made {_time(kept.made_ms)}.")
    say(
        f"Written since: {since.events} events, {since.groups} alert groups, {since.deliveries} deliveries, "
        f"{since.acts} acts of people."
    )
    rows = [(name, str(n), "is taken along" if carry else "stays aside") for name, n in sorted(since.rows.items())]
    rows += [(name, str(n), "has no place in the older schema") for name, n in sorted(since.kept_back.items())]
    if rows:
        say(table(("TABLE", "ROWS", ""), rows))
    if not carry and rows:
        say("The newer database is kept aside with all of it; --carry takes along what fits.")


def _export(data_dir: Path, name: str | None) -> int:
    import msgspec

    from signalcraft.storage import returning

    for row in returning.written(data_dir, name):
        say(msgspec.json.encode(row).decode())
    return 0


def _time(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at_ms / 1000))


def _now() -> int:
    from signalcraft.main.build import system_now

    return system_now()
