"""Sessions: who is signed in. An opaque token of 256 random bits in a cookie, its hash in the database.

All live sessions are held in memory, so that a request costs no read, and a sign-out, a removal or another role holds
from the moment its commit is on disk.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Final

from msgspec import Struct, structs

from signalcraft.config import Settings
from signalcraft.domain import ids
from signalcraft.domain.group import Actor
from signalcraft.domain.people import STEP_UP_MS, session_holds
from signalcraft.domain.roles import Role
from signalcraft.errors import Busy, NotFound, NotSignedIn
from signalcraft.services.accounts import key_hash
from signalcraft.storage import journal, people, sessions
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.sessions import Session

EACH_MAX: Final = 50
"""Sessions of one person; the oldest end when there are more."""
_AGENT_MAX: Final = 300
_SEEN_EVERY_MS: Final = 60_000
_TOKEN_LENGTH: Final = 43
_LOOKED_EVERY_MS: Final = 3_600_000


class Visitor(Struct, frozen=True):
    """Where a request comes from. An IPv6 address stands for its /64."""

    address: str
    user_agent: str


class SessionLive(Struct, frozen=True, kw_only=True):
    """What a session that holds says about its bearer. `roles`: by workspace, the first joined first."""

    id: int
    person_id: int
    token_hash: bytes
    email: str
    name: str
    roles: dict[int, Role]
    method: str
    created_ms: int
    seen_ms: int
    expires_ms: int
    step_up_ms: int
    has_password: bool
    two_factor: bool

    @property
    def actor(self) -> Actor:
        """The person, for the journal."""
        return Actor("user", ids.show(self.person_id), self.name)

    @property
    def step_up_until_ms(self) -> int:
        """Until when dangerous actions need no further password or code."""
        return self.step_up_ms + STEP_UP_MS


class Sessions:
    """Opened, recognised, listed, revoked. One instance, used on the event loop."""

    def __init__(self, settings: Settings, db: Db, now: Callable[[], int]) -> None:
        self.db = db
        self.now = now
        self.idle_ms = round(settings.security.session_idle_hours * 3_600_000)
        self.longest_ms = round(settings.security.session_days * 86_400_000)
        self._lock = threading.Lock()
        self._known: dict[bytes, SessionLive] | None = None
        self._known_ms = 0
        self._changes = 0
        self._seen: dict[int, int] = {}
        self._written: dict[int, int] = {}

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
        """A new session; its token, told this once. `old`: the hash of the token that the browser had before;
        `step_up_ms`: when they proved themselves, None: just now.
        """
        token = secrets.token_urlsafe(32)
        session = Session(
            id=tx.new_id(now_ms),
            person_id=person_id,
            token_hash=key_hash(token),
            method=method,
            address=visitor.address,
            user_agent=visitor.user_agent[:_AGENT_MAX],
            created_ms=now_ms,
            last_seen_ms=now_ms,
            expires_ms=now_ms + self.longest_ms,
            step_up_ms=now_ms if step_up_ms is None else step_up_ms,
        )
        if old:
            sessions.revoke_token(tx, old, now_ms)
        sessions.insert(tx, session)
        sessions.revoke_oldest(tx, person_id, now_ms, EACH_MAX)
        tx.then(self.forget)
        return token

    async def identify(self, token: str) -> SessionLive:
        """Whose session it is, which counts as a use of it. Raises NotSignedIn for one that is over, or never was."""
        now_ms = self.now()
        known = await self._all(now_ms)
        found = known.get(key_hash(token)) if len(token) == _TOKEN_LENGTH else None
        if found is None or not self._holds(found, now_ms):
            raise NotSignedIn("you are signed out: sign in again")
        self._seen[found.id] = now_ms
        if now_ms - self._written.get(found.id, found.seen_ms) >= _SEEN_EVERY_MS:
            self._note_use(found.id, now_ms)
        return found

    async def role(self, session_id: int, workspace_id: int) -> Role | None:
        """What a session's person is in a workspace now; None for nobody, and for a session that holds no more.

        No use of the session: an open stream keeps nobody signed in.
        """
        now_ms = self.now()
        known = await self._all(now_ms)
        found = (one.roles for one in known.values() if one.id == session_id and self._holds(one, now_ms))
        return next(found, {}).get(workspace_id)

    def _holds(self, session: SessionLive, now_ms: int) -> bool:
        seen_ms = max(session.seen_ms, self._seen.get(session.id, 0))
        return bool(session.roles) and session_holds(now_ms, seen_ms, session.expires_ms, self.idle_ms)

    async def list_own(self, person_id: int) -> list[Session]:
        """A person's sessions that hold, the newest first."""
        now_ms = self.now()
        found = await self.db.read(lambda tx: sessions.of_person(tx, person_id))
        seen = [(one, max(one.last_seen_ms, self._seen.get(one.id, 0))) for one in found]
        return [
            structs.replace(one, last_seen_ms=seen_ms)
            for one, seen_ms in seen
            if session_holds(now_ms, seen_ms, min(one.expires_ms, one.created_ms + self.longest_ms), self.idle_ms)
        ]

    async def revoke(self, by: SessionLive, session_id: int, verb: str = "session_revoked") -> None:
        """Ends one's own session, from the moment this returns. Raises NotFound."""
        now_ms = self.now()

        def work(tx: Tx) -> None:
            if not sessions.revoke(tx, by.person_id, session_id, now_ms):
                raise NotFound("no such session")
            note(tx, now_ms, by.person_id, verb, by.actor, {"session": ids.show(session_id)})
            tx.then(self.forget)

        await self.db.write(work)

    async def revoke_others(self, by: SessionLive) -> int:
        """Ends all of one's sessions but the present one; how many."""
        now_ms = self.now()

        def work(tx: Tx) -> int:
            ended = self.end_in(tx, by.person_id, now_ms, but=by.id)
            note(tx, now_ms, by.person_id, "sessions_revoked", by.actor, {"sessions": ended})
            return ended

        return await self.db.write(work)

    def end_in(self, tx: Tx, person_id: int, now_ms: int, but: int = 0) -> int:
        """Ends a person's sessions within a work, except one; how many."""
        tx.then(self.forget)
        return sessions.revoke_all(tx, person_id, now_ms, but)

    def step_up_in(self, tx: Tx, session_id: int, now_ms: int) -> None:
        """A password or code was entered just now."""
        sessions.stepped_up(tx, session_id, now_ms)
        tx.then(self.forget)

    def forget(self) -> None:
        """Whatever decides about sessions has changed: the next request reads it again. From any thread."""
        with self._lock:
            self._changes += 1
            self._known = None

    async def _all(self, now_ms: int) -> dict[bytes, SessionLive]:
        known = self._known
        # Now and then anew, so that what ran out does not stay in memory.
        if known is not None and abs(now_ms - self._known_ms) < _LOOKED_EVERY_MS:
            return known
        while True:
            changes = self._changes
            found = await self.db.read(lambda tx: self._read(tx, now_ms))
            with self._lock:
                # What was revoked while we read must not come back with what we read before.
                if changes == self._changes:
                    self._known, self._known_ms = found, now_ms
                    live = {one.id for one in found.values()}
                    self._seen = {number: at for number, at in self._seen.items() if number in live}
                    self._written = {number: at for number, at in self._written.items() if number in live}
                    return found

    def _read(self, tx: Tx, now_ms: int) -> dict[bytes, SessionLive]:
        roles = people.all_roles(tx)
        return {
            signed.session.token_hash: SessionLive(
                id=signed.session.id,
                person_id=signed.session.person_id,
                token_hash=signed.session.token_hash,
                email=signed.email,
                name=signed.name,
                roles=roles.get(signed.session.person_id, {}),
                method=signed.session.method,
                created_ms=signed.session.created_ms,
                seen_ms=signed.session.last_seen_ms,
                # A limit that was set lower since holds for sessions that began before, too.
                expires_ms=min(signed.session.expires_ms, signed.session.created_ms + self.longest_ms),
                step_up_ms=signed.session.step_up_ms,
                has_password=signed.has_password,
                two_factor=signed.two_factor,
            )
            for signed in sessions.live(tx, now_ms)
        }

    def _note_use(self, session_id: int, now_ms: int) -> None:
        self._written[session_id] = now_ms
        try:
            # Nobody waits for it: a use that is not written down is no reason to refuse or delay the request.
            self.db.submit(lambda tx: sessions.seen(tx, session_id, now_ms)).add_done_callback(
                lambda done: done.cancelled() or done.exception()
            )
        except Busy:
            del self._written[session_id]


def note(tx: Tx, now_ms: int, person_id: int, verb: str, actor: Actor, data: dict[str, object]) -> None:
    """A line in the journal of every workspace that a person is part of."""
    for workspace_id in people.roles(tx, person_id):
        journal.add(tx, now_ms, workspace_id, None, verb, actor, {"person": ids.show(person_id), **data})
