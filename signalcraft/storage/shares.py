"""Links that show one alert group to whoever holds them, for a while."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.domain.group import Actor
from signalcraft.errors import NotFound
from signalcraft.storage.db import Row, Tx

_FIELDS: Final = "id, workspace_id, group_id, author, created_ms, expires_ms, revoked_ms"
_ACTOR: Final = msgspec.json.Decoder(Actor)


class Share(Struct, frozen=True):
    """One link, without what proves it. Times in ms; `revoked_ms` None while it was not taken back."""

    id: int
    workspace_id: int
    group_id: int
    author: Actor
    created_ms: int
    expires_ms: int
    revoked_ms: int | None

    def works(self, now_ms: int) -> bool:
        """Whether it still shows something."""
        return self.revoked_ms is None and now_ms < self.expires_ms


def _from(row: Row) -> Share:
    return Share(row[0], row[1], row[2], _ACTOR.decode(row[3]), row[4], row[5], row[6])


def add(tx: Tx, workspace_id: int, group_id: int, author: Actor, now_ms: int, expires_ms: int) -> Share:
    """Stores a new link."""
    made = Share(tx.new_id(now_ms), workspace_id, group_id, author, now_ms, expires_ms, None)
    tx.run(
        f"insert into share ({_FIELDS}) values (?, ?, ?, ?, ?, ?, null)",
        (made.id, workspace_id, group_id, msgspec.json.encode(author).decode(), now_ms, expires_ms),
    )
    return made


def load(tx: Tx, share_id: int) -> Share | None:
    """The link of an id, in any workspace."""
    row = tx.one(f"select {_FIELDS} from share where id = ?", (share_id,))
    return None if row is None else _from(row)


def get(tx: Tx, workspace_id: int, group_id: int, share_id: int) -> Share:
    """One link of a group. Raises NotFound, also for another workspace's."""
    found = load(tx, share_id)
    if found is None or (found.workspace_id, found.group_id) != (workspace_id, group_id):
        raise NotFound("no such link")
    return found


def of_group(tx: Tx, group_id: int, limit: int) -> list[Share]:
    """A group's links, the newest first."""
    rows = tx.all(f"select {_FIELDS} from share where group_id = ? order by id desc limit ?", (group_id, limit))
    return [_from(row) for row in rows]


def revoke(tx: Tx, share_id: int, now_ms: int) -> None:
    """It shows nothing any more."""
    tx.run("update share set revoked_ms = ? where id = ?", (now_ms, share_id))
