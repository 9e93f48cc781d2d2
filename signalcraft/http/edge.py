"""What every request and every answer goes through, whichever route it is for: a thin layer around the whole app.

It gives a request its id and its limits, an answer its security headers, and counts both. It sits on the hot route too,
so it does little and allocates less.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from signalcraft import logs
from signalcraft.config import Settings
from signalcraft.errors import Fault, TooMany
from signalcraft.http.cors import Cors
from signalcraft.http.headers import Head, Header, Headers, completed
from signalcraft.http.hooks import Door
from signalcraft.http.limits import Addresses, Buckets, Exceeded, Spent
from signalcraft.http.owner import is_control
from signalcraft.http.problems import MEDIA_TYPE, TooSlow, headers_of, problem_body

log = logging.getLogger(__name__)

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UNCOUNTED: Final = ("/webhooks/", "/health", "/live", "/ready", "/metrics", "/api/live", "/assets/")
_STREAM: Final = "/api/live"
"""It lasts as long as somebody looks."""
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_CLOSE: Final = (b"connection", b"close")
_REST_BYTES: Final = 16 << 20
_REST_S: Final = 5.0
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """The layer.

    * `requests` counts answers by (route, method, status): bounded, since routes are templates.
    * `allow`: what OPTIONS says of each route.
    * `exceeded`: what limits refused.
    * `took`: is told (route, status, seconds) of each answer but event streams.
    * `heard`: who has asked for something, by the other end of the connection; whoever watches those tidies it.
    * `last`: whether an answer is the last one on its connection, since the program is about to end.
    """

    def __init__(self, app: App, hooks: Door, settings: Settings, now: Callable[[], int]) -> None:
        self._app = app
        self._hooks = hooks
        self._now = now
        self._body_s = float(settings.http.request_seconds)
        per_15_minutes = settings.limits.global_per_15_minutes
        self._buckets = Buckets(per_15_minutes, per_15_minutes / 900) if per_15_minutes else None
        self._addresses = Addresses(settings.http.trusted_proxies)
        self._lines = Headers(settings)
        self._cors = Cors(settings)
        self._head = Head(settings.http)
        self.exceeded = Exceeded()
        self._prefix = secrets.token_hex(4)
        self._number = 0
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.allow: dict[str, bytes] = {}
        self.heard: set[Any] = set()
        self.last = False
        self.took: Callable[[str, int, float], None] = lambda route, status, seconds: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request."""
        method, path = scope["method"], scope["path"]
        self.heard.add(scope.get("client"))
        if path.startswith("/webhooks/") and path not in self.allow:  # all but the callbacks that have routes
            await self._hook(scope, receive, send)
            return
        began_s = time.perf_counter()
        request_id = self._request_id(scope["headers"])
        # A dict of its own: the server may hand the same one to every request.
        state = scope["state"] = {**scope.get("state", {}), "request_id": request_id, "path": path}
        status = 0

        async def answering(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                said = message.get("headers", ())
                if method == "OPTIONS" and status == 204:
                    said = [(b"allow", self.allow.get(scope.get("path_template", ""), b"OPTIONS"))]
                lines = self._lines.of(scope)
                if self._cors.named:
                    lines = (*self._cors.of(scope), *lines)
                message["headers"] = _headers(said, lines, request_id, state)
                if self.last:
                    message["headers"].append(_CLOSE)
            await send(message)

        reply: Send = answering
        if method == "HEAD":
            scope["method"], state["head"] = "GET", True
            reply = _bodiless(answering)
        elif method in _WITH_BODY:
            receive = _patient(receive, self._body_s)
        token = logs.request_id.set(request_id)
        try:
            fault = self._head.fault(scope) or self._over(scope, path)
            if fault is not None:
                await _refuse(fault, request_id, reply)
            else:
                await self._app(scope, receive, reply)
            if status == 413:
                await _rest(receive)
        finally:
            self._count(scope.get("path_template") or "unmatched", method, status, began_s)
            logs.request_id.reset(token)

    async def _hook(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request to a webhook address: the same as above, and no more than that needs."""
        began_s = time.perf_counter()
        request_id = self._request_id(scope["headers"])
        status = 0
        token = logs.request_id.set(request_id)
        try:
            status, headers, body = await self._hooks(scope, receive, request_id)
            headers += self._lines.of(scope)
            if status == 429:
                self.exceeded.refused("webhooks", self._addresses.of(scope), self._now())
            headers.append((b"x-request-id", request_id.encode()))
            if self.last:
                headers.append(_CLOSE)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            if status == 413:
                await _rest(receive)
        finally:
            self._count("/webhooks", scope["method"], status, began_s)
            logs.request_id.reset(token)

    def _count(self, route: str, method: str, status: int, began_s: float) -> None:
        if route != _STREAM:
            self.took(route, status, time.perf_counter() - began_s)
        self.requests[route, method if method in _METHODS else "OTHER", status] += 1
        if status >= 400 or log.isEnabledFor(logging.DEBUG):
            level = logging.INFO if status >= 400 else logging.DEBUG
            log.log(level, "answered", extra={"method": method, "route": route, "status": status})

    def _request_id(self, headers: Any) -> str:
        for name, value in headers:
            if name == b"x-request-id":
                if _SANE_ID.fullmatch(value):
                    return str(value, "ascii")
                break
        self._number += 1
        return f"{self._prefix}-{self._number:x}"

    def _over(self, scope: Scope, path: str) -> TooMany | None:
        if self._buckets is None or path.startswith(_UNCOUNTED) or is_control(scope):
            return None
        address, now_ms = self._addresses.of(scope), self._now()
        spent = self._buckets.take(address, now_ms)
        if spent.within:
            return None
        scope["state"]["spent"] = spent
        self.exceeded.refused("global", address, now_ms)
        return TooMany("too many requests from this address", retry_after_s=spent.retry_after_s)


async def _refuse(fault: Fault, request_id: str, send: Send) -> None:
    body = problem_body(fault, request_id)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    headers += [(name.encode(), value.encode()) for name, value in headers_of(fault).items()]
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _rest(receive: Receive) -> None:
    """Reads away what is on its way of a body that was refused.

    A connection that ends with bytes unread is reset, and whoever still sends then sees that instead of the answer; a
    proxy makes a 502 of it. https://www.rfc-editor.org/rfc/rfc9112#section-9.6
    """
    loop = asyncio.get_running_loop()
    left, until_s = _REST_BYTES, loop.time() + _REST_S
    try:
        while left > 0:
            message = await asyncio.wait_for(receive(), until_s - loop.time())
            left -= len(message.get("body", b""))
            if not message.get("more_body"):
                return
    except (TimeoutError, TooSlow):
        return


def _headers(said: Any, lines: tuple[Header, ...], request_id: str, state: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    headers = completed(said, lines)
    headers.append((b"x-request-id", request_id.encode()))
    spent: Spent | None = state.get("spent")
    if spent is not None:
        # https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-07.html
        headers.append((b"ratelimit-limit", str(spent.limit).encode()))
        headers.append((b"ratelimit-remaining", str(spent.remaining).encode()))
        headers.append((b"ratelimit-reset", str(spent.reset_s).encode()))
    return headers


def _bodiless(send: Send) -> Send:
    """The answer to a HEAD: what a GET would get, without its body."""
    ended = False

    async def sending(message: Message) -> None:
        nonlocal ended
        if message["type"] != "http.response.body":
            await send(message)
        elif not ended:
            ended = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return sending


def _patient(receive: Receive, seconds: float) -> Receive:
    """`receive` with an end to its patience: raises TooSlow when the body is not whole in time."""
    whole = False
    deadline = 0.0

    async def receiving() -> Message:
        nonlocal whole, deadline
        if whole:
            return await receive()
        loop = asyncio.get_running_loop()
        deadline = deadline or loop.time() + seconds
        try:
            message = await asyncio.wait_for(receive(), max(deadline - loop.time(), 0.001))
        except TimeoutError:
            raise TooSlow("the body took too long to arrive") from None
        whole = not message.get("more_body", False)
        return message

    return receiving
