"""A small HTTP/1.1 server whose connections can be refused, cut or held.

A stand-in has to do what a good server never does: close the connection after it took a request, refuse connections
for an hour and come back on the same port. So it owns its sockets. Keep-alive, Content-Length and chunked bodies and
streams are read and written as RFC 9112 says; nothing else is needed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

BODY_MAX = 4 * 1024 * 1024
_HEAD_MAX = 64 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Request(Struct, frozen=True):
    """One request as it arrived; header names are lower case, `path` is decoded, `query` is not."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Answer(Struct, frozen=True):
    """A whole answer; Content-Length is added."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class Stream(Struct, frozen=True):
    """An answer that goes on until the chunks end or the other side leaves (server-sent events)."""

    chunks: AsyncGenerator[bytes, None]
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class Cut(Struct, frozen=True):
    """No answer: the connection is closed."""


Handler = Callable[[Request], Awaitable[Answer | Stream | Cut]]


class _TooLarge(Exception):
    pass


class Server:
    """Serves one handler on one loopback port, on the loop that calls `start`."""

    def __init__(self, handler: Handler, host: str = "127.0.0.1", port: int = 0) -> None:
        self._handler = handler
        self._host = host
        self.port = port  # the real one after start
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Listens; raises OSError where the port is taken. Does nothing while it listens already."""
        if self._server is not None:
            return
        self._server = await asyncio.start_server(
            self._serve, self._host, self.port, limit=_HEAD_MAX, backlog=1024, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuses connections and cuts the open ones, until `start`."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        own = asyncio.current_task()  # a request may ask for this: it keeps its connection to answer
        others = {task: writer for task, writer in self._open.items() if task is not own}
        for task, writer in others.items():
            writer.transport.abort()
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=5)

    async def stop(self) -> None:
        """Refuses connections for good."""
        await self.refuse()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  start_server runs this in a task of its own
        self._open[task] = writer
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the other side left, sent a head without an end, or we are stopping
        finally:
            del self._open[task]
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serves one request; False where the connection ends with it."""
        head = await reader.readuntil(b"\r\n\r\n")
        try:
            method, target, headers = _head(head)
            body = await _body(reader, writer, headers)
        except _TooLarge:
            writer.write(_whole(Answer(413), close=True))
            await writer.drain()
            return False
        except ValueError:
            writer.write(_whole(Answer(400), close=True))
            await writer.drain()
            return False
        parts = urlsplit(target)
        answer = await self._handler(Request(method, unquote(parts.path), parts.query, headers, body))
        if isinstance(answer, Cut):
            writer.transport.abort()
            return False
        close = headers.get("connection", "").lower() == "close"
        if isinstance(answer, Stream):
            await _pour(answer, writer)
            return False
        writer.write(_whole(answer, close=close, bodiless=method == "HEAD"))
        await writer.drain()
        return not close


def _head(head: bytes) -> tuple[str, str, dict[str, str]]:
    lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, version = lines[0].split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(version)
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return method, target, headers


async def _body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str]) -> bytes:
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunked(reader)
    length = int(headers.get("content-length", "0"))
    if length > BODY_MAX:
        raise _TooLarge
    return await reader.readexactly(length) if length else b""


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    total = 0
    while size := int((await reader.readline()).split(b";")[0], 16):
        total += size
        if total > BODY_MAX:
            raise _TooLarge
        parts.append(await reader.readexactly(size))
        await reader.readline()
    while await reader.readline() not in (b"\r\n", b""):
        pass  # trailers
    return b"".join(parts)


def _lines(status: int, headers: dict[str, str]) -> list[str]:
    return [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in headers.items())]


def _whole(answer: Answer, *, close: bool, bodiless: bool = False) -> bytes:
    lines = _lines(answer.status, answer.headers)
    lines.append(f"Content-Length: {len(answer.body)}")
    if close:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head if bodiless else head + answer.body


async def _pour(stream: Stream, writer: asyncio.StreamWriter) -> None:
    lines = [*_lines(200, stream.headers), "Cache-Control: no-store", "Connection: close"]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    async with aclosing(stream.chunks) as chunks:
        async for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
