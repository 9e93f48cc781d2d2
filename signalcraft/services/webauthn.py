"""What fido2 does for passkeys: reads what browsers send, and verifies it (WebAuthn level 3, sections 7.1 and 7.2).

Loaded with the first passkey that is asked for: a box whose people use passwords starts without it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorData,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from msgspec import Struct

from signalcraft.services.doors import Party, Untrue

logging.getLogger("fido2").setLevel(logging.WARNING)  # it names credentials at INFO

_REQUIRED: Final = UserVerificationRequirement.REQUIRED
_COSE_ALGORITHM: Final = 3


class Made(Struct, frozen=True, kw_only=True):
    """A new passkey. `credential`: its attested credential data; `synced`: it is kept on more than one device."""

    credential_id: bytes
    credential: bytes
    sign_count: int
    transports: list[str]
    synced: bool


class Known(Struct, frozen=True):
    """A passkey as browsers are told of it."""

    credential_id: bytes
    transports: list[str]


def _server(party: Party) -> Fido2Server:
    return Fido2Server(
        PublicKeyCredentialRpEntity(name="SignalCraft", id=party.rp_id),
        attestation=AttestationConveyancePreference.NONE,
        verify_origin=lambda origin: origin == party.origin,
    )


def _described(known: Iterable[Known]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            type=PublicKeyCredentialType.PUBLIC_KEY,
            id=one.credential_id,
            transports=[AuthenticatorTransport(said) for said in one.transports] or None,
        )
        for one in known
    ]


def to_make(
    party: Party, challenge: bytes, handle: bytes, email: str, name: str, known: Iterable[Known]
) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptionsJSON: a passkey that needs no user name and unlocks by PIN or biometrics."""
    options, _ = _server(party).register_begin(
        PublicKeyCredentialUserEntity(name=email, id=handle, display_name=name),
        credentials=_described(known),
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=_REQUIRED,
        challenge=challenge,
    )
    return dict(options.public_key)


def to_sign(party: Party, challenge: bytes, known: Iterable[Known] | None) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptionsJSON. `known` None: with whichever passkey of this host the person chooses."""
    described = None if known is None else _described(known)
    options, _ = _server(party).authenticate_begin(described, user_verification=_REQUIRED, challenge=challenge)
    return dict(options.public_key)


def _state(server: Fido2Server, challenge: bytes) -> Any:
    # The caller judges the challenge; here it is compared with itself.
    return server.authenticate_begin(user_verification=_REQUIRED, challenge=challenge)[1]


def _is_key(made: AttestedCredentialData) -> bool:
    """Whether the public key is one: fido2 looks at its numbers when it verifies, and not before."""
    try:
        AttestedCredentialData(bytes(made)).public_key.verify(b"", b"")
    except InvalidSignature:
        return True
    except Exception:  # too short, not on its curve, of an unknown kind
        return False
    return False


class Making:
    """The answer to `to_make`, not verified yet. Raises Untrue where it cannot be read."""

    def __init__(self, answer: dict[str, Any]) -> None:
        try:
            self._response = RegistrationResponse.from_dict(answer)
            self._client = self._response.response.client_data
            self.challenge = bytes(self._client.challenge)
            said = answer["response"].get("transports") or []
            self._transports = sorted({one.value for one in AuthenticatorTransport} & set(said))
        except Exception as fault:  # whatever a parser may stumble over
            raise Untrue(f"it cannot be read ({type(fault).__name__})") from None

    def verified(self, party: Party) -> Made:
        """What was made, for this party, with the person unlocking it. Raises Untrue."""
        server = _server(party)
        try:
            auth = server.register_complete(_state(server, self.challenge), self._response)
        except Exception as fault:
            raise Untrue(str(fault)[:200]) from None
        made = auth.credential_data
        if made is None or made.credential_id != self._response.raw_id:
            raise Untrue("it names another credential than it holds")
        if made.public_key.get(_COSE_ALGORITHM) not in [one.alg for one in server.allowed_algorithms]:
            raise Untrue("its key is of a kind that was not asked for")
        if self._client.cross_origin:
            raise Untrue("it was made inside another site's page")
        if not _is_key(made):
            raise Untrue("its key is none")
        return Made(
            credential_id=made.credential_id,
            credential=bytes(made),
            sign_count=auth.counter,
            transports=self._transports,
            synced=bool(auth.flags & AuthenticatorData.FLAG.BS),
        )


class Answering:
    """The answer to `to_sign`, not verified yet. Raises Untrue where it cannot be read."""

    def __init__(self, answer: dict[str, Any]) -> None:
        try:
            self._response = AuthenticationResponse.from_dict(answer)
            inner = self._response.response
            self._client = inner.client_data
            self.challenge = bytes(self._client.challenge)
            self.credential_id = bytes(self._response.raw_id)
            self.handle = bytes(inner.user_handle or b"")
            self.sign_count = int(inner.authenticator_data.counter)
            self.synced = bool(inner.authenticator_data.flags & AuthenticatorData.FLAG.BS)
        except Exception as fault:  # whatever a parser may stumble over
            raise Untrue(f"it cannot be read ({type(fault).__name__})") from None

    def verify(self, party: Party, credential: bytes) -> None:
        """Raises Untrue unless this credential signed the challenge, for this party, with the person unlocking it."""
        server = _server(party)
        try:
            known = [AttestedCredentialData(credential)]
            server.authenticate_complete(_state(server, self.challenge), known, self._response)
        except Exception as fault:  # ValueError with its reason, or whatever a key's own checks raise
            raise Untrue(str(fault)[:200]) from None
        if self._client.cross_origin:
            raise Untrue("it was asked for inside another site's page")
