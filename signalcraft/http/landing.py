"""GET /: what answers here, for a person who opened the address. The dashboard takes its place when it comes."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from signalcraft import __version__

_PAGE: Final = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>SignalCraft</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
</head><body><main><h1>SignalCraft {__version__}</h1><p>This box takes in alerts and tells the right people.</p><ul>
<li><a href="/health">Health</a>: what works and what does not</li>
<li><a href="/api/openapi.json">API description</a> (OpenAPI 3.1); keys: <code>signalcraft apikey create</code></li>
<li><a href="/metrics">Metrics</a> for Prometheus</li></ul></main></body></html>
"""
_HEADERS: Final = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"}


@get("/", include_in_schema=False, sync_to_thread=False)
def landing() -> Response[str]:
    """A page without script or style."""
    return Response(_PAGE, media_type="text/html; charset=utf-8", headers=_HEADERS)


ROUTES: list[Any] = [landing]
