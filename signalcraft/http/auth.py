"""Who is calling, and what they may do. A guard on every route decides before anything else of the request is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import SkipValidation
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.group import Actor
from signalcraft.errors import Forbidden, NotFound, NotSignedIn, TooMany
from signalcraft.http.limits import BURST, Buckets
from signalcraft.http.owner import ACTOR_HEADER, WORKSPACE_HEADER, is_control
from signalcraft.services.accounts import SCOPES
from signalcraft.services.house import House

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
Guard: TypeAlias = Callable[[Connection, BaseRouteHandler], Awaitable[None]]

_SCHEME: Final = "bearer"


class BadKey(NotSignedIn):
    """A key that opens nothing (RFC 6750, section 3.1)."""

    challenge = 'Bearer realm="SignalCraft", error="invalid_token"'


class LacksScope(Forbidden):
    """A key that may not do this."""

    def __init__(self, missing: Sequence[str], needed: Sequence[str]) -> None:
        super().__init__(f"this API key lacks the scope {' and '.join(missing)}")
        self.challenge = f'Bearer realm="SignalCraft", error="insufficient_scope", scope="{" ".join(needed)}"'


class Caller(Struct, frozen=True):
    """Who asks: one workspace, the actor for the journal, and what the credential allows."""

    workspace_id: int
    actor: Actor
    scopes: frozenset[str]


TheCaller: TypeAlias = NamedDependency[SkipValidation[Caller]]
"""`caller: TheCaller` in a handler whose route has a `scopes(…)` guard."""


def scopes(*needed: str) -> Guard:
    """A guard that lets in callers with all of these scopes; `admin` has every scope.

    It raises NotSignedIn, Forbidden, TooMany. `guard.scopes` tells the OpenAPI document.
    """
    for scope in needed:
        if scope not in SCOPES:
            raise ValueError(scope)

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        caller = await _caller(connection)
        connection.scope["state"]["caller"] = caller
        missing = [scope for scope in needed if scope not in caller.scopes]
        if missing and "admin" not in caller.scopes:
            raise LacksScope(missing, needed)

    guard.scopes = needed  # type: ignore[attr-defined]
    return guard


def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    """The caller that the route's guard found."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


class Rates:
    """The request rate of each API key."""

    def __init__(self, per_minute: int) -> None:
        self.buckets = Buckets(BURST, per_minute / 60) if per_minute else None


async def _caller(connection: Connection) -> Caller:
    house: House = connection.app.state.house
    if is_control(connection.scope):
        return _owner(connection, house)
    header = connection.headers.get("authorization", "")
    scheme, _, key = header.partition(" ")
    key = key.strip()
    if not header or scheme.lower() != _SCHEME or not key:
        raise NotSignedIn("an API key is needed: Authorization: Bearer sc_…")
    try:
        live = await house.accounts.identify(key)
    except NotSignedIn as fault:
        raise BadKey(fault.detail) from None
    buckets = connection.app.state.rates.buckets
    if buckets is not None:
        spent = connection.scope["state"]["spent"] = buckets.take(live.id, house.now())
        if not spent.within:
            raise TooMany("more requests a minute than this API key's limit", retry_after_s=spent.retry_after_s)
    return Caller(live.workspace_id, Actor("api_key", ids.show(live.id), live.name), live.scopes)


def _owner(connection: Connection, house: House) -> Caller:
    # Whoever opened the control socket owns the data directory: no key is asked for, any workspace may be named.
    wanted = connection.headers.get(WORKSPACE_HEADER, "default")
    who = connection.headers.get(ACTOR_HEADER, "") or "owner"
    for workspace in house.registry.snapshot.workspaces.values():
        if workspace.name == wanted:
            return Caller(workspace.id, Actor("user", f"local:{who}"[:100], who[:100]), frozenset(SCOPES))
    raise NotFound(f"there is no workspace {wanted[:100]!r}")
