"""Tickets: what is handed out before a sign-in and must come back with it, within minutes and once.

Nothing is stored when one is made, so that asking for a million of them costs nothing; only those that came back are
remembered, until they would have run out. The key is this process's own: a restart voids what is under way.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final

from signalcraft.errors import Busy, Gone

LASTING_MS: Final = 10 * 60_000
USED_MAX: Final = 100_000
_RANDOM: Final = 24
_TIME: Final = 8
_MAC: Final = 16
LENGTH: Final = _RANDOM + _TIME + _MAC


class SignInStale(Gone):
    """A sign-in that was begun too long ago, in another browser, or was finished before: begin again."""

    code = "sign_in_stale"

    def __init__(
        self, detail: str = "this sign-in was begun too long ago, elsewhere, or was used: begin again"
    ) -> None:
        super().__init__(detail)


class Tickets:
    """Makes and takes tickets of `LENGTH` random-looking bytes. Used on the event loop."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self._key = secrets.token_bytes(32)
        self._used: dict[bytes, int] = {}

    def make(self, purpose: str) -> bytes:
        """A ticket for one purpose."""
        head = secrets.token_bytes(_RANDOM) + (self.now() + LASTING_MS).to_bytes(_TIME, "big")
        return head + self._mac(head, purpose)

    def take(self, ticket: bytes, purpose: str) -> None:
        """Uses a ticket up. Raises SignInStale: not ours, for something else, over, or used before; Busy."""
        head, mac = ticket[: _RANDOM + _TIME], ticket[_RANDOM + _TIME :]
        if len(ticket) != LENGTH or not hmac.compare_digest(mac, self._mac(head, purpose)):
            raise SignInStale
        now_ms = self.now()
        until_ms = int.from_bytes(head[_RANDOM:], "big")
        if not now_ms < until_ms <= now_ms + LASTING_MS or head in self._used:
            raise SignInStale
        if len(self._used) >= USED_MAX:
            self._used = {one: until for one, until in self._used.items() if until > now_ms}
            if len(self._used) >= USED_MAX:
                raise Busy("too many people sign in at this moment", retry_after_s=60)
        self._used[head] = until_ms

    def derive(self, ticket: bytes, purpose: str) -> bytes:
        """32 bytes that follow from a ticket, and that nobody else can tell from it."""
        return hashlib.blake2b(ticket, key=self._key, digest_size=32, salt=b"derived", person=_short(purpose)).digest()

    def _mac(self, head: bytes, purpose: str) -> bytes:
        whole = len(purpose).to_bytes(2, "big") + purpose.encode() + head
        return hashlib.blake2b(whole, key=self._key, digest_size=_MAC, salt=b"ticket").digest()


def _short(purpose: str) -> bytes:
    return hashlib.blake2b(purpose.encode(), digest_size=16).digest()
