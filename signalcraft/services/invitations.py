"""Invitations: links, good once and for seven days, by which somebody joins a workspace."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from signalcraft.domain import ids
from signalcraft.domain.people import INVITATION_MS, check_rank, clean_email
from signalcraft.domain.roles import Role
from signalcraft.errors import Conflict, Forbidden, Gone, NotFound
from signalcraft.services.accounts import key_hash
from signalcraft.services.people import By, Made, People, actor_of
from signalcraft.services.sessions import Visitor
from signalcraft.storage import invitations, journal, people, workspaces
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.invitations import Invitation


class Invitations:
    """Made, listed, taken back, accepted. One instance, used on the event loop."""

    def __init__(self, db: Db, people: People, now: Callable[[], int]) -> None:
        self.db = db
        self.people = people
        self.now = now

    async def invite(self, workspace_id: int, by: By, email: str, role: Role) -> Made:
        """A link, good once and for seven days. Raises Invalid, Forbidden, Conflict (a member; invited already)."""
        email = clean_email(email)
        check_rank(by.role, role)
        now_ms = self.now()
        token = secrets.token_urlsafe(32)

        def work(tx: Tx) -> Made:
            known = people.by_email(tx, email)
            if known is not None and workspace_id in people.roles(tx, known.id):
                raise Conflict(f"{email} is here already")
            if invitations.open_for(tx, workspace_id, email, now_ms) is not None:
                raise Conflict(f"{email} is invited already: take that invitation back first")
            invitation = Invitation(
                id=tx.new_id(now_ms),
                workspace_id=workspace_id,
                email=email,
                role=role,
                inviter=by.actor,
                inviter_id=by.person_id,
                created_ms=now_ms,
                expires_ms=now_ms + INVITATION_MS,
            )
            invitations.insert(tx, invitation, key_hash(token))
            said = {"invitation": ids.show(invitation.id), "email": email, "role": role}
            journal.add(tx, now_ms, workspace_id, None, "invited", by.actor, said)
            return Made(invitation.id, f"{self.people.base}/join#{token}", invitation.expires_ms)

        return await self.db.write(work)

    async def invited(self, workspace_id: int, before: int, limit: int) -> list[Invitation]:
        """A workspace's invitations with ids below `before`, the newest first."""
        return await self.db.read(lambda tx: invitations.page(tx, workspace_id, before, limit))

    async def revoke_invitation(self, workspace_id: int, by: By, invitation_id: int) -> None:
        """It works no more; twice is no fault. Raises NotFound, Forbidden, Conflict where it was accepted."""
        now_ms = self.now()

        def work(tx: Tx) -> None:
            invitation = invitations.get(tx, workspace_id, invitation_id)
            check_rank(by.role, invitation.role)
            if invitation.accepted_ms is not None:
                raise Conflict("this invitation was accepted: remove the person instead")
            if invitation.revoked_ms is None:
                invitations.revoke(tx, invitation_id, now_ms)
                said = {"invitation": ids.show(invitation_id), "email": invitation.email}
                journal.add(tx, now_ms, workspace_id, None, "invitation_revoked", by.actor, said)

        await self.db.write(work)

    async def preview(self, token: str) -> tuple[Invitation, str, bool]:
        """An open invitation, its workspace's name, and whether its address has an account. Raises NotFound, Gone."""
        now_ms = self.now()

        def read(tx: Tx) -> tuple[Invitation, str, bool]:
            invitation = _open_invitation(tx, token, now_ms)
            known = people.by_email(tx, invitation.email) is not None
            return invitation, workspaces.get(tx, invitation.workspace_id).name, known

        return await self.db.read(read)

    async def accept(
        self, token: str, email: str, name: str, password: str, code: str, visitor: Visitor, old: bytes = b""
    ) -> str:
        """Joins by an invitation and signs in; the session's token. Who has an account proves it as at sign-in.

        Raises NotFound, Gone, Forbidden where the address is another one, Invalid, WrongCredentials, TooMany.
        """
        invitation, _, known = await self.preview(token)
        if clean_email(email) != invitation.email:
            raise Forbidden("this invitation is for another e-mail address")
        gate, now_ms = self.people.signin.gate, self.now()
        hashed = ""
        if known:
            address = invitation.email
            person = await gate.tried(
                visitor.address, address, lambda: self.people.signin.check(address, password, code)
            )
        else:
            person, hashed = await self.people.new(email, name, password)

        def work(tx: Tx) -> str:
            still = _open_invitation(tx, token, now_ms)
            joining = self.people.insert_in(tx, person, hashed, now_ms) if hashed else people.get(tx, person.id)
            if still.workspace_id in people.roles(tx, joining.id):
                raise Conflict(f"{joining.email} is here already")
            people.join(tx, still.workspace_id, joining.id, still.role, now_ms)
            if still.role == "owner":
                people.drop_setup_code(tx)
            invitations.accept(tx, still.id, now_ms)
            said = {"invitation": ids.show(still.id), "email": joining.email, "role": still.role}
            verb = "invitation_accepted"
            journal.add(tx, now_ms, still.workspace_id, None, verb, actor_of(joining), said)
            return self.people.signin.open_in(tx, joining.id, "invitation", visitor, now_ms, old)

        return await self.db.write(work)


def _open_invitation(tx: Tx, token: str, now_ms: int) -> Invitation:
    invitation = invitations.by_token(tx, key_hash(token))
    if invitation is None:
        raise NotFound("this invitation is none of ours: open the link again as it was sent")
    if not invitation.open_at(now_ms):
        raise Gone("this invitation was used, taken back, or has run out: ask for a new one")
    return invitation
