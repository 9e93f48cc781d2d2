"""Passphrases: asked for on a terminal, or read from a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from signalcraft.errors import Invalid

F = TypeVar("F", bound=Callable[..., Any])
_READ_MAX = 4096


def passphrase_file(command: F) -> F:
    """Gives a command `--passphrase-file`, handed in as `passphrase_file: Path | None`."""
    option = click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        metavar="FILE",
        help="Read the passphrase from the first line of FILE (- for standard input) instead of asking.",
    )
    return option(command)


def read_passphrase(file: Path | None, *, new: bool) -> str:
    """The passphrase; `new` ones are asked for twice and must be long enough. Raises Invalid."""
    from signalcraft.storage.escrow import check_passphrase

    if file is None:
        if not sys.stdin.isatty():
            raise Invalid("a passphrase is needed: --passphrase-file FILE", path="passphrase")
        passphrase = str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True))
    else:
        passphrase = _first_line(file)
    if new:
        check_passphrase(passphrase)
    return passphrase


def _first_line(file: Path) -> str:
    try:
        if str(file) == "-":
            return sys.stdin.readline(_READ_MAX).rstrip("\r\n")
        with file.open("r", encoding="utf-8") as opened:
            return opened.readline(_READ_MAX).rstrip("\r\n")
    except OSError as fault:
        raise Invalid(f"{file} cannot be read: {fault.strerror}", path="passphrase") from None
    except UnicodeDecodeError:
        raise Invalid(f"{file} does not hold text", path="passphrase") from None
