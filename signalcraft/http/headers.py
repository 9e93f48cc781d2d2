"""What every answer says to browsers, whichever route it is for: put together once, at the start.

Each line is a lock that costs nothing: no script but our own, no frame around us, no guess at types, nothing kept in
caches, nothing told to other sites (https://owasp.org/www-project-secure-headers/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final, TypeAlias

from signalcraft.config import Settings
from signalcraft.config.http import Http
from signalcraft.errors import Fault
from signalcraft.http.limits import Addresses

Header: TypeAlias = tuple[bytes, bytes]

ADDRESS_MAX: Final = 8192
NOTHING: Final = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The policy of what is no page."""
SECURITY: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", NOTHING),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"x-xss-protection", b"0"),  # the filters of old browsers could be turned against a page
    (b"cache-control", b"no-store"),
    (b"server", b"SignalCraft"),  # left out, the server would name itself
)
"""On every answer, unless a route says otherwise under the same name."""


class HeadersTooLarge(Fault):
    """More header lines, or longer ones, than `http.headers_max` and `http.header_bytes_max` allow."""

    code = "headers_too_large"
    status = 431


class AddressTooLong(Fault):
    """An address of more than 8 KB, query included."""

    code = "address_too_long"
    status = 414


class Head:
    """How long the head of a request may be. The server's own bounds behind it are 100 lines and some 100 KB."""

    def __init__(self, http: Http) -> None:
        self._lines_max = http.headers_max
        self._bytes_max = http.header_bytes_max

    def fault(self, scope: Mapping[str, Any]) -> Fault | None:
        """What is wrong with the head of this request, None where nothing is."""
        lines = scope["headers"]
        if len(lines) > self._lines_max:
            return HeadersTooLarge(f"a request may have {self._lines_max} header lines")
        if sum(map(len, chain.from_iterable(lines))) > self._bytes_max:
            return HeadersTooLarge(f"a request's header lines may have {self._bytes_max} bytes")
        if len(scope["path"]) + len(scope["query_string"]) > ADDRESS_MAX:
            return AddressTooLong(f"an address may have {ADDRESS_MAX} characters")
        return None


class Headers:
    """The lines for one program's answers; Strict-Transport-Security among them where a request came by HTTPS."""

    def __init__(self, settings: Settings) -> None:
        seconds = settings.http.hsts_seconds
        hsts = ((b"strict-transport-security", b"max-age=%d" % seconds),) if seconds else ()
        self._tls = SECURITY + hsts
        # Browsers take the line over TLS alone (RFC 6797, 8.1); over plain HTTP anybody could have written it.
        self._addresses = Addresses(settings.http.trusted_proxies) if hsts and settings.http.trusted_proxies else None

    def of(self, scope: Mapping[str, Any]) -> tuple[Header, ...]:
        """The lines for the answer to this request."""
        if scope.get("scheme") == "https":
            return self._tls
        if self._addresses is not None and self._addresses.proto(scope) == "https":
            return self._tls
        return SECURITY


def completed(said: Iterable[Header], lines: Iterable[Header]) -> list[Header]:
    """What a route said, and those lines whose names it did not use. What an answer varies by adds up."""
    headers = list(said)
    names = {name for name, _ in headers}
    headers.extend(line for line in lines if line[0] not in names or line[0] == b"vary")
    return headers
