"""/api/backups: what is kept, how the last runs went, and one more now. /control/backups: for the commands."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from litestar import get, post
from litestar.params import JSONBody, QueryParameter
from msgspec import Struct

from signalcraft.http.auth import TheCaller, needs, scopes
from signalcraft.http.control import owner_only
from signalcraft.http.wire import TheHouse, show_time, time_of
from signalcraft.services.care.backup.sheet import sheet
from signalcraft.services.care.backup.state import Backup, Going, What
from signalcraft.services.house import House
from signalcraft.storage.backup.child import Ended
from signalcraft.storage.backup.job import Made, Pruned
from signalcraft.storage.runs import Run

TAG: Final = ["health"]
_GUARDS: Final = [owner_only, scopes("admin")]
ROWS_MAX: Final = 500


class BackupGoingOut(Struct, frozen=True, kw_only=True):
    """What is under way. `stage`: copy, check, write, verify or send; `done` of `of` in its own measure."""

    what: What
    began_at: str
    stage: str
    done: int
    of: int


class BackupRunOut(Struct, frozen=True, kw_only=True):
    """One run. `bytes`, `rows`: of the backup, null where none was made; `took_seconds`: null while it goes on."""

    state: str
    began_at: str
    took_seconds: float | None
    said: str
    file: str | None
    bytes: int | None
    rows: int | None


class BackupOut(Struct, frozen=True, kw_only=True):
    """One file. `own`: made by this box. `read_at`: when it was read whole last; `trouble`: what was wrong with it,
    or why it cannot be told what it is. `opens_with`: the keys that open it.
    """

    name: str
    path: str
    bytes: int
    created_at: str | None
    own: bool
    program: str
    schema: int
    opens_with: str
    read_at: str | None
    trouble: str


class BackupsOut(Struct, frozen=True, kw_only=True):
    """Backups. `keep_days`: how long each is kept. `recipient`: whether a backup key opens them too. `next_at`: null
    where none is made by itself. `wrong`: what is wrong with them, null where nothing is. `items`: the newest first, of
    the second directory too, 500 at most.
    """

    dir: str
    copy_to: str | None
    schedule: Literal["daily", "weekly", "off"]
    keep_days: int
    recipient: bool
    next_at: str | None
    going: BackupGoingOut | None
    last: BackupRunOut | None
    last_ok_at: str | None
    wrong: str | None
    items: list[BackupOut]


class BackupAsked(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`to`: another directory, its whole path; `recipient`: the public part of another key."""

    to: str | None = None
    recipient: str | None = None


class BackupsRead(Struct, frozen=True, forbid_unknown_fields=True):
    """Whole paths; none: every backup of this box."""

    files: list[str] = []


class BackupsPruned(Struct, frozen=True, forbid_unknown_fields=True):
    """`dry_run`: only tell what would go."""

    dry_run: bool = False


@get(
    "/api/backups",
    guards=[needs("settings", "read")],
    summary="Backups",
    operation_id="list_backups",
    tags=TAG,
)
async def list_backups(house: TheHouse, caller: TheCaller) -> BackupsOut:
    """What is kept, how the last run went, and when the next one is."""
    backups = house.backups
    going = backups.going  # before its runs: one that ends meanwhile goes on here, and is not running and over at once
    state = await backups.state()
    kept = await backups.listed()
    health = await backups.health()
    going = going or backups.going
    return BackupsOut(
        dir=str(backups.folder),
        copy_to=backups.config.copy_to or None,
        schedule=backups.config.schedule,
        keep_days=backups.config.days,
        recipient=backups.materials.recipient is not None,
        next_at=show_time(backups.next_ms()),
        going=None if going is None else _going(going),
        last=None if state.last is None else _run(state.last),
        last_ok_at=None if state.last_ok is None else time_of(state.last_ok.began_ms),
        wrong=None if health.status == "ok" else health.detail,
        items=[_out(one) for one in kept[:ROWS_MAX]],
    )


@post(
    "/api/backups",
    guards=[needs("settings", "write")],
    summary="Make a backup now",
    operation_id="make_backup",
    tags=TAG,
    status_code=202,
)
async def make_backup(house: TheHouse, caller: TheCaller) -> BackupGoingOut:
    """It is made beside everything else; the list tells how far it is. 409: something is under way."""
    return _going(await house.backups.begin(caller.actor, caller.workspace_id))


