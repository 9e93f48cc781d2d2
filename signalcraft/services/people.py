"""Who belongs to a workspace: the first owner, roles, and links that set a new password."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from signalcraft import logs
from signalcraft.config import Settings
from signalcraft.domain import ids, passwords
from signalcraft.domain.group import Actor
from signalcraft.domain.people import (
    RESET_MS,
    check_owner_stays,
    check_rank,
    clean_email,
    clean_name,
)
from signalcraft.domain.roles import Role
from signalcraft.errors import Conflict, Gone, NotFound
from signalcraft.services.accounts import key_hash
from signalcraft.services.doors import shut_in
from signalcraft.services.gate import WrongCredentials
from signalcraft.services.sessions import Visitor, note
from signalcraft.services.signin import SignIn
from signalcraft.storage import invitations, journal, people, workspaces
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.invitations import Reset
from signalcraft.storage.people import Member, Person

_CODE_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # none that looks like another on a terminal
_CODE_LENGTH: Final = 12
_EVERY_ADDRESS: Final = re.compile(r"^(0\.0\.0\.0|\[::\]|):")


class By(Struct, frozen=True):
    """Who changes people. `box`: from the box itself, by whoever may read its data directory anyway."""

    actor: Actor
    role: Role
    person_id: int | None = None
    box: bool = False


class Listed(Struct, frozen=True):
    """A member, and until when their account is locked."""

    member: Member
    locked_until_ms: int | None

    @property
    def id(self) -> int:
        """The person's."""
        return self.member.person.id


class Made(Struct, frozen=True):
    """A link, told this once."""

    id: int
    url: str
    expires_ms: int


