"""POST /webhooks/{source}/{token}: the one hot route, before the router (docs/decisions/0010-the-hot-door.md).

It reads the body within its own time and size limits, hands the bytes to ingest and answers after the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from signalcraft.domain import ids
from signalcraft.domain.event import HttpInbound
from signalcraft.errors import Fault, NotFound, TooLarge, TooMany, WrongType
from signalcraft.http.problems import problem_body, unexpected
from signalcraft.services.house import House
from signalcraft.services.ingest import Ingest, Quarantined, Receipt

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Header = tuple[bytes, bytes]
Answer = tuple[int, list[Header], bytes]
"""Status, headers and body."""
Door = Callable[[Scope, Receive, str], Awaitable[Answer]]
"""What answers a request to a webhook address; the text is the request's id."""

_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")
_BINARY: Final = (
    "multipart/",
    "image/",
    "audio/",
    "video/",
    "application/zip",
    "application/gzip",
    "application/x-tar",
)
_ENCODER: Final = msgspec.json.Encoder()


class _Slow(Fault):
    code = "too_slow"
    status = 408


class _WrongMethod(Fault):
    code = "method_not_allowed"
    status = 405


def hook_door(house: House) -> Door:
    """The door for everything below /webhooks/ that is not a channel's own callback."""
    ingest: Ingest = house.ingest
    body_max = house.settings.http.body_bytes_max
    read_s = float(house.settings.http.request_seconds)
    develops = house.settings.profile == "development"

    async def take(scope: Scope, receive: Receive, request_id: str) -> Answer:
        try:
            kind, token, rest = _address(scope["path"])
            if scope["method"] != "POST":
                raise _WrongMethod("a webhook address takes POST alone")
            headers = _headers(scope["headers"], body_max)
            body = await _body(receive, body_max, read_s)
            inbound = HttpInbound("POST", rest, scope["query_string"].decode("latin-1"), headers, body)
            receipts = await ingest.receive(kind, token, inbound)
        except Fault as fault:
            return _refusal(fault, request_id)
        except Exception as problem:
            return _refusal(unexpected(problem, told=develops), request_id)
        answer = _answer(receipts)
        return 202, [_JSON, _length(answer)], answer

    return take


def _address(path: str) -> tuple[str, str, str]:
    parts = path.removeprefix("/webhooks").split("/", 3)
    if len(parts) < 3 or not parts[1] or not parts[2]:
        raise NotFound("a webhook address is /webhooks/{source}/{token}")
    rest = "/" + unquote_to_bytes(parts[3]).decode("utf-8", "replace") if len(parts) > 3 else ""
    return parts[1], parts[2], "" if rest == "/" else rest


def _headers(pairs: list[tuple[bytes, bytes]], body_max: int) -> dict[str, str]:
    headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in pairs}
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > body_max:
        raise TooLarge(f"the body is larger than {body_max} bytes")
    kind = headers.get("content-type", "").lower()
    if kind.startswith(_BINARY) and not kind.startswith("multipart/form-data"):
        raise WrongType(f"a webhook body is JSON, text or a form, not {kind[:80]}")
    if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise WrongType("a webhook body is sent without Content-Encoding")
    return headers


class _Patience:
    """The end of a body's time: wakes the task that waits for it. A third of what asyncio.timeout costs a request."""

    __slots__ = ("_handle", "_task", "passed")

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._task: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]  # a request is a task
        self._handle = asyncio.get_running_loop().call_later(seconds, self._end)

    def _end(self) -> None:
        self.passed = True
        self._task.cancel()

    def over(self) -> None:
        """The body is whole."""
        self._handle.cancel()

    def was_it(self) -> bool:
        """Whether a cancellation was this end, and no other one beside it."""
        return self.passed and self._task.uncancel() == 0


async def _body(receive: Receive, body_max: int, read_s: float) -> bytes:
    patience = _Patience(read_s)
    try:
        message = await receive()
        body = bytes(message.get("body", b""))
        if message.get("more_body"):
            body = await _longer(receive, body, body_max)
        elif message["type"] == "http.disconnect":
            raise _Slow("the sender hung up before its body was whole")
    except asyncio.CancelledError:
        if not patience.was_it():
            raise
        raise _Slow("the body took too long to arrive") from None
    finally:
        patience.over()
    if len(body) > body_max:
        raise TooLarge(f"the body is larger than {body_max} bytes")
    return body


async def _longer(receive: Receive, first: bytes, body_max: int) -> bytes:
    parts, size, more = [first], len(first), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Slow("the sender hung up before its body was whole")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > body_max:
            raise TooLarge(f"the body is larger than {body_max} bytes")
        more = bool(message.get("more_body"))
    return b"".join(parts)


def _answer(receipts: list[Receipt]) -> bytes:
    events = [
        {
            "event_id": ids.show(r.event_id),
            "group_id": None if r.group_id is None else ids.show(r.group_id),
            "duplicate": r.duplicate,
            "sampled": r.sampled,
        }
        for r in receipts
    ]
    return _ENCODER.encode({"status": "accepted", "events": events})


def _length(body: bytes) -> Header:
    return (b"content-length", b"%d" % len(body))


def _refusal(fault: Fault, request_id: str) -> Answer:
    extra: dict[str, Any] = {}
    if isinstance(fault, Quarantined):
        extra["quarantine_id"] = ids.show(fault.inbox_id)
    body = problem_body(fault, request_id, extra)
    headers = [_PROBLEM, _length(body)]
    retry_after_s = getattr(fault, "retry_after_s", None)
    if retry_after_s is not None:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    if isinstance(fault, TooMany):
        headers.append((b"ratelimit-limit", b"%d" % fault.limit))
        headers.append((b"ratelimit-remaining", b"0"))
        headers.append((b"ratelimit-reset", b"%d" % fault.retry_after_s))
    if isinstance(fault, _WrongMethod):
        headers.append((b"allow", b"POST"))
    # The rest of a body that is too large or too slow is not read: the connection ends with the answer.
    if isinstance(fault, TooLarge | _Slow):
        headers.append((b"connection", b"close"))
    return fault.status, headers, body
