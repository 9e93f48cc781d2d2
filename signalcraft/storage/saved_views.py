"""Saved views of the inbox: a search by name, one person's own or shared with the workspace."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from signalcraft.errors import NotFound
from signalcraft.storage.db import Row, Tx

_FIELDS: Final = "id, workspace_id, person_id, name, search, sort, descending, group_by, shared, created_ms, updated_ms"


class SavedView(Struct, frozen=True, kw_only=True):
    """One view. `person_id`: whose it is; None: an API key made it, for all. `group_by`: "" for none."""

    id: int
    workspace_id: int
    person_id: int | None
    name: str
    search: str
    sort: str
    descending: bool
    group_by: str
    shared: bool
    created_ms: int
    updated_ms: int


def _view(row: Row) -> SavedView:
    return SavedView(
        id=row[0],
        workspace_id=row[1],
        person_id=row[2],
        name=row[3],
        search=row[4],
        sort=row[5],
        descending=bool(row[6]),
        group_by=row[7],
        shared=bool(row[8]),
        created_ms=row[9],
        updated_ms=row[10],
    )


def visible(tx: Tx, workspace_id: int, person_id: int | None) -> list[SavedView]:
    """What somebody sees: the shared ones and their own, by name. `person_id` None: the shared ones."""
    rows = tx.all(
        f"select {_FIELDS} from saved_view where workspace_id = ? and (shared = 1 or person_id = ?)"
        " order by name collate nocase, id",
        (workspace_id, -1 if person_id is None else person_id),
    )
    return [_view(row) for row in rows]


def get(tx: Tx, workspace_id: int, person_id: int | None, view_id: int) -> SavedView:
    """One that somebody sees. Raises NotFound, also for another's own."""
    row = tx.one(
        f"select {_FIELDS} from saved_view where id = ? and workspace_id = ? and (shared = 1 or person_id = ?)",
        (view_id, workspace_id, -1 if person_id is None else person_id),
    )
    if row is None:
        raise NotFound("no such view")
    return _view(row)


def named(tx: Tx, view: SavedView) -> int | None:
    """Another view of this name among those that it stands with: the shared ones, or one person's own."""
    found = tx.value(
        "select id from saved_view where workspace_id = ? and name = ? and id <> ?"
        " and shared = ? and (shared = 1 or person_id is ?)",
        (view.workspace_id, view.name, view.id, int(view.shared), view.person_id),
    )
    return None if found is None else int(found)


def counted(tx: Tx, view: SavedView) -> int:
    """How many there are where it stands."""
    return int(
        tx.value(
            "select count(*) from saved_view where workspace_id = ? and shared = ? and (shared = 1 or person_id is ?)",
            (view.workspace_id, int(view.shared), view.person_id),
        )
    )


def put(tx: Tx, view: SavedView) -> None:
    """Stores a view, new or changed."""
    tx.run(
        f"insert into saved_view ({_FIELDS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update set"
        " name = excluded.name, search = excluded.search, sort = excluded.sort, descending = excluded.descending,"
        " group_by = excluded.group_by, shared = excluded.shared, updated_ms = excluded.updated_ms",
        (
            view.id,
            view.workspace_id,
            view.person_id,
            view.name,
            view.search,
            view.sort,
            int(view.descending),
            view.group_by,
            int(view.shared),
            view.created_ms,
            view.updated_ms,
        ),
    )


def remove(tx: Tx, view_id: int) -> None:
    """It is gone."""
    tx.run("delete from saved_view where id = ?", (view_id,))
