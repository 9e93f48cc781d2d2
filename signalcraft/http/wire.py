"""How things look outside: times as RFC 3339 UTC, ids as text, lists in pages, and what a handler is handed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.group import Actor
from signalcraft.errors import Invalid, NotFound
from signalcraft.services.house import House

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999
_SPACE_FOR_PLUS: Final = re.compile(r" (\d\d:\d\d)$")
_ID_LENGTH: Final = 13

TheHouse: TypeAlias = NamedDependency[SkipValidation[House]]
"""`house: TheHouse` in a handler: everything the edges may use."""

Limit: TypeAlias = Annotated[int, QueryParameter(name="limit", ge=1, le=100, description="Items a page, at most 100.")]
Cursor: TypeAlias = Annotated[
    str | None, QueryParameter(name="cursor", description="`next` of the page before.", max_length=200)
]


class ActorOut(Struct, frozen=True):
    """Who did it. kind: user, api_key, slack, email, webhook, source, system, person."""

    kind: str
    id: str
    name: str


def actor_out(actor: Actor | None) -> ActorOut | None:
    """An actor as it leaves."""
    return None if actor is None else ActorOut(actor.kind, actor.id, actor.name)


def show_time(ms: int | None) -> str | None:
    """RFC 3339 in UTC with milliseconds: `2026-03-01T10:00:00.000Z`. None stays None."""
    return None if ms is None else time_of(ms)


def time_of(ms: int) -> str:
    """The same of a time that is there."""
    at = _EPOCH + timedelta(milliseconds=min(max(ms, 0), _LAST_MS))
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def read_time(text: str, path: str) -> int:
    """Milliseconds of an RFC 3339 time. Raises Invalid at `path`, also for a time without an offset."""
    try:
        # A plus sign that was not escaped in a URL arrives as a space.
        at = datetime.fromisoformat(_SPACE_FOR_PLUS.sub(r"+\1", text.strip()))
        if at.tzinfo is None:
            raise Invalid("a time needs Z or an offset: 2026-03-01T10:00:00Z", path=path)
        return (at - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise Invalid("a time looks like 2026-03-01T10:00:00Z (RFC 3339)", path=path) from None


def show_id(number: int | None) -> str | None:
    """An id's text. None stays None."""
    return None if number is None else ids.show(number)


def cursor_of(*numbers: int) -> str:
    """Where a page ended, as an opaque word."""
    return "".join(map(ids.show, numbers))


def read_cursor(text: str | None, numbers: int) -> tuple[int, ...] | None:
    """What `cursor_of` packed; None where there is no cursor. Raises Invalid at `cursor`."""
    if not text:
        return None
    parts = [text[i : i + _ID_LENGTH] for i in range(0, len(text), _ID_LENGTH)]
    try:
        found = tuple(map(ids.parse, parts))
    except NotFound:
        found = ()
    if len(found) != numbers:
        raise Invalid("this is no cursor that we gave; leave it out to start over", path="cursor")
    return found


def split(values: Iterable[str] | None) -> list[str]:
    """The words of a filter: `?a=x,y` and `?a=x&a=y` mean the same."""
    return list(dict.fromkeys(w for value in values or () for w in map(str.strip, value.split(",")) if w))


def named(words: Iterable[str], names: Mapping[int, str]) -> list[int]:
    """The ids of integrations or channels that were named by name or id; unknown ones are left out."""
    wanted = set(words)
    return [number for number, name in names.items() if name in wanted or ids.show(number) in wanted]


def among(values: Iterable[str] | None, allowed: Iterable[str], path: str) -> list[str]:
    """The same, each one of the allowed words. Raises Invalid at `path`."""
    words = [w.lower() for w in split(values)]
    known = list(allowed)
    for word in words:
        if word not in known:
            raise Invalid(f"{word[:40]!r} is not one of {', '.join(known)}", path=path)
    return words
