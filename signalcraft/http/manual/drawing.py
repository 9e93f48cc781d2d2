"""A page of the documentation as HTML: no script, no style but our own sheet, links and pictures as in docs/."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from signalcraft import __version__
from signalcraft.http.manual import shelf

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_HTML: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · SignalCraft</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{root}style.css">
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<a class="brand" href="{root}index.md">SignalCraft</a>
<form action="{root}search" role="search"><input type="search" name="q" value="{asked}" aria-label="Search"
 placeholder="Search the documentation" maxlength="200"><button>Search</button></form>
</header>
<div class="sides">
<nav aria-label="Pages">
{nav}
</nav>
<main id="content" tabindex="-1">
{body}
</main>
</div>
<footer>SignalCraft {version} · <a href="{root}index.md">all pages</a>{source}</footer>
</body>
</html>
"""
_ABSOLUTE: Final = re.compile(r"[a-z][a-z0-9+.-]*:|//")


@lru_cache(maxsize=24)
def drawn(name: str) -> str:
    """The page of that name, whole. Raises KeyError for none."""
    page = shelf.pages()[name]
    root = "../" * name.count("/")
    source = f' · <a href="{quote(posixpath.basename(name))}?as=text">this page as text</a>'
    return _whole(page.title, _body(page), root=root, here=page, source=source)


def found(asked: str) -> str:
    """The page that answers a search."""
    results = shelf.search(asked)
    said = f"{len(results)} pages" if len(results) != 1 else "1 page"
    rows = "\n".join(
        f'<li><a href="{quote(one.page.name)}">{escape(one.page.title)}</a>'
        f' <span class="quiet">{escape(one.page.name)}</span><p>{escape(one.line)}</p></li>'
        for one in results
    )
    head = f"<h1>Search</h1>\n<p>{said} with “{escape(asked)}”.</p>" if asked.strip() else "<h1>Search</h1>"
    return _whole("Search", f'{head}\n<ol class="found">\n{rows}\n</ol>', asked=asked)


def lost(name: str) -> str:
    """The page that says that there is none of that name."""
    word = posixpath.basename(name).removesuffix(".md")
    root = "../" * name.count("/")
    return _whole(
        "No such page",
        "<h1>There is no such page</h1>\n<p>The documentation of this version has none under this address."
        f' <a href="{root}index.md">All pages</a>, or <a href="{root}search?q={quote(word)}">search</a>.</p>',
        root=root,
    )


def _whole(
    title: str, body: str, *, root: str = "", here: shelf.Page | None = None, asked: str = "", source: str = ""
) -> str:
    return _HTML.format(
        title=escape(title), root=root, nav=_nav(root, here), body=body, asked=escape(asked),
        version=escape(__version__), source=source,
    )  # fmt: skip


def _nav(root: str, here: shelf.Page | None) -> str:
    """Each section with its pages; the one that is read is open."""
    out = []
    for folder, label in shelf.SECTIONS:
        rows = [
            f'<li><a href="{root}{quote(page.name)}"{_current(page, here)}>{escape(page.title)}</a></li>'
            for page in shelf.pages().values()
            if page.section == folder
        ]
        opened = " open" if here is not None and here.section == folder else ""
        out.append(f"<details{opened}><summary>{label}</summary><ul>\n" + "\n".join(rows) + "\n</ul></details>")
    return "\n".join(out)


def _current(page: shelf.Page, here: shelf.Page | None) -> str:
    return ' aria-current="page"' if page is here else ""


# -- from Markdown ----------------------------------------------------------------------------------------------------


@cache
def _reader() -> MarkdownIt:
    # Half a megabyte of modules that only who reads a page needs.
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    reader.add_render_rule("fence", _fence)
    return reader


def _body(page: shelf.Page) -> str:
    reader = _reader()
    tokens = reader.parse(page.text)
    _name_headings(tokens)
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                _mend_link(child, page.name)
            elif child.type == "image":
                child.attrSet("loading", "lazy")
    env: dict[str, Any] = {"root": "../" * page.name.count("/")}
    html: str = reader.renderer.render(tokens, reader.options, env)
    return html


def slug(heading: str) -> str:
    """The anchor of a heading, as the forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def _name_headings(tokens: Sequence[Token]) -> None:
    seen: dict[str, int] = {}
    for token, inner in pairwise(tokens):
        if token.type == "heading_open":
            name = slug(inner.content)
            seen[name] = seen.get(name, -1) + 1
            token.attrSet("id", f"{name}-{seen[name]}" if seen[name] else name)


def _mend_link(token: Token, name: str) -> None:
    """Links out of docs/ (to the code beside it) lead nowhere here; those to other sites do not say where from."""
    target = str(token.attrGet("href") or "")
    if _ABSOLUTE.match(target):
        token.attrSet("rel", "noopener noreferrer")
        return
    path = target.partition("#")[0]
    there = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
    if path and there not in shelf.files():
        token.attrs.pop("href", None)
        token.attrSet("class", "elsewhere")
        token.attrSet("title", f"in the repository: {there.lstrip('./')}")


def diagram(text: str) -> str:
    """The name of the picture of a Mermaid diagram, by what it says: one that was changed has another."""
    return f"images/diagrams/{hashlib.sha256(text.strip().encode()).hexdigest()[:12]}.svg"


def _fence(_self: Any, tokens: Sequence[Token], at: int, _options: Any, env: Any) -> str:
    token = tokens[at]
    language = token.info.split()[0] if token.info.strip() else "text"
    text = escape(token.content)
    if language == "mermaid" and diagram(token.content) in shelf.files():
        return (
            f'<figure><img src="{env["root"]}{diagram(token.content)}" alt="A diagram; its text stands below it">'
            f"<details><summary>As text</summary><pre><code>{text}</code></pre></details></figure>\n"
        )
    return f'<pre tabindex="0"><code class="{escape(language)}">{text}</code></pre>\n'
