"""ID tokens: what an identity provider signed about a person, believed only when everything about it is right.

joserfc does the cryptography. The rules are OpenID Connect Core 1.0, section 3.1.3.7
(https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError, SecurityWarning

from signalcraft.services.doors import Untrue

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519"),
)
"""Signatures by a key that only the provider has. Neither `none` nor HS*: there whoever checks could also sign."""
LEEWAY_S: Final = 60
"""How far the provider's clock may be from ours."""
TOKEN_MAX: Final = 65_536
RSA_BITS_MIN: Final = 2048
_SHA: Final = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


@contextmanager
def _quiet() -> Iterator[None]:
    """joserfc warns on standard error of short keys (left out here) and of EdDSA's old name (which providers use)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        yield


class UnknownKey(Untrue):
    """Signed with a key that is not among those known: the provider may have a new one."""


def keys_of(document: bytes) -> jwk.KeySet:
    """The public signing keys of a JWKS (RFC 7517); what cannot be used is left out. Raises Untrue."""
    try:
        found = msgspec.json.decode(document)["keys"]
        assert isinstance(found, list)  # noqa: S101 - of what somebody else sent, caught below
    except (msgspec.DecodeError, KeyError, TypeError, AssertionError, RecursionError):
        raise Untrue("the provider's keys cannot be read") from None
    keys: list[Any] = []
    for one in found[:100]:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig" or one.get("kty") not in ("RSA", "EC", "OKP"):
            continue
        try:
            with _quiet():
                key = jwk.JWKRegistry.import_key(one)
        except Exception:  # noqa: S112 - a key of a kind that we cannot read is no reason to refuse the others
            continue
        if isinstance(key, jwk.RSAKey) and key.public_key.key_size < RSA_BITS_MIN:
            continue
        keys.append(key)
    return jwk.KeySet(keys)


def key_id(token: str) -> str | None:
    """Which key a token says it is signed with; None where it does not say. Raises Untrue."""
    return _text(_header(token).get("kid"))


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > TOKEN_MAX or token.count(".") != 2:
        raise Untrue("the ID token is no signed JWT")
    try:
        return jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, RecursionError):
        raise Untrue("the ID token cannot be read") from None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def claims_of(
    token: str, keys: jwk.KeySet, *, issuer: str, client_id: str, nonce: str, access_token: str, now_ms: int
) -> dict[str, Any]:
    """The claims of a token that is true, meant for us, in time, and the answer to our request.

    Raises UnknownKey where `keys` may be old, Untrue for everything else.
    """
    header = _header(token)
    algorithm = header.get("alg")
    if algorithm == "EdDSA":  # its name before RFC 9864
        allowed: tuple[str, ...] = ("EdDSA",)
    elif algorithm in ALGORITHMS:
        allowed = (str(algorithm),)
    else:
        raise Untrue(f"the ID token is signed by {str(algorithm)[:40]!r}, which is not allowed")
    kid = _text(header.get("kid"))
    if kid is not None and kid not in {key.kid for key in keys}:
        raise UnknownKey("the ID token is signed with a key that the provider does not publish")
    registry = jws.JWSRegistry(algorithms=list(allowed))
    try:
        with _quiet():
            claims = jwt.decode(token, keys, algorithms=list(allowed), registry=registry).claims
    except (JoseError, ValueError, TypeError, RecursionError) as fault:
        raise Untrue(f"the ID token's signature does not hold ({type(fault).__name__})") from None
    _check(claims, issuer, client_id, nonce, now_ms)
    said = claims.get("at_hash")
    if said is not None and not _is_hash_of(said, access_token, str(algorithm)):
        raise Untrue("the access token is not the one that the ID token names")
    return claims


def _check(claims: dict[str, Any], issuer: str, client_id: str, nonce: str, now_ms: int) -> None:
    registry = jwt.JWTClaimsRegistry(
        now=now_ms // 1000,
        leeway=LEEWAY_S,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True},
    )
    try:
        registry.validate(claims)
    except JoseError as fault:
        raise Untrue(f"the ID token is wrong: {str(fault)[:200]}") from None
    said = claims["nonce"]
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise Untrue("the ID token is wrong: it answers another request (nonce)")
    if not 1 <= len(claims["sub"]) <= 255:
        raise Untrue("the ID token is wrong: its subject is empty or too long")
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise Untrue("the ID token is wrong: it was made out to another party (azp)")


def _is_hash_of(said: object, access_token: str, algorithm: str) -> bool:
    make = _SHA.get(algorithm[-3:])
    if make is None:  # Ed25519 prescribes none
        return True
    digest = make(access_token.encode()).digest()
    wanted = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    return isinstance(said, str) and hmac.compare_digest(said.encode(), wanted)
