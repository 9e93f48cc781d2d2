"""Which program this is, and which SQLite is on board."""

from __future__ import annotations

from pathlib import Path

import apsw

import signalcraft


def sqlite() -> str:
    """The version of the SQLite library that apsw carries: `3.54.1`."""
    return apsw.sqlite_lib_version()


def build() -> str:
    """The commit that this program was built from, where the build wrote it down; "" where it runs from its sources."""
    stamp = Path(signalcraft.__file__).with_name("build.txt")
    return stamp.read_text("utf-8").strip() if stamp.is_file() else ""
