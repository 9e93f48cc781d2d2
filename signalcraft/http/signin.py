"""/api/auth: becoming somebody, staying it, and ceasing to be. For people with browsers; programs use API keys."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Request, Response, get, patch, post
from litestar.datastructures import Cookie
from litestar.params import JSONBody
from msgspec import Meta, Struct

from signalcraft import __version__
from signalcraft.domain import ids
from signalcraft.domain.passwords import LENGTH_MAX
from signalcraft.domain.roles import Role, of_role
from signalcraft.http.auth import Caller, TheCaller, anyone, door_of, needs
from signalcraft.http.browser import Transport
from signalcraft.http.wire import TheHouse, time_of
from signalcraft.services.accounts import key_hash
from signalcraft.services.house import House
from signalcraft.services.sessions import SessionLive
from signalcraft.storage import people

TAG: Final = ["sign-in"]

# A little more than allowed is read, so that the answer can say what is wrong.
Password = Annotated[str, Meta(min_length=1, max_length=4 * LENGTH_MAX)]
Text = Annotated[str, Meta(max_length=400)]
Code = Annotated[str, Meta(max_length=40)]
AnyRequest = Request[Any, Any, Any]


class State(Struct, frozen=True):
    """What a sign-in page needs to know. `transport`: how this request came; `refused`: nobody can sign in this way,
    and `hint` says what to do. `needs_setup`: nobody owns this SignalCraft yet. `methods`: password, passkey, oidc, as
    far as they work here; `oidc_label`: what the button for single sign-on says, null without it.
    """

    needs_setup: bool
    methods: list[str]
    oidc_label: str | None
    version: str
    transport: Transport
    hint: str | None


class SetupIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The first owner. `code`: printed when the program started."""

    code: Code
    email: Text
    name: Text
    password: Password


class SignInIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`code`: of the authenticator app, or a recovery code, where the account has a second factor."""

    email: Text
    password: Password
    code: Code = ""


class PersonalIn(Struct, frozen=True, forbid_unknown_fields=True):
    """What one changes about oneself."""

    name: Text


class PasswordIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The present password and the next one: at least 12 characters, not easy to guess, none of the last five."""

    current: Password
    new: Password


class StepUpIn(Struct, frozen=True, forbid_unknown_fields=True):
    """One of them."""

    password: Annotated[str, Meta(max_length=4 * LENGTH_MAX)] = ""
    code: Code = ""


class ResetIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`token`: the part of the link behind the #."""

    token: Text
    password: Password


class PersonOut(Struct, frozen=True):
    """A person."""

    id: str
    email: str
    name: str


class RoleOut(Struct, frozen=True):
    """What somebody is in a workspace."""

    workspace: str
    role: Role


class SessionNow(Struct, frozen=True):
    """The session that asks. It ends at `expires_at`, or sooner when it is not used."""

    id: str
    method: str
    created_at: str
    expires_at: str


class Me(Struct, frozen=True):
    """Who is signed in, and what they may do.

    `access`: what the routes ask for (`alerts:write`). `csrf_token`: goes into the header X-CSRF-Token of all but GET.
    Until `step_up_until` dangerous actions need no further password.
    """

    person: PersonOut
    workspace: str
    role: Role
    roles: list[RoleOut]
    access: list[str]
    csrf_token: str
    session: SessionNow
    step_up_until: str
    has_password: bool
    second_factor: bool
    recovery_codes_left: int


class StepUp(Struct, frozen=True):
    """Until then dangerous actions need no further password or code."""

    step_up_until: str


@get("/api/auth/state", guards=[anyone], summary="How one signs in here", operation_id="get_sign_in_state", tags=TAG)
async def state(house: TheHouse, request: AnyRequest) -> State:
    """For the sign-in page, before anybody is signed in."""
    door = door_of(request)
    transport = door.transport(request)
    return State(
        needs_setup=await house.people.needs_setup(),
        methods=house.oidc.doors.methods(),
        oidc_label=house.settings.oidc.label if house.settings.oidc.issuer else None,
        version=__version__,
        transport=transport,
        hint=door.why_refused() if transport == "refused" else None,
    )


@post("/api/auth/setup", guards=[anyone], summary="Make the first owner", operation_id="set_up", tags=TAG)
async def setup(house: TheHouse, request: AnyRequest, data: JSONBody[SetupIn]) -> Response[Me]:
    """Works once, with the code that was printed when the program started, and signs the owner in."""
    door = door_of(request)
    door.admit(request)
    token = await house.people.set_up(data.code, data.email, data.name, data.password, door.visitor(request))
    return await signed_in(house, request, token, 201)


@post("/api/auth/sign-in", guards=[anyone], summary="Sign in", operation_id="sign_in", tags=TAG, status_code=200)
async def sign_in(house: TheHouse, request: AnyRequest, data: JSONBody[SignInIn]) -> Response[Me]:
    """Sets the session's cookie. A wrong password, an unknown and a disabled account get the same answer.

    401 `second_factor_needed`: the same again with a `code`. 429: too many failed, by this account or this address.
    """
    door = door_of(request)
    door.admit(request)
    old = old_token(request)
    token = await house.signin.sign_in(data.email, data.password, data.code, door.visitor(request), old)
    return await signed_in(house, request, token)


