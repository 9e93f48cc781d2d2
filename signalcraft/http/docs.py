"""/docs: the documentation of this very version. The dashboard and alerts about the box itself lead here: no key."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from signalcraft.errors import NotFound
from signalcraft.http.manual.asking import answer


@get("/docs", include_in_schema=False, sync_to_thread=False)
def index() -> Response[bytes]:
    """To the list of all pages."""
    told = answer("", "")
    return Response(b"", status_code=told.status, headers={**told.headers(), "location": "/docs/index.md"})


@get("/docs/{name:path}", include_in_schema=False, sync_to_thread=True)
def page(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """A page, a picture or a search: HTML for browsers, Markdown as it was written for programs."""
    accept = request.headers.get("accept", "")
    asked = request.query_params
    told = answer(name, accept, asked=asked.get("q", ""), as_text=asked.get("as") == "text")
    if told.status == 404 and not told.media_type.startswith("text/html"):
        raise NotFound("the documentation has no such page")
    kind = told.media_type.partition(";")[0]  # the framework says the encoding of texts itself
    return Response(told.body, status_code=told.status, media_type=kind, headers=told.headers())


ROUTES: list[Any] = [index, page]
