"""/docs/runbooks/…: what to do, where alerts about SignalCraft itself lead. Plain text without secrets: no key."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath

import signalcraft
from signalcraft.errors import NotFound

_PACKAGE: Final = Path(signalcraft.__file__).parent
_PLACES: Final = (_PACKAGE / "runbooks", _PACKAGE.parent / "docs/runbooks")
"""In an installation, and in a checkout."""


@cache
def pages() -> dict[str, str]:
    """The text of every page by its name: no address ever becomes a path."""
    folder = next((place for place in _PLACES if place.is_dir()), None)
    if folder is None:
        return {}
    return {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.md"))}


@get("/docs/runbooks/{name:str}", include_in_schema=False, sync_to_thread=True)
def runbook(name: FromPath[str]) -> Response[str]:
    """One page, in Markdown as it was written."""
    text = pages().get(name)
    if text is None:
        raise NotFound("there is no such runbook")
    return Response(text, media_type="text/plain; charset=utf-8")


ROUTES: list[Any] = [runbook]
