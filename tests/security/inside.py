"""Asking the app in its own process, without a socket: quick enough for tens of thousands of webhooks."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter
from typing import Any

import httpx

from signalcraft.http.app import App, create_app
from tests.security.ground import SIGNING_SECRET, Ground
from tests.security.webhook_bodies import some
from tests.world import World

AT_ONCE = {"sentry": 40, "generic": 40, "slack": 8}
"""A press that is not on disk within 2.5 seconds is answered 503, and said so: that is about load, not about bodies."""


class Told(Counter[int]):
    """How often each status was answered. `wrong`: the bodies that were answered by a fault of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[tuple[int, bytes, bytes]] = []


async def posted(app: App, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body of one POST."""
    said: list[Any] = []
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.sleep(60)
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "state": {},
        "headers": [(b"host", b"127.0.0.1"), (b"content-length", str(len(body)).encode()), *raw],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    return said[0]["status"], b"".join(one.get("body", b"") for one in said[1:])


def path_of(ground: Ground, kind: str) -> str:
    """The address of a route that takes such bodies."""
    if kind == "slack":
        return "/webhooks/slack/actions"
    world = ground.world
    if kind not in world.integrations:
        world.integration(kind)
    return httpx.URL(world.integrations[kind]["webhook_url"]).path


def _signed(world: World, kind: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
    if kind != "slack":
        return headers
    stamp = str(world.clock.at_ms // 1000)
    proof = hmac.new(SIGNING_SECRET.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {**headers, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={proof}"}


def posts(ground: Ground, kind: str, count: int, start: int = 1) -> Told:
    """So many bodies to one route, several at once."""
    world, path = ground.world, path_of(ground, kind)
    told = Told()

    async def work() -> None:
        app = create_app(world.house)
        free = asyncio.Semaphore(AT_ONCE[kind])

        async def one(body: bytes, headers: dict[str, str]) -> None:
            async with free:
                status, answer = await posted(app, path, body, _signed(world, kind, body, headers))
            told[status] += 1
            if status >= 500:
                told.wrong.append((status, body[:300], answer[:300]))

        await asyncio.gather(*(one(body, headers) for body, headers in some(kind, count, start)))

    world._call(work(), 3_600)
    return told
