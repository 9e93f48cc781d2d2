"""The identity provider: its discovery document, its keys, what it gives for a code. The postman makes the calls."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec
from msgspec import Struct, field

from signalcraft.config import Settings
from signalcraft.domain.delivery import HttpCall, Reply
from signalcraft.errors import Fault
from signalcraft.postman import Postman
from signalcraft.services.doors import Untrue

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

log = logging.getLogger(__name__)
T = TypeVar("T")

TIMEOUT_S: Final = 10.0
KEPT_MS: Final = 3_600_000
"""For so long the document and the keys are not asked for again."""
AWAY_MS: Final = 5_000
"""For so long after it did not answer it is not asked for its document or keys: nobody waits in a queue for that."""
ANEW_MS: Final = 60_000
"""So often at most, however many tokens name a key that nobody knows."""
WELL_KNOWN: Final = "/.well-known/openid-configuration"


class Unavailable(Fault):
    """The identity provider does not answer, or not as OpenID Connect says; the log has the reason. Try again."""

    code = "provider_unavailable"
    status = 502

    def __init__(self) -> None:
        super().__init__("the identity provider cannot be asked just now: try again, or sign in another way")


class Document(Struct, frozen=True):
    """What of the discovery document is used (OpenID Connect Discovery 1.0, 3; RFC 8414; RFC 9207)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: list[str] = field(default_factory=lambda: ["client_secret_basic"])
    authorization_response_iss_parameter_supported: bool = False

    @property
    def names_itself(self) -> bool:
        """Whether every answer by way of the browser names the issuer."""
        return self.authorization_response_iss_parameter_supported


class Tokens(Struct, frozen=True):
    """The answer of the token endpoint."""

    id_token: str
    access_token: str = ""


class Grant(Struct, frozen=True):
    """What the provider says of somebody: the ID token's claims, and userinfo's where those were not enough."""

    claims: dict[str, Any]
    userinfo: dict[str, Any]


