"""The program's own errors: kept grouped in the appliance, shown in health, and told to an error tracker, if any."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol

from signalcraft import __version__
from signalcraft.logs.catching import Catcher, Caught, ExcInfo
from signalcraft.logs.recent import Recent
from signalcraft.services.health import Component
from signalcraft.storage import faults as store
from signalcraft.storage.db import Db, Tx

HOUR_MS: Final = 3_600_000
KEPT_MS: Final = 90 * 24 * HOUR_MS


class Tracker(Protocol):
    """Somebody outside who is told of errors too."""

    def tell(self, caught: Caught, info: ExcInfo | None) -> None:
        """One error; never waits."""

    def close(self) -> None:
        """Sends what is queued, for a short time."""


class Faults:
    """One instance, used on the event loop; it listens to the log of the whole process from `listen` to `close`."""

    def __init__(self, db: Db, now: Callable[[], int], tracker: Tracker | None = None) -> None:
        self._db = db
        self._now = now
        self._tracker = tracker
        self.catcher = Catcher()
        self.recent = Recent()
        if tracker is not None:
            self.catcher.tell = tracker.tell

    def listen(self) -> None:
        """From now on errors are caught."""
        logging.getLogger().addHandler(self.catcher)
        logging.getLogger().addHandler(self.recent)

    def deaf(self) -> None:
        """No more from now on."""
        logging.getLogger().removeHandler(self.catcher)
        logging.getLogger().removeHandler(self.recent)

    def close(self) -> None:
        """No more; what was caught last is written, as far as that can be."""
        self.deaf()
        if self._tracker is not None:
            self._tracker.close()
        caught = self.catcher.take()
        if caught:
            try:
                self._db.call(lambda tx: self._add(tx, caught), 2.0)
            except Exception:  # the database may be what is wrong; the log has it all
                self.catcher.put_back(caught)

    async def flush(self) -> None:
        """Writes what was caught. Called once a second."""
        caught = self.catcher.take()
        if not caught:
            return
        try:
            await self._db.write(lambda tx: self._add(tx, caught))
        except Exception:
            self.catcher.put_back(caught)
            raise

    def _add(self, tx: Tx, caught: list[Caught]) -> None:
        for one in caught:
            store.add(tx, one, __version__, self._now())

    async def health(self) -> Component:
        """Whether something unexpected went wrong in the last hour. Health is open to everybody: no cause is told."""
        from_ms = self._now() - HOUR_MS
        kinds, fresh = await self._db.read(lambda tx: store.since(tx, from_ms))
        if not kinds:
            return Component("ok", "nothing unexpected went wrong in the last hour")
        new = f", {fresh} of them for the first time" if fresh else ""
        return Component(
            "degraded", f"{kinds} kinds of unexpected errors in the last hour{new}: look at `signalcraft errors`"
        )

    async def tidy(self) -> None:
        """The nightly care: what was not seen for 90 days goes."""
        before_ms = self._now() - KEPT_MS
        await self._db.write(lambda tx: store.prune(tx, before_ms))
