"""What answers on the plain port beside HTTPS: the same address with https, and what an ACME client left for a
certificate authority (RFC 8555, 8.3)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from signalcraft.config import Settings, split_listen
from signalcraft.http.headers import SECURITY

_HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
CHALLENGES: Final = "/.well-known/acme-challenge/"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ANSWER_MAX: Final = 1024
"""Bytes; a token, a dot and the digest of a key are some ninety."""


def redirect_app(settings: Settings) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """An ASGI app that answers everything with 308, which keeps method and body; 400 where no host is named.

    To http.public_url where that is set: a Host header is whatever somebody writes into it. What lies in
    http.acme_webroot for an authority is answered as it lies there, by GET and HEAD.
    """
    parts = urlsplit(settings.http.public_url)
    known = parts.netloc.encode() if parts.scheme == "https" else b""
    port = split_listen(settings.http.listen)[1]
    suffix = b"" if port == 443 else b":%d" % port
    root = settings.http.acme_webroot

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        path: str = scope["path"]
        if root and path.startswith(CHALLENGES) and scope["method"] in ("GET", "HEAD"):
            found = await asyncio.to_thread(_challenge, Path(root), path.removeprefix(CHALLENGES))
            if found is not None:
                await _tell(send, 200, [(b"content-type", b"application/octet-stream")], found, scope["method"])
                return
        host = known or _host(scope, suffix)
        headers = []
        if host:
            query = scope["query_string"]
            # As it was asked: %2f is no slash. Where a server gives no such line, what it made of it.
            there = quote(scope.get("raw_path") or path.encode(), safe="/:@!$&'()*+,;=~-._%").encode()
            headers.append((b"location", b"https://" + host + there + (b"?" + query if query else b"")))
        await _tell(send, 308 if host else 400, headers, b"", scope["method"])

    return answer


async def _tell(send: Any, status: int, said: list[tuple[bytes, bytes]], body: bytes, method: str) -> None:
    headers = [*SECURITY, *said, (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


def _challenge(root: Path, token: str) -> bytes | None:
    """What lies there under a name that can be a token's; None for anything else: no folder, no link, nothing large."""
    if not _TOKEN.fullmatch(token):
        return None
    try:
        file = os.open(root / CHALLENGES.strip("/") / token, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.read(file, _ANSWER_MAX + 1)
    except OSError:
        return None
    finally:
        os.close(file)
    return found if len(found) <= _ANSWER_MAX else None


def _host(scope: Any, suffix: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == b"host":
            match = _HOST.fullmatch(value)
            return match[1] + suffix if match else b""
    return b""
