"""One question to the documentation and its answer, whoever carries it: the box, or `signalcraft docs` on its own."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from signalcraft.http.manual import drawing, shelf

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""No script at all, nothing inline, nothing from elsewhere."""
HTML: Final = "text/html; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"


class Told(NamedTuple):
    """An answer. `moved`: the address, below the documentation's own, where it is instead; "" for none."""

    status: int
    media_type: str
    body: bytes
    moved: str = ""

    def headers(self) -> dict[str, str]:
        """What goes with it; the media type is apart."""
        lines = {"content-security-policy": POLICY, "cache-control": "public, max-age=300", "vary": "accept"}
        return {**lines, "location": self.moved} if self.moved else lines


def answer(name: str, accept: str, *, asked: str = "", as_text: bool = False) -> Told:
    """What stands under a name below the documentation's address.

    Pages are HTML for browsers (`accept`), and Markdown as it was written for programs and with `as_text`. `asked`: the
    words of a search. Reads files: not on the loop.
    """
    name = name.strip("/")
    html = "text/html" in accept and not as_text
    if not name:
        return Told(307, TEXT, b"", "index.md")
    if name == "style.css":
        return Told(200, "text/css; charset=utf-8", _sheet())
    if name == "search":
        return Told(200, HTML, drawing.found(asked[:200]).encode()) if html else Told(200, TEXT, _listed(asked))
    path = shelf.files().get(name)
    if path is None and f"{name}.md" in shelf.pages():
        return Told(307, TEXT, b"", f"{name.rpartition('/')[2]}.md")
    if path is None:
        return Told(404, HTML, drawing.lost(name).encode()) if html else Told(404, TEXT, b"there is no such page\n")
    if name in shelf.pages():
        return Told(200, HTML, drawing.drawn(name).encode()) if html else Told(200, TEXT, path.read_bytes())
    return Told(200, shelf.TYPES[path.suffix], path.read_bytes())


def _listed(asked: str) -> bytes:
    return "".join(f"{one.page.name}  {one.page.title}\n" for one in shelf.search(asked)).encode()


@cache
def _sheet() -> bytes:
    return (files("signalcraft.http") / "manual" / "style.css").read_bytes()
