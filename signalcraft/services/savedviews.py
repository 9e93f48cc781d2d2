"""Saved views of the inbox: listed, made, changed, removed. One write transaction each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from signalcraft.domain import ids, search
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict, Forbidden, Invalid
from signalcraft.storage import journal, saved_views
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.saved_views import SavedView

VIEWS_MAX: Final = 100
"""Shared views of a workspace, and a person's own ones."""


class Viewer(Struct, frozen=True, kw_only=True):
    """Who asks. `person_id`: None for an API key. `shares`: may work on alerts; `rules`: may change the settings."""

    workspace_id: int
    actor: Actor
    person_id: int | None
    shares: bool
    rules: bool


class Wish(Struct, frozen=True, kw_only=True):
    """What a view is to be; None leaves it as it is."""

    name: str | None = None
    search: str | None = None
    sort: str | None = None
    descending: bool | None = None
    group_by: str | None = None
    shared: bool | None = None


class SavedViews:
    """What people do to views."""

    def __init__(self, db: Db, now: Callable[[], int]) -> None:
        self.db = db
        self.now = now

    async def visible(self, viewer: Viewer) -> list[SavedView]:
        """The shared ones and their own, by name."""
        return await self.db.read(lambda tx: saved_views.visible(tx, viewer.workspace_id, viewer.person_id))

    async def make(self, viewer: Viewer, wish: Wish) -> SavedView:
        """A new one. Raises Invalid, Forbidden (a shared one asks for more), Conflict for a name that is taken."""
        now_ms = self.now()

        def work(tx: Tx) -> SavedView:
            bare = SavedView(
                id=tx.new_id(now_ms), workspace_id=viewer.workspace_id, person_id=viewer.person_id, name="", search="",
                sort="last_seen", descending=True, group_by="", shared=False, created_ms=now_ms, updated_ms=now_ms,
            )  # fmt: skip
            view = _wished(bare, wish, now_ms)
            if view.person_id is None and not view.shared:
                raise Forbidden("a view of one's own needs somebody who is signed in; an API key makes shared ones")
            if view.shared:
                _may_share(viewer)
            if saved_views.counted(tx, view) >= VIEWS_MAX:
                raise Conflict(f"there are {VIEWS_MAX} views already: remove some first")
            self._put(tx, viewer, view, "view_made", now_ms)
            return view

        return await self.db.write(work)

    async def change(self, viewer: Viewer, view_id: int, wish: Wish) -> SavedView:
        """Another name, search, order. Raises NotFound, Forbidden, Invalid, Conflict."""
        now_ms = self.now()

        def work(tx: Tx) -> SavedView:
            before = self._theirs(tx, viewer, view_id)
            view = _wished(before, wish, now_ms)
            if view.shared:
                _may_share(viewer)
            elif before.person_id != viewer.person_id or viewer.person_id is None:
                raise Forbidden("only whose view it is can take it back for themselves")
            self._put(tx, viewer, view, "view_changed", now_ms)
            return view

        return await self.db.write(work)

    async def remove(self, viewer: Viewer, view_id: int) -> None:
        """It is gone. Raises NotFound, Forbidden."""
        now_ms = self.now()

        def work(tx: Tx) -> None:
            view = self._theirs(tx, viewer, view_id)
            saved_views.remove(tx, view.id)
            self._said(tx, viewer, view, "view_removed", now_ms)

        await self.db.write(work)

    @staticmethod
    def _theirs(tx: Tx, viewer: Viewer, view_id: int) -> SavedView:
        view = saved_views.get(tx, viewer.workspace_id, viewer.person_id, view_id)
        own = view.person_id is not None and view.person_id == viewer.person_id
        if view.shared:
            _may_share(viewer)
            if not own and not viewer.rules:
                raise Forbidden("a shared view is changed by whoever made it, or by an admin; save it as your own")
        return view

    def _put(self, tx: Tx, viewer: Viewer, view: SavedView, verb: str, now_ms: int) -> None:
        if saved_views.named(tx, view) is not None:
            raise Conflict(f"there is a view called {view.name!r} already")
        saved_views.put(tx, view)
        self._said(tx, viewer, view, verb, now_ms)

    @staticmethod
    def _said(tx: Tx, viewer: Viewer, view: SavedView, verb: str, now_ms: int) -> None:
        # What somebody searches for themselves is nobody else's business.
        said = {"id": ids.show(view.id), "shared": view.shared, **({"name": view.name} if view.shared else {})}
        journal.add(tx, now_ms, view.workspace_id, None, verb, viewer.actor, said)


def _may_share(viewer: Viewer) -> None:
    if not viewer.shares:
        raise Forbidden("a shared view is for those who may work on alerts; keep it as your own")


def _wished(view: SavedView, wish: Wish, now_ms: int) -> SavedView:
    name = view.name if wish.name is None else wish.name.strip()
    if not name:
        raise Invalid("a view needs a name", path="name")
    text = view.search if wish.search is None else search.show(search.parse(wish.search))
    return replace(
        view,
        name=name,
        search=text,
        sort=view.sort if wish.sort is None else wish.sort,
        descending=view.descending if wish.descending is None else wish.descending,
        group_by=view.group_by if wish.group_by is None else wish.group_by,
        shared=view.shared if wish.shared is None else wish.shared,
        updated_ms=now_ms,
    )
