"""The owner's door: the whole API on `<data-dir>/control.sock`, for commands run beside a serving process.

Who can open the socket (mode 0600) owns the data directory and could read everything in it anyway: no key is asked for.
The routes here are for commands alone; on the TCP side they do not exist.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import tempfile
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Request, get, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from signalcraft import __version__
from signalcraft.domain.event import HttpInbound
from signalcraft.errors import NotFound
from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.owner import SOCKET, App, controlled, is_control
from signalcraft.http.wire import TheHouse, show_id, time_of
from signalcraft.services.registry import IntegrationLive, Snapshot
from signalcraft.storage import migrate


def owner_only(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard: elsewhere these routes are as unknown as any other. Raises NotFound."""
    if not is_control(connection.scope):
        raise NotFound("no such page")


_GUARDS = [owner_only, scopes("admin")]


@get("/control/info", guards=_GUARDS, include_in_schema=False)
async def info(house: TheHouse) -> dict[str, Any]:
    """Which process this is, and what it runs on."""
    return {
        "pid": os.getpid(),
        "version": __version__,
        "started_at": time_of(house.started_ms),
        "listen": house.settings.http.listen,
        "public_url": house.settings.http.public_url,
        "data_dir": str(house.data_dir),
        "schema": migrate.newest(),  # the house opens with no other
    }


@post("/control/integrations/{name:str}/webhook", guards=_GUARDS, include_in_schema=False, status_code=202)
async def webhook(
    house: TheHouse, caller: TheCaller, request: Request[Any, Any, Any], name: FromPath[str]
) -> dict[str, Any]:
    """A webhook for an integration whose address nobody can tell again (its token is kept as a hash).

    It is signed here with the integration's secret and goes the way of every other webhook from there.
    """
    live = _integration(house.registry.snapshot, caller.workspace_id, name)
    body = await request.body()
    headers = {k.lower(): v for k, v in request.headers.items() if not k.lower().startswith("x-signalcraft-")}
    if live.kind == "sentry" and live.config.secret:
        headers["sentry-hook-signature"] = hmac.digest(live.config.secret.encode(), body, "sha256").hex()
    receipts = await house.ingest.take(live, HttpInbound("POST", "", "", headers, body))
    events = [
        {
            "event_id": show_id(r.event_id),
            "group_id": show_id(r.group_id),
            "duplicate": r.duplicate,
            "sampled": r.sampled,
        }
        for r in receipts
    ]
    return {"status": "accepted", "events": events}


ROUTES = [info, webhook]


def _integration(snapshot: Snapshot, workspace_id: int, name: str) -> IntegrationLive:
    found = {live.name: live for live in snapshot.integrations.values() if live.workspace_id == workspace_id}
    if name not in found:
        known = f": there are {', '.join(sorted(found))}" if found else ", and there are none yet"
        raise NotFound(f"no integration is called {name[:80]}{known}")
    if not found[name].enabled:
        raise NotFound(f"the integration {name[:80]} is switched off")
    return found[name]


class ControlServer:
    """Serves an app on the control socket of a data directory whose lock this process holds."""

    def __init__(self, app: App, data_dir: Path) -> None:
        self.path = data_dir / SOCKET
        self._data_dir = data_dir
        self._server = Server(
            controlled(app), interface=Interfaces.ASGINL, uds=self.path, log_enabled=False, websockets=False
        )
        self._server.uds_permissions = 0o600  # not an argument of the embedded server
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listens when it returns. A socket that a killed process left is replaced. Raises OSError."""
        # Bound inside a directory of our own and moved: at no moment could anybody else open it. Through the descriptor
        # of that directory, because a socket's whole path may not be longer than 107 bytes.
        private = Path(tempfile.mkdtemp(prefix=".control-", dir=self._data_dir))
        fd = os.open(private, os.O_RDONLY | os.O_DIRECTORY)
        listening = asyncio.Event()
        self._server.bind_uds = Path(f"/proc/self/fd/{fd}/{SOCKET}")
        self._server.on_startup(listening.set)
        try:
            self._task = asyncio.create_task(self._server.serve(), name="control")
            started = asyncio.create_task(listening.wait())
            await asyncio.wait({self._task, started}, return_when=asyncio.FIRST_COMPLETED)
            started.cancel()
            if self._task.done():
                await self._task
                raise OSError(f"the control socket {self.path} could not be opened")
            (private / SOCKET).replace(self.path)
        finally:
            self._server.bind_uds = None
            os.close(fd)
            os.rmdir(private)

    async def stop(self) -> None:
        """Refuses further requests and removes the socket; nothing happens where it was not started."""
        if self._task is None:
            return
        self.path.unlink(missing_ok=True)
        self._server.stop()  # type: ignore[no-untyped-call]
        task, self._task = self._task, None
        await task
