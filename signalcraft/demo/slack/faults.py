"""What goes wrong at Slack, on demand. Thread-safe: tests ask from their own thread."""

from __future__ import annotations

import threading
from typing import Literal

from msgspec import Struct

WRITES = ("chat.postMessage", "chat.update", "chat.postEphemeral")
Kind = Literal["error", "status", "stall", "lie", "drop"]


class Fault(Struct):
    """One thing that goes wrong: `times` more calls of `method` (None: of any; for ever)."""

    kind: Kind
    method: str | None = None
    times: int | None = None
    error: str = ""
    status: int = 0
    seconds: float = 0.0
    retry_after_s: int = 30


class Faults:
    """The faults in force, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.unavailable = False

    def add(self, fault: Fault) -> None:
        """From the next call on."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Everything works again."""
        with self._lock:
            self._faults.clear()
            self.unavailable = False

    def take(self, method: str, *kinds: Kind) -> Fault | None:
        """The first fault of these kinds that concerns a call of the method; it is one fewer left then."""
        if not self._faults:  # the usual case, without the lock
            return None
        with self._lock:
            for fault in self._faults:
                if fault.kind in kinds and _concerns(fault, method):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            self._faults.remove(fault)
                    return fault
        return None


def _concerns(fault: Fault, method: str) -> bool:
    if fault.method is None:
        return method in WRITES if fault.kind == "drop" else method != "response_url"
    return fault.method == method
