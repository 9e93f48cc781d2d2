"""Asking the child process for long-range numbers, one question at a time, on a thread that may wait."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Final, Protocol

import msgspec

from signalcraft.errors import Fault
from signalcraft.storage import children
from signalcraft.storage.rollups.asking import Answer, Ask

PATIENCE_S: Final = 30.0
REBUILD_S: Final = 3600.0


class Hand(Protocol):
    """What answers."""

    def ask(self, ask: Ask, patience_s: float = PATIENCE_S) -> Answer:
        """Raises Fault."""

    def end(self) -> None:
        """It is not needed for a while: its memory is given back."""


class Child:
    """Starts the process at the first question; `end` ends it, and the next question starts another."""

    def __init__(self, database: Path) -> None:
        self._argv = children.program("metrics", "worker", str(database))
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, ask: Ask, patience_s: float = PATIENCE_S) -> Answer:
        """One question, and its answer within that time. Raises Fault; what was committed before stays."""
        with self._lock:
            return self._asked(ask, patience_s)

    def _asked(self, ask: Ask, patience_s: float) -> Answer:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603  # this program itself
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=children.environment()
            )
        process = self._process
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(patience_s, stop)
        timer.start()
        line = b""
        try:
            if process.stdin is not None and process.stdout is not None:
                process.stdin.write(msgspec.json.encode(ask) + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
        except OSError:
            line = b""
        finally:
            timer.cancel()
        if not line:
            self._ended()
            why = f"did not answer within {patience_s:g} s" if late.is_set() else "ended by itself"
            raise Fault(f"the process for long-range numbers {why}")
        answer = msgspec.json.decode(line, type=Answer)
        if answer.wrong:
            raise Fault(answer.wrong)
        return answer

    def end(self) -> None:
        """Ends the process; what it had committed stays."""
        process = self._process
        if process is not None:
            process.kill()  # a question under way fails; its transaction is rolled back
        with self._lock:
            self._ended()

    def _ended(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
