"""/api/auth/totp and /api/auth/recovery-codes: a second factor for one's own account."""

from __future__ import annotations

from typing import Any, Final

from litestar import delete, post
from litestar.params import JSONBody
from msgspec import Struct

from signalcraft.http.auth import TheCaller, door_of, needs, step_up
from signalcraft.http.signin import AnyRequest, Code, person_of
from signalcraft.http.wire import TheHouse

TAG: Final = ["sign-in"]
_GUARDS: Final = [needs("account", "write"), step_up]


class Offered(Struct, frozen=True):
    """A new secret, told this once: as text to type, and as the address that a QR code for the app holds."""

    secret: str
    uri: str


class CodeIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The six digits that the app shows now."""

    code: Code


class Codes(Struct, frozen=True):
    """Recovery codes, told this once; each stands in for the app a single time."""

    recovery_codes: list[str]


@post(
    "/api/auth/totp/enrol",
    guards=_GUARDS,
    summary="Begin a second factor",
    operation_id="enrol_totp",
    tags=TAG,
    status_code=200,
)
async def enrol(house: TheHouse, caller: TheCaller) -> Offered:
    """A secret for an authenticator app. Nothing changes until /confirm has seen a code of it."""
    offer = await house.signin.second.offer(person_of(caller).person_id)
    return Offered(offer.secret, offer.uri)


@post(
    "/api/auth/totp/confirm",
    guards=_GUARDS,
    summary="Turn the second factor on",
    operation_id="confirm_totp",
    tags=TAG,
    status_code=200,
)
async def confirm(house: TheHouse, caller: TheCaller, request: AnyRequest, data: JSONBody[CodeIn]) -> Codes:
    """From now on signing in needs a code. Keep the recovery codes: they are not shown again."""
    visitor = door_of(request).visitor(request)
    return Codes(await house.signin.confirm(person_of(caller), data.code, visitor))


@delete(
    "/api/auth/totp",
    guards=_GUARDS,
    summary="Turn the second factor off",
    operation_id="end_totp",
    tags=TAG,
    status_code=204,
)
async def end(house: TheHouse, caller: TheCaller) -> None:
    """The password alone is enough again; the recovery codes are void."""
    await house.signin.second.end(person_of(caller).person_id)


@post(
    "/api/auth/recovery-codes",
    guards=_GUARDS,
    summary="New recovery codes",
    operation_id="renew_recovery_codes",
    tags=TAG,
    status_code=200,
)
async def renew(house: TheHouse, caller: TheCaller) -> Codes:
    """Ten new ones; the earlier ones are void."""
    return Codes(await house.signin.second.renew_codes(person_of(caller).person_id))


ROUTES: list[Any] = [enrol, confirm, end, renew]
