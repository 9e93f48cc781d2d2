"""ID tokens: what an identity provider might say, or somebody else in its name, that must not be believed."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwk, jwt

from tests.http.issuing import (
    CLIENT_ID,
    Issuer,
    assert_refused,
    signs_in,
)
from tests.world import World


def forged(part: str, **change: Any) -> Callable[[str], str]:
    """Changes one part of a token and leaves its signature."""

    def change_it(token: str) -> str:
        parts = token.split(".")
        number = ("header", "payload").index(part)
        plain = json.loads(base64.urlsafe_b64decode(parts[number] + "=" * (-len(parts[number]) % 4)))
        parts[number] = base64.urlsafe_b64encode(json.dumps({**plain, **change}).encode()).decode().rstrip("=")
        return ".".join(parts)

    return change_it


def by_another_key(token: str) -> str:
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    other = jwk.RSAKey.generate_key(2048, parameters={"kid": "one"})
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, other)


def without_signature(token: str) -> str:
    return forged("header", alg="none")(token).rpartition(".")[0] + "."


def by_the_public_key(issuer: Issuer) -> Callable[[str], str]:
    """HS256 with the public key as its secret: who takes the algorithm from the token falls for it."""

    def change_it(token: str) -> str:
        import hashlib
        import hmac

        head, payload, _ = forged("header", alg="HS256")(token).split(".")
        digest = hmac.new(issuer.key.as_pem(private=False), f"{head}.{payload}".encode(), hashlib.sha256).digest()
        return f"{head}.{payload}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    return change_it


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "another-client"},
    "no audience": {"aud": None},
    "several audiences and no party": {"aud": [CLIENT_ID, "another-client"]},
    "another party": {"azp": "another-client"},
    "another nonce": {"nonce": "n" * 43},
    "no nonce": {"nonce": None},
    "a list of nonces": {"nonce": ["n" * 43]},
    "expired": {"exp": 1_772_442_000 - 61},
    "never expires": {"exp": None},
    "expires some day": {"exp": "tomorrow"},
    "from the future": {"iat": 1_772_442_000 + 3600},
    "not yet": {"nbf": 1_772_442_000 + 3600},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a number as subject": {"sub": 7},
    "a hash of another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "an address that is not verified": {"email_verified": False},
    "nothing about the address": {"email_verified": None},
    "no address": {"email": None},
    "no address at all": {"email": "Kim"},
    "another domain": {"email": "kim@evil.example"},
    "a domain that ends like ours": {"email": "kim@notexample.com"},
    "a domain below ours": {"email": "kim@sub.example.com"},
    "two addresses": {"email": "kim@evil.example,kim@example.com"},
}


@pytest.mark.parametrize("what", WRONG_CLAIMS)
def test_a_token_that_says_something_else_is_refused(world: World, issuer: Issuer, what: str) -> None:
    assert world.clock.at_ms // 1000 - 1_772_442_000 < 3000  # the times above are meant
    assert_refused(signs_in(world, issuer, **{"sub": "wrong", "email": "wrong@example.com", **WRONG_CLAIMS[what]}))


def test_a_token_whose_signature_does_not_hold_is_refused(world: World, issuer: Issuer) -> None:
    ways: list[Callable[[str], str]] = [
        forged("payload", email="owner@example.com"),
        by_another_key,
        without_signature,
        lambda token: without_signature(token).rstrip("."),
        by_the_public_key(issuer),
        forged("header", alg="RS384"),
        forged("header", alg=["RS256"]),
        forged("header", kid="two"),
        forged("header", crit=["x"], x=1),
        lambda token: token[:-8] + "AAAAAAAA",
        lambda token: "",
        lambda token: "a.b.c",
        lambda token: token + "." + token,
        lambda token: "A" * 100_000,
    ]
    for way in ways:
        issuer.change = way
        assert_refused(signs_in(world, issuer, sub="forged", email="forged@example.com"))
    issuer.change = lambda token: token
    assert signs_in(world, issuer, sub="forged", email="forged@example.com").status_code == 303


def test_every_kind_of_signature_that_is_allowed_is_understood(world: World, issuer: Issuer) -> None:
    rsa = issuer.key
    kinds: list[tuple[str, Any]] = [
        ("PS256", rsa),
        ("RS512", rsa),
        ("ES256", jwk.ECKey.generate_key("P-256", parameters={"kid": "e"})),
        ("ES384", jwk.ECKey.generate_key("P-384", parameters={"kid": "f"})),
        ("Ed25519", jwk.OKPKey.generate_key("Ed25519", parameters={"kid": "h"})),
        ("EdDSA", jwk.OKPKey.generate_key("Ed25519", parameters={"kid": "g"})),
    ]
    try:
        for algorithm, key in kinds:
            world.clock.at_ms += 61_000  # a new key is asked for once a minute
            issuer.key, issuer.header = key, {"alg": algorithm}
            issuer.published = [key.as_dict(private=False)]
            assert signs_in(world, issuer, sub="kinds", email="kinds@example.com").status_code == 303, algorithm
    finally:
        issuer.key, issuer.published = rsa, [rsa.as_dict(private=False)]


def test_a_provider_that_changes_its_keys_is_asked_for_them_and_not_more_than_once_a_minute(
    world: World, issuer: Issuer
) -> None:
    world.clock.at_ms += 61_000
    assert signs_in(world, issuer, sub="keys", email="keys@example.com").status_code == 303
    before = issuer.counted("/jwks")
    for _ in range(3):
        issuer.change = forged("header", kid="unheard-of")
        assert_refused(signs_in(world, issuer, sub="keys", email="keys@example.com"))
    assert issuer.counted("/jwks") - before <= 1
    issuer.change = lambda token: token
    rsa = issuer.key
    try:
        issuer.key = jwk.RSAKey.generate_key(2048, parameters={"kid": "next"})
        issuer.published = [issuer.key.as_dict(private=False), {"kty": "AKP", "kid": "later"}, {"kty": "RSA"}]
        world.clock.at_ms += 61_000
        assert signs_in(world, issuer, sub="keys", email="keys@example.com").status_code == 303
        # A key that is too short for anybody's signature is as good as none.
        with warnings.catch_warnings(action="ignore"):
            issuer.key = jwk.RSAKey.generate_key(1024, parameters={"kid": "short"})
        issuer.published = [issuer.key.as_dict(private=False)]
        world.clock.at_ms += 61_000
        assert_refused(signs_in(world, issuer, sub="keys", email="keys@example.com"))
    finally:
        issuer.key, issuer.published = rsa, [rsa.as_dict(private=False)]
        world.clock.at_ms += 61_000
