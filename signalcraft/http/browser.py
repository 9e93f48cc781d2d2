"""What a browser is given and what it must bring: the session's cookie, the token against forged requests, its origin.

A browser sends cookies along with requests that other pages make it send. So whatever changes something and relies on a
cookie must also carry a header that only our own pages can set, and must not come from elsewhere
(https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from signalcraft.config import Settings
from signalcraft.errors import Forbidden
from signalcraft.http.limits import Addresses
from signalcraft.services.sessions import SessionLive, Visitor

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
Transport = Literal["tls", "loopback", "insecure", "refused"]
"""How a request came: over TLS; over this machine's loopback; in the clear, which the settings allow, or do not."""

COOKIE: Final = "signalcraft"
CSRF_COOKIE: Final = "signalcraft-csrf"
CSRF_HEADER: Final = "x-csrf-token"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST_PREFIX: Final = "__Host-"


class ForgedRequest(Forbidden):
    """A change by cookie without the session's token in X-CSRF-Token, or one that another site made a browser send."""

    code = "csrf"


class NeedsTls(Forbidden):
    """Signing in over plain HTTP from another machine: the password could be read on its way."""

    code = "needs_tls"


class Door:
    """Cookies, tokens and origins of one app. `key`: what tokens are derived from."""

    def __init__(self, settings: Settings, key: bytes) -> None:
        self._addresses = Addresses(settings.http.trusted_proxies)
        self._insecure = settings.security.insecure_cookies
        self._longest_s = round(settings.security.session_days * 86_400)
        self._public = _origin(settings.http.public_url)
        self._port = settings.http.listen.rpartition(":")[2]
        self._key = key
        self._trusted_sites = frozenset(settings.http.cors_origins if settings.http.cors_credentials else ())

    def visitor(self, connection: Connection) -> Visitor:
        """Where a request comes from, as far as it can be believed."""
        return Visitor(self.address(connection.scope), connection.headers.get("user-agent", ""))

    def address(self, scope: Mapping[str, Any]) -> str:
        """The address that a request counts for; "" on the box's own socket."""
        return self._addresses.of(scope)

    def transport(self, connection: Connection) -> Transport:
        """How a request came here."""
        scope, headers = connection.scope, connection.headers
        if scope.get("scheme") == "https":
            return "tls"
        client = scope.get("client")
        peer = str(client[0]) if client else ""
        proto = self._addresses.proto(scope)
        if proto:
            if proto == "https":
                return "tls"
        elif _is_loopback(peer) and _is_loopback(_host(headers)) and not _forwarded(headers):
            return "loopback"
        return "insecure" if self._insecure else "refused"

    def admit(self, connection: Connection) -> None:
        """Raises NeedsTls where a password must not travel."""
        if self.transport(connection) == "refused":
            raise NeedsTls(self.why_refused())

    def why_refused(self) -> str:
        """What a person does whose sign-in cannot be taken over this connection."""
        return (
            "signing in needs HTTPS, and this connection is plain HTTP. From your own computer:"
            f" ssh -L {self._port}:127.0.0.1:{self._port} THIS-BOX, then open http://127.0.0.1:{self._port}."
            " For everybody: a certificate (http.tls_certificate, http.tls_key)."
            " Behind a proxy that ends TLS: name it in http.trusted_proxies and let it set X-Forwarded-Proto"
        )

    # -- cookies ------------------------------------------------------------------------------------------------------

    def token(self, connection: Connection) -> str:
        """The token in the session's cookie; "" for none, or where this connection may have none."""
        transport = self.transport(connection)
        if transport == "refused":
            return ""
        return connection.cookies.get(_named(COOKIE, transport), "")

    def cookies(self, connection: Connection, token: str, token_hash: bytes) -> list[Cookie]:
        """What a browser keeps of a new session: its token, unseen by scripts, and the one that scripts send back."""
        return self._both(connection, token, self.csrf(token_hash), self._longest_s)

    def no_cookies(self, connection: Connection) -> list[Cookie]:
        """Both taken back."""
        return self._both(connection, "", "", 0)

    def short_cookie(self, connection: Connection, name: str, value: str, max_age_s: int) -> Cookie:
        """Something that the browser keeps for a while, unseen by scripts; 0 s: taken back."""
        transport = self.transport(connection)
        secure = transport == "tls"
        # Lax: it must come along when another site sends the person back here.
        return Cookie(_named(name, transport), "/", value, max_age_s, secure=secure, httponly=True, samesite="lax")

    def short_value(self, connection: Connection, name: str) -> str:
        """What the browser kept under that name; "" for nothing."""
        return connection.cookies.get(_named(name, self.transport(connection)), "")

    def _both(self, connection: Connection, token: str, csrf: str, max_age_s: int) -> list[Cookie]:
        transport = self.transport(connection)
        secure = transport == "tls"
        return [
            Cookie(_named(COOKIE, transport), "/", token, max_age_s, secure=secure, httponly=True, samesite="lax"),
            Cookie(
                _named(CSRF_COOKIE, transport), "/", csrf, max_age_s, secure=secure, httponly=False, samesite="strict"
            ),
        ]

    # -- forged requests ----------------------------------------------------------------------------------------------

    def csrf(self, token_hash: bytes) -> str:
        """The token that must come back in X-CSRF-Token: bound to one session, good as long as it."""
        digest = hashlib.blake2b(token_hash, key=self._key, digest_size=24).digest()
        return base64.urlsafe_b64encode(digest).decode()

    def check_change(self, connection: Connection, session: SessionLive) -> None:
        """Raises ForgedRequest unless our own page asks for the change."""
        self.check_origin(connection)
        said = connection.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(said.encode("latin-1", "replace"), self.csrf(session.token_hash).encode()):
            raise ForgedRequest(
                "the header X-CSRF-Token with this session's token is needed: GET /api/auth/me tells it"
            )

    def check_origin(self, connection: Connection) -> None:
        """Raises ForgedRequest where a browser says that another site makes the request."""
        headers = connection.headers
        origin = headers.get("origin")
        if origin is not None:
            if not self._is_own(origin, connection):
                raise ForgedRequest(
                    f"this request comes from {origin[:100]}, not from here; behind a proxy set http.public_url to the"
                    " address that browsers use"
                )
        elif headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise ForgedRequest("this request comes from another site")

    def _is_own(self, origin: str, connection: Connection) -> bool:
        if (self._public and origin == self._public) or origin in self._trusted_sites:
            return True
        scheme, _, host = origin.partition("://")
        if scheme not in ("http", "https") or host.lower() != connection.headers.get("host", "").lower():
            return False
        return scheme == "https" or self.transport(connection) != "tls"


def _named(name: str, transport: Transport) -> str:
    # The prefix is a promise that browsers hold us to: Secure, for this host alone, for every path.
    return _HOST_PREFIX + name if transport == "tls" else name


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""


def _host(headers: Mapping[str, str]) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _forwarded(headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
