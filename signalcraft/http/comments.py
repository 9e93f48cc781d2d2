"""/api/alert-groups/{id}/comments: what people write about it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from signalcraft.domain import ids
from signalcraft.http.auth import Caller, TheCaller, scopes
from signalcraft.http.wire import ActorOut, Cursor, Limit, TheHouse, cursor_of, read_cursor, show_time, time_of
from signalcraft.storage import comments, groups
from signalcraft.storage.comments import Comment

TAG: Final = ["alert groups"]


class CommentIn(Struct, frozen=True, forbid_unknown_fields=True):
    """`body`: Markdown of at most 10,000 bytes, kept as it is written."""

    body: Annotated[str, Meta(min_length=1, max_length=10_000)]


class CommentOut(Struct, frozen=True, kw_only=True):
    """A comment. `body`: Markdown as it was written: make it safe before you show it. `mine`: the caller may change it.

    Admins may change anybody's.
    """

    id: str
    group_id: str
    author: ActorOut
    body: str
    created_at: str
    edited_at: str | None
    mine: bool


class CommentPage(Struct, frozen=True):
    """The oldest first."""

    items: list[CommentOut]
    next: str | None


def _out(comment: Comment, caller: Caller) -> CommentOut:
    who = comment.author
    return CommentOut(
        id=ids.show(comment.id),
        group_id=ids.show(comment.group_id),
        author=ActorOut(who.kind, who.id, who.name),
        body=comment.body,
        created_at=time_of(comment.created_ms),
        edited_at=show_time(comment.edited_ms),
        mine=(who.kind, who.id) == (caller.actor.kind, caller.actor.id),
    )


def is_admin(caller: Caller) -> bool:
    """Whether they may change what others wrote."""
    return caller.role in ("owner", "admin")


@get(
    "/api/alert-groups/{id:str}/comments",
    guards=[scopes("alerts:read")],
    summary="Comments on an alert group",
    operation_id="list_comments",
    tags=TAG,
)
async def list_comments(
    house: TheHouse, caller: TheCaller, id: FromPath[str], limit: Limit = 50, cursor: Cursor = None
) -> CommentPage:
    """What people wrote about it, the oldest first."""
    group_id = ids.parse(id)
    after = read_cursor(cursor, 1) or (0,)

    def read(tx: Any) -> CommentPage:
        groups.get(tx, caller.workspace_id, group_id)
        found = comments.page(tx, group_id, after[0], limit + 1)
        more = cursor_of(found[limit - 1].id) if len(found) > limit else None
        return CommentPage([_out(one, caller) for one in found[:limit]], more)

    return await house.db.read(read)


@post(
    "/api/alert-groups/{id:str}/comments",
    guards=[scopes("alerts:write")],
    summary="Write a comment",
    operation_id="write_comment",
    tags=TAG,
)
async def write_comment(house: TheHouse, caller: TheCaller, id: FromPath[str], data: JSONBody[CommentIn]) -> CommentOut:
    """It stands in the timeline too, and whoever looks at the group sees it at once."""
    made = await house.comments.add(caller.workspace_id, ids.parse(id), caller.actor, data.body)
    return _out(made, caller)


@patch(
    "/api/alert-groups/{id:str}/comments/{comment:str}",
    guards=[scopes("alerts:write")],
    summary="Change a comment",
    operation_id="change_comment",
    tags=TAG,
)
async def change_comment(
    house: TheHouse, caller: TheCaller, id: FromPath[str], comment: FromPath[str], data: JSONBody[CommentIn]
) -> CommentOut:
    """One's own; an admin anybody's."""
    changed = await house.comments.change(
        caller.workspace_id,
        ids.parse(id),
        ids.parse(comment),
        caller.actor,
        data.body,
        admin=is_admin(caller),
    )
    return _out(changed, caller)


@delete(
    "/api/alert-groups/{id:str}/comments/{comment:str}",
    guards=[scopes("alerts:write")],
    summary="Delete a comment",
    operation_id="delete_comment",
    tags=TAG,
    status_code=204,
)
async def delete_comment(house: TheHouse, caller: TheCaller, id: FromPath[str], comment: FromPath[str]) -> None:
    """One's own; an admin anybody's. The timeline keeps that there was one."""
    group_id, comment_id = ids.parse(id), ids.parse(comment)
    await house.comments.delete(caller.workspace_id, group_id, comment_id, caller.actor, admin=is_admin(caller))


ROUTES = [list_comments, write_comment, change_comment, delete_comment]
