"""Who is calling, and what they may do. A guard on every route decides before anything else of the request is read.

Every route declares one access (domain/roles.py) by one guard: `needs(resource, verb)`, the same in the words of an API
key's scope, `scopes("config:read")`, or `anyone`. `access_of(route)` tells it, and with it who gets through.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.params import SkipValidation
from msgspec import Struct

from signalcraft import logs
from signalcraft.config.limits import Limits
from signalcraft.domain import roles
from signalcraft.domain.group import Actor
from signalcraft.domain.roles import Access, Resource, Role, Verb
from signalcraft.errors import Forbidden, NotFound, NotSignedIn, TooMany
from signalcraft.http.browser import SAFE, Door
from signalcraft.http.limits import BURST, Buckets, Spent
from signalcraft.http.owner import ACTOR_HEADER, WORKSPACE_HEADER, is_control
from signalcraft.services.house import House
from signalcraft.services.people import By
from signalcraft.services.sessions import SessionLive

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
Guard: TypeAlias = Callable[[Connection, BaseRouteHandler], Awaitable[None]]

PUBLIC_READ: Final = Access("public", "read")
PUBLIC_WRITE: Final = Access("public", "write")
OPEN: Final = frozenset(
    {
        *("/health", "/health/live", "/live", "/health/ready", "/ready", "/health/startup"),
        *("/", "/api/openapi.json", "/api/errors", "/api/docs", "/api/docs/{name:str}"),
        "/docs",
        "/docs/{name:path}",  # the same for every box
        *("/answer/{token:str}", "/share/{token:str}", "/webhooks/slack/actions"),  # authenticated by what they carry
    }
)
"""Routes without a guard, open to everybody."""

_SCHEME: Final = "bearer"
_PLACES: Final[tuple[tuple[str, Resource], ...]] = (
    ("/api/routing-rules", "routing"),
    ("/api/integrations", "integrations"),
    ("/api/channels", "channels"),
    ("/api/api-keys", "api_keys"),
)
"""What a route under these paths is about; every other one about settings."""


class BadKey(NotSignedIn):
    """A key that opens nothing (RFC 6750, section 3.1)."""

    challenge = 'Bearer realm="SignalCraft", error="invalid_token"'


class LacksScope(Forbidden):
    """A key that may not do this."""

    def __init__(self, missing: Sequence[str], needed: Sequence[str]) -> None:
        super().__init__(f"this API key lacks the scope {' and '.join(missing)}")
        self.challenge = f'Bearer realm="SignalCraft", error="insufficient_scope", scope="{" ".join(needed)}"'


class StepUpNeeded(Forbidden):
    """Dangerous enough to ask once more: POST /api/auth/step-up with the password or a code, then again."""

    code = "step_up_needed"


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks: one workspace, the actor for the journal, and what the credential allows.

    `role`: what they are there; an API key counts as an admin with the scope `admin`, else as a viewer. `session`: of a
    signed-in person, else None. `box`: asked on the box itself, by whoever owns the data directory.
    """

    workspace_id: int
    actor: Actor
    scopes: frozenset[str]
    access: frozenset[Access]
    role: Role
    session: SessionLive | None = None
    box: bool = False

    def may(self, access: Access) -> bool:
        """Whether they have this access."""
        return access in self.access

    @property
    def by(self) -> By:
        """They, for changes to people."""
        return By(self.actor, self.role, self.session.person_id if self.session else None, self.box)


TheCaller: TypeAlias = NamedDependency[SkipValidation[Caller]]
"""`caller: TheCaller` in a handler whose route has a `needs(…)` or `scopes(…)` guard."""


def needs(resource: Resource, verb: Verb) -> Guard:
    """A guard that lets in whoever has this access. Raises NotSignedIn, Forbidden, ForgedRequest, TooMany."""
    access = Access(resource, verb)

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        await _let_in(connection, access)

    guard.access = access  # type: ignore[attr-defined]
    return guard


