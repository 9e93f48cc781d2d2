"""The security log's counts: failed sign-ins, limits, forged requests and the like, by the hour and the address.

Counted in memory and written once a second: whoever is refused must cost next to nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec import structs

from signalcraft.config import Settings
from signalcraft.storage import security as store
from signalcraft.storage import workspaces
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.security import Seen

KINDS: Final = (
    "sign_in_failed", "locked_out", "limit", "bad_credential", "denied", "forged_request", "bad_signature"
)  # fmt: skip
SUSPICIOUS: Final = ("bad_credential", "denied", "forged_request", "bad_signature")
OF_CODES: Final = {
    "wrong_credentials": "sign_in_failed",
    "wrong_code": "sign_in_failed",
    "sign_in_refused": "sign_in_failed",
    "too_many": "limit",
    "forbidden": "denied",
    "csrf": "forged_request",
    "bad_signature": "bad_signature",
}
"""What a refusal of this code counts as; others count as nothing."""
OTHERS: Final = "others"
_KEYS_MAX: Final = 500
_DAY_MS: Final = 86_400_000


class Security:
    """One instance, used on the event loop."""

    def __init__(self, settings: Settings, db: Db, now: Callable[[], int]) -> None:
        self._db = db
        self._now = now
        self._keep_ms = settings.audit.keep_days * _DAY_MS
        self._seen: dict[tuple[int, str, str, str], Seen] = {}
        self._writing = asyncio.Lock()

    def saw(
        self, kind: str, address: str, *, workspace_id: int = 0, actor: str = "", route: str = "", request_id: str = ""
    ) -> None:
        """Counts one. Without a workspace it is the box's own: the first workspace sees it. Costs a look-up."""
        now_ms = self._now()
        workspace_id = workspace_id or workspaces.DEFAULT_ID
        key = (workspace_id, kind, address, actor)
        known = self._seen.get(key)
        if known is None and len(self._seen) >= _KEYS_MAX:
            # A flood from everywhere: its size is kept, not each of its addresses.
            key = (workspace_id, kind, OTHERS, "")
            known = self._seen.get(key)
        if known is None:
            self._seen[key] = Seen(*key, 1, now_ms, now_ms, route, request_id)
        else:
            self._seen[key] = structs.replace(known, n=known.n + 1, last_ms=now_ms, route=route, request_id=request_id)

    async def flush(self) -> None:
        """Writes what gathered. Called once a second; what cannot be written now is kept for the next time."""
        async with self._writing:  # who flushes in order to read waits for what is being written
            await self._flush()

    async def _flush(self) -> None:
        if not self._seen:
            return
        seen, self._seen = self._seen, {}

        def work(tx: Tx) -> None:
            for one in seen.values():
                store.add(tx, one)

        try:
            await self._db.write(work)
        except Exception:
            for key, one in seen.items():
                later = self._seen.get(key)
                if later is not None or len(self._seen) < _KEYS_MAX:
                    self._seen[key] = one if later is None else structs.replace(one, n=one.n + later.n)
            raise

    async def tidy(self) -> None:
        """The nightly care: what is too old goes."""
        before_ms = self._now() - self._keep_ms
        await self._db.write(lambda tx: store.prune(tx, before_ms))
