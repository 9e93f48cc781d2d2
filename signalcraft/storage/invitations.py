"""Links that let somebody in: invitations to a workspace, and those that set a new password."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.domain.group import Actor
from signalcraft.domain.roles import Role
from signalcraft.errors import NotFound
from signalcraft.storage.db import Row, Tx

_FIELDS: Final = "id, workspace_id, email, role, inviter, inviter_id, created_ms, expires_ms, accepted_ms, revoked_ms"


class Invitation(Struct, frozen=True, kw_only=True):
    """One row of invitation without its token's hash (see 0002_people.sql)."""

    id: int
    workspace_id: int
    email: str
    role: Role
    inviter: Actor
    inviter_id: int | None
    created_ms: int
    expires_ms: int
    accepted_ms: int | None = None
    revoked_ms: int | None = None

    def open_at(self, now_ms: int) -> bool:
        """Whether it can still be accepted."""
        return self.accepted_ms is None and self.revoked_ms is None and now_ms < self.expires_ms


class Reset(Struct, frozen=True, kw_only=True):
    """A link that sets a new password. `second_factor`: it takes that away too."""

    id: int
    person_id: int
    second_factor: bool
    created_ms: int
    expires_ms: int


def _invitation(row: Row) -> Invitation:
    return Invitation(
        id=row[0],
        workspace_id=row[1],
        email=row[2],
        role=row[3],
        inviter=msgspec.json.decode(row[4], type=Actor),
        inviter_id=row[5],
        created_ms=row[6],
        expires_ms=row[7],
        accepted_ms=row[8],
        revoked_ms=row[9],
    )


def insert(tx: Tx, invitation: Invitation, token_hash: bytes) -> None:
    """Stores a new invitation under its token's hash."""
    tx.run(
        "insert into invitation"
        " (id, workspace_id, email, role, inviter, inviter_id, created_ms, expires_ms, token_hash)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            invitation.id,
            invitation.workspace_id,
            invitation.email,
            invitation.role,
            msgspec.json.encode(invitation.inviter).decode(),
            invitation.inviter_id,
            invitation.created_ms,
            invitation.expires_ms,
            token_hash,
        ),
    )


def page(tx: Tx, workspace_id: int, before: int, limit: int) -> list[Invitation]:
    """A workspace's invitations with ids below `before`, the newest first."""
    rows = tx.all(
        f"select {_FIELDS} from invitation where workspace_id = ? and id < ? order by id desc limit ?",
        (workspace_id, before, limit),
    )
    return [_invitation(row) for row in rows]


def get(tx: Tx, workspace_id: int, invitation_id: int) -> Invitation:
    """One of them. Raises NotFound."""
    row = tx.one(f"select {_FIELDS} from invitation where id = ? and workspace_id = ?", (invitation_id, workspace_id))
    if row is None:
        raise NotFound("no such invitation")
    return _invitation(row)


def by_token(tx: Tx, token_hash: bytes) -> Invitation | None:
    """The invitation of a link, open or not."""
    row = tx.one(f"select {_FIELDS} from invitation where token_hash = ?", (token_hash,))
    return None if row is None else _invitation(row)


def open_for(tx: Tx, workspace_id: int, email: str, now_ms: int) -> Invitation | None:
    """The invitation of an address that can still be accepted."""
    row = tx.one(
        f"select {_FIELDS} from invitation where workspace_id = ? and email = ?"
        " and accepted_ms is null and revoked_ms is null and expires_ms > ?",
        (workspace_id, email, now_ms),
    )
    return None if row is None else _invitation(row)


def accept(tx: Tx, invitation_id: int, now_ms: int) -> None:
    """It was used; it works no more."""
    tx.run("update invitation set accepted_ms = ? where id = ?", (now_ms, invitation_id))


def revoke(tx: Tx, invitation_id: int, now_ms: int) -> None:
    """It works no more."""
    tx.run("update invitation set revoked_ms = ? where id = ? and revoked_ms is null", (now_ms, invitation_id))


def revoke_by(tx: Tx, workspace_id: int, inviter_id: int, now_ms: int, *, owners_only: bool = False) -> int:
    """Ends the open invitations that a person made (`owners_only`: those of owners); how many."""
    return tx.run(
        "update invitation set revoked_ms = ? where workspace_id = ? and inviter_id = ? and accepted_ms is null"
        " and revoked_ms is null and (role = 'owner' or not ?)",
        (now_ms, workspace_id, inviter_id, int(owners_only)),
    )


# -- new passwords ----------------------------------------------------------------------------------------------------


def insert_reset(tx: Tx, reset: Reset, token_hash: bytes) -> None:
    """Stores a new link; earlier ones of the person work no more."""
    drop_resets(tx, reset.person_id)
    tx.run(
        "insert into password_reset (id, person_id, token_hash, second_factor, created_ms, expires_ms)"
        " values (?, ?, ?, ?, ?, ?)",
        (reset.id, reset.person_id, token_hash, int(reset.second_factor), reset.created_ms, reset.expires_ms),
    )


def reset_by_token(tx: Tx, token_hash: bytes) -> Reset | None:
    """The link of a token, whether it has run out or not."""
    row = tx.one(
        "select id, person_id, second_factor, created_ms, expires_ms from password_reset where token_hash = ?",
        (token_hash,),
    )
    if row is None:
        return None
    return Reset(id=row[0], person_id=row[1], second_factor=bool(row[2]), created_ms=row[3], expires_ms=row[4])


def drop_resets(tx: Tx, person_id: int) -> None:
    """No link sets this person's password any more."""
    tx.run("delete from password_reset where person_id = ?", (person_id,))


def prune(tx: Tx, before_ms: int) -> int:
    """Forgets invitations and links that ran out before then; how many."""
    gone = tx.run("delete from invitation where expires_ms < ?", (before_ms,))
    return gone + tx.run("delete from password_reset where expires_ms < ?", (before_ms,))
