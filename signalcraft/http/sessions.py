"""/api/sessions: where one is signed in."""

from __future__ import annotations

from typing import Any, Final

from litestar import delete, get
from litestar.params import FromPath
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.http.auth import TheCaller, needs
from signalcraft.http.pages import page_of
from signalcraft.http.signin import person_of
from signalcraft.http.wire import Cursor, Limit, TheHouse, time_of

TAG: Final = ["sign-in"]


class SessionOut(Struct, frozen=True):
    """One session. `current`: the one that asks."""

    id: str
    method: str
    address: str
    user_agent: str
    created_at: str
    last_seen_at: str
    expires_at: str
    current: bool


class SessionPage(Struct, frozen=True):
    """The newest first."""

    items: list[SessionOut]
    next: str | None


@get("/api/sessions", guards=[needs("account", "read")], summary="My sessions", operation_id="list_sessions", tags=TAG)
async def list_sessions(house: TheHouse, caller: TheCaller, limit: Limit = 50, cursor: Cursor = None) -> SessionPage:
    """Every place where the person is signed in now."""
    session = person_of(caller)
    rows, more = page_of(await house.signin.sessions.list_own(session.person_id), limit, cursor)
    items = [
        SessionOut(
            id=ids.show(row.id),
            method=row.method,
            address=row.address,
            user_agent=row.user_agent,
            created_at=time_of(row.created_ms),
            last_seen_at=time_of(row.last_seen_ms),
            expires_at=time_of(row.expires_ms),
            current=row.id == session.id,
        )
        for row in rows
    ]
    return SessionPage(items, more)


@delete(
    "/api/sessions/{id:str}",
    guards=[needs("account", "write")],
    summary="End a session",
    operation_id="revoke_session",
    tags=TAG,
    status_code=204,
)
async def revoke_session(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> None:
    """One of one's own, over from the next request on."""
    await house.signin.sessions.revoke(person_of(caller), ids.parse(id))


@delete(
    "/api/sessions",
    guards=[needs("account", "write")],
    summary="End my other sessions",
    operation_id="revoke_other_sessions",
    tags=TAG,
    status_code=204,
)
async def revoke_others(house: TheHouse, caller: TheCaller) -> None:
    """All of them but the one that asks."""
    await house.signin.sessions.revoke_others(person_of(caller))


ROUTES: list[Any] = [list_sessions, revoke_session, revoke_others]
