"""`signalcraft archive`: what the nightly clean-up put away: its files, what is in them, and back again."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.group()
def archive() -> None:
    """Look into the archive of what was deleted, and put a month back.

    \b
    Example:
      signalcraft archive list
      signalcraft archive search --text timeout --from 2026-01-01T00:00:00Z
    """


@archive.command(hidden=True)
@click.argument("database", type=click.Path(path_type=Path))
@click.argument("root", type=click.Path(path_type=Path))
def worker(database: Path, root: Path) -> None:
    """What the program runs beside itself while it archives: questions on standard input, answers on standard output.

    \b
    Example:
      signalcraft archive worker DATABASE ROOT
    """
    from signalcraft.storage.archive.worker import serve

    serve(database, root, sys.stdin.buffer, sys.stdout.buffer)
