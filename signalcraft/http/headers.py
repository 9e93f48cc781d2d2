"""What every answer says to browsers, whichever route it is for: put together once, at the start.

Each line is a lock that costs nothing: no script but our own, no frame around us, no guess at types, nothing kept in
caches, nothing told to other sites (https://owasp.org/www-project-secure-headers/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from signalcraft.config import Settings
from signalcraft.http.limits import Addresses

Header: TypeAlias = tuple[bytes, bytes]

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
    """What a route said, and those lines whose names it did not use."""
    headers = list(said)
    names = {name for name, _ in headers}
    headers.extend(line for line in lines if line[0] not in names)
    return headers
