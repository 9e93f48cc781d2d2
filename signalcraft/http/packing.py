"""What the API's answers to GET go through: they get a validator, are not sent to whoever has them, and are packed.

The validator is a hash of the answer, weak since a packed answer bears the same one. An answer that is kept
(`services.caching`) is validated without the database. Nothing is packed

* where a secret lies in the answer (`SECRET`): how long a packed answer is tells something of what is in it to whoever
  may add to it (BREACH, https://www.breachattack.com),
* for a page of another site, whose visitor did not ask for it,
* below `LEAST` bytes, and no event stream: it is not JSON.

Whoever asks with `Cache-Control: max-stale=3` (https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.2) is content with
an answer of up to three seconds ago, as far as senders and channels alone have changed it since. Where they have,
`X-Newer-In-Ms` says when to ask for what is newer.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import blake2b
from typing import Any, Final

import zstandard

from signalcraft.http.dashboard import is_known, weighed
from signalcraft.services.caching import Content, content

App = Callable[[Any, Any, Any], Awaitable[None]]
Message = MutableMapping[str, Any]
Lines = list[tuple[bytes, bytes]]

LEAST: Final = 1024
CONTENT_S_MAX: Final = 5
"""With more nobody is content here, whatever they say."""
_MAX_STALE: Final = re.compile(rb"(?:^|,)\s*max-stale\s*(?:=\s*\"?(\d{1,9})\"?\s*)?(?:,|$)", re.IGNORECASE)
SECRET: Final = ("/api/auth/", "/api/config/", "/api/backups", "/api/invitations", "/api/shares")
"""Answers in which a token, a link or a sealed value may be."""


async def packed(app: App, scope: Any, receive: Any, send: Any) -> None:
    """Serves one request behind it."""
    if scope["method"] != "GET" or not scope["path"].startswith("/api/"):
        await app(scope, receive, send)
        return
    held: Message | None = None
    asking = _content(scope["headers"])
    content.set(asking)  # of this request alone: each is a task of its own

    async def sending(message: Message) -> None:
        nonlocal held
        if message["type"] == "http.response.start":
            if message["status"] == 200 and _is_json(message.get("headers", ())) and not _validated(message):
                held = message
                return
        elif held is not None:
            start, held = held, None
            if message.get("more_body", False):  # it comes as it is made
                await send(start)
            else:
                if asking is not None and asking.newer_in_ms:
                    start["headers"] = [*start["headers"], (b"x-newer-in-ms", b"%d" % asking.newer_in_ms)]
                start, message = _finished(scope, start, message.get("body", b""))
                await send(start)
        await send(message)

    await app(scope, receive, sending)


def _content(headers: Any) -> Content | None:
    said = _MAX_STALE.search(b",".join(value for name, value in headers if name == b"cache-control"))
    seconds = 0 if said is None else min(int(said[1] or CONTENT_S_MAX), CONTENT_S_MAX)
    return Content(seconds * 1000) if seconds else None


def _is_json(headers: Any) -> bool:
    return any(name == b"content-type" and value.startswith(b"application/json") for name, value in headers)


def _validated(start: Message) -> bool:
    """Whether the route gave a validator of its own: for If-Match, of what is edited and not of the whole answer."""
    return any(name == b"etag" for name, _ in start.get("headers", ()))


def _finished(scope: Any, start: Message, body: bytes) -> tuple[Message, Message]:
    asked = dict(scope["headers"])
    etag = b'"%s"' % blake2b(body, digest_size=12).hexdigest().encode()
    lines: Lines = [(name, value) for name, value in start["headers"] if name not in (b"content-length", b"vary")]
    varies = [value for name, value in start["headers"] if name == b"vary"]
    lines += [(b"etag", b"W/" + etag), (b"vary", b", ".join((*varies, b"accept-encoding")))]
    if is_known(etag, asked.get(b"if-none-match", b"")):
        lines = [line for line in lines if line[0] != b"content-type"]
        return {**start, "status": 304, "headers": lines}, {"type": "http.response.body", "body": b""}
    coding = _coding(scope["path"], asked) if len(body) >= LEAST else ""
    if coding == "zstd":
        body = zstandard.ZstdCompressor(level=3).compress(body)
    elif coding == "gzip":
        packer = zlib.compressobj(5, zlib.DEFLATED, 31)
        body = packer.compress(body) + packer.flush()
    if coding:
        lines.append((b"content-encoding", coding.encode()))
    lines.append((b"content-length", b"%d" % len(body)))
    return {**start, "headers": lines}, {"type": "http.response.body", "body": body}


def _coding(path: str, asked: dict[bytes, bytes]) -> str:
    """zstd, gzip, or "" for an answer that goes as it is."""
    if path.startswith(SECRET) or asked.get(b"sec-fetch-site", b"") == b"cross-site":
        return ""
    weights = weighed(asked.get(b"accept-encoding", b"").decode("latin-1"))
    best = max(("zstd", "gzip"), key=lambda coding: (weights.get(coding, weights.get("*", 0.0)), coding == "zstd"))
    return best if weights.get(best, weights.get("*", 0.0)) > 0 else ""
