"""What the server calls while the program runs: webhooks and readiness from the first moment, all else from the next.

The web framework with its some two hundred routes is half of the time that a start takes. An alert does not need it:
the raw door for webhooks stands before the router. So the program listens and is ready first, and the routes are built
right after, in a thread; a request to one of them waits for that (docs/decisions/0012-routes-after-readiness.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from signalcraft.http import alive
from signalcraft.http.edge import Edge, Scope, Send
from signalcraft.http.hooks import hook_door
from signalcraft.services.health import Report
from signalcraft.services.house import House

if TYPE_CHECKING:
    from signalcraft.http.app import App

ROUTED: Final = ("/webhooks/slack/actions",)
"""Addresses below /webhooks/ that are routes, not the raw door's."""


class Entrance:
    """The ASGI app of one house. `build` makes its routes."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._edge = Edge(self._inside, hook_door(house), house.settings, house.now)
        self._edge.took = house.measures.answered
        for path in ROUTED:
            self._edge.allow[path] = b"POST, OPTIONS"  # whatever the route says later
        self._routes: asyncio.Future[App] = asyncio.get_running_loop().create_future()

    @property
    def app(self) -> App:
        """The routes. Raises asyncio.InvalidStateError before they are there."""
        return self._routes.result()

    async def build(self) -> App:
        """Builds the routes. Raises whatever goes wrong with that, here and to whoever waits for one."""
        try:
            app = await asyncio.to_thread(_build, self._house, self._edge)
        except BaseException:
            self._routes.set_exception(RuntimeError("the routes could not be built"))
            self._routes.exception()  # it is known here: no warning where nobody waited
            raise
        self._routes.set_result(app)
        return app

    async def whole(self) -> None:
        """Returns when every route is there. Raises RuntimeError where they could not be built."""
        await asyncio.shield(self._routes)

    @property
    def heard(self) -> set[Any]:
        """Whose requests came, by address and port of their connection."""
        return self._edge.heard

    def leave(self) -> None:
        """From now on every answer is the last one on its connection: its client comes again, to the next process."""
        self._edge.last = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI entry point. The routes' own life is the program's: the server tells nothing but requests."""
        await self._edge(scope, receive, send)

    async def _inside(self, scope: Any, receive: Any, send: Any) -> None:
        if not self._routes.done():
            report = await _early(self._house, scope)
            if report is not None:
                await _say(report, scope, send)
                return
        app = await asyncio.shield(self._routes)
        await app.inside(scope, receive, send)


def _build(house: House, edge: Edge) -> App:
    from signalcraft.http.app import create_app

    return create_app(house, edge)


async def _early(house: House, scope: Scope) -> Report | None:
    if scope["method"] != "GET":
        return None
    path = scope["path"]
    if path in ("/health/ready", "/ready"):
        return await alive.readiness(house)
    if path in ("/health/live", "/live"):
        return alive.liveness(house)
    return alive.startup(house) if path == "/health/startup" else None


async def _say(report: Report, scope: MutableMapping[str, Any], send: Send) -> None:
    """The same answer as the route's."""
    scope["path_template"] = scope["path"]
    body = msgspec.json.encode(report)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": alive.status_of(report), "headers": headers})
    await send({"type": "http.response.body", "body": body})
