"""`signalcraft archive`: what the nightly clean-up put away: its files, what is in them, and back again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import say, say_json


@click.group()
def archive() -> None:
    """Look into the archive of what was deleted, and put a month back.

    \b
    Example:
      signalcraft archive list
      signalcraft archive search --text timeout --since 2026-01-01T00:00:00Z
    """


@archive.command("list")
@as_json
@where()
def list_(where: Where, as_json: bool) -> None:
    """The months that are there, with their rows and size.

    \b
    Example:
      signalcraft archive list
    """
    from signalcraft.cli.client import connect

    with connect(where, "archive list") as client:
        said = client.get("/api/archive")
    if as_json:
        say_json(said)
        return
    for one in said["months"]:
        rows = ", ".join(f"{count} {table}" for table, count in one["rows"].items())
        say(f"{one['month']}  {one['bytes'] / 1e6:>9.1f} MB  {rows}{'' if one['complete'] else '  (under way)'}")
    if not said["months"]:
        say("The archive is empty.")


@archive.command()
@click.option("--text", default="", help="In titles and messages, in any case.")
@click.option("--project", default="", help="Of this project.")
@click.option("--since", metavar="TIME", help="Not before this time: 2026-03-01T00:00:00Z.")
@click.option("--until", metavar="TIME", help="Before this time.")
@click.option(
    "--what",
    type=click.Choice(["groups", "events", "audit"]),
    default="groups",
    show_default=True,
    help="What to find.",
)
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="Rows at most.")
@as_json
@where()
def search(
    where: Where, text: str, project: str, since: str | None, until: str | None, what: str, limit: int, as_json: bool
) -> None:
    """Find alert groups, events or rows of the audit log in the archive, the newest first.

    \b
    Example:
      signalcraft archive search --text timeout --project checkout
    """
    from signalcraft.cli.client import connect

    query = {"text": text, "limit": str(limit)}
    path = "/control/archive/search" if what == "audit" else "/api/archive/search"
    if what != "audit":
        query |= {"what": {"groups": "alert_group", "events": "event"}[what], "project": project}
        query |= {name: value for name, value in (("since", since), ("until", until)) if value}
    with connect(where, "archive search") as client:
        said = client.get(path, query)
    if as_json:
        say_json(said)
        return
    for one in said["items"]:
        say(_line(one))
    if not said["items"]:
        say("Nothing in the archive fits.")


def _line(one: dict[str, Any]) -> str:
    at = one.get("last_seen_at") or one.get("received_at") or one.get("at_at") or one.get("at")
    if "verb" in one:
        return f"{at}  {one['seq']}  {one['verb']}  {one['what'] or '(erased)'}"
    return f"{at}  {one['id']}  {one.get('severity') or '-':<8}  {one.get('project') or '-'}  {one.get('title') or '-'}"


@archive.command()
@click.argument("month", metavar="MONTH")
@as_json
@where()
def restore(where: Where, month: str, as_json: bool) -> None:
    """Put a month back into the lists; it leaves the archive. MONTH: 2026-03.

    No night takes it away again for `retention.restored_days`. The audit log of that month stays in the archive.

    \b
    Example:
      signalcraft archive restore 2026-03
    """
    from signalcraft.cli.client import connect

    with connect(where, "archive restore") as client:
        said: dict[str, Any] = {"done": False}
        while not said["done"]:
            said = client.post("/api/archive/restore", {"month": month})
    if as_json:
        say_json(said)
        return
    rows = ", ".join(f"{count} {table}" for table, count in said["rows"].items() if count)
    say(f"{month} is back until {said['kept_until']} at least: {rows}.")


@archive.command()
@where()
def verify(where: Where) -> None:
    """Whether every file of the archive is as it was written. Ends with 1 and names the first that is not.

    \b
    Example:
      signalcraft archive verify
    """
    from signalcraft.cli.client import connect

    with connect(where, "archive verify") as client:
        said = client.post("/control/archive/verify")
    say(f"{said['files']} files, each as it was written.")


@archive.command(hidden=True)
@click.argument("database", type=click.Path(path_type=Path))
@click.argument("root", type=click.Path(path_type=Path))
def worker(database: Path, root: Path) -> None:
    """What the program runs beside itself while it archives: questions on standard input, answers on standard output.

    \b
    Example:
      signalcraft archive worker DATABASE ROOT
    """
    from signalcraft.storage import children
    from signalcraft.storage.archive.worker import serve

    children.end_with_parent()
    serve(database, root, sys.stdin.buffer, sys.stdout.buffer)
