"""Which backups are too old to be kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

DAY_MS: Final = 86_400_000


class Kept(Struct, frozen=True):
    """A backup that is there, and when it was made."""

    name: str
    made_ms: int


def expired(found: Iterable[Kept], proven: str | None, days: int, now_ms: int) -> list[str]:
    """The names of those that are older than so many days, the oldest first.

    `proven`: the newest that was read whole and is sound; it stays, however old it is. Without one nothing goes: what
    cannot be proven may be all there is. One from the future (the clock was wrong) stays.
    """
    if proven is None:
        return []
    old = [one for one in found if now_ms - one.made_ms > days * DAY_MS and one.name != proven]
    return [one.name for one in sorted(old, key=lambda one: (one.made_ms, one.name))]
