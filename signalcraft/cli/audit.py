"""`signalcraft audit`: whether the audit log is as it was written, and the log as a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from signalcraft.cli.options import Where, as_json, where
from signalcraft.cli.terminal import note, say, say_json
from signalcraft.errors import Invalid

if TYPE_CHECKING:
    from signalcraft.cli.client import Client

_ROWS = 2000


@click.group()
def audit() -> None:
    """Verify the audit log, and export it.

    \b
    Example:
      signalcraft audit verify
    """


@audit.command()
@click.option("--head", metavar="SEQ:CHAIN", help="What an earlier verification said the log ends with.")
@as_json
@where()
def verify(where: Where, head: str | None, as_json: bool) -> int:
    """Look through the whole log of a workspace; the first row that was changed or is gone is named.

    Keep the head that it prints somewhere else. Given back later, it also finds out an older copy of the whole
    database, which nothing inside it can. Ends with 1 where the log does not hold.

    \b
    Example:
      signalcraft audit verify
      signalcraft audit verify --head 1204:5f1c…
    """
    from signalcraft.cli.client import connect

    with connect(where, "audit verify") as client:
        verdict = client.get("/api/audit/verification", {"head": head} if head else None)
    if as_json:
        say_json(verdict)
    elif verdict["holds"]:
        erased = f", {verdict['erased']} of them erased in part" if verdict["erased"] else ""
        say(f"The audit log of {verdict['workspace']} holds: {verdict['rows']} rows{erased}.")
        say(f"head {verdict['head']}")
    else:
        say(f"The audit log of {verdict['workspace']} does NOT hold: row {verdict['broken_seq']}: {verdict['why']}.")
    return 0 if verdict["holds"] else 1


@audit.command()
@click.option(
    "--format", "form", type=click.Choice(["csv", "jsonl"]), default="jsonl", show_default=True, help="What to write."
)
@click.option("--from", "start", metavar="TIME", help="Not before this time: 2026-03-01T00:00:00Z.")
@click.option("--until", metavar="TIME", help="Before this time.")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
@where()
def export(where: Where, form: str, start: str | None, until: str | None, output: Path | None) -> None:
    """Write the log of a workspace, oldest first: CSV for a spreadsheet, or lines of JSON that can be verified.

    FILE is made readable by its owner alone.

    \b
    Example:
      signalcraft audit export --format csv -o audit.csv
    """
    from signalcraft.cli.client import connect

    query = {"format": form, "most": str(_ROWS)} | {k: v for k, v in (("from", start), ("until", until)) if v}
    with connect(where, "audit export") as client:
        if output is None:
            _write(client, query, sys.stdout.buffer)
            return
        try:
            handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                rows = _write(client, query, file)
        except OSError as fault:
            raise Invalid(f"{output} cannot be written: {fault.strerror}") from None
    note(f"{rows} rows written to {output}")


def _write(client: Client, query: dict[str, str], out: BinaryIO) -> int:
    """A part at a time, so that a log of any length needs no memory; how many rows."""
    import csv
    import json

    after, written = 0, 0
    while True:
        part = client.request("GET", "/api/audit/export", query={**query, "after": str(after)}).body
        out.write(part)
        out.flush()
        lines = part.splitlines()
        rows = len(lines) - (query["format"] == "csv" and not after)
        written += max(rows, 0)
        if rows < _ROWS:
            return written
        last = lines[-1].decode()
        after = int(next(csv.reader([last]))[0]) if query["format"] == "csv" else int(json.loads(last)["seq"])
