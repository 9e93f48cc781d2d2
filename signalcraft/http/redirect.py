"""What answers on the plain port beside HTTPS: the same address with https, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote, urlsplit

from signalcraft.config import Settings, split_listen
from signalcraft.http.headers import SECURITY

_HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


def redirect_app(settings: Settings) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """An ASGI app that answers everything with 308, which keeps method and body; 400 where no host is named.

    To http.public_url where that is set: a Host header is whatever somebody writes into it.
    """
    parts = urlsplit(settings.http.public_url)
    known = parts.netloc.encode() if parts.scheme == "https" else b""
    port = split_listen(settings.http.listen)[1]
    suffix = b"" if port == 443 else b":%d" % port

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        host = known or _host(scope, suffix)
        headers = [*SECURITY, (b"content-length", b"0"), (b"connection", b"close")]
        if host:
            query = scope["query_string"]
            path = quote(scope["path"], safe="/:@!$&'()*+,;=~-._%").encode()
            headers.append((b"location", b"https://" + host + path + (b"?" + query if query else b"")))
        await send({"type": "http.response.start", "status": 308 if host else 400, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return answer


def _host(scope: Any, suffix: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == b"host":
            match = _HOST.fullmatch(value)
            return match[1] + suffix if match else b""
    return b""
