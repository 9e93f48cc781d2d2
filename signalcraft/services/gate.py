"""The gate before every check of a password or code: counts what failed, and lets nobody try for ever.

Counted by account (whether it exists or not) and by address, kept in the database, so that neither a restart nor a
guess at the name shakes a lock off. Checks go one after the other: a hundred at once count like a hundred in a row.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from signalcraft.config import Settings
from signalcraft.domain import ids
from signalcraft.domain.group import SYSTEM
from signalcraft.domain.people import Failures, account_lockout, address_lockout, failed, locked_ms
from signalcraft.errors import Busy, NotSignedIn, TooMany
from signalcraft.storage import counts, journal, lockouts, people, workspaces
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.lockouts import Kind
from signalcraft.storage.vault import Vault

log = logging.getLogger(__name__)
T = TypeVar("T")

WAITING_MAX: Final = 50
"""Checks that may wait for their turn; each takes some 30 ms."""
_LOCKED: Final = "too many failed sign-ins: wait before the next one"


class WrongCredentials(NotSignedIn):
    """The e-mail address, the password or the code is wrong. Which of them is not said."""

    code = "wrong_credentials"

    def __init__(self, detail: str = "the e-mail address or the password is wrong", person_id: int = 0) -> None:
        super().__init__(detail)
        self.person_id = person_id


class Gate:
    """Guards checks of credentials. One instance, used on the event loop."""

    def __init__(self, settings: Settings, db: Db, vault: Vault, now: Callable[[], int]) -> None:
        self.db = db
        self.now = now
        self._key = vault.derive("failed sign-ins")
        self._policies = {
            "account": account_lockout(settings.limits.sign_in_failures_per_15_minutes),
            "address": address_lockout(settings.limits.sign_in_per_minute),
        }
        self._one = asyncio.Lock()
        self._waiting: Counter[str] = Counter()

    async def tried(self, address: str, account: str, check: Callable[[], Awaitable[T]]) -> T:
        """What `check` returns. Its WrongCredentials counts against the address and the account, and is raised again.

        `address`: the client's, "" for nobody's; `account`: an e-mail address in lower case, "" where there is none.
        A success clears the account's failures. Raises TooMany while one of them is locked, Busy with too many waiting.
        """
        subjects = self._subjects(address, account)
        most = self._policies["address"].most
        if most and address and self._waiting[address] >= most:
            raise TooMany(_LOCKED, retry_after_s=1, name="sign_in", limit=most)
        if self._waiting.total() >= WAITING_MAX:
            raise Busy("too many people sign in at this moment", retry_after_s=2)
        self._waiting[address] += 1
        try:
            async with self._one:
                return await self._checked(subjects, address, check)
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]

    async def _checked(self, subjects: dict[Kind, bytes], address: str, check: Callable[[], Awaitable[T]]) -> T:
        now_ms = self.now()
        known = await self.db.read(lambda tx: {kind: lockouts.get(tx, kind, subjects[kind]) for kind in subjects})
        wait_ms = max((locked_ms(one, now_ms) for one in known.values()), default=0)
        if wait_ms:
            log.warning("a sign-in was refused: too many failed before", extra={"address": address})
            locked = next(kind for kind, one in known.items() if locked_ms(one, now_ms) == wait_ms)
            most = self._policies[locked].most
            raise TooMany(_LOCKED, retry_after_s=-(-wait_ms // 1000), name="sign_in", limit=most)
        try:
            result = await check()
        except WrongCredentials as fault:
            person_id = fault.person_id
            await self.db.write(lambda tx: self._failed(tx, subjects, address, person_id, self.now()))
            raise
        if known.get("account", Failures()) != Failures():
            await self.db.write(lambda tx: lockouts.clear(tx, "account", subjects["account"]))
        return result

    def _failed(self, tx: Tx, subjects: dict[Kind, bytes], address: str, person_id: int, now_ms: int) -> None:
        locked = []
        for kind, subject in subjects.items():
            after = failed(lockouts.get(tx, kind, subject), now_ms, self._policies[kind])
            lockouts.put(tx, kind, subject, after)
            if locked_ms(after, now_ms):
                locked.append((kind, locked_ms(after, now_ms) // 60_000))
        counts.bump(tx, workspaces.DEFAULT_ID, now_ms, "refused_sign_in")
        for workspace_id in people.roles(tx, person_id):
            said = {"person": ids.show(person_id), "address": address}
            journal.add(tx, now_ms, workspace_id, None, "sign_in_failed", SYSTEM, said)
            for kind, minutes in locked:
                if kind == "account":
                    journal.add(tx, now_ms, workspace_id, None, "account_locked", SYSTEM, {**said, "minutes": minutes})
        tx.then(lambda: _log(address, person_id, locked))

    def forgive(self, tx: Tx, email: str) -> bool:
        """Unlocks an account; False where nothing had failed."""
        return lockouts.clear(tx, "account", self._subjects("", email)["account"])

    def locked_until_ms(self, tx: Tx, email: str, now_ms: int) -> int | None:
        """Until when an account is locked; None when it is not."""
        known = lockouts.get(tx, "account", self._subjects("", email)["account"])
        return known.locked_until_ms if locked_ms(known, now_ms) else None

    def _subjects(self, address: str, account: str) -> dict[Kind, bytes]:
        # Keyed: what people type by mistake into the e-mail field is not kept in a form that could be read.
        named: tuple[tuple[Kind, str], ...] = (("account", account), ("address", address))
        return {
            kind: hashlib.blake2b(text.encode("utf-8", "replace"), key=self._key, digest_size=16).digest()
            for kind, text in named
            if text
        }


def _log(address: str, person_id: int, locked: list[tuple[Kind, int]]) -> None:
    person = ids.show(person_id) if person_id else "nobody known"
    log.warning("a sign-in failed", extra={"address": address, "person": person})
    for kind, minutes in locked:
        log.warning("further sign-ins are refused for a while", extra={"by": kind, "minutes": minutes})
