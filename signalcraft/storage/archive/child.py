"""Asking the archive's child process, one question at a time, on a thread that may wait."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol

import msgspec

from signalcraft.errors import Damaged, DiskFull, Fault
from signalcraft.storage import children
from signalcraft.storage.archive.asking import Answer, Ask

PATIENCE_S: Final = 300.0


class Hand(Protocol):
    """What answers; used as a context manager, from one thread at a time."""

    def __enter__(self) -> Hand: ...

    def __exit__(
        self, kind: type[BaseException] | None, it: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def ask(self, ask: Ask, patience_s: float = PATIENCE_S) -> Answer:
        """Raises DiskFull, Fault."""


class Child:
    """A process for the questions of one errand. Nothing of a person is on its command line."""

    def __init__(self, database: Path, root: Path) -> None:
        self._argv = children.program("archive", "worker", str(database), str(root))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Child:
        return self

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603  # this program itself
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=children.environment()
            )
            children.give_way(self._process.pid)
        return self._process

    def __exit__(self, kind: type[BaseException] | None, it: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def ask(self, ask: Ask, patience_s: float = PATIENCE_S) -> Answer:
        """One question, and its answer within that time. Raises DiskFull, Fault: the archive is as it was."""
        process = self._started()
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(patience_s, end)
        timer.start()
        try:
            line = _carried(process, msgspec.json.encode(ask) + b"\n")
        except OSError:
            line = b""
        finally:
            timer.cancel()
        if not line:
            self.__exit__(None, None, None)
            raise Fault(
                f"the archive did not answer within {patience_s:g} s"
                if late.is_set()
                else "the archive's process ended"
            )
        return judged(msgspec.json.decode(line, type=Answer))


def _carried(process: subprocess.Popen[bytes], line: bytes) -> bytes:
    if process.stdin is None or process.stdout is None:
        return b""
    process.stdin.write(line)
    process.stdin.flush()
    return process.stdout.readline()


def judged(answer: Answer) -> Answer:
    """The answer. Raises DiskFull, Damaged, Fault for one that tells of a failure."""
    if answer.full:
        raise DiskFull(answer.wrong, retry_after_s=30)
    if answer.wrong:
        raise Damaged(answer.wrong) if answer.damaged else Fault(answer.wrong)
    return answer
