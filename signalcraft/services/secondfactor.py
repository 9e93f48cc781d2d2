"""The second factor: codes of an authenticator app, and recovery codes for the day the phone is gone."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from signalcraft.domain import ids, totp
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict, NotSignedIn
from signalcraft.services.gate import WrongCredentials
from signalcraft.services.sessions import Sessions, note
from signalcraft.storage import people
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.people import VAULT_WORKSPACE, Person
from signalcraft.storage.vault import Vault

ISSUER: Final = "SignalCraft"
CODES: Final = 10
SECRET_BYTES: Final = 20
"""RFC 4226, section 4: a shared secret of 160 bits."""
_CODE_LENGTH: Final = 10
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter looks like another


class SecondFactorNeeded(NotSignedIn):
    """The password is right; this account also needs a code of its authenticator app, or a recovery code."""

    code = "second_factor_needed"


class WrongCode(WrongCredentials):
    """The code is wrong, was used before, or belongs to another time."""

    code = "wrong_code"


class Offer(Struct, frozen=True):
    """A secret to be put into an app: as text, and as the address that a QR code holds."""

    secret: str
    uri: str


class SecondFactor:
    """Enrolment, use and end of second factors."""

    def __init__(self, db: Db, vault: Vault, sessions: Sessions, now: Callable[[], int]) -> None:
        self.db = db
        self.vault = vault
        self.sessions = sessions
        self.now = now
        self._key = vault.derive("recovery codes")

    async def use(self, person_id: int, code: str) -> None:
        """Takes one code of an app, or one recovery code; each works once. Raises WrongCode."""
        now_ms = self.now()
        said = code.replace(" ", "")

        def work(tx: Tx) -> bool:
            person = people.find(tx, person_id)
            if person is None or person.totp is None:
                return False
            if said.isascii() and said.isdigit() and len(said) == totp.DIGITS:
                secret = self.vault.open(tx, VAULT_WORKSPACE, people.totp_place(person_id), person.totp)
                step = totp.matching_step(secret, said, now_ms, person.totp_step)
                if step is not None:
                    people.use_totp_step(tx, person_id, step)
                return step is not None
            return self._use_recovery_code(tx, person, said, now_ms)

        if not await self.db.write(work):
            raise WrongCode("the code is wrong, or was used before", person_id)

    def _use_recovery_code(self, tx: Tx, person: Person, said: str, now_ms: int) -> bool:
        used = people.use_recovery_code(tx, person.id, self._hash(person.id, said), now_ms)
        if used:
            left = people.recovery_codes_left(tx, person.id)
            note(tx, now_ms, person.id, "recovery_code_used", _actor(person), {"left": left})
        return used

    async def offer(self, person_id: int) -> Offer:
        """A new secret, shown this once; it counts once `confirm` has seen a code of it.

        Raises Conflict where there is a second factor already.
        """
        now_ms = self.now()
        secret = secrets.token_bytes(SECRET_BYTES)

        def work(tx: Tx) -> Person:
            person = people.get(tx, person_id)
            if person.totp is not None:
                raise Conflict("there is a second factor already: take it away first")
            sealed = self.vault.seal(tx, VAULT_WORKSPACE, people.totp_place(person_id), secret, now_ms)
            people.offer_totp(tx, person_id, sealed)
            note(tx, now_ms, person_id, "second_factor_offered", _actor(person), {})
            return person

        person = await self.db.write(work)
        return Offer(totp.shown(secret), totp.uri(secret, person.email, ISSUER))

    async def confirm(self, person_id: int, code: str) -> list[str]:
        """From now on signing in needs a code; the recovery codes, told this once.

        Raises WrongCode, Conflict where nothing waits for a code.
        """
        now_ms = self.now()
        codes = _fresh_codes()

        def work(tx: Tx) -> None:
            person = people.get(tx, person_id)
            if person.totp_new is None or person.totp is not None:
                raise Conflict("no second factor waits for its first code")
            secret = self.vault.open(tx, VAULT_WORKSPACE, people.totp_place(person_id), person.totp_new)
            step = totp.matching_step(secret, code.replace(" ", ""), now_ms)
            if step is None:
                raise WrongCode("the code is wrong: is the clock of the phone right?", person_id)
            people.begin_totp(tx, person_id, person.totp_new, step)
            people.set_recovery_codes(tx, person_id, [self._hash(person_id, one) for one in codes])
            note(tx, now_ms, person_id, "second_factor_on", _actor(person), {})
            tx.then(self.sessions.forget)

        await self.db.write(work)
        return codes

    async def renew_codes(self, person_id: int) -> list[str]:
        """New recovery codes instead of the earlier ones, told this once. Raises Conflict without a second factor."""
        now_ms = self.now()
        codes = _fresh_codes()

        def work(tx: Tx) -> None:
            person = people.get(tx, person_id)
            if person.totp is None:
                raise Conflict("recovery codes belong to a second factor, and there is none")
            people.set_recovery_codes(tx, person_id, [self._hash(person_id, one) for one in codes])
            note(tx, now_ms, person_id, "recovery_codes_made", _actor(person), {})

        await self.db.write(work)
        return codes

    async def end(self, person_id: int) -> None:
        """The password alone is enough again. Raises Conflict without a second factor."""
        now_ms = self.now()

        def work(tx: Tx) -> None:
            person = people.get(tx, person_id)
            if person.totp is None:
                raise Conflict("there is no second factor")
            self.end_in(tx, person, _actor(person), now_ms)

        await self.db.write(work)

    def end_in(self, tx: Tx, person: Person, actor: Actor, now_ms: int) -> None:
        """The same within a work, by whoever did it; nothing happens where there is none."""
        if person.totp is not None:
            note(tx, now_ms, person.id, "second_factor_off", actor, {})
        people.end_totp(tx, person.id)
        tx.then(self.sessions.forget)

    def _hash(self, person_id: int, code: str) -> bytes:
        plain = "".join(c for c in code.lower() if c in _ALPHABET)
        return hmac.new(self._key, person_id.to_bytes(8, "big") + plain.encode(), hashlib.blake2b).digest()[:16]


def _actor(person: Person) -> Actor:
    return Actor("user", ids.show(person.id), person.name)


def _fresh_codes() -> list[str]:
    """Ten codes of 50 random bits: `7kqm2-xrt9w`."""
    plain = ["".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH)) for _ in range(CODES)]
    return [f"{code[:5]}-{code[5:]}" for code in plain]
