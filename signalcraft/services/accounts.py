"""Who may ask: API keys with scopes, kept as hashes, known in memory.

A key is `sc_` and 256 random bits in 43 characters; that needs no slow hash. All live keys are held in memory, so that
a request costs no read and a revocation holds from the moment its commit is on disk.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from signalcraft import logs
from signalcraft.domain import ids, roles
from signalcraft.domain.group import Actor
from signalcraft.errors import Busy, Invalid, NotFound, NotSignedIn
from signalcraft.services.health import Component
from signalcraft.storage import journal, keys
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.keys import KeyRow

log = logging.getLogger(__name__)

SCOPES: Final = tuple(roles.SCOPES)
"""What a key may be allowed. `admin` holds all the others."""

NAME_MAX: Final = 100
PREFIX_LENGTH: Final = 8
ENDING_MS: Final = 7 * 86_400_000
"""So long before it ends, a key in use is told of."""
_NAMED_MAX: Final = 5
_LENGTH: Final = 46
_USED_EVERY_MS: Final = 60_000


class NewKey(Struct, frozen=True, kw_only=True):
    """A key just made: the one time that `key` is known."""

    id: int
    name: str
    prefix: str
    key: str
    scopes: list[str]
    expires_ms: int | None


class KeyLive(Struct, frozen=True, kw_only=True):
    """What a valid key says about its bearer."""

    id: int
    workspace_id: int
    name: str
    scopes: frozenset[str]
    expires_ms: int | None
    account: str = ""

    @property
    def actor(self) -> Actor:
        """Who the journal says did it: the service account, where the key has one."""
        return Actor("api_key", ids.show(self.id), self.account or self.name)


def key_hash(key: str) -> bytes:
    """What is stored of a key: BLAKE2b, 32 bytes."""
    return hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=32).digest()


class Accounts:
    """API keys: made, listed, revoked, recognised. One instance, used on the event loop."""

    def __init__(self, db: Db, now: Callable[[], int]) -> None:
        self.db = db
        self.now = now
        self._lock = threading.Lock()
        self._known: dict[bytes, KeyLive] | None = None
        self._changes = 0
        self._used: dict[int, int] = {}

    async def create_key(
        self,
        workspace_id: int,
        name: str,
        scopes: Sequence[str],
        expires_ms: int | None,
        actor: Actor,
        account: str = "",
    ) -> NewKey:
        """Makes a key. Raises Invalid with the paths that are wrong (name, scopes, expires_at, account).

        `account`: the service account that it belongs to; "" for none.
        """
        now_ms = self.now()
        name, account = name.strip(), account.strip()
        wanted = list(dict.fromkeys(scopes))
        _check(name, wanted, expires_ms, now_ms, account)
        key = "sc_" + secrets.token_urlsafe(32)
        logs.redact.add(key)
        hashed = key_hash(key)

        def work(tx: Tx) -> int:
            key_id = tx.new_id(now_ms)
            row = KeyRow(
                id=key_id,
                workspace_id=workspace_id,
                name=name,
                prefix=key[:PREFIX_LENGTH],
                scopes=wanted,
                created_ms=now_ms,
                expires_ms=expires_ms,
                last_used_ms=None,
                revoked_ms=None,
                account=account,
            )
            keys.insert(tx, row, hashed)
            said = {"key_id": key_id, "name": name, "scopes": wanted, **({"account": account} if account else {})}
            journal.add(tx, now_ms, workspace_id, None, "key_created", actor, said)
            tx.then(self._forget)
            return key_id

        key_id = await self.db.write(work)
        return NewKey(id=key_id, name=name, prefix=key[:PREFIX_LENGTH], key=key, scopes=wanted, expires_ms=expires_ms)

    async def list_keys(self, workspace_id: int, before: int = 2**63 - 1, limit: int = 100) -> list[KeyRow]:
        """The keys of a workspace, newest first, revoked and expired ones too."""
        return await self.db.read(lambda tx: keys.page(tx, workspace_id, before, limit))

    async def health(self) -> Component:
        """Keys in use that end within a week: whoever uses them needs new ones."""
        now_ms = self.now()
        soon = await self.db.read(lambda tx: keys.ending(tx, now_ms, now_ms + ENDING_MS))
        if not soon:
            return Component("ok", "no API key in use ends within a week")
        told = [f"{one.account or one.name} ({one.prefix}…) in {_days(one, now_ms)}" for one in soon[:_NAMED_MAX]]
        more = f" and {len(soon) - _NAMED_MAX} more" if len(soon) > _NAMED_MAX else ""
        return Component("degraded", f"API keys in use end soon, make new ones: {', '.join(told)}{more}")

    async def revoke_key(self, workspace_id: int, key_id: int, actor: Actor) -> None:
        """The key opens nothing from the moment this returns; twice is no fault. Raises NotFound."""
        now_ms = self.now()

        def work(tx: Tx) -> None:
            row = keys.get(tx, workspace_id, key_id)
            if row is None:
                raise NotFound("no such API key")
            if row.revoked_ms is None:
                keys.revoke(tx, key_id, now_ms)
                said = {"key_id": key_id, "name": row.name}
                journal.add(tx, now_ms, workspace_id, None, "key_revoked", actor, said)
            tx.then(self._forget)

        await self.db.write(work)

    async def identify(self, key: str) -> KeyLive:
        """Whose key it is. Raises NotSignedIn for one that is unknown, revoked or expired."""
        known = self._known
        if known is None:
            known = await self._learn()
        found = known.get(key_hash(key)) if len(key) == _LENGTH else None
        if found is None:
            raise NotSignedIn("this API key is unknown or was revoked")
        now_ms = self.now()
        if found.expires_ms is not None and found.expires_ms <= now_ms:
            raise NotSignedIn("this API key has expired")
        if now_ms - self._used.get(found.id, 0) >= _USED_EVERY_MS:
            self._note_use(found.id, now_ms)
        return found

    async def is_live(self, key_id: int) -> bool:
        """Whether a key still opens what it opened before: for streams that outlive their first request."""
        known = self._known
        if known is None:
            known = await self._learn()
        now_ms = self.now()
        return any(
            live.id == key_id and (live.expires_ms is None or live.expires_ms > now_ms) for live in known.values()
        )

    def _forget(self) -> None:
        # On the writer thread, after the commit: the next request reads the keys again.
        with self._lock:
            self._changes += 1
            self._known = None

    async def _learn(self) -> dict[bytes, KeyLive]:
        while True:
            changes = self._changes
            rows = await self.db.read(keys.live)
            known = {
                hashed: KeyLive(
                    id=row.id,
                    workspace_id=row.workspace_id,
                    name=row.name,
                    scopes=frozenset(row.scopes),
                    expires_ms=row.expires_ms,
                    account=row.account,
                )
                for hashed, row in rows
            }
            with self._lock:
                # A key revoked while we read must not come back with what we read before.
                if changes == self._changes:
                    self._known = known
                    return known

    def _note_use(self, key_id: int, now_ms: int) -> None:
        self._used[key_id] = now_ms
        try:
            # Nobody waits for it: a use that is not written down is no reason to refuse or delay the request.
            self.db.submit(lambda tx: keys.used(tx, key_id, now_ms)).add_done_callback(
                lambda done: done.cancelled() or done.exception()
            )
        except Busy:
            del self._used[key_id]


def _check(name: str, scopes: list[str], expires_ms: int | None, now_ms: int, account: str) -> None:
    errors = []
    if account and (len(account) > NAME_MAX or not account.isprintable()):
        errors.append(("account", f"a service account's name has at most {NAME_MAX} printable characters"))
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        errors.append(("name", f"a name has 1 to {NAME_MAX} printable characters"))
    if not scopes:
        errors.append(("scopes", "a key needs at least one scope"))
    for i, scope in enumerate(scopes):
        if scope not in SCOPES:
            errors.append((f"scopes[{i}]", f"there is no scope {scope[:40]!r}; there are {', '.join(SCOPES)}"))
    if expires_ms is not None and expires_ms <= now_ms:
        errors.append(("expires_at", "a key must expire in the future"))
    if errors:
        raise Invalid(errors[0][1], errors=tuple(errors))


def _days(key: KeyRow, now_ms: int) -> str:
    days = ((key.expires_ms or now_ms) - now_ms) // 86_400_000
    return f"{days} days" if days > 1 else "one day" if days == 1 else "less than a day"