def scopes(scope: str) -> Guard:
    """The same, named by the scope that an API key needs; what it is about follows from the route's path."""
    if scope not in roles.SCOPES:
        raise ValueError(scope)
    found: dict[int, Access] = {}

    async def guard(connection: Connection, route: BaseRouteHandler) -> None:
        access = found.get(id(route))
        if access is None:
            access = found[id(route)] = _access_named(scope, route)
        await _let_in(connection, access)

    guard.scope = scope  # type: ignore[attr-defined]
    return guard


def _access_named(scope: str, route: BaseRouteHandler) -> Access:
    word, _, verb = scope.partition(":")
    if word in ("alerts", "metrics"):
        return Access(cast(Resource, word), cast(Verb, verb))
    path = min(route.paths)
    resource = next((resource for place, resource in _PLACES if path.startswith(place)), "settings")
    if not verb:  # admin
        reads = isinstance(route, HTTPRouteHandler) and route.http_methods <= SAFE
        verb = "read" if reads else "write"
    return Access(cast(Resource, resource), cast(Verb, verb))


async def anyone(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard that lets in everybody, but no change that another site makes a browser ask for. Raises ForgedRequest."""
    if _changes(connection):
        door_of(connection).check_origin(connection)


async def step_up(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard behind `needs`: a person must have entered a password or code lately. Raises StepUpNeeded."""
    caller: Caller = connection.scope["state"]["caller"]
    house: House = connection.app.state.house
    if caller.session is not None and house.now() >= caller.session.step_up_until_ms:
        raise StepUpNeeded("enter your password or a code once more: POST /api/auth/step-up, then ask again")


def access_of(route: BaseRouteHandler) -> Access:
    """What a route needs. Raises LookupError for one that declares nothing."""
    reads = isinstance(route, HTTPRouteHandler) and route.http_methods <= SAFE
    public = PUBLIC_READ if reads else PUBLIC_WRITE
    for guard in _guards(route):
        if guard is anyone:
            return public
        access: Access | None = getattr(guard, "access", None)
        if access is not None:
            return access
        scope: str | None = getattr(guard, "scope", None)
        if scope is not None:
            return _access_named(scope, route)
    if route.paths <= OPEN:
        return public
    raise LookupError(f"{sorted(route.paths)} declares no access")


def asks_step_up(route: BaseRouteHandler) -> bool:
    """Whether a person must have entered a password or code lately."""
    return step_up in _guards(route)


def _guards(route: BaseRouteHandler) -> list[Any]:
    return [getattr(guard, "func", guard) for guard in route.resolve_guards()]


def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    """The caller that the route's guard found."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


def door_of(connection: Connection) -> Door:
    """The app's door for browsers."""
    door: Door = connection.app.state.door
    return door


def _changes(connection: Connection) -> bool:
    scope: Any = connection.scope
    return scope.get("method") not in SAFE


class Rates:
    """The request rates of each API key and each person: of everything, of searches, of uploads."""

    def __init__(self, limits: Limits) -> None:
        per_minute = {"api": limits.api_per_minute, "search": limits.search_per_minute}
        per_minute["upload"] = limits.upload_per_minute
        self._buckets = {
            name: Buckets(BURST if name == "api" else most, most / 60) for name, most in per_minute.items() if most
        }

    def take(self, scope: Mapping[str, Any], who: int, now_ms: int) -> Spent | None:
        """Takes one of what this request counts for; the bucket with the least left, None where nothing is limited.

        Raises TooMany, with the bucket in the request's state.
        """
        tightest: Spent | None = None
        for name, words in _LIMITS.items():
            buckets = self._buckets.get(name)
            if buckets is None or not _counts(name, scope):
                continue
            spent = buckets.take(who, now_ms)
            if not spent.within:
                scope["state"]["spent"] = spent
                raise TooMany(words, retry_after_s=spent.retry_after_s, name=name)
            if tightest is None or spent.remaining < tightest.remaining:
                tightest = spent
        return tightest


_LIMITS: Final = {
    "upload": "more uploads a minute than this caller's limit",
    "search": "more searches a minute than this caller's limit",
    "api": "more requests a minute than this caller's limit",
}
_UPLOADS: Final = frozenset({"/api/config/apply"})
"""Routes that take a whole file."""
_SEARCH: Final = re.compile(rb"(?:^|&)q=[^&]")


def _counts(name: str, scope: Mapping[str, Any]) -> bool:
    if name == "search":
        return _SEARCH.search(scope["query_string"]) is not None
    return name == "api" or scope["path"] in _UPLOADS


async def _let_in(connection: Connection, access: Access) -> None:
    caller = await _caller(connection)
    connection.scope["state"]["caller"] = caller
    logs.tell(user=f"{caller.actor.kind}:{caller.actor.id}", workspace=caller.workspace_id)
    if caller.may(access):
        return
    if access.resource == "account":
        raise Forbidden("this is a person's own: sign in to do it")
    if caller.actor.kind == "api_key":
        scope = roles.scope_for(access) or "admin"
        raise LacksScope([scope], [scope])
    doing = "look at" if access.verb == "read" else "change"
    raise Forbidden(f"your role, {caller.role}, may not {doing} {access.resource.replace('_', ' ')}")


async def _caller(connection: Connection) -> Caller:
    house: House = connection.app.state.house
    if is_control(connection.scope):
        return _owner(connection, house)
    header = connection.headers.get("authorization", "")
    if header:
        return await _bearer(connection, house, header)
    token = door_of(connection).token(connection)
    if not token:
        raise NotSignedIn("sign in, or send an API key: Authorization: Bearer sc_…")
    return await _person(connection, house, token)


async def _bearer(connection: Connection, house: House, header: str) -> Caller:
    scheme, _, key = header.partition(" ")
    key = key.strip()
    if scheme.lower() != _SCHEME or not key:
        raise NotSignedIn("an API key is needed: Authorization: Bearer sc_…")
    try:
        live = await house.accounts.identify(key)
    except NotSignedIn as fault:
        raise BadKey(fault.detail) from None
    _take(connection, live.id)
    return Caller(
        workspace_id=live.workspace_id,
        actor=live.actor,
        scopes=live.scopes,
        access=roles.of_scopes(live.scopes),
        role="admin" if "admin" in live.scopes else "viewer",
    )


async def _person(connection: Connection, house: House, token: str) -> Caller:
    session = await house.signin.sessions.identify(token)
    if _changes(connection):
        door_of(connection).check_change(connection, session)
    _take(connection, session.person_id)
    workspace_id = next(iter(session.roles))
    wanted = connection.headers.get(WORKSPACE_HEADER)
    if wanted is not None:
        workspaces = house.registry.snapshot.workspaces
        named = [number for number in session.roles if number in workspaces and workspaces[number].name == wanted]
        if not named:
            raise NotFound(f"there is no workspace {wanted[:100]!r}")
        workspace_id = named[0]
    role = session.roles[workspace_id]
    return Caller(
        workspace_id=workspace_id,
        actor=session.actor,
        scopes=roles.scopes_of(role),
        access=roles.of_role(role),
        role=role,
        session=session,
    )


def _take(connection: Connection, who: int) -> None:
    house: House = connection.app.state.house
    rates: Rates = connection.app.state.rates
    scope: Any = connection.scope
    spent = rates.take(scope, who, house.now())
    if spent is not None:
        scope["state"]["spent"] = spent


def _owner(connection: Connection, house: House) -> Caller:
    # Whoever opened the control socket owns the data directory: no key is asked for, any workspace may be named.
    wanted = connection.headers.get(WORKSPACE_HEADER, "default")
    who = connection.headers.get(ACTOR_HEADER, "") or "owner"
    for workspace in house.registry.snapshot.workspaces.values():
        if workspace.name == wanted:
            return Caller(
                workspace_id=workspace.id,
                actor=Actor("user", f"local:{who}"[:100], who[:100]),
                scopes=frozenset(roles.SCOPES),
                access=roles.of_scopes(roles.SCOPES),
                role="owner",
                box=True,
            )
    raise NotFound(f"there is no workspace {wanted[:100]!r}")
