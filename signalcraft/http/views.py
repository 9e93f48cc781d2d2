"""/api/views: searches of the inbox by name, one's own and shared ones."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from signalcraft.domain import ids, search
from signalcraft.domain.roles import Access
from signalcraft.http.auth import Caller, TheCaller, needs
from signalcraft.http.wire import TheHouse, time_of
from signalcraft.services.house import House
from signalcraft.services.savedviews import SavedViews, Viewer, Wish
from signalcraft.storage import saved_views
from signalcraft.storage.saved_views import SavedView
from signalcraft.storage.searching import GroupBy, Sort

TAG: Final = ["alert groups"]
Name = Annotated[str, Meta(min_length=1, max_length=80)]
Text = Annotated[str, Meta(max_length=search.LENGTH_MAX)]
Order = Literal["asc", "desc"]


class ViewIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A view to be made. `shared`: everybody sees it; else it is one's own. `group_by`: null for none."""

    name: Name
    search: Text = ""
    sort: Sort = "last_seen"
    order: Order = "desc"
    group_by: GroupBy | None = None
    shared: bool = False


class ViewChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays. `group_by`: "" for none."""

    name: Name | None = None
    search: Text | None = None
    sort: Sort | None = None
    order: Order | None = None
    group_by: GroupBy | Literal[""] | None = None
    shared: bool | None = None


class ViewOut(Struct, frozen=True, kw_only=True):
    """A saved view. `search` in its shortest spelling; `own`: whether it is the asker's; `may_change`: by them."""

    id: str
    name: str
    search: str
    sort: Sort
    order: Order
    group_by: GroupBy | None
    shared: bool
    own: bool
    may_change: bool
    created_at: str
    updated_at: str


class ViewPage(Struct, frozen=True):
    """By name. There are no more than fit one page: `next` is null."""

    items: list[ViewOut]
    next: None


def _viewer(caller: Caller) -> Viewer:
    return Viewer(
        workspace_id=caller.workspace_id,
        actor=caller.actor,
        person_id=caller.session.person_id if caller.session else None,
        shares=caller.may(Access("alerts", "write")),
        rules=caller.may(Access("settings", "write")),
    )


def _views(house: House) -> SavedViews:
    return SavedViews(house.db, house.now)


def _out(view: SavedView, viewer: Viewer) -> ViewOut:
    own = view.person_id is not None and view.person_id == viewer.person_id
    return ViewOut(
        id=ids.show(view.id),
        name=view.name,
        search=view.search,
        sort=view.sort,  # type: ignore[arg-type]  # only what a request may say is stored
        order="desc" if view.descending else "asc",
        group_by=view.group_by or None,  # type: ignore[arg-type]
        shared=view.shared,
        own=own,
        may_change=viewer.shares and (own or viewer.rules) if view.shared else own,
        created_at=time_of(view.created_ms),
        updated_at=time_of(view.updated_ms),
    )


def _wish(data: ViewIn | ViewChange) -> Wish:
    return Wish(
        name=data.name,
        search=data.search,
        sort=data.sort,
        descending=None if data.order is None else data.order == "desc",
        group_by=(data.group_by or "") if isinstance(data, ViewIn) else data.group_by,
        shared=data.shared,
    )


@get(
    "/api/views",
    guards=[needs("alerts", "read")],
    summary="Saved views",
    operation_id="list_views",
    tags=TAG,
)
async def list_views(house: TheHouse, caller: TheCaller) -> ViewPage:
    """The shared ones and one's own, by name."""
    viewer = _viewer(caller)
    found = await house.cache.read(
        "profile",
        viewer.workspace_id,
        ("views", viewer.person_id),
        lambda tx: saved_views.visible(tx, viewer.workspace_id, viewer.person_id),
    )
    return ViewPage([_out(view, viewer) for view in found], None)


@post(
    "/api/views",
    guards=[needs("alerts", "read")],
    summary="Save a view",
    operation_id="create_view",
    tags=TAG,
)
async def create_view(house: TheHouse, caller: TheCaller, data: JSONBody[ViewIn]) -> ViewOut:
    """A search by name. One's own: for everybody who is signed in; shared: for whoever may work on alerts."""
    viewer = _viewer(caller)
    return _out(await _views(house).make(viewer, _wish(data)), viewer)


@patch(
    "/api/views/{id:str}",
    guards=[needs("alerts", "read")],
    summary="Change a view",
    operation_id="change_view",
    tags=TAG,
)
async def change_view(house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[ViewChange]) -> ViewOut:
    """One's own; a shared one by whoever made it, or an admin."""
    viewer = _viewer(caller)
    return _out(await _views(house).change(viewer, ids.parse(id), _wish(data)), viewer)


@delete(
    "/api/views/{id:str}",
    guards=[needs("alerts", "read")],
    summary="Remove a view",
    operation_id="delete_view",
    tags=TAG,
    status_code=204,
)
async def delete_view(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> None:
    """One's own; a shared one by whoever made it, or an admin."""
    await _views(house).remove(_viewer(caller), ids.parse(id))


ROUTES: Final = [list_views, create_view, change_view, delete_view]
