"""The owner's door: the whole API on `<data-dir>/control.sock`, for commands run beside a serving process.

Who can open the socket (mode 0600) owns the data directory and could read everything in it anyway: no key is asked for.
The routes here are for commands alone; on the TCP side they do not exist.
"""

from __future__ import annotations

import hmac
import os
from typing import Any

from litestar import Request, get, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from signalcraft import __version__
from signalcraft.domain.event import HttpInbound
from signalcraft.errors import NotFound
from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.owner import is_control
from signalcraft.http.wire import TheHouse, show_id, show_time, time_of
from signalcraft.services.care.digest import Digest
from signalcraft.services.registry import OWN, IntegrationLive, Snapshot
from signalcraft.storage import migrate, runs
from signalcraft.storage.db import Tx


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
        **await _care(house),
    }


async def _care(house: TheHouse) -> dict[str, Any]:
    """What happened last to what keeps the box: times, null where it did not."""

    def read(tx: Tx) -> dict[str, str | None]:
        done = {kind: runs.last(tx, kind, "ok") for kind in ("backup", "migration", "upgrade")}
        return {f"last_{kind}_at": show_time(None if run is None else run.ended_ms) for kind, run in done.items()}

    held = house.hold.state
    return {**await house.db.read(read), "held_since": show_time(None if held is None else held.since_ms)}


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


@get("/control/digest", guards=_GUARDS, include_in_schema=False)
async def digest(house: TheHouse) -> Digest:
    """The digest of the last seven days."""
    return await house.digests.made()


@post("/control/digest", guards=_GUARDS, include_in_schema=False, status_code=202)
async def send_digest(house: TheHouse, caller: TheCaller) -> dict[str, list[str]]:
    """It is owed to the chosen channels."""
    return {"channels": await house.digests.send(caller.actor)}


ROUTES = [info, webhook, digest, send_digest]


def _integration(snapshot: Snapshot, workspace_id: int, name: str) -> IntegrationLive:
    every = [live for live in snapshot.integrations.values() if live is not OWN]
    found = {live.name: live for live in every if live.workspace_id == workspace_id}
    if name not in found:
        known = f": there are {', '.join(sorted(found))}" if found else ", and there are none yet"
        raise NotFound(f"no integration is called {name[:80]}{known}")
    if not found[name].enabled:
        raise NotFound(f"the integration {name[:80]} is switched off")
    return found[name]
