"""/api/auth/passkeys and what signs in with them.

What goes to and comes from a browser is WebAuthn's own JSON (https://www.w3.org/TR/webauthn-3/#sctn-parseCreationOptionsFromJSON):
`PublicKeyCredential.parseCreationOptionsFromJSON(options)`, `credential.toJSON()`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from signalcraft.domain import ids
from signalcraft.http.auth import TheCaller, anyone, door_of, needs, step_up
from signalcraft.http.signin import AnyRequest, Me, StepUp, Text, old_token, person_of, signed_in
from signalcraft.http.wire import TheHouse, show_time, time_of
from signalcraft.storage.passkeys import Passkey

TAG: Final = ["sign-in"]
_READ: Final = [needs("account", "read")]
_WRITE: Final = [needs("account", "write")]
_DANGER: Final = [needs("account", "write"), step_up]

Base64Url = Annotated[str, Meta(max_length=20_000, pattern="^[A-Za-z0-9_-]*$")]


class Options(Struct, frozen=True):
    """`options`: for `navigator.credentials`, as WebAuthn's JSON. Good once and for ten minutes."""

    options: dict[str, Any]


class Attested(Struct, frozen=True):
    """The authenticator's answer to a registration; what else browsers send along is not read."""

    client_data: Base64Url = msgspec.field(name="clientDataJSON")
    attestation: Base64Url = msgspec.field(name="attestationObject")
    transports: Annotated[list[Text], Meta(max_length=20)] = []


class MadeIn(Struct, frozen=True):
    """What `navigator.credentials.create()` gave, `toJSON()` of it (RegistrationResponseJSON)."""

    id: Base64Url
    raw_id: Base64Url = msgspec.field(name="rawId")
    response: Attested
    type: Annotated[str, Meta(pattern="^public-key$")] = "public-key"


class Asserted(Struct, frozen=True):
    """The authenticator's answer to a challenge."""

    client_data: Base64Url = msgspec.field(name="clientDataJSON")
    authenticator_data: Base64Url = msgspec.field(name="authenticatorData")
    signature: Base64Url
    user_handle: Base64Url | None = msgspec.field(name="userHandle", default=None)


class ProofIn(Struct, frozen=True):
    """What `navigator.credentials.get()` gave, `toJSON()` of it (AuthenticationResponseJSON)."""

    id: Base64Url
    raw_id: Base64Url = msgspec.field(name="rawId")
    response: Asserted
    type: Annotated[str, Meta(pattern="^public-key$")] = "public-key"


class PasskeyIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`name`: what its owner calls it, "work laptop"."""

    name: Text
    credential: MadeIn


class ProvenIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A challenge that a passkey has signed."""

    credential: ProofIn


class NameIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Another name."""

    name: Text


class PasskeyOut(Struct, frozen=True):
    """`synced`: a password manager keeps it on several devices; `usable`: it was made for this host name."""

    id: str
    name: str
    synced: bool
    usable: bool
    created_at: str
    last_used_at: str | None


class PasskeyList(Struct, frozen=True):
    """The oldest first."""

    items: list[PasskeyOut]


def _out(one: Passkey, rp_id: str) -> PasskeyOut:
    return PasskeyOut(
        id=ids.show(one.id),
        name=one.name,
        synced=one.synced,
        usable=one.rp_id == rp_id,
        created_at=time_of(one.created_ms),
        last_used_at=show_time(one.last_used_ms),
    )


@get("/api/auth/passkeys", guards=_READ, summary="My passkeys", operation_id="list_passkeys", tags=TAG)
async def list_passkeys(house: TheHouse, caller: TheCaller) -> PasskeyList:
    """Those of one's own account."""
    found = await house.passkeys.own(person_of(caller).person_id)
    return PasskeyList([_out(one, house.passkeys.doors.party.rp_id) for one in found])


