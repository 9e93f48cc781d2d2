"""GET /api/admin/errors: what went wrong inside the program itself, alike ones together."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import get
from litestar.params import QueryParameter
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.errors import Forbidden, Invalid, NotFound
from signalcraft.http.auth import TheCaller, needs
from signalcraft.http.wire import Limit, TheHouse, time_of
from signalcraft.logs import recent
from signalcraft.storage import faults, workspaces
from signalcraft.storage.db import Tx

_HASH_LENGTH: Final = 32
_AFTER: Final = "`next` of the page before."


class ErrorOut(Struct, frozen=True, kw_only=True):
    """One kind of error: so many `times` between first and last. `kind`: the exception's class, or the level of a line
    without one; `place`: module.function:line. `message`, `trace` (secrets masked), `release` and `request_id` are of
    the latest one.
    """

    fingerprint: str
    kind: str
    place: str
    level: str
    message: str
    times: int
    first_at: str
    last_at: str
    release: str
    request_id: str
    trace: str


class ErrorPage(Struct, frozen=True):
    """The latest first."""

    items: list[ErrorOut]
    next: str | None


class WarningOut(Struct, frozen=True):
    """One line of the log from level `warning` on, secrets masked. `fields`: whatever else it says."""

    at: str
    level: str
    logger: str
    message: str
    request_id: str
    fields: dict[str, Any]


class WarningsOut(Struct, frozen=True):
    """The latest first, at most `kept` of them."""

    items: list[WarningOut]
    kept: int


@get(
    "/api/admin/errors",
    guards=[needs("audit", "read")],
    summary="Errors of the program itself",
    operation_id="list_errors",
    tags=["health"],
)
async def list_errors(
    house: TheHouse,
    caller: TheCaller,
    limit: Limit = 50,
    cursor: Annotated[str | None, QueryParameter(name="cursor", description=_AFTER, max_length=200)] = None,
) -> ErrorPage:
    """The box's own, for owners and admins of its first workspace. They are kept for 90 days."""
    if caller.workspace_id != workspaces.DEFAULT_ID:
        raise Forbidden("errors of the box are for the admins of its first workspace")
    before = _read(cursor) if cursor else None
    await house.faults.flush()

    def read(tx: Tx) -> ErrorPage:
        found = faults.latest(tx, before, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        more = None if last is None else ids.show(last.last_ms) + last.fingerprint.hex()
        return ErrorPage([_out(one) for one in found[:limit]], more)

    return await house.db.read(read)


@get(
    "/api/admin/warnings",
    guards=[needs("audit", "read")],
    summary="The latest warnings of the log",
    operation_id="list_warnings",
    tags=["health"],
)
async def list_warnings(house: TheHouse, caller: TheCaller) -> WarningsOut:
    """The box's own, since its start, for owners and admins of its first workspace. The log itself has more."""
    if caller.workspace_id != workspaces.DEFAULT_ID:
        raise Forbidden("the log of the box is for the admins of its first workspace")
    lines = house.faults.recent.lines()
    return WarningsOut([WarningOut(*line) for line in lines], recent.KEPT)


def _read(cursor: str) -> tuple[int, bytes]:
    try:
        return ids.parse(cursor[:-_HASH_LENGTH]), bytes.fromhex(cursor[-_HASH_LENGTH:])
    except (NotFound, ValueError):
        raise Invalid("this is no cursor that we gave; leave it out to start over", path="cursor") from None


def _out(one: faults.Fault) -> ErrorOut:
    return ErrorOut(
        fingerprint=one.fingerprint.hex(),
        kind=one.kind,
        place=one.place,
        level=one.level,
        message=one.message,
        times=one.n,
        first_at=time_of(one.first_ms),
        last_at=time_of(one.last_ms),
        release=one.release,
        request_id=one.request_id,
        trace=one.trace,
    )


ROUTES: Final[list[Any]] = [list_errors, list_warnings]