class Provider:
    """Asks the provider that the settings name. One instance, used on the event loop."""

    def __init__(self, settings: Settings, postman: Postman, now: Callable[[], int]) -> None:
        self.settings = settings.oidc
        self.postman = postman
        self.now = now
        self._one = asyncio.Lock()
        self._document: tuple[int, Document] | None = None
        self._away_ms: int | None = None
        self._keys: tuple[int, KeySet] | None = None

    async def document(self) -> Document:
        """Where everything is. Raises Unavailable."""
        async with self._one:
            if self._document is None or not 0 <= self.now() - self._document[0] < KEPT_MS:
                url = self.settings.issuer.rstrip("/") + WELL_KNOWN
                self._document = (self.now(), await self._asked(url, self._checked))
            return self._document[1]

    def _checked(self, body: bytes) -> Document:
        try:
            found = msgspec.json.decode(body, type=Document)
        except (msgspec.DecodeError, RecursionError) as fault:
            raise _unavailable(f"its discovery document cannot be read: {str(fault)[:200]}") from None
        if found.issuer != self.settings.issuer:
            raise _unavailable(f"its discovery document names the issuer {found.issuer[:200]!r}, not oidc.issuer")
        scheme = urlsplit(self.settings.issuer).scheme
        for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint):
            if url and (urlsplit(url).scheme not in ("https", scheme) or not urlsplit(url).hostname):
                raise _unavailable(f"its discovery document names an address that is not https: {url[:200]!r}")
        return found

    async def redeem(self, code: str, redirect_uri: str, verifier: str, nonce: str) -> Grant:
        """What a code is good for. Raises Untrue where it is refused or its token is not true; Unavailable."""
        provider = await self.document()
        tokens = await self._tokens(provider, code, redirect_uri, verifier)
        claims = await self._verified(provider, tokens, nonce)
        wanted = ["email", self.settings.email_verified_claim, *filter(None, [self.settings.role_claim])]
        userinfo: dict[str, Any] = {}
        if provider.userinfo_endpoint and tokens.access_token and any(claims.get(one) is None for one in wanted):
            userinfo = await self._userinfo(provider, tokens.access_token, claims["sub"])
        return Grant(claims, userinfo)

    async def _tokens(self, provider: Document, code: str, redirect_uri: str, verifier: str) -> Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        client_id, secret = self.settings.client_id, self.settings.client_secret.reveal()
        methods = provider.token_endpoint_auth_methods_supported
        if secret and "client_secret_basic" in methods:
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        elif secret and "client_secret_post" not in methods:
            raise _unavailable(f"it takes client secrets by none of our ways, only by {', '.join(methods)[:200]}")
        else:
            form |= {"client_id": client_id, **({"client_secret": secret} if secret else {})}
        reply = await self._send("POST", provider.token_endpoint, headers, urlencode(form).encode())
        said = _error(reply.body)
        if reply.status in (401, 403) or said in ("invalid_client", "unauthorized_client"):
            # Nothing that whoever signs in could do about: it counts against nobody.
            raise _unavailable(f"it does not take this client: {said}; see oidc.client_id and oidc.client_secret")
        if reply.status == 400:
            raise Untrue(f"the provider does not take the code: {said}")
        try:
            return msgspec.json.decode(_good(reply), type=Tokens)
        except (msgspec.DecodeError, RecursionError):
            raise Untrue("the provider gave no ID token") from None

    async def _verified(self, provider: Document, tokens: Tokens, nonce: str) -> dict[str, Any]:
        await asyncio.to_thread(import_module, "signalcraft.services.idtokens")  # with cryptography: 8 MB, and a while
        from signalcraft.services.idtokens import UnknownKey, claims_of

        tries = 0
        while True:
            keys = await self._keys_now(provider, anew=tries > 0)
            try:
                return claims_of(
                    tokens.id_token,
                    keys,
                    issuer=self.settings.issuer,
                    client_id=self.settings.client_id,
                    nonce=nonce,
                    access_token=tokens.access_token,
                    now_ms=self.now(),
                )
            except UnknownKey:
                tries += 1
                if tries > 1:
                    raise

    async def _keys_now(self, provider: Document, *, anew: bool) -> KeySet:
        from signalcraft.services.idtokens import keys_of

        async with self._one:
            kept_ms = ANEW_MS if anew else KEPT_MS
            if self._keys is None or not 0 <= self.now() - self._keys[0] < kept_ms:
                self._keys = (self.now(), await self._asked(provider.jwks_uri, keys_of))
            return self._keys[1]

    async def _asked(self, url: str, read: Callable[[bytes], T]) -> T:
        """What stands at an address of the provider. The caller holds the lock. Raises Unavailable, what `read` does.

        Whoever waited for the lock behind one who was not answered is told so at once.
        """
        if self._away_ms is not None and 0 <= self.now() - self._away_ms < AWAY_MS:
            raise Unavailable
        self._away_ms = None
        try:
            return read(await self._get(url))
        except Fault:
            self._away_ms = self.now()
            raise

    async def _userinfo(self, provider: Document, access_token: str, subject: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        body = _good(await self._send("GET", provider.userinfo_endpoint, headers))
        try:
            found = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise Untrue("what the provider says of the person is no JSON object") from None
        if found.get("sub") != subject:
            raise Untrue("the provider speaks of another person (userinfo's sub)")
        return found

    async def _get(self, url: str) -> bytes:
        return _good(await self._send("GET", url, {"Accept": "application/json"}))

    async def _send(self, method: str, url: str, headers: dict[str, str], body: bytes = b"") -> Reply:
        # Guarded although the operator named the issuer: the other addresses are what the provider says they are.
        return await self.postman.send(
            HttpCall(method=method, url=url, headers=headers, body=body, timeout_s=TIMEOUT_S)
        )


def _good(reply: Reply) -> bytes:
    if reply.status != 200:
        raise _unavailable(reply.error or f"it answered {reply.status}")
    return reply.body


def _unavailable(why: str) -> Unavailable:
    log.warning("the identity provider cannot be asked", extra={"why": why})
    return Unavailable()


def _error(body: bytes) -> str:
    """The `error` of an answer (RFC 6749, 5.2); never its description, which may quote what we sent."""
    try:
        found = msgspec.json.decode(body, type=dict[str, Any]).get("error", "")
    except (msgspec.DecodeError, RecursionError):
        found = ""
    return str(found)[:100] or "no reason given"
