"""The appliance itself: what it runs on, what it takes up, and its periodic jobs."""

from __future__ import annotations

import logging
import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from signalcraft.storage import disks, facts, faults, migrate, versions
from signalcraft.storage.db import Db, Tx

log = logging.getLogger(__name__)

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
NIGHT_MS: Final = (2 * 60 + 5) * MINUTE_MS
"""When the nightly care begins, after midnight UTC."""
_ENTRIES_MAX: Final = 100_000


class Job(Struct, frozen=True):
    """A periodic job: the call it is, its name and what it does in one sentence."""

    call: str
    name: str
    what: str
    nightly: bool = False


JOBS: Final = (
    Job("Watch.tick", "what is due", "Escalates, repeats, wakes snoozed groups, closes quiet ones; every second too."),
    Job("Configure.tidy", "ends of rotations", "Ends the overlap of rotated tokens and secrets."),
    Job("Keyring.tend", "encryption keys", "Goes on with a rotation of encryption keys, where one is under way."),
    Job("Hold.tend", "after a restore", "Tells of alert groups whose messages were not sent again, until answered."),
    Job("Nightly.tick", "care that is due", "Begins backups, drills and clean-ups whose time has come."),
    Job("Watch.prune", "old statements", "Forgets statements and minute counts that are too old to matter.", True),
    Job("SignIn.prune", "sessions", "Deletes sessions, links and lockouts that have run out.", True),
    Job("Audit.tidy", "audit log", "Deletes what is older than the audit log is kept.", True),
    Job("Security.tidy", "security log", "Deletes what is older than the security log is kept.", True),
    Job("Faults.tidy", "own errors", "Deletes errors of the program that were not seen for 90 days.", True),
)
"""In the order in which they are shown."""


class Run(Struct, frozen=True):
    """The last run of a job. `error`: the class of what went wrong, None where nothing did."""

    at_ms: int
    took_ms: int
    error: str | None = None


class JobNow(Struct, frozen=True):
    """A job with its last run (None: not since this was written down) and its next."""

    job: Job
    last: Run | None
    next_ms: int


class Disk(Struct, frozen=True, kw_only=True):
    """What is stored, in bytes. `reusable`: inside of the database file, free for new rows."""

    path: str
    filesystem: str
    directory: int
    database: int
    reusable: int
    wal: int
    free: int
    total: int


class Clock(Struct, frozen=True):
    """The box's own time. `offset_minutes`: of its local zone, east of UTC."""

    now_ms: int
    zone: str
    offset_minutes: int


class SystemNow(Struct, frozen=True, kw_only=True):
    """Everything that can be said at once. Bytes, and ms."""

    build: str
    python: str
    sqlite: str
    platform: str
    cpus: int
    clock: Clock
    disk: Disk
    memory_now: int | None
    memory_peak: int
    errors: int
    jobs: list[JobNow]
    level: int
    newest: int


class System:
    """Knows the box. `ran` may be called from any thread."""

    def __init__(self, db: Db, data_dir: Path, now: Callable[[], int]) -> None:
        self._db = db
        self._dir = data_dir
        self._now = now
        self._runs: dict[str, Run] = {}

    def ran(self, call: str, at_ms: int, took_ms: int, error: BaseException | None) -> None:
        """Notes the run of a job; a nightly one is written down, so that a restart does not forget it."""
        run = Run(at_ms, took_ms, None if error is None else type(error).__name__)
        self._runs[call] = run
        if any(job.nightly and job.call == call for job in JOBS):
            text = msgspec.json.encode(run).decode()
            try:
                self._db.call(lambda tx: facts.put(tx, _fact(call), text))
            except Exception:
                log.exception("the run of a job could not be written down", extra={"job": call})

    async def seen(self) -> SystemNow:
        """How it is now. Looks at the disk, so it takes some ms of a reader's thread."""
        now_ms = self._now()
        return await self._db.read(lambda tx: self._seen(tx, now_ms))

    def _seen(self, tx: Tx, now_ms: int) -> SystemNow:
        return SystemNow(
            build=versions.build(),
            python=platform.python_version(),
            sqlite=versions.sqlite(),
            platform=f"{platform.system().lower()} {platform.machine()}",
            cpus=os.cpu_count() or 1,
            clock=_clock(now_ms),
            disk=self._disk(tx),
            memory_now=_memory_now(),
            memory_peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            errors=faults.since(tx, now_ms - DAY_MS)[0],
            jobs=[JobNow(job, self._last(tx, job), next_ms(job, now_ms)) for job in JOBS],
            level=migrate.level(tx),
            newest=migrate.newest(),
        )

    def _last(self, tx: Tx, job: Job) -> Run | None:
        held = self._runs.get(job.call)
        if held is None and job.nightly:
            text = facts.get(tx, _fact(job.call))
            held = None if text is None else msgspec.json.decode(text, type=Run)
        return held

    def _disk(self, tx: Tx) -> Disk:
        pages = disks.pages(tx)
        wal = self._db.path.with_name(self._db.path.name + "-wal")
        usage = shutil.disk_usage(self._dir)
        return Disk(
            path=str(self._dir),
            filesystem=disks.filesystem(self._dir),
            directory=_size(self._dir),
            database=pages.used,
            reusable=pages.reusable,
            wal=wal.stat().st_size if wal.exists() else 0,
            free=usage.free,
            total=usage.total,
        )


def next_ms(job: Job, now_ms: int) -> int:
    """When a job runs next."""
    if not job.nightly:
        return (now_ms // MINUTE_MS + 1) * MINUTE_MS
    today = now_ms // DAY_MS * DAY_MS + NIGHT_MS
    return today if now_ms < today else today + DAY_MS


def schedule(job: Job) -> Literal["each minute", "daily at 02:05 UTC"]:
    """In words."""
    return "daily at 02:05 UTC" if job.nightly else "each minute"


def _fact(call: str) -> str:
    return f"job:{call}"


def _clock(now_ms: int) -> Clock:
    local = datetime.fromtimestamp(now_ms / 1000).astimezone()
    offset = local.utcoffset()
    return Clock(now_ms, local.tzname() or "UTC", 0 if offset is None else int(offset.total_seconds()) // 60)


def _memory_now() -> int | None:
    """Resident bytes; None where the system does not say (https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html)."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()


def _size(folder: Path) -> int:
    """Bytes of every file below. A file that goes meanwhile counts nothing; nothing is opened (storage/db.py)."""
    total = seen = 0
    for where, _, names in os.walk(folder):
        for name in names:
            seen += 1
            if seen > _ENTRIES_MAX:
                return total
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except OSError:
                continue
    return total
