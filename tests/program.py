"""Which program the tests start where they start one: the checkout's, or the one that $SIGNALCRAFT_PROGRAM names.

    SIGNALCRAFT_PROGRAM=.build/dist/signalcraft .venv/bin/python -m pytest tests/e2e

Boxes of the trials and of the browser journeys are started by `command`. What runs inside the tests' own process is the
checkout either way.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.given import GIVEN


def named() -> str:
    """The program that was named; "" for the checkout."""
    given = GIVEN["SIGNALCRAFT_PROGRAM"]
    return str(Path(given).absolute()) if given else ""


def command(*arguments: str) -> list[str]:
    """The command line that runs `signalcraft …`."""
    return [*([named()] if named() else [sys.executable, "-m", "signalcraft"]), *arguments]
