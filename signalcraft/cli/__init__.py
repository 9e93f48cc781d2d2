"""The command line. Heavy rooms are imported inside the commands that need them, so that a small command is quick."""

from __future__ import annotations

import sys


def main() -> None:
    """The program `signalcraft`: runs one command and ends the process with its exit code."""
    from signalcraft.cli.root import run

    sys.exit(run(sys.argv[1:]))
