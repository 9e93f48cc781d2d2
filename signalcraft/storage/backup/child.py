"""The child process that backups are made in: a memory limit of its own, low priority, an end with its parent.

The job goes in on standard input as JSON, lines of JSON come out: how far it is, and at last what was done or why not.
Nothing secret is on its command line or in its environment.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from msgspec import Struct

from signalcraft import errors
from signalcraft.errors import Fault
from signalcraft.storage import children
from signalcraft.storage.backup import job as jobs

log = logging.getLogger(__name__)

MEMORY: Final = 192 << 20
"""Bytes of memory of its own that it may have."""
VERB: Final = ("backup", "work")
_EVERY_S: Final = 0.2
_LINE_MAX: Final = 1 << 24
_END_S: Final = 5.0


class Far(Struct, frozen=True, tag="far"):
    """How far it is."""

    stage: str
    done: int
    of: int


class Failed(Struct, frozen=True, tag="failed"):
    """Why it was not done."""

    code: str
    said: str


class Ended(Struct, frozen=True, tag="ended"):
    """What was done. `peak`: the most memory it had, in bytes."""

    done: jobs.Done
    peak: int


_Said = Far | Failed | Ended


# -- in the parent ----------------------------------------------------------------------------------------------------


class Runner:
    """Runs jobs, each in a process of its own. `argv`: how this program is called again."""

    def __init__(self, argv: Callable[[], list[str]] = lambda: children.program(*VERB)) -> None:
        self._argv = argv

    async def run(self, job: jobs.Job, heard: Callable[[Far], None]) -> Ended:
        """Until it is done. Raises its fault; cancelled, the child ends and leaves nothing behind."""
        child = await asyncio.create_subprocess_exec(
            *self._argv(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE_MAX,
            env=children.environment(),
        )  # fmt: skip
        if child.stdin is None or child.stdout is None:  # they were asked for
            raise Fault("the process of the backup cannot be spoken to")
        try:
            last: _Said | None = None
            try:
                child.stdin.write(msgspec.json.encode(job) + b"\n")
                await child.stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                log.warning("the process of a backup ended before it heard what to do")
            async for line in child.stdout:
                last = msgspec.json.decode(line, type=_Said)
                if isinstance(last, Far):
                    heard(last)
            await child.wait()
        finally:
            await _ended(child)
        if isinstance(last, Ended):
            return last
        if isinstance(last, Failed):
            raise _fault(last)
        code = child.returncode or 0
        how = f"by signal {-code}" if code < 0 else f"with {code}"
        raise Fault(f"the process of the backup ended {how} before it was done: nothing of it was kept")


async def _ended(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    try:
        child.terminate()
        await asyncio.wait_for(child.wait(), _END_S)
    except ProcessLookupError:
        return
    except TimeoutError:
        child.kill()
        await child.wait()


def _fault(failed: Failed) -> Fault:
    known = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Fault)]
    kinds = {kind.code: kind for kind in reversed(known)}
    if failed.code == errors.DiskFull.code:
        return errors.DiskFull(failed.said, retry_after_s=60)
    return kinds.get(failed.code, Fault)(failed.said)


# -- in the child -----------------------------------------------------------------------------------------------------


def work(given: BinaryIO, out: BinaryIO) -> int:
    """Does one job and says what came of it; the exit code."""
    signal.signal(signal.SIGTERM, _leave)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    os.nice(10)

    def say(said: _Said) -> None:
        try:
            out.write(msgspec.json.encode(said) + b"\n")
            out.flush()
        except BrokenPipeError:  # nobody waits for it any more: nothing is to be left
            sys.exit(1)

    try:
        job: jobs.Job = msgspec.json.decode(given.readline(), type=jobs.Job)
        done = jobs.do(job, _Paced(say))
        say(Ended(done, _peak()))
        return 0
    except Fault as fault:
        say(Failed(fault.code, fault.detail))
    except MemoryError:
        say(Failed("internal", f"the backup needed more memory than its {MEMORY >> 20} MB"))
    except Exception as problem:
        say(Failed("internal", f"this should not have happened: {type(problem).__name__}: {problem}"))
    return 1


class _Paced:
    """Says how far it is a few times a second, and the last of each stage."""

    def __init__(self, say: Callable[[_Said], None]) -> None:
        self._say = say
        self._next_s = 0.0

    def __call__(self, stage: str, done: int, of: int) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s or done >= of:
            self._next_s = now_s + _EVERY_S
            self._say(Far(stage, done, of))


def _leave(_number: int, _frame: Any) -> None:
    sys.exit(1)


def _peak() -> int:
    """The most memory this process had, in bytes; 0 where the system does not tell (proc_pid_status(5), VmHWM)."""
    try:
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return 0
    return 0
