"""A generic webhook receiver that keeps every request, checks Standard Webhooks signatures and can misbehave."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import msgspec
from msgspec import Struct

from signalcraft.demo.loopback import Answer, Cut, Request, Server

TOLERANCE_S = 300


class Received(Struct, frozen=True):
    """One request. `signed`: whether it carries a good Standard Webhooks signature, None where no secret was given.
    `status` is what it was answered, 0 where the connection was closed without an answer."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    signed: bool | None
    status: int

    @property
    def id(self) -> str:
        """webhook-id: the same on every try."""
        return self.headers.get("webhook-id", "")

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class _Fault(Struct):
    kind: Literal["status", "stall", "drop", "lie"]
    times: int | None
    status: int = 0
    seconds: float = 0.0
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class Receiver:
    """Run it with `LoopThread(Receiver(…))`. Reading and faults are safe from any thread.

    `secret` is a Standard Webhooks secret (whsec_…); a request whose signature is wrong is answered 401 then. `now_ms`
    is the clock its timestamps are held against; without one their age is not looked at.
    """

    def __init__(
        self, secret: str = "", *, now_ms: Callable[[], int] | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.requests: list[Received] = []
        self.secret = secret
        self._now_ms = now_ms
        self._host = host
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()
        self._server = Server(self._handle, host, port)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Serves, on this loop."""
        self._loop = asyncio.get_running_loop()
        await self._server.start()

    async def stop(self) -> None:
        """Stops serving."""
        await self._server.stop()

    @property
    def url(self) -> str:
        """Where to post to; any other path is taken too."""
        return f"http://{self._host}:{self._server.port}/hook"

    @property
    def bodies(self) -> list[Any]:
        """The decoded bodies of the requests that were answered 2xx, in order."""
        return [r.json for r in self.requests if 200 <= r.status < 300]

    def fail(self, status: int = 500, times: int | None = None, headers: dict[str, str] | None = None) -> None:
        """Requests are answered with this status (and headers, such as Retry-After or Location)."""
        self._add(_Fault("status", times, status=status, headers=headers or {}))

    def stall(self, seconds: float, times: int | None = None) -> None:
        """Requests wait so many real seconds; they are kept then."""
        self._add(_Fault("stall", times, seconds=seconds))

    def drop_after_accept(self, times: int | None = 1) -> None:
        """Requests are kept and the connection is closed without an answer."""
        self._add(_Fault("drop", times))

    def lie(self, times: int | None = None) -> None:
        """Requests are answered 200 with a page of HTML."""
        self._add(_Fault("lie", times))

    def down(self, is_down: bool = True) -> None:
        """Connections are refused, or accepted again on the same port."""
        work: Coroutine[Any, Any, None] = self._server.refuse() if is_down else self._server.start()
        if self._loop is None:
            work.close()
            raise RuntimeError("the stand-in is not running")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def heal(self) -> None:
        """Every fault ends."""
        with self._lock:
            self._faults.clear()

    def _add(self, fault: _Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def _take(self, *kinds: str) -> _Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.kind in kinds:
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self._faults.remove(fault)
                    return fault
        return None

    async def _handle(self, request: Request) -> Answer | Cut:
        if (fault := self._take("stall")) is not None:
            await asyncio.sleep(fault.seconds)
        signed = self._signed(request)
        fault = self._take("status", "drop", "lie")
        answer: Answer | Cut = Answer(401 if signed is False else 200, b'{"ok":true}')
        if fault is not None and fault.kind == "status":
            answer = Answer(fault.status, b"", fault.headers)
        elif fault is not None and fault.kind == "lie":
            answer = Answer(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})
        elif fault is not None:
            answer = Cut()
        status = answer.status if isinstance(answer, Answer) else 0
        self.requests.append(
            Received(request.method, request.path, request.query, request.headers, request.body, signed, status)
        )
        return answer

    def _signed(self, request: Request) -> bool | None:
        if not self.secret:
            return None
        stamp = request.headers.get("webhook-timestamp", "")
        if self._now_ms is not None and (not stamp.isdigit() or abs(self._now_ms() / 1000 - int(stamp)) > TOLERANCE_S):
            return False
        return verify(self.secret, request.headers, request.body)


def verify(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether one of the signatures is ours (https://www.standardwebhooks.com, symmetric v1)."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return False
    signed = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}.".encode() + body
    good = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return any(hmac.compare_digest(good, given) for given in headers.get("webhook-signature", "").split())
