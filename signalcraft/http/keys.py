"""/api/api-keys: who may ask over the API."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from signalcraft.domain import ids
from signalcraft.http.auth import TheCaller, scopes, step_up
from signalcraft.http.wire import Cursor, Limit, TheHouse, cursor_of, read_cursor, read_time, show_time, time_of
from signalcraft.services.accounts import SCOPES
from signalcraft.storage.keys import KeyRow


class KeyIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A key to be made. `expires_at`: RFC 3339, or never. `account`: the service account that it is for."""

    name: Annotated[str, Meta(max_length=100)]
    scopes: Annotated[list[str], Meta(max_length=len(SCOPES), description=f"Of {', '.join(SCOPES)}.")]
    expires_at: str | None = None
    account: Annotated[str, Meta(max_length=100)] = ""


class KeyMade(Struct, frozen=True):
    """A key just made. `key` is told this once."""

    id: str
    name: str
    prefix: str
    key: str
    scopes: list[str]
    expires_at: str | None


class KeyOut(Struct, frozen=True):
    """A key as it is listed: its first eight characters tell keys apart. `account`: its service account, or ""."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    account: str


class KeyPage(Struct, frozen=True):
    """Newest first; revoked and expired keys too."""

    items: list[KeyOut]
    next: str | None


def _out(row: KeyRow) -> KeyOut:
    return KeyOut(
        id=ids.show(row.id),
        name=row.name,
        prefix=row.prefix,
        scopes=row.scopes,
        created_at=time_of(row.created_ms),
        expires_at=show_time(row.expires_ms),
        last_used_at=show_time(row.last_used_ms),
        revoked_at=show_time(row.revoked_ms),
        account=row.account,
    )


@get("/api/api-keys", guards=[scopes("admin")], summary="API keys", operation_id="list_api_keys", tags=["api keys"])
async def list_keys(house: TheHouse, caller: TheCaller, limit: Limit = 50, cursor: Cursor = None) -> KeyPage:
    """Every key of the workspace, newest first."""
    before = read_cursor(cursor, 1)
    rows = await house.accounts.list_keys(caller.workspace_id, before[0] if before else 2**63 - 1, limit + 1)
    more = cursor_of(rows[limit - 1].id) if len(rows) > limit else None
    return KeyPage([_out(row) for row in rows[:limit]], more)


@post(
    "/api/api-keys",
    guards=[scopes("admin"), step_up],
    summary="Make an API key",
    operation_id="create_api_key",
    tags=["api keys"],
)
async def create_key(house: TheHouse, caller: TheCaller, data: JSONBody[KeyIn]) -> KeyMade:
    """Makes a key and tells it, this once."""
    expires_ms = None if data.expires_at is None else read_time(data.expires_at, "expires_at")
    made = await house.accounts.create_key(
        caller.workspace_id, data.name, data.scopes, expires_ms, caller.actor, data.account
    )
    return KeyMade(
        id=ids.show(made.id),
        name=made.name,
        prefix=made.prefix,
        key=made.key,
        scopes=made.scopes,
        expires_at=show_time(made.expires_ms),
    )


@delete(
    "/api/api-keys/{id:str}",
    guards=[scopes("admin")],
    summary="Revoke an API key",
    operation_id="revoke_api_key",
    tags=["api keys"],
    status_code=204,
)
async def revoke_key(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> None:
    """The key opens nothing from the next request on. Twice is no fault."""
    await house.accounts.revoke_key(caller.workspace_id, ids.parse(id), caller.actor)


ROUTES = [list_keys, create_key, revoke_key]
