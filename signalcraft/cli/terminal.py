"""What a command says: results on standard output, everything else as one line on standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click


def say(text: str = "") -> None:
    """One line of the result, on the terminal at once."""
    print(text, flush=True)


def note(text: str) -> None:
    """What a person should know beside the result: a hint, a warning. On standard error, so that pipes stay clean."""
    print(text, file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """Why the command failed: each line carries the program's name."""
    for line in text.splitlines() or ["failed"]:
        print(f"signalcraft: {line}", file=sys.stderr, flush=True)


def say_json(value: Any) -> None:
    """The result for a script: one JSON document, indented."""
    import msgspec  # a third of the time that a small command takes

    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be, two spaces apart; the heads in the first line."""
    lines = [[cell.replace("\n", " ") for cell in row] for row in (heads, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def on_terminal() -> bool:
    """Whether a person watches standard output."""
    return sys.stdout.isatty()


def strong(text: str) -> str:
    """Bold on a terminal, plain elsewhere."""
    return click.style(text, bold=True) if on_terminal() else text


def faint(text: str) -> str:
    """Grey on a terminal, plain elsewhere."""
    return click.style(text, dim=True) if on_terminal() else text
