"""GET /api/system: the appliance itself. Nothing secret is in it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, get
from msgspec import Struct

from signalcraft import __version__
from signalcraft.http.auth import TheCaller, needs
from signalcraft.http.wire import TheHouse, show_time, time_of
from signalcraft.services.system import JobNow, SystemNow

TAG: Final = ["health"]


class StorageOut(Struct, frozen=True, kw_only=True):
    """What the data directory takes up, and its disk. `reusable_bytes`: in the database file, free for new rows.
    `wal_bytes`: written to the log beside the database and not yet into it.
    """

    data_dir: str
    filesystem: str
    directory_bytes: int
    database_bytes: int
    reusable_bytes: int
    wal_bytes: int
    disk_free_bytes: int
    disk_total_bytes: int


class MemoryOut(Struct, frozen=True, kw_only=True):
    """Of the process. `resident_bytes` is null where the system does not tell it."""

    resident_bytes: int | None
    peak_bytes: int


class WriterOut(Struct, frozen=True, kw_only=True):
    """The one writer of the database. Above `queue_max` waiting writes webhooks are answered 503.

    `commits` and `writes` since the start.
    """

    queued: int
    queue_max: int
    commits: int
    writes: int


class JobOut(Struct, frozen=True, kw_only=True):
    """A periodic job. `result`: ok, failed, or null where it has not run yet; `error`: what went wrong."""

    name: str
    what: str
    schedule: str
    last_run_at: str | None
    took_ms: int | None
    result: str | None
    error: str | None
    next_run_at: str


class SystemOut(Struct, frozen=True, kw_only=True):
    """The box. `build`: the commit it was built from, "" from its sources. `clock_at`: what its clock says now.

    `errors_last_day`: kinds of errors of the program itself, see /api/admin/errors. `schema` is at the level of
    `schema_newest` where every migration is applied.
    """

    version: str
    build: str
    python: str
    sqlite: str
    platform: str
    cpus: int
    profile: str
    public_url: str
    listen: str
    started_at: str
    uptime_seconds: int
    clock_at: str
    time_zone: str
    utc_offset_minutes: int
    storage: StorageOut
    memory: MemoryOut
    writer: WriterOut
    streams_open: int
    jobs: list[JobOut]
    errors_last_day: int
    schema_level: int
    schema_newest: int


@get(
    "/api/system",
    guards=[needs("settings", "read")],
    summary="The appliance itself",
    operation_id="get_system",
    tags=TAG,
)
async def get_system(house: TheHouse, caller: TheCaller, request: Request[Any, Any, Any]) -> SystemOut:
    """Version, storage, memory, jobs, clock. How its parts are is told by /health."""
    seen = await house.system.seen()
    db, settings = house.db, house.settings
    return SystemOut(
        version=__version__,
        build=seen.build,
        python=seen.python,
        sqlite=seen.sqlite,
        platform=seen.platform,
        cpus=seen.cpus,
        profile=settings.profile,
        public_url=settings.http.public_url,
        listen=settings.http.listen,
        started_at=time_of(house.started_ms),
        uptime_seconds=max(seen.clock.now_ms - house.started_ms, 0) // 1000,
        clock_at=time_of(seen.clock.now_ms),
        time_zone=seen.clock.zone,
        utc_offset_minutes=seen.clock.offset_minutes,
        storage=_storage(seen),
        memory=MemoryOut(resident_bytes=seen.memory_now, peak_bytes=seen.memory_peak),
        writer=WriterOut(queued=db.queued, queue_max=db.queue_max, commits=db.commits, writes=db.works),
        streams_open=request.app.state.live.streams,
        jobs=[_job(one) for one in seen.jobs],
        errors_last_day=seen.errors,
        schema_level=seen.level,
        schema_newest=seen.newest,
    )


def _storage(seen: SystemNow) -> StorageOut:
    disk = seen.disk
    return StorageOut(
        data_dir=disk.path,
        filesystem=disk.filesystem,
        directory_bytes=disk.directory,
        database_bytes=disk.database,
        reusable_bytes=disk.reusable,
        wal_bytes=disk.wal,
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
    )


def _job(one: JobNow) -> JobOut:
    last = one.last
    return JobOut(
        name=one.job.name,
        what=one.job.what,
        schedule=one.job.schedule,
        last_run_at=show_time(None if last is None else last.at_ms),
        took_ms=None if last is None else last.took_ms,
        result=None if last is None else "ok" if last.error is None else "failed",
        error=None if last is None else last.error,
        next_run_at=time_of(one.next_ms),
    )


ROUTES: Final[list[Any]] = [get_system]
