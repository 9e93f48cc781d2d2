"""What the documentation holds: every file of docs/ by its name, every page with its title, and a search over them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import signalcraft

_PACKAGE: Final = Path(signalcraft.__file__).parent
_PLACES: Final = (_PACKAGE / "docs", _PACKAGE.parent / "docs")
"""In an installation, and in a checkout."""
TYPES: Final = {
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".http": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
"""What is served, by the end of its name; a file of another kind is not."""
SECTIONS: Final = (
    ("tutorial", "Learn"),
    ("how-to", "Do"),
    ("reference", "Look up"),
    ("explanation", "Understand"),
    ("runbooks", "Runbooks"),
    ("decisions", "Decisions"),
)
"""The folders, and what a person comes to them for."""
INDEX: Final = "index.md"
_FENCED: Final = re.compile(r"^(`{3,}).*?^\1`*\s*$", re.MULTILINE | re.DOTALL)
_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)
_MARKS: Final = re.compile(r"[`*]|\[([^\]]*)\]\([^)]*\)|<[^>]*>")


class Page(NamedTuple):
    """One page. `name`: below docs/ (`how-to/tls.md`); `section`: its folder, "" for one at the top."""

    name: str
    title: str
    section: str
    text: str


class Found(NamedTuple):
    """A page that a search found, and the line in which the words stand."""

    page: Page
    line: str


@cache
def files() -> dict[str, Path]:
    """Every file that is served, by its name below docs/: no address ever becomes a path. Empty where docs/ is not."""
    folder = next((place for place in _PLACES if (place / INDEX).is_file()), None)
    if folder is None:
        return {}
    found = (path for path in sorted(folder.rglob("*")) if path.suffix in TYPES and path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found}


@cache
def pages() -> dict[str, Page]:
    """Every page by its name, in the order of the sections, each by title."""
    order = {folder: number for number, (folder, _) in enumerate(SECTIONS)}
    read = (_page(name, path.read_text("utf-8")) for name, path in files().items() if name.endswith(".md"))
    return {one.name: one for one in sorted(read, key=lambda one: (order.get(one.section, -1), _rank(one)))}


def _page(name: str, text: str) -> Page:
    title = _TITLE.search(text)
    return Page(name, plain(title[1]) if title else name, name.partition("/")[0] if "/" in name else "", text)


def _rank(page: Page) -> tuple[bool, str]:
    """Decisions by their number, the others by title; what a vendor is about comes after the rest."""
    return page.name.count("/") > 1, page.name if page.section == "decisions" else page.title.lower()


def named(word: str) -> Page | None:
    """The page of that name, as people say it: `tls`, `how-to/tls` or `how-to/tls.md`. None for none or several."""
    word = word.strip("/").removeprefix("docs/")
    name = word if word.endswith(".md") else f"{word}.md"
    if name in pages():
        return pages()[name]
    ends = [page for page in pages().values() if page.name.endswith(f"/{name}")]
    return ends[0] if len(ends) == 1 else None


def search(asked: str, most: int = 30) -> list[Found]:
    """The pages in which every word stands, the likeliest first: those with them in the title before the rest."""
    words = asked.lower().split()[:8]
    if not words:
        return []
    scored = []
    for page in pages().values():
        text, title = page.text.lower(), page.title.lower()
        if all(word in text for word in words):
            score = sum(min(text.count(word), 9) + (50 if word in title else 0) for word in words)
            scored.append((score - (5 if page.section == "decisions" else 0), page))
    scored.sort(key=lambda one: (-one[0], one[1].name))
    return [Found(page, _line(page, words)) for _, page in scored[:most]]


def _line(page: Page, words: Iterable[str]) -> str:
    """The first line of prose with the most of the words, else of code."""
    prose = _FENCED.sub("", page.text).splitlines()
    lines = [line for line in (*prose, *page.text.splitlines()) if line.strip() and not line.startswith(("#", "<!--"))]
    best = max(lines, key=lambda line: sum(word in line.lower() for word in words), default="")
    return plain(best.strip(" |*-"))[:240]


def plain(text: str) -> str:
    """Markdown of one line without its marks."""
    return _MARKS.sub(lambda mark: mark[1] or "", text).strip()
