"""The self-check: an alert goes through the whole pipeline, from reading to a channel that took it, and is forgotten.

It lives in a workspace of its own that stands in no list, so that no person, counter or rule of anybody sees it
(services/own.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain.measuring import Histogram
from signalcraft.services import own
from signalcraft.services.ingest import Ingest
from signalcraft.services.registry import CANARY
from signalcraft.storage import canary as store
from signalcraft.storage.db import Db

log = logging.getLogger(__name__)

PATIENCE_S: Final = 10.0
"""How long the canary may take."""


class Check(Struct, frozen=True):
    """One self-check. `took_s`: from the alert to its message taken; `wrong`: why it did not get there, or ""."""

    at_ms: int
    took_s: float
    wrong: str = ""


class Canary:
    """One instance, on the event loop; one check at a time. `last`: the newest, None before the first."""

    def __init__(self, settings: Settings, db: Db, ingest: Ingest, took: Histogram, now: Callable[[], int]) -> None:
        self._settings = settings
        self._db = db
        self._ingest = ingest
        self._took = took
        self._now = now
        self._gate = asyncio.Lock()
        self.patience_s = PATIENCE_S
        self.last: Check | None = None

    async def boot(self) -> None:
        """What an earlier process left of one."""
        await self._db.write(lambda tx: store.forget(tx, own.CANARY_WORKSPACE_ID))

    async def check(self) -> Check:
        """Sends one, and waits for it."""
        async with self._gate:
            at_ms, began_s = self._now(), time.perf_counter()
            wrong = ""
            try:
                await asyncio.wait_for(self._through(), self.patience_s)
            except asyncio.CancelledError:  # the program ends
                await self._forget()
                raise
            except TimeoutError:
                wrong = f"its message was not taken within {self.patience_s:.0f} s"
            except Exception as problem:
                wrong = f"it could not be taken in: {type(problem).__name__}"
            took_s = time.perf_counter() - began_s
            if not wrong:
                self._took.saw(took_s)
            self.last = Check(at_ms, took_s, wrong)
            await self._forget()
            return self.last

    async def _through(self) -> None:
        said = own.Said(
            condition="self-check",
            status="firing",
            severity="info",
            title="Self-check",
            message="",
            environment=self._settings.profile,
        )
        receipt = (await self._ingest.say(CANARY, own.inbound(said)))[0]
        group_id = receipt.group_id or 0
        wait_s = 0.01
        while not await self._db.read(lambda tx: store.taken(tx, group_id)):
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 1.5, 0.5)

    async def _forget(self) -> None:
        try:
            await asyncio.wait_for(self._db.write(lambda tx: store.forget(tx, own.CANARY_WORKSPACE_ID)), PATIENCE_S)
        except Exception:  # with the next one
            log.warning("a self-check could not be forgotten", exc_info=True)