class People:
    """Makes people, changes what they are, lets them go. One instance, used on the event loop."""

    def __init__(self, settings: Settings, db: Db, signin: SignIn, now: Callable[[], int]) -> None:
        self.db = db
        self.signin = signin
        self.sessions = signin.sessions
        self.now = now
        self.base = settings.http.public_url or f"http://{_EVERY_ADDRESS.sub('localhost:', settings.http.listen)}"

    # -- the first owner ----------------------------------------------------------------------------------------------

    async def needs_setup(self) -> bool:
        """Whether nobody owns anything here yet."""
        return not await self.db.read(people.any_owner)

    async def new_setup_code(self) -> str | None:
        """A code that makes the first owner, once; earlier ones work no more. None where there is an owner."""
        code = "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH))
        shown = "-".join(code[i : i + 4] for i in range(0, _CODE_LENGTH, 4))
        now_ms = self.now()

        def work(tx: Tx) -> bool:
            if people.any_owner(tx):
                people.drop_setup_code(tx)
                return False
            people.set_setup_code(tx, _code_hash(code), now_ms)
            return True

        needed = await self.db.write(work)
        if needed:
            logs.redact.add(shown)
        return shown if needed else None

    async def set_up(self, code: str, email: str, name: str, password: str, visitor: Visitor) -> str:
        """Makes the first owner, of the workspace `default`, and signs them in; the session's token.

        Raises Conflict where there is an owner, WrongCredentials for a wrong code, Invalid, TooMany.
        """

        async def check() -> None:
            if not await self.needs_setup():
                raise Conflict("this SignalCraft has an owner already: sign in, or ask for an invitation")
            if not await self.db.read(lambda tx: people.is_setup_code(tx, _code_hash(code))):
                raise WrongCredentials("the setup code is wrong: the latest one was printed when the program started")

        await self.signin.gate.tried(visitor.address, "", check)
        person, hashed = await self.new(email, name, password)
        now_ms = self.now()

        def work(tx: Tx) -> str:
            if people.any_owner(tx):
                raise Conflict("this SignalCraft has an owner already: sign in, or ask for an invitation")
            if not people.use_setup_code(tx, _code_hash(code)):
                raise WrongCredentials("the setup code was used meanwhile")
            made = self.insert_in(tx, person, hashed, now_ms)
            people.join(tx, workspaces.DEFAULT_ID, made.id, "owner", now_ms)
            note(tx, now_ms, made.id, "owner_made", actor_of(made), {"email": made.email})
            return self.signin.open_in(tx, made.id, "setup", visitor, now_ms)

        return await self.db.write(work)

    async def new(self, email: str, name: str, password: str) -> tuple[Person, str]:
        """A person who is not stored yet, and the hash of their password. Raises Invalid with every path at fault."""
        person = Person(id=0, email=clean_email(email), name=clean_name(name), created_ms=self.now())
        passwords.check(password, person.email, person.name)
        return person, await self.signin.hashing.hash(password)

    @staticmethod
    def insert_in(tx: Tx, person: Person, hashed: str, now_ms: int) -> Person:
        """Stores a person made by `new`; as they are now. Raises Conflict where the address has an account."""
        if people.by_email(tx, person.email) is not None:
            raise Conflict(f"{person.email} has an account already")
        made = Person(
            id=tx.new_id(now_ms),
            email=person.email,
            name=person.name,
            password_hash=hashed,
            password_changed_ms=now_ms,
            created_ms=now_ms,
        )
        people.insert(tx, made)
        return made

    # -- members ------------------------------------------------------------------------------------------------------

    async def members(self, workspace_id: int) -> list[Listed]:
        """Everybody in a workspace, who joined first coming first."""
        now_ms = self.now()
        gate = self.signin.gate

        def read(tx: Tx) -> list[Listed]:
            found = people.members(tx, workspace_id)
            return [Listed(one, gate.locked_until_ms(tx, one.person.email, now_ms)) for one in found]

        return await self.db.read(read)

    async def member(self, workspace_id: int, person_id: int) -> Listed:
        """One of them. Raises NotFound."""
        now_ms = self.now()
        gate = self.signin.gate

        def read(tx: Tx) -> Listed:
            found = people.member(tx, workspace_id, person_id)
            return Listed(found, gate.locked_until_ms(tx, found.person.email, now_ms))

        return await self.db.read(read)

    async def add(self, workspace_id: int, by: By, email: str, name: str, role: Role, password: str) -> int:
        """Makes a person at once, without an invitation; their id. Raises Invalid, Conflict, Forbidden."""
        check_rank(by.role, role)
        person, hashed = await self.new(email, name, password)
        now_ms = self.now()

        def work(tx: Tx) -> int:
            made = self.insert_in(tx, person, hashed, now_ms)
            people.join(tx, workspace_id, made.id, role, now_ms)
            if role == "owner":
                people.drop_setup_code(tx)
            self._said(tx, now_ms, workspace_id, "person_added", by, made, role=role)
            return made.id

        return await self.db.write(work)

    async def change(
        self, workspace_id: int, by: By, person_id: int, *, role: Role | None = None, disabled: bool | None = None
    ) -> None:
        """Another role, or in and out of use, in force from the moment this returns.

        Raises NotFound, Forbidden (only owners reach owners), Conflict (the last owner; a person of other workspaces).
        """
        now_ms = self.now()

        def work(tx: Tx) -> None:
            member = people.member(tx, workspace_id, person_id)
            check_rank(by.role, member.role)
            if role is not None and role != member.role:
                self.give_in(tx, workspace_id, by, member, role, now_ms)
            if disabled is not None and disabled != (member.person.disabled_ms is not None):
                self._switch(tx, workspace_id, by, member, disabled, now_ms)
            tx.then(self.sessions.forget)

        await self.db.write(work)

    def give_in(self, tx: Tx, workspace_id: int, by: By, member: Member, role: Role, now_ms: int) -> None:
        """Another role within a work. Raises Forbidden, Conflict."""
        check_rank(by.role, role)
        if member.person.disabled_ms is None:
            check_owner_stays(member.role, role, people.owners(tx, workspace_id))
        people.set_role(tx, workspace_id, member.id, role)
        # An invitation is worth what its inviter is: it must not outlive their power to make it.
        if role in ("member", "viewer"):
            invitations.revoke_by(tx, workspace_id, member.id, now_ms)
        elif role == "admin":
            invitations.revoke_by(tx, workspace_id, member.id, now_ms, owners_only=True)
        said = {"from": member.role, "to": role}
        self._said(tx, now_ms, workspace_id, "role_changed", by, member.person, **said)

    def _switch(self, tx: Tx, workspace_id: int, by: By, member: Member, disabled: bool, now_ms: int) -> None:
        self._check_reach(tx, workspace_id, by, member.person)
        if disabled:
            check_owner_stays(member.role, None, people.owners(tx, workspace_id))
            self.sessions.end_in(tx, member.id, now_ms)
            invitations.drop_resets(tx, member.id)
        people.set_disabled(tx, member.id, now_ms if disabled else None)
        verb = "person_disabled" if disabled else "person_enabled"
        self._said(tx, now_ms, workspace_id, verb, by, member.person)

    async def remove(self, workspace_id: int, by: By, person_id: int) -> None:
        """The person is out, their sessions end, their invitations too; who is in no workspace is forgotten.

        Raises NotFound, Forbidden, Conflict for the last owner.
        """
        now_ms = self.now()

        def work(tx: Tx) -> None:
            member = people.member(tx, workspace_id, person_id)
            if by.person_id != person_id:
                check_rank(by.role, member.role)
            if member.person.disabled_ms is None:
                check_owner_stays(member.role, None, people.owners(tx, workspace_id))
            self.sessions.end_in(tx, person_id, now_ms)
            invitations.revoke_by(tx, workspace_id, person_id, now_ms)
            self._said(tx, now_ms, workspace_id, "person_removed", by, member.person, role=member.role)
            people.leave(tx, workspace_id, person_id)
            if not people.roles(tx, person_id):
                people.remove(tx, person_id)

        await self.db.write(work)

    async def unlock(self, workspace_id: int, by: By, person_id: int) -> None:
        """Forgets the failed sign-ins of an account. Raises NotFound, Forbidden."""
        now_ms = self.now()

        def work(tx: Tx) -> None:
            member = people.member(tx, workspace_id, person_id)
            check_rank(by.role, member.role)
            if self.signin.gate.forgive(tx, member.person.email):
                self._said(tx, now_ms, workspace_id, "account_unlocked", by, member.person)

        await self.db.write(work)

    # -- new passwords ------------------------------------------------------------------------------------------------

    async def make_reset(self, workspace_id: int, by: By, person_id: int, *, second_factor: bool = False) -> Made:
        """A link, good once and for a day, with which a person sets a new password.

        `second_factor`: it takes their second factor away as well. Raises NotFound, Forbidden, Conflict.
        """
        now_ms = self.now()
        token = secrets.token_urlsafe(32)

        def work(tx: Tx) -> Made:
            member = people.member(tx, workspace_id, person_id)
            check_rank(by.role, member.role)
            self._check_reach(tx, workspace_id, by, member.person)
            reset = Reset(
                id=tx.new_id(now_ms),
                person_id=person_id,
                second_factor=second_factor,
                created_ms=now_ms,
                expires_ms=now_ms + RESET_MS,
            )
            invitations.insert_reset(tx, reset, key_hash(token))
            verb = "password_reset_made"
            self._said(tx, now_ms, workspace_id, verb, by, member.person, second_factor=second_factor)
            return Made(reset.id, f"{self.base}/reset#{token}", reset.expires_ms)

        return await self.db.write(work)

    async def set_password(
        self, workspace_id: int, by: By, person_id: int, password: str, *, second_factor: bool = False
    ) -> None:
        """A new password at once, from the box itself; every session of the person ends. Raises NotFound, Invalid."""
        member = await self.db.read(lambda tx: people.member(tx, workspace_id, person_id))
        check_rank(by.role, member.role)
        hashed = await self.signin.fresh_hash(member.person, password)
        now_ms = self.now()
        await self.db.write(lambda tx: self._set(tx, member.person, hashed, by.actor, second_factor, now_ms))

    async def reset(self, token: str, password: str) -> None:
        """Sets a new password by such a link; every session of the person ends. Raises NotFound, Gone, Invalid."""
        hashed_token = key_hash(token)
        now_ms = self.now()
        person = await self.db.read(lambda tx: _person_of(tx, hashed_token, now_ms))
        hashed = await self.signin.fresh_hash(person, password)

        def work(tx: Tx) -> None:
            still = _person_of(tx, hashed_token, now_ms)
            reset = invitations.reset_by_token(tx, hashed_token)
            self._set(tx, still, hashed, actor_of(still), reset is not None and reset.second_factor, now_ms)

        await self.db.write(work)

    def _set(self, tx: Tx, person: Person, hashed: str, actor: Actor, second_factor: bool, now_ms: int) -> None:
        self.signin.set_password_in(tx, person, hashed, now_ms)
        if second_factor:
            self.signin.second.end_in(tx, person, actor, now_ms)
            shut_in(tx, person.id, actor, now_ms)
        ended = self.sessions.end_in(tx, person.id, now_ms)
        self.signin.gate.forgive(tx, person.email)
        note(tx, now_ms, person.id, "password_reset", actor, {"sessions_ended": ended})

    @staticmethod
    def _check_reach(tx: Tx, workspace_id: int, by: By, person: Person) -> None:
        """Nobody may take over, through one workspace, what a person is in another."""
        if not by.box and set(people.roles(tx, person.id)) != {workspace_id}:
            raise Conflict(f"{person.email} belongs to other workspaces too: this is done on the box itself")

    @staticmethod
    def _said(tx: Tx, now_ms: int, workspace_id: int, verb: str, by: By, person: Person, **data: object) -> None:
        said = {"person": ids.show(person.id), "email": person.email, **data}
        journal.add(tx, now_ms, workspace_id, None, verb, by.actor, said)


def actor_of(person: Person) -> Actor:
    """A person, for the journal."""
    return Actor("user", ids.show(person.id), person.name)


def _code_hash(code: str) -> bytes:
    return key_hash("".join(c for c in code.lower() if c in _CODE_LETTERS))


def _person_of(tx: Tx, token_hash: bytes, now_ms: int) -> Person:
    reset = invitations.reset_by_token(tx, token_hash)
    if reset is None:
        raise NotFound("this link is none of ours, or was used: ask for a new one")
    person = people.get(tx, reset.person_id)
    if now_ms >= reset.expires_ms or person.disabled_ms is not None:
        raise Gone("this link has run out: ask for a new one")
    return person
