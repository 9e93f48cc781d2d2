"""Which program this is, what was written down when it was built, and which SQLite is on board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw

import signalcraft


def sqlite() -> str:
    """The version of the SQLite library that apsw carries: `3.54.1`."""
    return apsw.sqlite_lib_version()


def built() -> dict[str, Any]:
    """What the build wrote down: commit, date, the versions it was built with; {} where this runs from its sources."""
    stamp = Path(signalcraft.__file__).with_name("built.json")
    return dict(json.loads(stamp.read_bytes())) if stamp.is_file() else {}


def build() -> str:
    """The commit that this program was built from; "" where it runs from its sources."""
    return str(built().get("commit", ""))
