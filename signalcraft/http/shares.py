"""Links that show one alert group for a while: given away, taken back, and the page that they open.

The page needs no session: whoever holds the link may read it. It is plain HTML without a script, names nobody's
comments and holds no payload (http/sharepage.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from signalcraft.domain import ids
from signalcraft.errors import Fault, Gone
from signalcraft.http import sharepage
from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.comments import is_admin
from signalcraft.http.wire import ActorOut, TheHouse, show_time, time_of
from signalcraft.services import timeline
from signalcraft.services.shares import HOURS_MAX
from signalcraft.storage import groups, lists, shares
from signalcraft.storage.shares import Share

TAG: Final = ["alert groups"]
LISTED: Final = 100
MOMENTS: Final = 100


class ShareIn(Struct, frozen=True, forbid_unknown_fields=True):
    """For how many hours the link works: 1 to 168."""

    hours: Annotated[int, Meta(ge=1, le=HOURS_MAX)]


class ShareMade(Struct, frozen=True):
    """A link. Its address is told this once."""

    id: str
    url: str
    expires_at: str


class ShareOut(Struct, frozen=True, kw_only=True):
    """A link, without its address. state: works, expired, revoked. `mine`: the caller may take it back."""

    id: str
    author: ActorOut
    created_at: str
    expires_at: str
    revoked_at: str | None
    state: str
    mine: bool


class ShareList(Struct, frozen=True):
    """The newest first, at most 100."""

    items: list[ShareOut]


@post(
    "/api/alert-groups/{id:str}/share",
    guards=[scopes("alerts:write")],
    summary="Share an alert group",
    operation_id="share_alert_group",
    tags=TAG,
)
async def share_group(house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[ShareIn]) -> ShareMade:
    """A link to a page for reading, which works without signing in until its time is over or it is taken back."""
    made, url = await house.shares.give(caller.workspace_id, ids.parse(id), caller.actor, data.hours)
    return ShareMade(ids.show(made.id), url, time_of(made.expires_ms))


@get(
    "/api/alert-groups/{id:str}/shares",
    guards=[scopes("alerts:read")],
    summary="Links to an alert group",
    operation_id="list_shares",
    tags=TAG,
)
async def list_shares(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> ShareList:
    """Who gave which link away, and until when it works."""
    group_id, now_ms = ids.parse(id), house.now()

    def read(tx: Any) -> list[Share]:
        groups.get(tx, caller.workspace_id, group_id)
        return shares.of_group(tx, group_id, LISTED)

    found = await house.db.read(read)
    who = (caller.actor.kind, caller.actor.id)
    return ShareList([_out(one, now_ms, mine=(one.author.kind, one.author.id) == who) for one in found])


def _out(share: Share, now_ms: int, *, mine: bool) -> ShareOut:
    over = "revoked" if share.revoked_ms is not None else "expired"
    return ShareOut(
        id=ids.show(share.id),
        author=ActorOut(share.author.kind, share.author.id, share.author.name),
        created_at=time_of(share.created_ms),
        expires_at=time_of(share.expires_ms),
        revoked_at=show_time(share.revoked_ms),
        state="works" if share.works(now_ms) else over,
        mine=mine,
    )


@delete(
    "/api/alert-groups/{id:str}/shares/{share:str}",
    guards=[scopes("alerts:write")],
    summary="Take a link back",
    operation_id="revoke_share",
    tags=TAG,
    status_code=204,
)
async def revoke_share(house: TheHouse, caller: TheCaller, id: FromPath[str], share: FromPath[str]) -> None:
    """It shows nothing from now on. One's own; an admin anybody's."""
    group_id, share_id = ids.parse(id), ids.parse(share)
    await house.shares.revoke(caller.workspace_id, group_id, share_id, caller.actor, admin=is_admin(caller))


@get("/share/{token:str}", summary="The page of a shared link", operation_id="show_shared", tags=["answers"])
async def show_shared(house: TheHouse, token: FromPath[str]) -> Response[str]:
    """One alert group as it is now, for reading: no session, no script, and search engines are told to leave."""
    try:
        share, group = await house.shares.opened(token)
    except Fault as fault:
        return sharepage.refused(410 if isinstance(fault, Gone) else 404)
    zone, now_ms = house.settings.workspace.timezone, house.now()

    def read(tx: Any) -> Response[str]:
        names = lists.channel_names(tx, group.workspace_id)
        last = timeline.past(tx, group, names, (1 << 62, 0), MOMENTS + 1, newest=True)
        return sharepage.page(group, last[:MOMENTS], share, zone, now_ms, more=len(last) > MOMENTS)

    return await house.db.read(read)


ROUTES = [share_group, list_shares, revoke_share, show_shared]
