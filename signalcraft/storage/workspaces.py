"""Workspaces: one, `default`, is there from the start. Everything else belongs to one."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.errors import NotFound
from signalcraft.storage.db import Row, Tx

DEFAULT_ID: Final = 1
DEFAULT_NAME: Final = "default"


class Workspace(Struct, frozen=True, kw_only=True):
    """A workspace. `default_channels` are told where no rule holds; `fallback_channel` where a channel is broken.

    `chosen`: a person has set the default channels, be it to none; until then the oldest channel is the default.
    """

    id: int
    name: str
    default_channels: tuple[int, ...] = ()
    fallback_channel: int | None = None
    created_ms: int = 0
    chosen: bool = False


def _from_row(row: Row) -> Workspace:
    held: dict[str, Any] = msgspec.json.decode(row[2])
    return Workspace(
        id=row[0],
        name=row[1],
        default_channels=tuple(held.get("default_channels", ())),
        fallback_channel=held.get("fallback_channel"),
        created_ms=row[3],
        chosen=held.get("chosen", False),
    )


def ensure_default(tx: Tx, now_ms: int) -> int:
    """Makes the workspace `default` where it is not there yet; its id."""
    tx.run(
        "insert into workspace (id, name, created_ms) values (?, ?, ?) on conflict do nothing",
        (DEFAULT_ID, DEFAULT_NAME, now_ms),
    )
    return DEFAULT_ID


def every(reader: Tx) -> list[Workspace]:
    """All workspaces, oldest first."""
    return [_from_row(row) for row in reader.all("select id, name, settings, created_ms from workspace order by id")]


def get(reader: Tx, workspace_id: int) -> Workspace:
    """Raises NotFound."""
    row = reader.one("select id, name, settings, created_ms from workspace where id = ?", (workspace_id,))
    if row is None:
        raise NotFound("no such workspace")
    return _from_row(row)


def by_name(reader: Tx, name: str) -> Workspace:
    """Raises NotFound."""
    row = reader.one("select id, name, settings, created_ms from workspace where name = ?", (name,))
    if row is None:
        raise NotFound(f"no such workspace: {name[:100]}")
    return _from_row(row)


def set_channels(
    tx: Tx, workspace_id: int, default_channels: tuple[int, ...], fallback_channel: int | None, *, chosen: bool
) -> None:
    """Stores which channels hear what no rule routes, and which one stands in for a broken one."""
    row = tx.one("select settings from workspace where id = ?", (workspace_id,))
    held: dict[str, Any] = {} if row is None else msgspec.json.decode(row[0])
    held |= {"default_channels": default_channels, "fallback_channel": fallback_channel, "chosen": chosen}
    tx.run("update workspace set settings = ? where id = ?", (msgspec.json.encode(held).decode(), workspace_id))
