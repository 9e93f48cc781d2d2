"""How a request is known as the owner's: one that came through the control socket of the data directory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

SOCKET = "control.sock"
WORKSPACE_HEADER = "x-signalcraft-workspace"
ACTOR_HEADER = "x-signalcraft-actor"


def controlled(app: App) -> App:
    """The same ASGI app with every request marked as its owner's: `scope["state"]["control"]` is True.

    Nothing else sets the mark, and the TCP side never passes through here.
    """

    async def marked(scope: Scope, receive: Receive, send: Send) -> None:
        # A new dict: granian hands the same `state` to every request of a server.
        await app({**scope, "state": {**scope.get("state", {}), "control": True}}, receive, send)

    return marked


def is_control(scope: Mapping[str, Any]) -> bool:
    """Whether a request came through the owner's door."""
    return scope.get("state", {}).get("control") is True
