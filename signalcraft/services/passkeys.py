"""Passkeys (WebAuthn): a key pair in a phone, a laptop or a security key, unlocked by its owner on the spot.

The signature shows the device, the unlocking shows the person: it is two factors by itself, so no code is asked for
beside it. webauthn.py verifies what browsers send; what is left is here: challenges, counters, whose key it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.group import Actor
from signalcraft.domain.people import STEP_UP_MS, clean_name
from signalcraft.errors import Conflict, Invalid, NotFound
from signalcraft.services.doors import Doors, Untrue
from signalcraft.services.gate import WrongCredentials
from signalcraft.services.sessions import SessionLive, Visitor, note
from signalcraft.services.signin import SignIn
from signalcraft.services.tickets import LASTING_MS, Tickets
from signalcraft.storage import passkeys, people
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.passkeys import Passkey

if TYPE_CHECKING:
    from signalcraft.services import webauthn as rules

log = logging.getLogger(__name__)

EACH_MAX: Final = 20
"""Passkeys of one person."""
_FULL: Final = f"an account has at most {EACH_MAX} passkeys: remove one first"
_SIGN_IN: Final = "passkey sign-in"


class Proven(Struct, frozen=True):
    """A passkey that answered a challenge, and what its authenticator said with it."""

    passkey: Passkey
    sign_count: int
    synced: bool


class Passkeys:
    """Registers, recognises, forgets. One instance, used on the event loop."""

    def __init__(self, db: Db, signin: SignIn, doors: Doors, tickets: Tickets, now: Callable[[], int]) -> None:
        self.db = db
        self.signin = signin
        self.doors = doors
        self.tickets = tickets
        self.now = now

    async def _rules(self) -> Any:
        """webauthn.py, loaded in a thread at its first use. Raises Conflict where browsers give out no passkeys."""
        if not self.doors.party.rp_id:
            raise Conflict(
                "passkeys need a host name and HTTPS: set http.public_url to the https:// address that browsers use"
            )
        return await asyncio.to_thread(import_module, "signalcraft.services.webauthn")

    # -- one's own ----------------------------------------------------------------------------------------------------

    async def own(self, person_id: int) -> list[Passkey]:
        """A person's, the oldest first."""
        return await self.db.read(lambda tx: passkeys.of_person(tx, person_id))

    async def offer(self, session: SessionLive) -> dict[str, Any]:
        """What a browser is asked to make (PublicKeyCredentialCreationOptionsJSON). Raises Conflict."""
        webauthn = await self._rules()
        known = await self.own(session.person_id)
        if len(known) >= EACH_MAX:
            raise Conflict(_FULL)
        ticket = self.tickets.make(f"passkey for {session.id}")
        told = [webauthn.Known(one.credential_id, one.transports) for one in known]
        options = webauthn.to_make(
            self.doors.party, ticket, _handle(session.person_id), session.email, session.name, told
        )
        return {**options, "timeout": LASTING_MS}

    async def add(self, session: SessionLive, name: str, answer: dict[str, Any]) -> Passkey:
        """Stores what the browser made. Raises Invalid, SignInStale, Conflict."""
        clean = clean_name(name)
        webauthn = await self._rules()
        try:
            making: rules.Making = webauthn.Making(answer)
            self.tickets.take(making.challenge, f"passkey for {session.id}")
            made = making.verified(self.doors.party)
        except Untrue as untrue:
            log.warning("a passkey was not taken", extra={"why": str(untrue)})
            raise Invalid("this is no passkey that was made here just now", path="credential") from None
        now_ms = self.now()

        def work(tx: Tx) -> Passkey:
            if passkeys.by_credential(tx, made.credential_id) is not None:
                raise Conflict("this passkey is registered already")
            if len(passkeys.of_person(tx, session.person_id)) >= EACH_MAX:
                raise Conflict(_FULL)
            passkey = Passkey(
                id=tx.new_id(now_ms),
                person_id=session.person_id,
                rp_id=self.doors.party.rp_id,
                credential_id=made.credential_id,
                credential=made.credential,
                sign_count=made.sign_count,
                transports=made.transports,
                synced=made.synced,
                name=clean,
                created_ms=now_ms,
            )
            passkeys.insert(tx, passkey)
            _said(tx, now_ms, session.actor, "passkey_added", passkey, synced=passkey.synced)
            return passkey

        return await self.db.write(work)

    async def rename(self, session: SessionLive, passkey_id: int, name: str) -> Passkey:
        """Another name. Raises Invalid, NotFound."""
        clean = clean_name(name)
        now_ms = self.now()

        def work(tx: Tx) -> Passkey:
            before = _own(tx, session.person_id, passkey_id)
            passkeys.rename(tx, session.person_id, passkey_id, clean)
            after = _own(tx, session.person_id, passkey_id)
            _said(tx, now_ms, session.actor, "passkey_renamed", after, before=before.name)
            return after

        return await self.db.write(work)

    async def remove(self, session: SessionLive, passkey_id: int) -> None:
        """It opens nothing any more. Raises NotFound, Conflict for the last way in."""
        now_ms = self.now()

        def work(tx: Tx) -> None:
            passkey = _own(tx, session.person_id, passkey_id)
            self.doors.check_stays(tx, session.person_id, but_passkey=passkey_id)
            passkeys.remove(tx, session.person_id, passkey_id)
            _said(tx, now_ms, session.actor, "passkey_removed", passkey)

        await self.db.write(work)

    # -- signing in ---------------------------------------------------------------------------------------------------

    async def ask(self) -> dict[str, Any]:
        """What a browser is asked to sign with any passkey of this box (PublicKeyCredentialRequestOptionsJSON).

        Names nobody: the same for everyone but for its challenge. Raises Conflict.
        """
        return await self._asking(None, _SIGN_IN)

    async def sign_in(self, answer: dict[str, Any], visitor: Visitor, old: bytes = b"") -> str:
        """The token of a new session. Raises WrongCredentials (for every reason alike), SignInStale, TooMany, Busy."""
        proven = await self.signin.gate.tried(visitor.address, "", lambda: self._proven(answer, _SIGN_IN, 0))
        now_ms = self.now()
        owner = proven.passkey.person_id

        def work(tx: Tx) -> str:
            self._use(tx, proven, now_ms)
            return self.signin.open_in(tx, owner, "passkey", visitor, now_ms, old)

        return await self.db.write(work)

    async def ask_again(self, session: SessionLive) -> dict[str, Any]:
        """The same for one's own passkeys alone, as a further proof. Raises Conflict where there is none."""
        known = [one for one in await self.own(session.person_id) if one.rp_id == self.doors.party.rp_id]
        if not known:
            raise Conflict("this account has no passkey that works here")
        return await self._asking(known, f"passkey again {session.id}")

    async def step_up(self, session: SessionLive, answer: dict[str, Any], visitor: Visitor) -> int:
        """One more proof, by passkey; until when it holds (ms). Raises WrongCredentials, SignInStale, TooMany."""
        purpose = f"passkey again {session.id}"
        check = lambda: self._proven(answer, purpose, session.person_id)  # noqa: E731
        proven = await self.signin.gate.tried(visitor.address, "", check)
        now_ms = self.now()

        def work(tx: Tx) -> None:
            self._use(tx, proven, now_ms)
            self.signin.sessions.step_up_in(tx, session.id, now_ms)
            said = {"by": "passkey", "address": visitor.address}
            note(tx, now_ms, session.person_id, "stepped_up", session.actor, {**said})

        await self.db.write(work)
        return now_ms + STEP_UP_MS

    async def _asking(self, known: list[Passkey] | None, purpose: str) -> dict[str, Any]:
        webauthn = await self._rules()
        told = None if known is None else [webauthn.Known(one.credential_id, one.transports) for one in known]
        options = webauthn.to_sign(self.doors.party, self.tickets.make(purpose), told)
        return {**options, "timeout": LASTING_MS}

    async def _proven(self, answer: dict[str, Any], purpose: str, person_id: int) -> Proven:
        """Which passkey answered. `person_id`: whose it must be, 0: anybody's who may sign in."""
        webauthn = await self._rules()
        try:
            given: rules.Answering = webauthn.Answering(answer)
        except Untrue as untrue:
            raise _refused(str(untrue)) from None
        self.tickets.take(given.challenge, purpose)
        passkey = await self.db.read(lambda tx: passkeys.by_credential(tx, given.credential_id))
        if passkey is None or passkey.rp_id != self.doors.party.rp_id:
            raise _refused("it is not known here")
        owner = passkey.person_id
        if (person_id and owner != person_id) or (given.handle and given.handle != _handle(owner)):
            raise _refused("it belongs to somebody else", owner)
        try:
            given.verify(self.doors.party, passkey.credential)
        except Untrue as untrue:
            raise _refused(str(untrue), owner) from None
        person = await self.db.read(lambda tx: people.find(tx, owner))
        if person is None or person.disabled_ms is not None:
            raise _refused("the account is disabled", owner)
        if not _counts_on(passkey.sign_count, given.sign_count):
            await self._note_copy(passkey, given.sign_count)
            raise _refused("its counter went back: there may be a copy of it", owner)
        return Proven(passkey, given.sign_count, given.synced)

    def _use(self, tx: Tx, proven: Proven, now_ms: int) -> None:
        """Raises WrongCredentials where it was used or removed meanwhile."""
        still = passkeys.by_credential(tx, proven.passkey.credential_id)
        if still is None or not _counts_on(still.sign_count, proven.sign_count):
            raise _refused("it was used or removed meanwhile", proven.passkey.person_id)
        passkeys.used(tx, still.id, proven.sign_count, proven.synced, now_ms)

    async def _note_copy(self, passkey: Passkey, counter: int) -> None:
        now_ms = self.now()

        def work(tx: Tx) -> None:
            person = people.get(tx, passkey.person_id)
            actor = Actor("user", ids.show(person.id), person.name)
            _said(tx, now_ms, actor, "passkey_copied", passkey, counter=counter, before=passkey.sign_count)

        await self.db.write(work)


def _refused(why: str, person_id: int = 0) -> WrongCredentials:
    log.warning("a passkey was refused", extra={"why": why})
    return WrongCredentials("this passkey is not accepted here", person_id)


def _counts_on(before: int, counter: int) -> bool:
    # Authenticators that keep no counter always say 0 (WebAuthn, 6.1.1).
    return counter > before or counter == before == 0


def _handle(person_id: int) -> bytes:
    """What the authenticator keeps of the account: its number, nothing that says who it is."""
    return person_id.to_bytes(8, "big")


def _own(tx: Tx, person_id: int, passkey_id: int) -> Passkey:
    for one in passkeys.of_person(tx, person_id):
        if one.id == passkey_id:
            return one
    raise NotFound("no such passkey")


def _said(tx: Tx, now_ms: int, actor: Actor, verb: str, passkey: Passkey, **data: object) -> None:
    said = {"passkey": ids.show(passkey.id), "name": passkey.name, **data}
    note(tx, now_ms, passkey.person_id, verb, actor, said)
