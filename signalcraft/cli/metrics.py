"""`signalcraft metrics`: the long-range numbers; `signalcraft query`: questions about them in SQL."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, say, say_json

_BUSY = 503
_WIDEST = 60


@click.group()
def metrics() -> None:
    """See how the long-range numbers are, and count them anew.

    They are what the page Analytics and `signalcraft query` read. They can be made anew at any time.

    \b
    Example:
      signalcraft metrics status
    """


@metrics.command()
@as_json
@where()
def status(where: Where, as_json: bool) -> None:
    """How far the numbers reach, and what they take up.

    \b
    Example:
      signalcraft metrics status
    """
    from signalcraft.cli.client import connect

    with connect(where, "metrics status") as client:
        said = client.get("/api/metrics/rollups")
    if as_json:
        say_json(said)
        return
    if not said["there"]:
        say(f"There are no long-range numbers: {said['why']}. They are made within the hour, or at once by")
        say("signalcraft metrics rebuild")
        return
    say(f"from {said['since'] or 'nothing yet'} until {said['until'] or 'nothing yet'}, {said['bytes'] / 1e6:.1f} MB")
    say(f"rows: {said['minutes']} of minutes (14 days), {said['hours']} of hours (400 days), {said['days']} of days")
    say(f"made anew {said['built_at'] or 'never'}")


@metrics.command()
@as_json
@where()
def rebuild(where: Where, as_json: bool) -> None:
    """Count everything anew, from the database and the archive. The old numbers are shown until it is done.

    \b
    Example:
      signalcraft metrics rebuild
    """
    from signalcraft.cli.client import connect

    with connect(where, "metrics rebuild") as client:
        said = client.post("/api/metrics/rebuild")
        if not said["done"]:
            note("It takes longer than a minute; it goes on when this is broken off.")
        while not said["done"]:
            time.sleep(2)
            answer = client.request("GET", "/api/metrics/rollups", faults=False)
            if answer.status != _BUSY:
                said = {**said, "done": True}
    if as_json:
        say_json(said)
        return
    if not said["events"] and not said["seconds"]:
        say("Everything is counted anew.")
        return
    every = said["events"] + said["archived_events"]
    say(f"{every} events, {said['groups']} alert groups and {said['lines']} acts counted in {said['seconds']} s.")
    if said["filled_days"]:
        say(f"Of {said['filled_days']} days the events are gone and in no archive: their counters stand in for them.")


@metrics.command(hidden=True)
@click.argument("database", type=click.Path(path_type=Path))
def worker(database: Path) -> None:
    """What the program runs beside itself to count: questions on standard input, answers on standard output.

    \b
    Example:
      signalcraft metrics worker DATABASE
    """
    from signalcraft.storage import children
    from signalcraft.storage.rollups.worker import serve

    children.end_with_parent()
    serve(database, sys.stdin.buffer, sys.stdout.buffer)


@metrics.command(hidden=True)
def answer() -> None:
    """What the program runs beside itself for one question in SQL: it is on standard input.

    \b
    Example:
      signalcraft metrics answer
    """
    from signalcraft.storage import children
    from signalcraft.storage.rollups import querying

    children.end_with_parent()
    querying.answer()


@click.command()
@click.argument("sql")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="At most so many rows.")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV.")
@as_json
@where()
def query(where: Where, sql: str, limit: int, as_csv: bool, as_json: bool) -> None:
    """Ask the long-range numbers and the archive in SQL: one SELECT, read-only, at most ten seconds.

    Tables: minutes, hours, days (bucket, what, dimension, name, bin, n, ms), label (names of integrations, channels and
    rules), and archived_event, archived_alert_group, archived_journal, archived_comment, archived_delivery,
    archived_escalation where something was archived. docs/how-to/query.md has more.

    \b
    Example:
      signalcraft query "select bucket, n from days where what = 'events' and dimension = 'all' order by 1"
    """
    from signalcraft.cli.client import connect

    with connect(where, "query") as client:
        said = client.post("/api/query", {"sql": sql, "limit": limit})
    names = [one["name"] for one in said["columns"]]
    if as_json:
        say_json(said)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(said["rows"])
    else:
        _table(names, said["rows"])
    if said["truncated"]:
        note(f"There are more rows than {limit}: --limit says how many are shown.")


def _table(names: list[str], rows: list[list[Any]]) -> None:
    cells = [names, *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(names))]
    for row in cells:
        say("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
