"""What keeps the database from being written: a full disk, a read-only one; known to health until it is over."""

from __future__ import annotations

import logging
import time
from typing import Final

import apsw

from signalcraft.errors import Busy, DiskFull

log = logging.getLogger(__name__)

LASTS_S: Final = 5.0
"""Only when no write failed for so long it counts as over: a small row may fit where a larger one does not."""


def told(problem: BaseException) -> BaseException:
    """A failure of SQLite as the fault that callers know; anything else as it is."""
    if isinstance(problem, apsw.FullError):
        return DiskFull("the disk is full", retry_after_s=30)
    if isinstance(problem, apsw.ReadOnlyError | apsw.CantOpenError):
        return Busy("the disk takes no writes: it is read-only, or gone", retry_after_s=30)
    if isinstance(problem, apsw.IOError | apsw.BusyError | apsw.LockedError):
        return Busy(f"the database could not be written: {problem}", retry_after_s=10)
    return problem


class Trouble:
    """Belongs to the writer. `said`: one sentence while it lasts, "" else; it may be read from any thread."""

    def __init__(self) -> None:
        self.said = ""
        self._since_s = self._failed_s = 0.0
        self._changes = 0

    def saw(self, problem: BaseException, connection: apsw.Connection) -> None:
        """A write failed. In the log once, until it is over."""
        fault = told(problem)
        if fault is problem or isinstance(problem, apsw.BusyError | apsw.LockedError):
            return
        self._failed_s = time.monotonic()
        if not self.said:
            self.said, self._since_s = str(fault), self._failed_s
            self._changes = connection.total_changes()
            log.error("nothing can be written: senders are told to try again", extra={"why": self.said})

    def wrote(self, connection: apsw.Connection) -> None:
        """A commit went well."""
        if connection.total_changes() == self._changes or time.monotonic() - self._failed_s < LASTS_S:
            return
        log.warning("it can be written again", extra={"seconds": round(time.monotonic() - self._since_s)})
        self.said = ""
