"""One restore for the sake of it, in a process of its own with a limit on its memory: what it found, how long it took.

The process that serves starts this program again as `signalcraft drill worker`, which reads an `Exercise` from its
standard input and answers with an `Outcome`. Nothing of it touches the live files.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from msgspec import Struct

from signalcraft.config.replica import Replica
from signalcraft.config.secret import Secret
from signalcraft.domain import ids
from signalcraft.errors import Fault
from signalcraft.storage import children, facts
from signalcraft.storage.db import Db, Tx

MARKERS: Final = "drill_markers"
"""The fact that holds the moments at which a marker was written, oldest first: a copy has those that came before it."""
MARK_MS: Final = 300_000
_KEPT: Final = 320
"""A day and some hours of markers."""
LIMIT_S: Final = 3600.0
COUNTED: Final = ("alert_group", "event")
_SCRATCH: Final = "restored"
_DIE_WITH_PARENT: Final = 1  # prctl(2), PR_SET_PDEATHSIG
_libc = ctypes.CDLL(None)


class Exercise(Struct, frozen=True, kw_only=True):
    """What is to be tried. One of `file` and `replica`; `keys`: master keys in hex. `rows`: how many rows with an id
    below `below` the live database has, by table (a purge may have taken some since).
    """

    folder: str
    now_ms: int
    memory_mb: int
    file: str | None = None
    replica: dict[str, Any] | None = None
    keys: list[str] = []
    below: int = 0
    rows: dict[str, int] = {}


class Outcome(Struct, kw_only=True):
    """What came of it. `said` is empty where all is well.

    * `copy_ms`: up to when the copy tells; `alive_ms`: the last sign of life in it.
    * `markers`: the newest of the moments that it holds.
    * `restore_s`: from nothing to a checked database.
    """

    said: str = ""
    copy_ms: int = 0
    alive_ms: int | None = None
    markers: list[int] = []
    rows: dict[str, int] = {}
    size: int = 0
    schema: int = 0
    restore_s: float = 0.0
    peak_mb: int = 0


# -- in the serving process -------------------------------------------------------------------------------------------


def mark(tx: Tx, now_ms: int) -> None:
    """Writes a marker where the last one is old enough."""
    known = markers(tx)
    if not known or now_ms - known[-1] >= MARK_MS or now_ms < known[-1]:
        facts.put(tx, MARKERS, ",".join(map(str, [*known[-_KEPT:], now_ms])))


def markers(tx: Tx) -> list[int]:
    """The moments, oldest first."""
    text = facts.get(tx, MARKERS)
    return [int(one) for one in text.split(",")] if text else []


def counted(tx: Tx, below: int) -> dict[str, int]:
    """How many rows there are with an id below one."""
    return {table: int(tx.value(f"select count(*) from {table} where id < ?", (below,))) for table in COUNTED}


def replica_as_said(replica: Replica) -> dict[str, Any]:
    """The settings of a replica for the worker's standard input, which nobody else reads."""
    found = {name: getattr(replica, name) for name in replica.__struct_fields__}
    return {name: value.reveal() if isinstance(value, Secret) else value for name, value in found.items()}


class Worker:
    """One run of the worker. `run` blocks; `kill` may be called from any thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, exercise: Exercise) -> Outcome:
        """Raises Fault where the worker did not answer: out of memory, killed, too slow."""
        self._process = process = subprocess.Popen(  # noqa: S603  # this program itself
            children.program("drill", "worker"),
            env=children.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            out, err = process.communicate(msgspec.json.encode(exercise), timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Fault(f"it was not done after {LIMIT_S / 60:.0f} minutes") from None
        finally:
            shutil.rmtree(exercise.folder, ignore_errors=True)
        try:
            return msgspec.json.decode(out, type=Outcome)
        except msgspec.DecodeError:
            lines = err.decode(errors="replace").strip().splitlines()
            why = lines[-1] if lines else f"it ended with {process.returncode}"
            raise Fault(f"the process of the drill did not answer: {why[:300]}") from None

    def kill(self) -> None:
        """Ends it."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()


# -- in the worker ----------------------------------------------------------------------------------------------------


def work(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """The worker: one exercise, one outcome."""
    _libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    os.nice(10)
    exercise = msgspec.json.decode(stdin.read(), type=Exercise)
    limit = exercise.memory_mb << 20
    # Data, not address space: Litestream, its child, reserves far more than it ever uses.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        outcome = tried(exercise)
    except Fault as fault:
        outcome = Outcome(said=fault.detail)
    except MemoryError:
        outcome = Outcome(said=f"{exercise.memory_mb} MB of memory do not suffice (drill.memory_mb)")
    outcome.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    stdout.write(msgspec.json.encode(outcome))
    stdout.flush()


def tried(exercise: Exercise) -> Outcome:
    """Restores, and looks into it. Raises Fault."""
    from signalcraft.storage import restoring

    folder = Path(exercise.folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    given = restoring.of_masters(*map(bytes.fromhex, exercise.keys))
    began_s = time.monotonic()
    done = restoring.restore(
        restoring.Order(
            target=folder / _SCRATCH,
            now_ms=exercise.now_ms,
            file=None if exercise.file is None else Path(exercise.file),
            replica=None if exercise.replica is None else _replica(exercise.replica),
            given=given,
            master_set=frozenset(given.masters),
            held=False,
        )
    )
    outcome = Outcome(
        copy_ms=done.copy_ms, rows=done.rows, size=done.size, schema=done.schema, restore_s=time.monotonic() - began_s
    )
    db = Db(folder / _SCRATCH / "signalcraft.db")
    try:
        with db.reading() as tx:
            alive = facts.get(tx, "alive_ms")
            outcome.alive_ms = None if alive is None else int(alive)
            outcome.markers = markers(tx)[-_KEPT:]
            if exercise.rows:
                found = counted(tx, exercise.below)
                differ = [f"{table}: {found[table]} of {n}" for table, n in exercise.rows.items() if found[table] < n]
                if differ:
                    outcome.said = f"rows are missing in the copy ({'; '.join(differ)} of before {_at(exercise.below)})"
    finally:
        db.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _at(number: int) -> str:
    from signalcraft.domain.wording import rfc3339

    return rfc3339(ids.at_ms(number))


def _replica(said: dict[str, Any]) -> Replica:
    plain = Replica()
    values: dict[str, Any] = {
        name: Secret(value) if isinstance(getattr(plain, name), Secret) else value for name, value in said.items()
    }
    return Replica(**values)
