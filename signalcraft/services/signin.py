"""Signing in and out, passwords, and asking once more before something dangerous."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from signalcraft.domain import ids, passwords
from signalcraft.domain.group import Actor
from signalcraft.domain.people import STEP_UP_MS, clean_name
from signalcraft.errors import Conflict, Invalid
from signalcraft.services.gate import Gate, WrongCredentials
from signalcraft.services.passwords import Passwords
from signalcraft.services.secondfactor import SecondFactor, SecondFactorNeeded
from signalcraft.services.sessions import SessionLive, Sessions, Visitor, note
from signalcraft.storage import invitations, lockouts, people, sessions
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.people import Person

_DAY_MS: Final = 86_400_000
KEPT_MS: Final = 30 * _DAY_MS
"""For so long what is over is still known: sessions, invitations."""


class SignIn:
    """How a person becomes a session, and what they do about their own account."""

    def __init__(
        self,
        db: Db,
        gate: Gate,
        hashing: Passwords,
        sessions: Sessions,
        second: SecondFactor,
        now: Callable[[], int],
    ) -> None:
        self.db = db
        self.gate = gate
        self.hashing = hashing
        self.sessions = sessions
        self.second = second
        self.now = now

    async def sign_in(self, email: str, password: str, code: str, visitor: Visitor, old: bytes = b"") -> str:
        """The token of a new session. `code`: of the second factor, "" where none was given.

        Raises WrongCredentials (the same for a wrong password, an unknown and a disabled account), SecondFactorNeeded,
        WrongCode, TooMany, Busy.
        """
        email = email.strip().lower()
        person = await self.gate.tried(visitor.address, email, lambda: self.check(email, password, code))
        if person.password_hash is not None and self.hashing.outdated(person.password_hash):
            before, after = person.password_hash, await self.hashing.hash(password)
            await self.db.write(lambda tx: people.rehash(tx, person.id, before, after))
        return await self.open(person.id, "password", visitor, old)

    async def check(self, email: str, password: str, code: str) -> Person:
        """Whose these credentials are. To be called through the gate. Raises WrongCredentials and its kin."""
        person = await self.db.read(lambda tx: people.by_email(tx, email))
        known = person if person is not None and person.disabled_ms is None else None
        # Without an account it takes as long: a hash is verified either way.
        right = await self.hashing.verify(known.password_hash if known else None, password)
        if known is None or not right:
            raise WrongCredentials(person_id=person.id if person else 0)
        if known.totp is not None:
            if not code.strip():
                raise SecondFactorNeeded("a code of the authenticator app is needed too, or a recovery code")
            await self.second.use(known.id, code)
        return known

    async def open(self, person_id: int, method: str, visitor: Visitor, old: bytes = b"") -> str:
        """A session for a person who has proved who they are by `method`; its token. Raises WrongCredentials."""
        now_ms = self.now()

        def work(tx: Tx) -> str:
            return self.open_in(tx, person_id, method, visitor, now_ms, old)

        return await self.db.write(work)

    def open_in(
        self,
        tx: Tx,
        person_id: int,
        method: str,
        visitor: Visitor,
        now_ms: int,
        old: bytes = b"",
        *,
        step_up_ms: int | None = None,
    ) -> str:
        """The same within a work. `step_up_ms`: when they proved themselves, None: just now."""
        person = people.find(tx, person_id)
        if person is None or person.disabled_ms is not None or not people.roles(tx, person_id):
            raise WrongCredentials
        token = self.sessions.open_in(tx, person_id, method, visitor, now_ms, old, step_up_ms=step_up_ms)
        said = {"method": method, "address": visitor.address, "user_agent": visitor.user_agent}
        note(tx, now_ms, person_id, "signed_in", Actor("user", ids.show(person_id), person.name), {**said})
        return token

    async def sign_out(self, session: SessionLive) -> None:
        """The session is over, from the moment this returns."""
        await self.sessions.revoke(session, session.id, "signed_out")

    async def step_up(self, session: SessionLive, password: str, code: str, visitor: Visitor) -> int:
        """One more proof, by password or code; until when it holds (ms).

        Raises WrongCredentials, WrongCode, Invalid where neither was given, TooMany.
        """

        async def check() -> None:
            if password:
                person = await self.db.read(lambda tx: people.get(tx, session.person_id))
                if not await self.hashing.verify(person.password_hash, password):
                    raise WrongCredentials("the password is wrong", person.id)
            else:
                await self.second.use(session.person_id, code)

        if not password and not code.strip():
            raise Invalid("the password, or a code of the authenticator app, is needed", path="password")
        await self.gate.tried(visitor.address, session.email, check)
        now_ms = self.now()

        def work(tx: Tx) -> None:
            self.sessions.step_up_in(tx, session.id, now_ms)
            by = "password" if password else "code"
            note(tx, now_ms, session.person_id, "stepped_up", session.actor, {"by": by, "address": visitor.address})

        await self.db.write(work)
        return now_ms + STEP_UP_MS

    async def confirm(self, session: SessionLive, code: str, visitor: Visitor) -> list[str]:
        """Turns the offered second factor on; the recovery codes, told this once.

        Raises WrongCode, Conflict, TooMany.
        """
        return await self.gate.tried(
            visitor.address, session.email, lambda: self.second.confirm(session.person_id, code)
        )

    async def change_password(self, session: SessionLive, current: str, new: str, visitor: Visitor) -> None:
        """Another password; every other session of the person ends. Raises Invalid, WrongCredentials, TooMany."""
        person = await self.db.read(lambda tx: people.get(tx, session.person_id))
        if person.password_hash is None:
            raise Conflict("this account signs in without a password; an admin can make a link that sets one")

        async def check() -> None:
            if not await self.hashing.verify(person.password_hash, current):
                raise WrongCredentials("the present password is wrong", person.id)

        await self.gate.tried(visitor.address, person.email, check)
        hashed = await self.fresh_hash(person, new, "new")
        now_ms = self.now()

        def work(tx: Tx) -> None:
            self.set_password_in(tx, person, hashed, now_ms)
            ended = self.sessions.end_in(tx, person.id, now_ms, but=session.id)
            self.sessions.step_up_in(tx, session.id, now_ms)
            note(tx, now_ms, person.id, "password_changed", session.actor, {"sessions_ended": ended})

        await self.db.write(work)

    async def fresh_hash(self, person: Person, new: str, path: str = "password") -> str:
        """The hash of a person's new password. Raises Invalid where it is weak, or one of the last ones."""
        passwords.check(new, person.email, person.name, path)
        earlier = await self.db.read(lambda tx: people.earlier_passwords(tx, person.id, passwords.REMEMBERED + 1))
        if await self.hashing.any_of(earlier, new):
            raise Invalid(f"this is the present password or one of the {passwords.REMEMBERED} before it", path=path)
        return await self.hashing.hash(new)

    @staticmethod
    def set_password_in(tx: Tx, person: Person, hashed: str, now_ms: int) -> None:
        """Stores it; links that would set another one work no more."""
        people.set_password(tx, person.id, hashed, now_ms, passwords.REMEMBERED)
        invitations.drop_resets(tx, person.id)

    async def rename(self, session: SessionLive, name: str) -> None:
        """Another name for oneself. Raises Invalid."""
        clean = clean_name(name)
        now_ms = self.now()

        def work(tx: Tx) -> None:
            people.set_name(tx, session.person_id, clean)
            note(tx, now_ms, session.person_id, "person_renamed", session.actor, {"from": session.name, "to": clean})
            tx.then(self.sessions.forget)

        await self.db.write(work)

    async def prune(self, now_ms: int) -> None:
        """Forgets what has been over for long: sessions, invitations, failures."""

        def work(tx: Tx) -> None:
            sessions.prune(tx, now_ms - KEPT_MS)
            invitations.prune(tx, now_ms - KEPT_MS)
            lockouts.prune(tx, now_ms - _DAY_MS)

        await self.db.write(work)
