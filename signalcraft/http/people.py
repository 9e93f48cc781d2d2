"""/api/people and /api/invitations: who belongs to the workspace, and who may join it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.roles import Access, Role
from signalcraft.http.auth import Caller, TheCaller, anyone, door_of, needs, step_up
from signalcraft.http.control import owner_only
from signalcraft.http.pages import page_of
from signalcraft.http.signin import AnyRequest, Code, Me, Password, Text, old_token, signed_in
from signalcraft.http.wire import (
    ActorOut,
    Cursor,
    Limit,
    TheHouse,
    cursor_of,
    read_cursor,
    show_time,
    time_of,
)
from signalcraft.services.people import Listed
from signalcraft.storage.invitations import Invitation

TAG: Final = ["people"]
_READ: Final = [needs("users", "read")]
_WRITE: Final = [needs("users", "write")]
_DANGER: Final = [needs("users", "write"), step_up]


class MemberOut(Struct, frozen=True):
    """A person in this workspace. `locked_until`: too many failed sign-ins; `disabled_at`: may not sign in since.

    `second_factor`, `last_seen_at` and `locked_until` are for those who may change people; null for others.
    """

    id: str
    email: str
    name: str
    role: Role
    second_factor: bool | None
    joined_at: str
    last_seen_at: str | None
    disabled_at: str | None
    locked_until: str | None


class MemberPage(Struct, frozen=True):
    """Who joined first comes first."""

    items: list[MemberOut]
    next: str | None


class MemberIn(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to change; what is left out stays. `disabled`: may not sign in, and is signed out everywhere."""

    role: Role | None = None
    disabled: bool | None = None


class ResetMakeIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`second_factor`: using the link takes the second factor away too, for a lost phone."""

    second_factor: bool = False


class LinkMade(Struct, frozen=True):
    """A link, told this once: give it to the person it is for."""

    id: str
    url: str
    expires_at: str


class InvitationIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to join, as what. Only an owner invites owners."""

    email: Text
    role: Role


class InvitationOut(Struct, frozen=True):
    """An invitation, without its link. `state`: open, accepted, revoked or expired."""

    id: str
    email: str
    role: Role
    state: str
    invited_by: ActorOut
    created_at: str
    expires_at: str
    accepted_at: str | None
    revoked_at: str | None


class InvitationPage(Struct, frozen=True):
    """The newest first; those that are over too."""

    items: list[InvitationOut]
    next: str | None


class TokenIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`token`: the part of the link behind the #."""

    token: Text


class Preview(Struct, frozen=True):
    """What an invitation is for. `has_account`: its address is known here, and its own password is asked for."""

    workspace: str
    email: str
    role: Role
    invited_by: str
    expires_at: str
    has_account: bool


class AcceptIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The address must be the invited one. Who has an account gives its password, and a `code` if it needs one."""

    token: Text
    email: Text
    password: Password
    name: Text = ""
    code: Code = ""


def _member(one: Listed, caller: Caller) -> MemberOut:
    person = one.member.person
    # Who is easiest to break into is nothing that everybody needs to know.
    inside = caller.may(Access("users", "write"))
    return MemberOut(
        id=ids.show(person.id),
        email=person.email,
        name=person.name,
        role=one.member.role,
        second_factor=person.totp is not None if inside else None,
        joined_at=time_of(one.member.joined_ms),
        last_seen_at=show_time(one.member.last_seen_ms) if inside else None,
        disabled_at=show_time(person.disabled_ms),
        locked_until=show_time(one.locked_until_ms) if inside else None,
    )


@get("/api/people", guards=_READ, summary="People", operation_id="list_people", tags=TAG)
async def list_people(house: TheHouse, caller: TheCaller, limit: Limit = 50, cursor: Cursor = None) -> MemberPage:
    """Everybody in the workspace."""
    rows, more = page_of(await house.people.members(caller.workspace_id), limit, cursor)
    return MemberPage([_member(row, caller) for row in rows], more)


@get("/api/people/{id:str}", guards=_READ, summary="One person", operation_id="get_person", tags=TAG)
async def get_person(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> MemberOut:
    """One of them."""
    return _member(await house.people.member(caller.workspace_id, ids.parse(id)), caller)


@patch(
    "/api/people/{id:str}",
    guards=_DANGER,
    summary="Change what a person may do",
    operation_id="change_person",
    tags=TAG,
)
async def change_person(house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[MemberIn]) -> MemberOut:
    """In force from their next request on. 403: only owners reach owners. 409: the last owner stays one."""
    person_id = ids.parse(id)
    await house.people.change(caller.workspace_id, caller.by, person_id, role=data.role, disabled=data.disabled)
    return _member(await house.people.member(caller.workspace_id, person_id), caller)


@delete(
    "/api/people/{id:str}",
    guards=_DANGER,
    summary="Remove a person",
    operation_id="remove_person",
    tags=TAG,
    status_code=204,
)
async def remove_person(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> None:
    """They are signed out everywhere, and the invitations they made end. 409: the last owner cannot be removed."""
    await house.people.remove(caller.workspace_id, caller.by, ids.parse(id))


@post(
    "/api/people/{id:str}/reset-link",
    guards=_DANGER,
    summary="Make a link that sets a new password",
    operation_id="make_reset_link",
    tags=TAG,
)
async def make_reset(
    house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[ResetMakeIn | None] = None
) -> LinkMade:
    """Good once, for a day. Needs no mail: hand it over by a way you trust."""
    made = await house.people.make_reset(
        caller.workspace_id, caller.by, ids.parse(id), second_factor=data.second_factor if data else False
    )
    return LinkMade(ids.show(made.id), made.url, time_of(made.expires_ms))


@post(
    "/api/people/{id:str}/unlock",
    guards=_WRITE,
    summary="Unlock an account",
    operation_id="unlock_person",
    tags=TAG,
    status_code=204,
)
async def unlock(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> None:
    """Forgets the account's failed sign-ins."""
    await house.people.unlock(caller.workspace_id, caller.by, ids.parse(id))


class AddIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A person with a password, made at once."""

    email: Text
    name: Text
    role: Role
    password: Password


@post("/control/people", guards=[owner_only, *_WRITE], include_in_schema=False)
async def add_person(house: TheHouse, caller: TheCaller, data: JSONBody[AddIn]) -> MemberOut:
    """On the box itself, for a box without a browser."""
    person_id = await house.people.add(caller.workspace_id, caller.by, data.email, data.name, data.role, data.password)
    return _member(await house.people.member(caller.workspace_id, person_id), caller)


class SetPasswordIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`second_factor`: take it away as well."""

    password: Password
    second_factor: bool = False


@post("/control/people/{id:str}/password", guards=[owner_only, *_WRITE], include_in_schema=False, status_code=204)
async def set_password(house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[SetPasswordIn]) -> None:
    """On the box itself: a new password at once. Every session of the person ends."""
    await house.people.set_password(
        caller.workspace_id, caller.by, ids.parse(id), data.password, second_factor=data.second_factor
    )


# -- invitations ------------------------------------------------------------------------------------------------------


def _invitation(row: Invitation, now_ms: int) -> InvitationOut:
    state = "open" if row.open_at(now_ms) else "expired"
    if row.accepted_ms is not None:
        state = "accepted"
    elif row.revoked_ms is not None:
        state = "revoked"
    return InvitationOut(
        id=ids.show(row.id),
        email=row.email,
        role=row.role,
        state=state,
        invited_by=ActorOut(row.inviter.kind, row.inviter.id, row.inviter.name),
        created_at=time_of(row.created_ms),
        expires_at=time_of(row.expires_ms),
        accepted_at=show_time(row.accepted_ms),
        revoked_at=show_time(row.revoked_ms),
    )


@get("/api/invitations", guards=_READ, summary="Invitations", operation_id="list_invitations", tags=TAG)
async def list_invitations(
    house: TheHouse, caller: TheCaller, limit: Limit = 50, cursor: Cursor = None
) -> InvitationPage:
    """Who was invited by whom, and what became of it. Links are told only when they are made."""
    before = read_cursor(cursor, 1)
    rows = await house.invitations.invited(caller.workspace_id, before[0] if before else 2**63 - 1, limit + 1)
    more = cursor_of(rows[limit - 1].id) if len(rows) > limit else None
    now_ms = house.now()
    return InvitationPage([_invitation(row, now_ms) for row in rows[:limit]], more)


@post("/api/invitations", guards=_DANGER, summary="Invite somebody", operation_id="invite", tags=TAG)
async def invite(house: TheHouse, caller: TheCaller, data: JSONBody[InvitationIn]) -> LinkMade:
    """A link, good once and for seven days, for one e-mail address. 409: they are here, or invited, already."""
    made = await house.invitations.invite(caller.workspace_id, caller.by, data.email, data.role)
    return LinkMade(ids.show(made.id), made.url, time_of(made.expires_ms))


@delete(
    "/api/invitations/{id:str}",
    guards=_WRITE,
    summary="Take an invitation back",
    operation_id="revoke_invitation",
    tags=TAG,
    status_code=204,
)
async def revoke_invitation(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> None:
    """Its link works no more. Twice is no fault. 409: it was accepted."""
    await house.invitations.revoke_invitation(caller.workspace_id, caller.by, ids.parse(id))


@post(
    "/api/invitations/preview",
    guards=[anyone],
    summary="What an invitation is for",
    operation_id="preview_invitation",
    tags=TAG,
    status_code=200,
)
async def preview(house: TheHouse, data: JSONBody[TokenIn]) -> Preview:
    """Changes nothing. A POST, so that the token stands in no address and no log."""
    invitation, workspace, known = await house.invitations.preview(data.token)
    return Preview(
        workspace=workspace,
        email=invitation.email,
        role=invitation.role,
        invited_by=invitation.inviter.name,
        expires_at=time_of(invitation.expires_ms),
        has_account=known,
    )


@post(
    "/api/invitations/accept",
    guards=[anyone],
    summary="Accept an invitation",
    operation_id="accept_invitation",
    tags=TAG,
)
async def accept(house: TheHouse, request: AnyRequest, data: JSONBody[AcceptIn]) -> Response[Me]:
    """Makes the account where there is none, joins the workspace and signs in. 403: the address is another one."""
    door = door_of(request)
    door.admit(request)
    token = await house.invitations.accept(
        data.token, data.email, data.name, data.password, data.code, door.visitor(request), old_token(request)
    )
    return await signed_in(house, request, token, 201)


ROUTES: list[Any] = [
    list_people,
    get_person,
    change_person,
    remove_person,
    make_reset,
    unlock,
    add_person,
    set_password,
    list_invitations,
    invite,
    revoke_invitation,
    preview,
    accept,
]
