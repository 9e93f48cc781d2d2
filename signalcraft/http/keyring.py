"""/control/keys: the master key, for its owner on the box alone. On the TCP side these routes do not exist."""

from __future__ import annotations

import base64
from typing import Any, Final

from litestar import get, post
from msgspec import Struct

from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.control import owner_only
from signalcraft.http.wire import TheHouse, show_time
from signalcraft.services import applyfile
from signalcraft.services.keyring import Shown

_GUARDS: Final = [owner_only, scopes("admin")]
_PATIENCE_S: Final = 40.0


class KeyringOut(Struct, frozen=True):
    """The master key without itself. `behind`: rows still sealed with the earlier one; `damaged`: what cannot open."""

    id: str
    source: str
    file: str | None
    since: str | None
    coming: str | None
    sealed: int
    behind: int
    damaged: list[str]


class RotatedOut(Struct, frozen=True):
    """`done`: false while it goes on; ask again then."""

    done: bool
    id: str = ""
    earlier: str = ""
    resealed: int = 0
    damaged: list[str] = []


def _out(one: Shown) -> KeyringOut:
    return KeyringOut(
        id=one.id,
        source=one.source,
        file=one.file,
        since=show_time(one.since_ms),
        coming=one.coming,
        sealed=one.sealed,
        behind=one.behind,
        damaged=one.damaged,
    )


@get("/control/keys", guards=_GUARDS, include_in_schema=False)
async def show(house: TheHouse) -> KeyringOut:
    """Which master key it is, where it comes from, and what hangs on it."""
    return _out(await house.keyring.shown())


@post("/control/keys/rotate", guards=_GUARDS, include_in_schema=False, status_code=200)
async def rotate(house: TheHouse, caller: TheCaller) -> RotatedOut:
    """A new master key. 409: it comes from the settings."""
    done = await house.keyring.rotate_for(_PATIENCE_S, caller.actor, caller.workspace_id)
    if done is None:
        return RotatedOut(False)
    return RotatedOut(True, done.id, done.earlier, done.resealed, done.damaged)


@post("/control/keys/escrow", guards=_GUARDS, include_in_schema=False, status_code=200)
async def escrow(house: TheHouse, caller: TheCaller) -> dict[str, Any]:
    """The master key itself, to be sealed by whoever asked: they may read its file anyway."""
    keys = await house.keyring.handed_out(caller.actor, caller.workspace_id)
    return {"keys": {check: base64.b64encode(key).decode() for check, key in keys.items()}}


@post("/control/config/export", guards=_GUARDS, include_in_schema=False, status_code=200)
async def export_secrets(house: TheHouse, caller: TheCaller) -> dict[str, str]:
    """The configuration with its secrets, to be sealed by whoever asked."""
    ws = caller.workspace_id
    text = await house.keyring.exported(
        caller.actor, ws, lambda tx: applyfile.export(tx, house.registry, ws, secrets=True)
    )
    return {"toml": text}


ROUTES: Final = [show, rotate, escrow, export_secrets]
