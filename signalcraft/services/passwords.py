"""Passwords at work: argon2id, one at a time, off the event loop.

19 MiB, two passes, one lane: the first of OWASP's equivalent choices. One at a time, so that a flood of sign-ins costs
19 MiB and one core, not the box.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from signalcraft.domain.passwords import prepared

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1

_NOBODYS: Final = (
    # Of a password that was thrown away, with the parameters above: verified where there is no account.
    "$argon2id$v=19$m=19456,t=2,p=1$Bi3Lhg6OTQWxsvGTl4w6aA$wG2t4z+8kZCsiv1Irb6OOf6yjW0RunfCDam5NNTqlqI"
)


class Passwords:
    """Hashes and verifies. One instance, used on the event loop."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, hash_len=32, salt_len=16, type=Type.ID
        )
        self._one = asyncio.Semaphore(1)

    async def hash(self, password: str) -> str:
        """A fresh hash in PHC form, its parameters in it."""
        async with self._one:
            return await asyncio.to_thread(self._hasher.hash, _bytes(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password. With None it takes as long and is False: nobody learns who has an account."""
        async with self._one:
            right = await asyncio.to_thread(self._is, password_hash or _NOBODYS, _bytes(password))
        return right and password_hash is not None

    async def any_of(self, hashes: Sequence[str], password: str) -> bool:
        """Whether it is one of these passwords."""
        for one in hashes:
            if await self.verify(one, password):
                return True
        return False

    def outdated(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _is(self, password_hash: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def _bytes(password: str) -> bytes:
    return prepared(password).encode("utf-8", "surrogatepass")
