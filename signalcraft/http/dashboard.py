"""The built dashboard: its page, and the files that the page loads, out of signalcraft/http/static (`make web`).

Answered in front of the router: these addresses need no key, no body and no framework. A file is asked for by the name
under which it was found in the folder, so that no address ever becomes a path. Files are read at first use, in a
thread, and kept: they are ours, and few.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = Path(__file__).parent / "static"
POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    b" connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""What the dashboard may load and do: its own files, its own API, nothing inline."""
PAGES: Final = frozenset(
    {
        "alert-groups", "analytics", "deliveries", "quarantine", "rules", "integrations", "channels", "settings",
        "profile", "start", "sign-in", "setup", "join", "reset",
    }
)  # fmt: skip
"""The first parts of the pages' addresses, as web/src/routes.ts has them. Of any other the answer is 404, and the page
says so itself."""
ELSEWHERE: Final = frozenset(
    {"api", "webhooks", "health", "live", "ready", "metrics", "answer", "share", "control", "assets", "docs"}
)
"""The first parts of addresses that are no page, whether something is there or not."""
TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".webmanifest": b"application/manifest+json",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".webp": b"image/webp",
    ".ico": b"image/x-icon",
    ".woff2": b"font/woff2",
    ".txt": b"text/plain; charset=utf-8",
}
"""What is served, by the end of its name; a file of another kind is not."""
CODINGS: Final = {"zstd": ".zst", "br": ".br", "gzip": ".gz"}
"""The packed copies that the build lays beside a file (web/pack.js)."""
_HASHED: Final = b"public, max-age=31536000, immutable"  # a name that changes with what is in the file
_ASKED_AGAIN: Final = b"no-cache"
_INDEX: Final = "index.html"
_ACCEPTED: Final = re.compile(r"\s*([\w*-]+)\s*(?:;\s*[qQ]\s*=\s*([01](?:\.\d{0,3})?)\s*)?")


class Wanted(NamedTuple):
    """The file that an address stands for, the status it is answered with, and the address as metrics name it."""

    name: str
    status: int
    template: str


class Copy(NamedTuple):
    """One form of a file, `size` bytes long: as it is (`coding` is "identity"), or packed."""

    coding: str
    size: int
    path: Path


class Held(NamedTuple):
    """What is in a copy, and its strong validator."""

    body: bytes
    etag: bytes


class Dashboard:
    """The files of one folder. Where it is missing, nothing is answered here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[int, ...] | None = None
        self._files: Mapping[str, Sequence[Copy]] = {}
        self._held: dict[Path, Held] = {}

    async def answered(self, scope: Any, send: Any) -> bool:
        """Answers a GET that is the dashboard's. False, and nothing sent, for everything else."""
        if scope["method"] != "GET":
            return False
        headers = dict(scope["headers"])
        wanted = wanted_by(scope["path"], headers.get(b"accept", b""))
        if wanted is None:
            return False
        if self._seen is None or wanted.name == _INDEX:
            await asyncio.to_thread(self._look)
        copies = self._files.get(wanted.name)
        if copies is None:
            return False
        scope["path_template"] = wanted.template
        try:
            held, copy = await self._taken(copies, headers.get(b"accept-encoding", b""))
        except OSError:  # it is being built anew in this moment
            return False
        lines = _lines(wanted, held.etag)
        if wanted.status == 200 and is_known(held.etag, headers.get(b"if-none-match", b"")):
            await send({"type": "http.response.start", "status": 304, "headers": lines})
            await send({"type": "http.response.body", "body": b""})
            return True
        lines.append((b"content-type", TYPES[os.path.splitext(wanted.name)[1]]))
        lines.append((b"content-length", b"%d" % len(held.body)))
        if copy.coding != "identity":
            lines.append((b"content-encoding", copy.coding.encode()))
        await send({"type": "http.response.start", "status": wanted.status, "headers": lines})
        await send({"type": "http.response.body", "body": held.body})
        return True

    async def _taken(self, copies: Sequence[Copy], accepted: bytes) -> tuple[Held, Copy]:
        copy = chosen(copies, accepted.decode("latin-1"))
        held = self._held.get(copy.path)
        if held is None:
            held = self._held[copy.path] = await asyncio.to_thread(_read, copy.path)
        return held, copy

    def _look(self) -> None:
        """Lists the folder, if it was built anew since the last time."""
        seen = tuple(_changed_ns(path) for path in (self._folder / _INDEX, self._folder / "assets"))
        if seen != self._seen:
            self._files = dict(_listed(self._folder)) if seen[0] else {}
            self._held = {}
            self._seen = seen