@post(
    "/api/auth/passkeys/options",
    guards=_DANGER,
    summary="Begin a passkey",
    operation_id="begin_passkey",
    tags=TAG,
    status_code=200,
)
async def begin(house: TheHouse, caller: TheCaller) -> Options:
    """For `navigator.credentials.create()`. 409: browsers have no passkeys at this address, or there are 20 already."""
    return Options(await house.passkeys.offer(person_of(caller)))


@post("/api/auth/passkeys", guards=_DANGER, summary="Add a passkey", operation_id="add_passkey", tags=TAG)
async def add(house: TheHouse, caller: TheCaller, data: JSONBody[PasskeyIn]) -> PasskeyOut:
    """With what the browser made. From now on it signs in. 410 `sign_in_stale`: its challenge ran out or was used."""
    made = await house.passkeys.add(person_of(caller), data.name, msgspec.to_builtins(data.credential))
    return _out(made, made.rp_id)


@patch(
    "/api/auth/passkeys/{id:str}", guards=_WRITE, summary="Rename a passkey", operation_id="rename_passkey", tags=TAG
)
async def rename(house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[NameIn]) -> PasskeyOut:
    """What its owner calls it."""
    renamed = await house.passkeys.rename(person_of(caller), ids.parse(id), data.name)
    return _out(renamed, house.passkeys.doors.party.rp_id)


@delete(
    "/api/auth/passkeys/{id:str}",
    guards=_DANGER,
    summary="Remove a passkey",
    operation_id="remove_passkey",
    tags=TAG,
    status_code=204,
)
async def remove(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> None:
    """It signs in no more. 409: it is the last way in of an account without a password."""
    await house.passkeys.remove(person_of(caller), ids.parse(id))


@post(
    "/api/auth/sign-in/passkey/options",
    guards=[anyone],
    summary="Begin to sign in with a passkey",
    operation_id="begin_passkey_sign_in",
    tags=TAG,
    status_code=200,
)
async def begin_sign_in(house: TheHouse, request: AnyRequest) -> Options:
    """For `navigator.credentials.get()`. Names nobody: the browser offers the passkeys that it has for this address."""
    door_of(request).admit(request)
    return Options(await house.passkeys.ask())


@post(
    "/api/auth/sign-in/passkey",
    guards=[anyone],
    summary="Sign in with a passkey",
    operation_id="sign_in_by_passkey",
    tags=TAG,
    status_code=200,
)
async def sign_in(house: TheHouse, request: AnyRequest, data: JSONBody[ProvenIn]) -> Response[Me]:
    """Sets the session's cookie. Whatever is wrong, the answer is the same. A second factor is not asked for."""
    door = door_of(request)
    door.admit(request)
    answer = msgspec.to_builtins(data.credential)
    token = await house.passkeys.sign_in(answer, door.visitor(request), old_token(request))
    return await signed_in(house, request, token)


@post(
    "/api/auth/step-up/passkey/options",
    guards=_WRITE,
    summary="Begin to prove once more who I am, with a passkey",
    operation_id="begin_passkey_step_up",
    tags=TAG,
    status_code=200,
)
async def begin_step_up(house: TheHouse, caller: TheCaller) -> Options:
    """For `navigator.credentials.get()`, with one's own passkeys. 409: there is none."""
    return Options(await house.passkeys.ask_again(person_of(caller)))


@post(
    "/api/auth/step-up/passkey",
    guards=_WRITE,
    summary="Prove once more who I am, with a passkey",
    operation_id="step_up_by_passkey",
    tags=TAG,
    status_code=200,
)
async def step_up_by_passkey(
    house: TheHouse, caller: TheCaller, request: AnyRequest, data: JSONBody[ProvenIn]
) -> StepUp:
    """For ten minutes dangerous actions go through, as after the password."""
    answer = msgspec.to_builtins(data.credential)
    visitor = door_of(request).visitor(request)
    return StepUp(time_of(await house.passkeys.step_up(person_of(caller), answer, visitor)))


ROUTES: list[Any] = [
    list_passkeys,
    begin,
    add,
    rename,
    remove,
    begin_sign_in,
    sign_in,
    begin_step_up,
    step_up_by_passkey,
]
