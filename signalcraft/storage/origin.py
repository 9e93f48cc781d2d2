"""The HTTP request behind a change, for whoever writes down who did it and from where."""

from __future__ import annotations

import contextvars
from typing import Final


class Origin:
    """One request that may change something. `rows`: how many rows of the audit log it made, counted as they commit."""

    __slots__ = ("address", "request_id", "rows", "user_agent")

    def __init__(self, address: str, user_agent: str, request_id: str) -> None:
        self.address = address
        self.user_agent = user_agent[:300]
        self.request_id = request_id
        self.rows = 0

    def counted(self) -> None:
        """One row of it is on disk."""
        self.rows += 1


present: Final[contextvars.ContextVar[Origin | None]] = contextvars.ContextVar("origin", default=None)
"""The request of here and now; None for work that nobody asked for over HTTP. It follows tasks by itself."""
