"""What people write about an alert group, in the order of time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.domain.group import Actor
from signalcraft.errors import NotFound
from signalcraft.storage.db import Row, Tx

_FIELDS: Final = "id, workspace_id, group_id, author, text, created_ms, edited_ms"
_ACTOR: Final = msgspec.json.Decoder(Actor)


class Comment(Struct, frozen=True):
    """One comment. `body`: Markdown, as it was written. Times in ms; `edited_ms` None where it never was."""

    id: int
    workspace_id: int
    group_id: int
    author: Actor
    body: str
    created_ms: int
    edited_ms: int | None


def _from(row: Row) -> Comment:
    return Comment(row[0], row[1], row[2], _ACTOR.decode(row[3]), row[4], row[5], row[6])


def add(tx: Tx, workspace_id: int, group_id: int, author: Actor, body: str, now_ms: int) -> Comment:
    """Stores a new comment."""
    made = Comment(tx.new_id(now_ms), workspace_id, group_id, author, body, now_ms, None)
    tx.run(
        f"insert into comment ({_FIELDS}) values (?, ?, ?, ?, ?, ?, null)",
        (made.id, workspace_id, group_id, msgspec.json.encode(author).decode(), body, now_ms),
    )
    return made


def get(tx: Tx, workspace_id: int, group_id: int, comment_id: int) -> Comment:
    """One comment of a group. Raises NotFound, also for another workspace's."""
    row = tx.one(
        f"select {_FIELDS} from comment where id = ? and group_id = ? and workspace_id = ?",
        (comment_id, group_id, workspace_id),
    )
    if row is None:
        raise NotFound("no such comment")
    return _from(row)


def change(tx: Tx, comment_id: int, body: str, now_ms: int) -> None:
    """It says something else now."""
    tx.run("update comment set text = ?, edited_ms = ? where id = ?", (body, now_ms, comment_id))


def delete(tx: Tx, comment_id: int) -> None:
    """It is gone."""
    tx.run("delete from comment where id = ?", (comment_id,))


def page(tx: Tx, group_id: int, after: int, limit: int) -> list[Comment]:
    """A group's comments behind the comment `after`, the oldest first."""
    rows = tx.all(
        f"select {_FIELDS} from comment where group_id = ? and id > ? order by id limit ?", (group_id, after, limit)
    )
    return [_from(row) for row in rows]


def count(tx: Tx, group_id: int) -> int:
    """How many there are of a group."""
    return int(tx.value("select count(*) from comment where group_id = ?", (group_id,)))


def of_ids(tx: Tx, comment_ids: Iterable[int]) -> dict[int, Comment]:
    """Comments by their ids; those that are gone are missing."""
    wanted = msgspec.json.encode(list(comment_ids)).decode()
    rows = tx.all(f"select {_FIELDS} from comment where id in (select value from json_each(?))", (wanted,))
    return {row[0]: _from(row) for row in rows}
