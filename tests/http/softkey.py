"""An authenticator in a few lines, for tests that need a passkey and no browser: ES256, always unlocked."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData

from tests.http.browsing import Browser
from tests.http.visiting import origin_of

_FLAGS = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV


class SoftKey:
    """One passkey. `counter` goes up by one with each signature."""

    def __init__(self, it: Browser, rp_id: str = "localhost") -> None:
        self.origin = origin_of(it.world)
        self.rp_id = hashlib.sha256(rp_id.encode()).digest()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(16)
        self.counter = 0

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def made(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to a registration."""
        public = ES256.from_cryptography_key(self.key.public_key())
        held = AttestedCredentialData.create(Aaguid.NONE, self.id, public)
        data = AuthenticatorData.create(self.rp_id, _FLAGS | AuthenticatorData.FLAG.AT, self.counter, held)
        return self._said(
            clientDataJSON=_b64(self._client("webauthn.create", options["challenge"])),
            attestationObject=_b64(bytes(AttestationObject.create("none", data, {}))),
            transports=["internal"],
        )

    def signed(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to a challenge."""
        self.counter += 1
        client = self._client("webauthn.get", options["challenge"])
        data = AuthenticatorData.create(self.rp_id, _FLAGS, self.counter)
        message = bytes(data) + hashlib.sha256(client).digest()
        return self._said(
            clientDataJSON=_b64(client),
            authenticatorData=_b64(bytes(data)),
            signature=_b64(self.key.sign(message, ec.ECDSA(hashes.SHA256()))),
        )

    def _said(self, **response: Any) -> dict[str, Any]:
        return {"id": _b64(self.id), "rawId": _b64(self.id), "type": "public-key", "response": response}


def enrolled(it: Browser) -> tuple[SoftKey, str]:
    """A passkey that somebody who is signed in has registered, and its id."""
    key = SoftKey(it)
    options = it.post("/api/auth/passkeys/options")["options"]
    added = it.post("/api/auth/passkeys", {"name": "soft", "credential": key.made(options)}, 201)
    return key, str(added["id"])


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
