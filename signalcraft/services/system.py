"""The appliance itself: what it runs on, what it takes up, and its periodic jobs."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from signalcraft.services.care.nightly import Nightly
from signalcraft.storage import disks, faults, migrate, runs, versions
from signalcraft.storage.db import Db, Tx

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
_ENTRIES_MAX: Final = 100_000


class Job(Struct, frozen=True):
    """A periodic job: the call it is, its name, what it does in one sentence, and when."""

    call: str
    name: str
    what: str
    schedule: str = "each minute"


JOBS: Final = (
    Job("Watch.tick", "what is due", "Escalates, repeats, wakes snoozed groups, closes quiet ones; every second too."),
    Job("Configure.tidy", "ends of rotations", "Ends the overlap of rotated tokens and secrets."),
    Job("Keyring.tend", "encryption keys", "Goes on with a rotation of encryption keys, where one is under way."),
    Job("Rollups.minute", "long-range numbers", "Folds each minute that is over; each hour counts what is new."),
    Job("Overview.tend", "overview", "Looks again which senders have gone quiet."),
    Job("Drill.tend", "restore drill", "Writes the marker that a copy must hold, and looks how old the last drill is."),
    Job("Upgrades.tend", "upgrades", "Looks whether the last migration failed, or took long."),
    Job("Hold.tend", "after a restore", "Tells of alert groups whose messages were not sent again, until answered."),
    Job("Backups.tend", "backups", "Looks whether the last backup is good and young enough."),
    Job("Nightly.tick", "care that is due", "Begins backups, drills and clean-ups whose time has come."),
)
"""What runs each minute, in the order in which it is shown; behind it comes the care of the night."""


class Run(Struct, frozen=True):
    """The last run of a job. `error`: what went wrong, its class or a sentence; None where nothing did."""

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
        self.nightly: Nightly | None = None

    def ran(self, call: str, at_ms: int, took_ms: int, error: BaseException | None) -> None:
        """Notes the run of a job."""
        self._runs[call] = Run(at_ms, took_ms, None if error is None else type(error).__name__)

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
            jobs=[*(JobNow(job, self._runs.get(job.call), next_ms(now_ms)) for job in JOBS), *self._care(tx, now_ms)],
            level=migrate.level(tx),
            newest=migrate.newest(),
        )

    def _care(self, tx: Tx, now_ms: int) -> list[JobNow]:
        """What is due once a day or week, by its runs on record."""
        found: list[JobNow] = []
        nightly = self.nightly
        if nightly is None:
            return found
        for one in nightly.planned:
            job = Job(one.kind, one.kind, one.what, one.schedule(nightly.zone))
            found.append(JobNow(job, _run(runs.last(tx, one.kind)), nightly.next_ms(one, now_ms)))
        return found

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


def next_ms(now_ms: int) -> int:
    """When what runs each minute runs next."""
    return (now_ms // MINUTE_MS + 1) * MINUTE_MS


def _run(one: runs.Run | None) -> Run | None:
    if one is None or one.state == "running":
        return None
    wrong = None if one.state == "ok" else one.said or one.state
    return Run(one.began_ms, (one.ended_ms or one.began_ms) - one.began_ms, wrong)


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
