"""Slack's side of Socket Mode, played scene by scene, and what our side was told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from signalcraft.postman import SocketMode
from tests.channels.notes import GROUP_ID
from tests.postman.loopback import answer, http_server, server_tls

TOKEN = "xapp-1-very-secret"
PRESS = {
    "type": "block_actions",
    "user": {"id": "U0ANN", "username": "ann"},
    "actions": [{"action_id": "ack", "value": GROUP_ID}],
    "response_url": "https://hooks.slack.com/actions/very-secret",
}

Play = Callable[[ServerConnection, "FakeSlack"], Awaitable[None]]


def envelope(number: int | str, payload: object = PRESS, kind: str = "interactive") -> str:
    return json.dumps(
        {"envelope_id": f"e{number}", "type": kind, "payload": payload, "accepts_response_payload": False}
    )


def hello(connections: int = 1) -> str:
    return json.dumps({"type": "hello", "num_connections": connections, "connection_info": {"app_id": "A0APP"}})


class FakeSlack:
    """Slack's side: hands out addresses and plays one scene a connection, the last one over and over."""

    def __init__(self, *scenes: Play) -> None:
        self._scenes = list(scenes)
        self.opened: list[bytes] = []
        self.connections = 0
        self.acks: list[str] = []
        self.answers: list[bytes] = []
        self.api_url = ""
        self.url = ""

    async def open(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        """apps.connections.open."""
        self.opened.append(request)
        body = json.dumps({"ok": True, "url": self.url}).encode()
        writer.write(self.answers.pop(0) if self.answers else answer(body))

    async def connected(self, socket: ServerConnection) -> None:
        """One connection's scene."""
        self.connections += 1
        scene = self._scenes.pop(0) if len(self._scenes) > 1 else self._scenes[0]
        with contextlib.suppress(ConnectionClosed):
            await scene(socket, self)

    async def hears_ack(self, socket: ServerConnection) -> str:
        """Waits for the next acknowledgement."""
        found = json.loads(await socket.recv())
        assert list(found) == ["envelope_id"]
        self.acks.append(found["envelope_id"])
        return str(found["envelope_id"])


class Heard:
    """What SocketMode told us."""

    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.pauses: list[float] = []
        self.act: Callable[[dict[str, Any]], Awaitable[None]] | None = None

    async def on_payload(self, payload: dict[str, Any]) -> None:
        if self.act is not None:
            await self.act(payload)
        self.payloads.append(payload)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def running(fake: FakeSlack, heard: Heard, *, tls: bool = False, **more: Any) -> AsyncIterator[SocketMode]:
    """SocketMode connected to the fake, stopped afterwards."""
    async with http_server(fake.open) as api:
        context = server_tls() if tls else None
        server: Server
        async with serve(fake.connected, "127.0.0.1", 0, ssl=context) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            scheme, host = ("wss", "localhost") if tls else ("ws", "127.0.0.1")
            fake.url = f"{scheme}://{host}:{port}/link/?ticket=very-secret&app_id=A0APP"
            fake.api_url = api.url("/api/")
            mode = SocketMode(TOKEN, fake.api_url, heard.on_payload, heard.warnings.append, sleep=heard.sleep, **more)
            task = asyncio.create_task(mode.run())
            try:
                yield mode
            finally:
                await mode.stop()
                await asyncio.wait_for(task, 5)


async def until(true: Callable[[], bool], what: str) -> None:
    """Waits for something to become true; four seconds at most."""
    end = time.monotonic() + 4
    while not true():
        assert time.monotonic() < end, f"never happened: {what}"
        await asyncio.sleep(0.005)
