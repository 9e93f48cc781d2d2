"""Slack's side of Socket Mode: envelopes over a WebSocket, each acknowledged within three seconds
(https://docs.slack.dev/apis/events-api/using-socket-mode)."""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from signalcraft.demo.slack.interactions import ANSWER_WITHIN_S, APP_ID
from signalcraft.demo.slack.workspace import Json


class SocketMode:
    """One WebSocket server; each connection needs a ticket that apps.connections.open handed out, once."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._server: Server | None = None
        self._port = 0
        self._tickets: set[str] = set()
        self._connections: list[ServerConnection] = []
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._turn = 0

    async def start(self) -> None:
        """Listens on a port of its own."""
        self._server = await serve(self._talk, self._host, self._port, ping_interval=None)
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Closes every connection and the port."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    @property
    def connected(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def ticket_url(self) -> str:
        """The address of one new connection."""
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        return f"ws://{self._host}:{self._port}/link/?ticket={ticket}&app_id={APP_ID}"

    async def send(self, payload: Json) -> Json | None:
        """Sends an interactive envelope to one connection; its acknowledgement, or None after three seconds."""
        envelope_id = secrets.token_hex(16)
        self._turn += 1
        connection = self._connections[self._turn % len(self._connections)]
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = answer
        envelope = {"envelope_id": envelope_id, "type": "interactive", "accepts_response_payload": False}
        try:
            await connection.send(msgspec.json.encode(envelope | {"payload": payload}).decode())
            return await asyncio.wait_for(answer, ANSWER_WITHIN_S)
        except (TimeoutError, ConnectionClosed):
            return None
        finally:
            del self._waiting[envelope_id]

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Says goodbye as Slack does (`warning` leaves the connection open for ten seconds more) and hangs up."""
        for connection in list(self._connections):
            goodbye = {"type": "disconnect", "reason": reason, "debug_info": {"host": self._host}}
            try:
                await connection.send(msgspec.json.encode(goodbye).decode())
            except ConnectionClosed:
                continue
            if reason != "warning":
                await connection.close()

    async def _talk(self, connection: ServerConnection) -> None:
        query = parse_qs(urlsplit(connection.request.path if connection.request else "").query)
        ticket = query.get("ticket", [""])[0]
        if ticket not in self._tickets:
            await connection.close(4401, "unknown or used ticket")
            return
        self._tickets.discard(ticket)
        self._connections.append(connection)
        hello = {
            "type": "hello",
            "num_connections": len(self._connections),
            "debug_info": {"host": self._host, "approximate_connection_time": 18060},
            "connection_info": {"app_id": APP_ID},
        }
        try:
            await connection.send(msgspec.json.encode(hello).decode())
            async for text in connection:
                self._hear(text)
        except ConnectionClosed:
            pass
        finally:
            self._connections.remove(connection)

    def _hear(self, text: str | bytes) -> None:
        try:
            said = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return
        if isinstance(said, dict):
            waiting = self._waiting.get(str(said.get("envelope_id")))
            if waiting is not None and not waiting.done():
                waiting.set_result(said)
