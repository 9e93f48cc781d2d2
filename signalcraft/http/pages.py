"""Pages of lists that are short enough to be read whole: what is configured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from signalcraft.errors import Invalid
from signalcraft.http.wire import cursor_of, read_cursor


class _Row(Protocol):
    @property
    def id(self) -> int: ...


R = TypeVar("R", bound=_Row)


def page_of(rows: Sequence[R], limit: int, cursor: str | None) -> tuple[list[R], str | None]:
    """The rows after the cursor's, at most `limit`, and the cursor of the next page.

    Raises Invalid where the row that the cursor names is no more.
    """
    after = read_cursor(cursor, 1)
    start = 0
    if after is not None:
        start = next((i for i, row in enumerate(rows, 1) if row.id == after[0]), -1)
        if start < 0:
            raise Invalid("what this page began after was deleted; leave the cursor out to start over", path="cursor")
    page = list(rows[start : start + limit])
    more = start + limit < len(rows)
    return page, cursor_of(page[-1].id) if more else None