# -- for the commands -------------------------------------------------------------------------------------------------


@post("/control/backups", guards=_GUARDS, include_in_schema=False, status_code=202)
async def control_make(house: TheHouse, caller: TheCaller, data: JSONBody[BackupAsked]) -> BackupGoingOut:
    """The same, anywhere on this machine."""
    return _going(await house.backups.begin(caller.actor, caller.workspace_id, data.to, data.recipient))


@post("/control/backups/verify", guards=_GUARDS, include_in_schema=False, status_code=202)
async def control_verify(house: TheHouse, caller: TheCaller, data: JSONBody[BackupsRead]) -> BackupGoingOut:
    """Reads backups whole."""
    return _going(await house.backups.begin_verify(caller.actor, caller.workspace_id, data.files))


@post("/control/backups/prune", guards=_GUARDS, include_in_schema=False, status_code=202)
async def control_prune(house: TheHouse, caller: TheCaller, data: JSONBody[BackupsPruned]) -> BackupGoingOut:
    """Removes what is too old."""
    return _going(await house.backups.begin_prune(caller.actor, caller.workspace_id, dry=data.dry_run))


@get("/control/backups/going", guards=_GUARDS, include_in_schema=False)
async def control_going(
    house: TheHouse, wait_s: Annotated[float, QueryParameter(name="wait_s", ge=0, le=20)] = 0.5
) -> dict[str, Any]:
    """How far it is (`going`), or what came of it (`done`). Its fault is the answer."""
    ended = await house.backups.ended(wait_s)
    going = house.backups.going
    return {"going": None if going is None else _going(going), "done": None if ended is None else _done(ended)}


@get("/control/backups/sheet", guards=_GUARDS, include_in_schema=False)
async def control_sheet(house: TheHouse) -> dict[str, str]:
    """The recovery sheet."""
    return {"sheet": await _sheet(house)}


async def _sheet(house: House) -> str:
    materials = house.backups.materials
    box, kept = await materials.box_id(), await house.backups.listed()
    openers = materials.openers(materials.recipient)
    return sheet(house.settings, house.data_dir, box, openers, materials.outside(), kept, house.now())


def _going(one: Going) -> BackupGoingOut:
    return BackupGoingOut(what=one.what, began_at=time_of(one.began_ms), stage=one.stage, done=one.done, of=one.of)


def _run(run: Run) -> BackupRunOut:
    took = None if run.ended_ms is None else max(run.ended_ms - run.began_ms, 0) / 1000
    size, rows, file = (run.figures.get(name) for name in ("bytes", "rows", "file"))
    return BackupRunOut(
        state=run.state,
        began_at=time_of(run.began_ms),
        took_seconds=took,
        said=run.said,
        file=str(file) if file is not None else None,
        bytes=int(size) if size is not None else None,
        rows=int(rows) if rows is not None else None,
    )


def _out(one: Backup) -> BackupOut:
    found, read = one.found, one.read
    return BackupOut(
        name=found.name,
        path=one.path,
        bytes=found.bytes,
        created_at=time_of(found.created_ms) if found.created_ms else None,
        own=one.own,
        program=found.program,
        schema=found.schema,
        opens_with=found.opens_with,
        read_at=None if read is None else time_of(read.at_ms),
        trouble=found.trouble or ("" if read is None else read.said),
    )


def _done(ended: Ended) -> dict[str, Any]:
    done = ended.done
    if isinstance(done, Made):
        return {
            "path": done.path, "bytes": done.bytes, "unpacked_bytes": done.unpacked, "rows": done.rows,
            "members": done.members, "schema": done.schema, "sha256": done.sha256, "copied_to": done.copied_to or None,
        }  # fmt: skip
    if isinstance(done, Pruned):
        return {"removed": done.gone, "freed_bytes": done.bytes, "kept": done.kept, "proven": done.proven}
    return {
        "items": [
            {
                "file": one.file, "sound": not one.code, "code": one.code, "trouble": one.said, "rows": one.rows,
                "schema": one.schema, "created_at": time_of(one.created_ms) if one.created_ms else None,
            }
            for one in done.judged
        ]
    }  # fmt: skip


ROUTES: Final[list[Any]] = [
    list_backups, make_backup, control_make, control_verify, control_prune, control_going, control_sheet,
]  # fmt: skip
