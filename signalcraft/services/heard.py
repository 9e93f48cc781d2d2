"""When each integration was heard last, and why it was last sent away: kept in memory, where noting it costs nothing.

What was before the start is read once from the counted minutes: to the minute.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from signalcraft.storage import health
from signalcraft.storage.db import Tx

_REASONS: Final = {
    "refused_signature": "its signature was missing or wrong",
    "refused_limit": "it sent more than the limit allows",
}


class Said(Struct):
    """Of one integration; times in ms, None where nothing is known. `version` grows with everything that is noted."""

    webhook_ms: int | None = None
    refused_ms: int | None = None
    refused_why: str | None = None
    version: int = 0


class Heard:
    """One instance. Notes are made on the event loop, looks come from any thread."""

    def __init__(self) -> None:
        self._said: dict[int, Said] = {}
        self._known: set[int] = set()
        self._lock = threading.Lock()
        self.version = 0

    def took(self, integration_id: int, now_ms: int) -> None:
        """A webhook of its own came in: it was stored, counted as said before, or quarantined."""
        said = self._of(integration_id)
        said.webhook_ms = now_ms
        self.version = said.version = self.version + 1

    def sent_away(self, integration_id: int, why: str, now_ms: int) -> None:
        """A webhook was refused."""
        said = self._of(integration_id)
        said.refused_ms, said.refused_why = now_ms, why
        self.version = said.version = self.version + 1

    def since(self, version: int) -> list[int]:
        """The integrations that were heard after that version."""
        return [number for number, said in tuple(self._said.items()) if said.version > version]

    def of(self, tx: Tx, workspace_id: int, integration_ids: Iterable[int]) -> dict[int, Said]:
        """Of each of them; what was before the start is looked up once."""
        wanted = list(integration_ids)
        with self._lock:
            if workspace_id not in self._known:
                for number, what, at_ms in health.last_counted(tx, workspace_id):
                    said = self._of(number)
                    if what in _REASONS:
                        if said.refused_ms is None or said.refused_ms < at_ms:
                            said.refused_ms, said.refused_why = at_ms, _REASONS[what]
                    else:
                        said.webhook_ms = max(at_ms, said.webhook_ms or 0)
                self._known.add(workspace_id)
        return {number: self._said.get(number, Said()) for number in wanted}

    def _of(self, integration_id: int) -> Said:
        return self._said.setdefault(integration_id, Said())