def wanted_by(path: str, accept: bytes) -> Wanted | None:
    """What a GET of this path is for; None where it is not the dashboard's.

    Pages are for browsers, which ask for text/html; a program that asks for anything else hears of the API's own 404.
    """
    first, _, rest = path[1:].partition("/")
    if first == "assets" and rest:
        return Wanted(path[1:], 200, "/assets/{name}")
    if not first and not rest:
        return Wanted(_INDEX, 200, "/")
    if first in ELSEWHERE:
        return None
    if not rest and first != _INDEX and os.path.splitext(first)[1] in TYPES:
        return Wanted(first, 200, "/{file}")
    if b"text/html" not in accept:
        return None
    return Wanted(_INDEX, 200 if first in PAGES else 404, "/{page}")


def weighed(accepted: str) -> dict[str, float]:
    """The codings of an Accept-Encoding and their weights."""
    return {
        found[1].lower(): float(found[2] or 1) for part in accepted.split(",") if (found := _ACCEPTED.fullmatch(part))
    }


def chosen(copies: Sequence[Copy], accepted: str) -> Copy:
    """The copy for an Accept-Encoding: of those with the highest weight the smallest. RFC 9110, 12.5.3.

    The file as it is where none is accepted: a browser that takes nothing at all does not exist.
    """
    weights = weighed(accepted)
    others = weights.get("*", 0.0)
    # As it is, a file is always good enough, unless the header says that it is not.
    weights.setdefault("identity", others if "*" in weights else 0.0001)
    ranked = [(weights.get(copy.coding, others), -copy.size, copy) for copy in copies]
    good = [one for one in ranked if one[0] > 0]
    return max(good)[2] if good else next(copy for copy in copies if copy.coding == "identity")


def _lines(wanted: Wanted, etag: bytes) -> list[tuple[bytes, bytes]]:
    is_page = wanted.name == _INDEX
    lines = [
        (b"etag", etag),
        (b"cache-control", _HASHED if wanted.name.startswith("assets/") else _ASKED_AGAIN),
        (b"vary", b"accept, accept-encoding" if is_page else b"accept-encoding"),
    ]
    if is_page:
        lines.append((b"content-security-policy", POLICY))
    return lines


def is_known(etag: bytes, known: bytes) -> bool:
    """Whether an If-None-Match names this validator, weak or strong (`etag` is without W/)."""
    return any(one.strip().removeprefix(b"W/") in (etag, b"*") for one in known.split(b","))


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _listed(folder: Path) -> Iterator[tuple[str, list[Copy]]]:
    """Name by name, what lies in the folder and in its assets, each with its copies."""
    for room, prefix in ((folder, ""), (folder / "assets", "assets/")):
        if not room.is_dir():
            continue
        sizes = dict(_sizes(room))
        for name, size in sizes.items():
            if not name.startswith(".") and os.path.splitext(name)[1] in TYPES:
                packed = [
                    Copy(coding, sizes[name + end], room / (name + end))
                    for coding, end in CODINGS.items()
                    if name + end in sizes
                ]
                yield prefix + name, [Copy("identity", size, room / name), *packed]


def _sizes(room: Path) -> Iterator[tuple[str, int]]:
    with os.scandir(room) as entries:
        for entry in entries:
            try:
                if entry.is_file():
                    yield entry.name, entry.stat().st_size
            except FileNotFoundError:
                continue  # a build has put it into its place since


def _read(path: Path) -> Held:
    body = path.read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:15])
    return Held(body, b'"' + digest + b'"')
