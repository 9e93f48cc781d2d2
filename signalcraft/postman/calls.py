"""HTTP calls: one answer each, bounded in time and size; no redirects, no cookies, no environment."""

from __future__ import annotations

import asyncio
import http.cookiejar
import ssl
import time
import zlib
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx

from signalcraft import __version__
from signalcraft.domain.addresses import BLOCKED, Allowed
from signalcraft.domain.delivery import HttpCall, Reply
from signalcraft.logs import spans
from signalcraft.postman.guard import Guard
from signalcraft.postman.names import Resolve
from signalcraft.postman.words import socket_words

BODY_MAX: Final = 1 << 20
CONNECTIONS_MAX: Final = 50
KEPT_MAX: Final = 10
KEPT_S: Final = 30.0


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's transport on a pool of ours: httpx offers no way to hand in what opens the sockets."""

    def __init__(self, tls: ssl.SSLContext, guard: Guard) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=KEPT_MAX,
            keepalive_expiry=KEPT_S,
            network_backend=guard,
        )


class _Trace:
    """Whether any of the request may have left: what httpcore says of its steps."""

    def __init__(self) -> None:
        self.sent = False

    async def __call__(self, step: str, info: dict[str, Any]) -> None:
        if step == "http11.send_request_headers.started":
            self.sent = True


class Caller:
    """A pool of connections to wherever `allowed` lets them go (None: anywhere)."""

    def __init__(self, tls: ssl.SSLContext, allowed: Allowed | None, look_up: Resolve) -> None:
        no_cookies = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx.AsyncClient(
            transport=_Transport(tls, Guard(allowed, look_up)),
            trust_env=False,
            follow_redirects=False,
            cookies=no_cookies,
            headers={"User-Agent": f"SignalCraft/{__version__}", "Accept-Encoding": "identity"},
        )

    async def send(self, call: HttpCall) -> Reply:
        """What came back, within `timeout_s` for the whole of it; of the body at most 1 MB."""
        trace, request = _Trace(), spans.current.get()
        began_s = time.perf_counter()
        headers = call.headers if request is None else {"traceparent": request.onward(), **call.headers}
        try:
            async with asyncio.timeout(call.timeout_s):
                async with self._client.stream(
                    call.method,
                    call.url,
                    headers=headers,
                    content=call.body or None,
                    timeout=call.timeout_s,
                    extensions={"trace": trace},
                ) as response:
                    return Reply(
                        status=response.status_code,
                        headers={name.lower(): value for name, value in response.headers.items()},
                        body=await _body(response),
                    )
        except Exception as fault:
            return Reply(status=0, error=_words(fault, call), sent_maybe=trace.sent)
        finally:
            if request is not None:
                request.add("call", f"{call.method} {urlsplit(call.url).hostname}", began_s)

    async def close(self) -> None:
        """Closes the pool."""
        await self._client.aclose()


async def _body(response: httpx.Response) -> bytes:
    """The first megabyte. Raw, and unpacked by hand, so that a small packed body cannot fill the memory."""
    raw = bytearray()
    async for piece in response.aiter_raw(65_536):
        raw += piece
        if len(raw) >= BODY_MAX:
            break
    body = bytes(raw[:BODY_MAX])
    if response.headers.get("content-encoding", "").lower() in ("gzip", "x-gzip", "deflate"):
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, BODY_MAX)
        except zlib.error:
            return body
    return body


def _words(fault: BaseException, call: HttpCall) -> str:
    """A fault in words. Never the exception's own text where that could quote an address or a header."""
    if isinstance(fault, httpx.ConnectTimeout):
        return f"no connection within {call.timeout_s:g} s"
    if isinstance(fault, (TimeoutError, httpx.TimeoutException)):
        return f"no answer within {call.timeout_s:g} s"
    if isinstance(fault, httpx.ConnectError):
        return _connect_words(fault)
    if isinstance(fault, (httpx.NetworkError, httpx.RemoteProtocolError)):
        return "the connection broke before an answer came"
    if isinstance(
        fault, (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError, TypeError)
    ):
        return "the request cannot be sent: its address or a header is not valid"
    return f"the call failed ({type(fault).__name__})"


def _connect_words(fault: httpx.ConnectError) -> str:
    said = str(fault)
    if said.startswith(BLOCKED) or said.endswith(" has no address"):
        return said
    return socket_words(fault)
