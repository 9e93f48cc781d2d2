"""Slow queries, writes and requests: each said once in the log, and again after an hour at the earliest."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from typing import Final

log = logging.getLogger(__name__)

SLOW_S: Final = 0.1
"""From how long on a query or a write is slow."""
AGAIN_S: Final = 3600.0
_KNOWN_MAX: Final = 500  # our statements are constants; this is for those that hold a list of question marks


class Slow:
    """Counts what was slow. Used by every thread that reads or writes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, list[float]] = {}

    def saw(self, what: str, text: str, took_s: float) -> None:
        """`text`: the SQL with its placeholders, the name of a work or of a route; never a value."""
        number = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        now_s = time.monotonic()
        with self._lock:
            known = self._known.get(number)
            if known is None:
                if len(self._known) >= _KNOWN_MAX:
                    self._known.clear()
                known = self._known[number] = [now_s - AGAIN_S, 0, 0.0]
            known[1] += 1
            known[2] = max(known[2], took_s)
            if now_s - known[0] < AGAIN_S:
                return
            times, slowest = int(known[1]), known[2]
            known[:] = [now_s, 0, 0.0]
        told = {"hash": number, "what": " ".join(text.split())[:500], "duration_ms": round(slowest * 1000)}
        log.warning("a slow %s", what, extra=told | ({"times": times} if times > 1 else {}))
