"""Which other sites' pages may ask this API from a browser (https://fetch.spec.whatwg.org/#http-cors-protocol).

None, unless the settings name them: a browser then hides every answer from a foreign page. Where a site is named its
pages see answers; with `cors_credentials` they also act with the cookies of whoever looks at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from signalcraft.config import Settings
from signalcraft.http.headers import Header

_PREFLIGHT: Final[tuple[Header, ...]] = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Last-Event-ID, X-CSRF-Token, X-Request-ID, X-SignalCraft-Workspace",
    ),
    (b"access-control-max-age", b"600"),
)
_SHOWN: Final[Header] = (
    b"access-control-expose-headers",
    b"X-Request-ID, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Newer-In-Ms",
)
_VARY: Final[Header] = (b"vary", b"Origin")


class Cors:
    """The lines that let named sites in. `named`: whether any is; where none is, `of` need not be asked."""

    def __init__(self, settings: Settings) -> None:
        origins = settings.http.cors_origins
        self.named = bool(origins)
        self._any = "*" in origins
        self._origins = frozenset(origin.encode() for origin in origins)
        self._credentials = settings.http.cors_credentials

    def of(self, scope: Mapping[str, Any]) -> list[Header]:
        """The lines for the answer to this request; for a site that is not named, none that lets it in."""
        origin = asked = None
        for name, value in scope["headers"]:
            if name == b"origin":
                origin = value
            elif name == b"access-control-request-method":
                asked = value
        if self._any:
            lines = [(b"access-control-allow-origin", b"*")] if origin is not None else []
        elif origin is not None and origin in self._origins:
            lines = [_VARY, (b"access-control-allow-origin", origin)]
            if self._credentials:
                lines.append((b"access-control-allow-credentials", b"true"))
        else:
            return [_VARY]
        if lines:
            lines.append(_SHOWN)
            if asked is not None and scope["method"] == "OPTIONS":
                lines.extend(_PREFLIGHT)
        return lines
