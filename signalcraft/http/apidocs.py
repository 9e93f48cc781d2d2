"""The page of the API, for people: Swagger UI from files of our own, under a policy that lets no inline script run.

The files are in signalcraft/http/swagger; ORIGIN.md there says where they come from, with their hashes.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
from importlib.resources import files
from typing import Any, Final

from litestar import Request, Response, get
from litestar.params import FromPath

from signalcraft.errors import NotFound

_HEADERS: Final = {
    # img-src data: the arrows of Swagger UI's style sheet are images within it.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "public, max-age=3600",
    "vary": "accept-encoding",
}
FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "page.js": "text/javascript",
    "page.css": "text/css",
}
"""What the page loads, and as what."""


@functools.cache
def _packed(name: str) -> tuple[bytes, bytes]:
    """A file as it is, and gzipped."""
    raw = (files("signalcraft.http") / "swagger" / name).read_bytes()
    return raw, gzip.compress(raw, 6, mtime=0)


async def _answer(request: Request[Any, Any, Any], name: str, media_type: str) -> Response[bytes]:
    raw, small = await asyncio.to_thread(_packed, name)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(small, media_type=media_type, headers={**_HEADERS, "content-encoding": "gzip"})
    return Response(raw, media_type=media_type, headers=_HEADERS)


@get(
    "/api/docs",
    summary="The page of the API",
    operation_id="get_api_page",
    tags=["reference"],
    media_type="text/html",
)
async def get_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    """This description for people, to read and to try out. Needs no key."""
    return await _answer(request, "page.html", "text/html")


@get(
    "/api/docs/{name:str}",
    summary="A file of the page of the API",
    operation_id="get_api_page_file",
    tags=["reference"],
    media_type="text/plain",
)
async def get_file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """A script or style sheet that the page loads. Raises NotFound for any other name."""
    if name not in FILES:
        raise NotFound("the page of the API has no such file")
    return await _answer(request, name, FILES[name])


ROUTES = [get_page, get_file]
