"""GET /: what answers here where no dashboard was built (`http.dashboard` answers it otherwise)."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from litestar import Request, Response, get

from signalcraft import __version__
from signalcraft.http.auth import door_of

_PAGE: Final = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>SignalCraft</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
</head><body><main><h1>SignalCraft {__version__}</h1><p>This box takes in alerts and tells the right people.</p>
<p>Its dashboard was not built: <code>make web</code> does that, then load this page again.</p><ul>
<li><a href="/health">Health</a>: what works and what does not</li>
<li><a href="/api/docs">API description</a> (OpenAPI 3.1); keys: <code>signalcraft apikey create</code></li>
<li><a href="/metrics">Metrics</a> for Prometheus</li></ul></main></body></html>
"""
_HEADERS: Final = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"}

_INSECURE: Final = (
    "This connection is not encrypted: whoever is on its way can read passwords and take over sessions"
    " (security.insecure_cookies)."
)


@get("/", include_in_schema=False, sync_to_thread=False)
def landing(request: Request[Any, Any, Any]) -> Response[str]:
    """A page without script or style. Over plain HTTP from elsewhere it says why nobody can sign in that way."""
    door = door_of(request)
    transport = door.transport(request)
    words = {"refused": door.why_refused(), "insecure": _INSECURE}.get(transport, "")
    page = _PAGE.replace("</h1>", f"</h1><p role='alert'><strong>{escape(words)}</strong></p>") if words else _PAGE
    return Response(page, media_type="text/html; charset=utf-8", headers=_HEADERS)


ROUTES: list[Any] = [landing]
