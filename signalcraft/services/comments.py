"""What people write about an alert group: everybody their own, an admin anybody's. One write transaction each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from signalcraft.domain import ids
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict, Forbidden, Invalid
from signalcraft.storage import comments, groups, journal
from signalcraft.storage.comments import Comment
from signalcraft.storage.db import Db, Tx

BYTES_MAX: Final = 10_000
"""Of one comment, in UTF-8."""
A_GROUP_MAX: Final = 1_000


class Comments:
    """Writes, changes and deletes comments. What they say is kept as it was written."""

    def __init__(self, db: Db, now: Callable[[], int]) -> None:
        self.db = db
        self.now = now

    async def add(self, workspace_id: int, group_id: int, actor: Actor, body: str) -> Comment:
        """A new comment. Raises NotFound, Invalid for an empty or too long one, Conflict where there are too many."""
        _check(body)
        now_ms = self.now()

        def work(tx: Tx) -> Comment:
            group = groups.get(tx, workspace_id, group_id)
            if comments.count(tx, group.id) >= A_GROUP_MAX:
                raise Conflict(f"an alert group has at most {A_GROUP_MAX} comments")
            made = comments.add(tx, workspace_id, group.id, actor, body, now_ms)
            _write(tx, made, "commented", actor, now_ms)
            return made

        return await self.db.write(work)

    async def change(
        self, workspace_id: int, group_id: int, comment_id: int, actor: Actor, body: str, *, admin: bool
    ) -> Comment:
        """It says something else. Raises NotFound, Invalid, Forbidden for somebody else's (unless `admin`)."""
        _check(body)
        now_ms = self.now()

        def work(tx: Tx) -> Comment:
            before = _theirs(tx, workspace_id, group_id, comment_id, actor, admin=admin)
            comments.change(tx, before.id, body, now_ms)
            _write(tx, before, "comment_edited", actor, now_ms)
            return comments.get(tx, workspace_id, group_id, comment_id)

        return await self.db.write(work)

    async def delete(self, workspace_id: int, group_id: int, comment_id: int, actor: Actor, *, admin: bool) -> None:
        """It is gone; the timeline keeps that it was there. Raises NotFound, Forbidden."""
        now_ms = self.now()

        def work(tx: Tx) -> None:
            before = _theirs(tx, workspace_id, group_id, comment_id, actor, admin=admin)
            comments.delete(tx, before.id)
            _write(tx, before, "comment_deleted", actor, now_ms)

        await self.db.write(work)


def _check(body: str) -> None:
    if not body.strip():
        raise Invalid("a comment says something", path="body")
    if len(body.encode("utf-8", "surrogatepass")) > BYTES_MAX:
        raise Invalid(f"a comment has at most {BYTES_MAX} bytes", path="body")


def _theirs(tx: Tx, workspace_id: int, group_id: int, comment_id: int, actor: Actor, *, admin: bool) -> Comment:
    found = comments.get(tx, workspace_id, group_id, comment_id)
    if not admin and (found.author.kind, found.author.id) != (actor.kind, actor.id):
        raise Forbidden(f"this comment is {found.author.name}'s: only they and admins may change it")
    return found


def _write(tx: Tx, comment: Comment, verb: str, actor: Actor, now_ms: int) -> None:
    # What it says is not repeated here: it can be changed, and be erased with its author.
    journal.add(tx, now_ms, comment.workspace_id, comment.group_id, verb, actor, {"comment": ids.show(comment.id)})