def old_token(request: AnyRequest) -> bytes:
    """The hash of the token that the browser has so far; its session ends when another one begins."""
    token = door_of(request).token(request)
    return key_hash(token) if token else b""


async def signed_in(house: House, request: AnyRequest, token: str, status_code: int = 200) -> Response[Me]:
    """The answer that begins a session: who they are, with the session's cookies."""
    session = await house.signin.sessions.identify(token)
    me = await _me(house, request, session, next(iter(session.roles)))
    cookies = door_of(request).cookies(request, token, session.token_hash)
    return Response(me, status_code=status_code, cookies=cookies)


async def session_cookies(house: House, request: AnyRequest, token: str) -> list[Cookie]:
    """The cookies of a session that begins, where the answer is no Me."""
    session = await house.signin.sessions.identify(token)
    return door_of(request).cookies(request, token, session.token_hash)


async def _me(house: House, request: AnyRequest, session: SessionLive, workspace_id: int) -> Me:
    left = await house.db.read(lambda tx: people.recovery_codes_left(tx, session.person_id))
    names = {one.id: one.name for one in house.registry.snapshot.workspaces.values()}
    role = session.roles[workspace_id]
    return Me(
        person=PersonOut(ids.show(session.person_id), session.email, session.name),
        workspace=names.get(workspace_id, ""),
        role=role,
        roles=[RoleOut(names.get(number, ""), role) for number, role in session.roles.items()],
        access=sorted(map(str, of_role(role))),
        csrf_token=door_of(request).csrf(session.token_hash),
        session=SessionNow(
            ids.show(session.id), session.method, time_of(session.created_ms), time_of(session.expires_ms)
        ),
        step_up_until=time_of(session.step_up_until_ms),
        has_password=session.has_password,
        second_factor=session.two_factor,
        recovery_codes_left=left,
    )


def person_of(caller: Caller) -> SessionLive:
    """The session of a caller whom `needs("account", …)` let in: nobody else has that access."""
    if caller.session is None:
        raise RuntimeError("an account without a session")
    return caller.session


@get("/api/auth/me", guards=[needs("account", "read")], summary="Who am I?", operation_id="get_me", tags=TAG)
async def me(house: TheHouse, caller: TheCaller, request: AnyRequest) -> Me:
    """The signed-in person, their role in the workspace, and the token for X-CSRF-Token."""
    return await _me(house, request, person_of(caller), caller.workspace_id)


@patch("/api/auth/me", guards=[needs("account", "write")], summary="Change my name", operation_id="rename_me", tags=TAG)
async def rename(house: TheHouse, caller: TheCaller, request: AnyRequest, data: JSONBody[PersonalIn]) -> Me:
    """One's own name, as others see it."""
    session = person_of(caller)
    await house.signin.rename(session, data.name)
    fresh = await house.signin.sessions.identify(door_of(request).token(request))
    return await _me(house, request, fresh, caller.workspace_id)


@post(
    "/api/auth/sign-out",
    guards=[needs("account", "write")],
    summary="Sign out",
    operation_id="sign_out",
    tags=TAG,
    status_code=204,
)
async def sign_out(house: TheHouse, caller: TheCaller, request: AnyRequest) -> Response[None]:
    """The session is over at once, whoever else has its cookie."""
    await house.signin.sign_out(person_of(caller))
    return Response(None, status_code=204, cookies=door_of(request).no_cookies(request))


@post(
    "/api/auth/password",
    guards=[needs("account", "write")],
    summary="Change my password",
    operation_id="change_my_password",
    tags=TAG,
    status_code=204,
)
async def change_password(house: TheHouse, caller: TheCaller, request: AnyRequest, data: JSONBody[PasswordIn]) -> None:
    """Every other session of the person ends."""
    visitor = door_of(request).visitor(request)
    await house.signin.change_password(person_of(caller), data.current, data.new, visitor)


@post(
    "/api/auth/step-up",
    guards=[needs("account", "write")],
    summary="Prove once more who I am",
    operation_id="step_up",
    tags=TAG,
    status_code=200,
)
async def step_up(house: TheHouse, caller: TheCaller, request: AnyRequest, data: JSONBody[StepUpIn]) -> StepUp:
    """For ten minutes dangerous actions go through: what answered 403 `step_up_needed` works now."""
    visitor = door_of(request).visitor(request)
    until_ms = await house.signin.step_up(person_of(caller), data.password, data.code, visitor)
    return StepUp(time_of(until_ms))


@post(
    "/api/auth/reset",
    guards=[anyone],
    summary="Set a new password by a link",
    operation_id="reset_password",
    tags=TAG,
    status_code=204,
)
async def reset(house: TheHouse, request: AnyRequest, data: JSONBody[ResetIn]) -> None:
    """Works once. Every session of the person ends; they sign in with the new password."""
    door_of(request).admit(request)
    await house.people.reset(data.token, data.password)


ROUTES: list[Any] = [state, setup, sign_in, sign_out, me, rename, change_password, step_up, reset]
