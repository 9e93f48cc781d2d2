"""Servers of other people, played on loopback inside the test's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

TLS = Path(__file__).parent / "tls"
AUTHORITY = str(TLS / "authority.pem")

Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def server_tls() -> ssl.SSLContext:
    """The context of a server that is localhost, shop.example and 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key.pem")
    return context


def answer(body: bytes = b"ok", status: str = "200 OK", headers: str = "", *, close: bool = False) -> bytes:
    """One HTTP/1.1 answer as it goes over the wire."""
    end = "Connection: close\r\n" if close else ""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{end}{headers}\r\n".encode() + body


class HttpServer:
    """Answers every request by `handler(head and body, writer)`, or always with the same bytes; keeps the requests."""

    def __init__(self, handler: Handler | bytes) -> None:
        self._handler = handler
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                request = head + (await reader.readexactly(length) if length else b"")
                self.requests.append(request)
                if isinstance(self._handler, bytes):
                    writer.write(self._handler)
                    await writer.drain()
                else:
                    await self._handler(request, writer)
                if writer.is_closing():
                    return
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def url(self, path: str = "/", *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        """An address of this server."""
        return f"{scheme}://{host}:{self.port}{path}"


@contextlib.asynccontextmanager
async def http_server(
    handler: Handler | bytes, *, tls: bool = False, host: str = "127.0.0.1"
) -> AsyncIterator[HttpServer]:
    """A server on a free port, gone afterwards."""
    found = HttpServer(handler)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(found.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, host, 0, ssl=server_tls() if tls else None)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def closed_port() -> AsyncIterator[int]:
    """A port where nothing listens: bound, so that nobody else takes it, and never listened on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        yield found.getsockname()[1]
