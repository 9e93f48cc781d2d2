"""Which SQLite is on board."""

from __future__ import annotations

import apsw


def sqlite() -> str:
    """The version of the SQLite library that apsw carries: `3.54.1`."""
    return apsw.sqlite_lib_version()
