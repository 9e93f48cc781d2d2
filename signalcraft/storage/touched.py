"""Which tables a statement writes, and which ones it may read: what is kept of an answer is dropped by that.

Both are read off the text of a statement, once. Whatever a statement names counts as read, so that too much is dropped
rather than too little.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

STATEMENTS_MAX: Final = 4096
"""Texts that are remembered; some have as many forms as there are ids in a list."""
_TARGET: Final = re.compile(
    r"\b(?:insert(?:\s+or\s+\w+)?\s+into|update(?:\s+or\s+\w+)?|delete\s+from|replace\s+into)\s+\"?(\w+)", re.IGNORECASE
)
_WORD: Final = re.compile(r"[A-Za-z_]\w*")


class Names(dict[str, frozenset[str]]):
    """The names in each statement, looked for at first use."""

    def __init__(self, find: Callable[[str], list[str]]) -> None:
        self._find = find

    def __missing__(self, sql: str) -> frozenset[str]:
        if len(self) >= STATEMENTS_MAX:
            self.clear()
        found = self[sql] = frozenset(name.lower() for name in self._find(sql))
        return found


WRITTEN: Final = Names(_TARGET.findall)
"""The tables that a statement changes."""
NAMED: Final = Names(_WORD.findall)
"""Every word of a statement: its tables are among them."""
