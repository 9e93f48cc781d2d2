"""/api/retention and /api/archive: how long things are kept, what would go, what went, and back again."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import get, patch, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from signalcraft.domain import ids
from signalcraft.errors import Invalid
from signalcraft.http.auth import TheCaller, needs, scopes
from signalcraft.http.control import owner_only
from signalcraft.http.wire import TheHouse, read_time, show_time, time_of
from signalcraft.services.care.archives import Wanted
from signalcraft.services.care.retention import KIND, Draft, Policy, Waiting
from signalcraft.services.house import House
from signalcraft.storage import retention as store
from signalcraft.storage.retention import Own
from signalcraft.storage.runs import Run

TAG: Final = ["configuration"]
_PATIENCE_S: Final = 25.0
Days = Annotated[int, Meta(ge=1, le=36_500)]
Month = Annotated[str, Meta(pattern=r"^\d{4}-\d\d$")]


class RetentionIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long this workspace keeps things, in days; null: as the settings say. What is left out stays as it is."""

    group_days: Days | UnsetType | None = UNSET
    delivery_days: Days | UnsetType | None = UNSET
    escalation_days: Days | UnsetType | None = UNSET
    payload_days: Days | UnsetType | None = UNSET
    audit_days: Annotated[int, Meta(ge=30, le=36_500)] | UnsetType | None = UNSET
    archive: bool | UnsetType | None = UNSET


class PurgeRunOut(Struct, frozen=True, kw_only=True):
    """A run of the clean-up. `state`: running, ok, failed, cut. `figures`: rows by table, ms by part."""

    state: str
    began_at: str
    ended_at: str | None
    said: str
    figures: dict[str, int | float | str]


class RetentionOut(Struct, frozen=True, kw_only=True):
    """`policy` holds; `own`: what this workspace says itself, null where it is as the settings say, in `settings`.

    `archive_days`: how long months stay in the archive, 0: until somebody deletes them.
    """

    policy: Policy
    own: Own
    settings: Policy
    archive_days: int
    next_run_at: str | None
    last_run: PurgeRunOut | None


class ArchivedMonthOut(Struct, frozen=True, kw_only=True):
    """A month of the archive. `rows`: by table. `complete`: no run is at work on it."""

    month: str
    rows: dict[str, int]
    files: int
    bytes: int
    complete: bool


class ArchiveOut(Struct, frozen=True, kw_only=True):
    """Everything that is there, the newest month first."""

    months: list[ArchivedMonthOut]
    bytes: int


class ArchiveFoundOut(Struct, frozen=True, kw_only=True):
    """Rows that fit, the newest first, at most `limit`; times as RFC 3339, ids as text."""

    items: list[dict[str, Any]]


class ArchiveRestoreIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which month, as `2026-03`."""

    month: Month


class ArchiveRestoredOut(Struct, frozen=True, kw_only=True):
    """`done`: false while it goes on; ask again then. `kept_until`: no night takes the rows away before."""

    done: bool
    month: str
    rows: dict[str, int]
    kept_until: str | None


def _draft(data: RetentionIn) -> Draft:
    return Draft(**structs.asdict(data))


def _run_out(one: Run | None) -> PurgeRunOut | None:
    if one is None:
        return None
    return PurgeRunOut(
        state=one.state, began_at=time_of(one.began_ms), ended_at=show_time(one.ended_ms), said=one.said,
        figures=one.figures,
    )  # fmt: skip


async def _out(house: House, workspace_id: int) -> RetentionOut:
    policy, own = await house.db.read(
        lambda tx: (house.retention.policy(tx, workspace_id), store.own(tx, workspace_id))
    )
    planned = next((one for one in house.nightly.planned if one.kind == KIND), None)
    return RetentionOut(
        policy=policy,
        own=own,
        settings=house.retention.defaults(),
        archive_days=house.settings.retention.archive_days,
        next_run_at=None if planned is None else time_of(house.nightly.next_ms(planned, house.now())),
        last_run=_run_out(await house.runs.last(KIND)),
    )


@get(
    "/api/retention",
    guards=[needs("settings", "read")],
    summary="How long things are kept",
    operation_id="get_retention",
    tags=TAG,
)
async def get_retention(house: TheHouse, caller: TheCaller) -> RetentionOut:
    """The days of each sort, the last run of the clean-up and its next one."""
    return await _out(house, caller.workspace_id)


@patch(
    "/api/retention",
    guards=[needs("settings", "write")],
    summary="Keep things longer or shorter",
    operation_id="change_retention",
    tags=TAG,
)
async def change_retention(house: TheHouse, caller: TheCaller, data: JSONBody[RetentionIn]) -> RetentionOut:
    """It holds from the next run on. Ask for a preview first: what is deleted without an archive is gone."""
    await house.retention.change(caller.workspace_id, caller.actor, _draft(data))
    return await _out(house, caller.workspace_id)


@post(
    "/api/retention/preview",
    guards=[needs("settings", "read")],
    summary="What would go",
    operation_id="preview_retention",
    tags=TAG,
    status_code=200,
)
async def preview_retention(house: TheHouse, caller: TheCaller, data: JSONBody[RetentionIn]) -> Waiting:
    """How many rows would go if a run began now and these days held. Nothing is changed."""
    return await house.retention.waiting(caller.workspace_id, _draft(data))


@get(
    "/api/archive",
    guards=[needs("settings", "read")],
    summary="What is in the archive",
    operation_id="list_archive",
    tags=TAG,
)
async def list_archive(house: TheHouse, caller: TheCaller) -> ArchiveOut:
    """Each month with its rows and its size."""
    months = [ArchivedMonthOut(**structs.asdict(one)) for one in await house.archives.months(caller.workspace_id)]
    return ArchiveOut(months=months, bytes=sum(one.bytes for one in months))


@get(
    "/api/archive/search",
    guards=[needs("alerts", "read")],
    summary="Search the archive",
    operation_id="search_archive",
    tags=TAG,
)
async def search_archive(
    house: TheHouse,
    caller: TheCaller,
    what: Annotated[str, QueryParameter(name="what", description="alert_group or event.")] = "alert_group",
    text: Annotated[str, QueryParameter(name="text", description="In titles and messages.", max_length=200)] = "",
    project: Annotated[str, QueryParameter(name="project", description="Of this project.", max_length=200)] = "",
    since: Annotated[str | None, QueryParameter(name="since", description="Not before this time.")] = None,
    until: Annotated[str | None, QueryParameter(name="until", description="Before this time.")] = None,
    limit: Annotated[int, QueryParameter(name="limit", ge=1, le=500, description="Items, at most 500.")] = 100,
) -> ArchiveFoundOut:
    """Alert groups by their last event, or events; the newest first. It reads files: it may take some seconds."""
    if what not in ("alert_group", "event"):
        raise Invalid("what is alert_group or event", path="what")
    wanted = Wanted(
        what=what, text=text, project=project, limit=limit,
        from_ms=None if since is None else read_time(since, "since"),
        until_ms=None if until is None else read_time(until, "until"),
    )  # fmt: skip
    return ArchiveFoundOut(items=[_found(one) for one in await house.archives.search(caller.workspace_id, wanted)])


def _found(row: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith("_ms"):
            out[name.removesuffix("_ms") + "_at"] = show_time(value)
        elif name in ("id", "group_id") and value is not None:
            out[name] = ids.show(value)
        elif name == "severity" and value is not None:
            out[name] = str(_SEVERITIES[value])
        else:
            out[name] = value
    return out


_SEVERITIES: Final = ("info", "low", "medium", "high", "critical")


@post(
    "/api/archive/restore",
    guards=[needs("settings", "write")],
    summary="Put a month back",
    operation_id="restore_archive",
    tags=TAG,
    status_code=200,
)
async def restore_archive(house: TheHouse, caller: TheCaller, data: JSONBody[ArchiveRestoreIn]) -> ArchiveRestoredOut:
    """Its alert groups, events and messages are in the lists again, and leave the archive. 409 while one runs."""
    done = await house.archives.restore_for(_PATIENCE_S, caller.workspace_id, caller.actor, data.month)
    if done is None:
        return ArchiveRestoredOut(done=False, month=data.month, rows={}, kept_until=None)
    return ArchiveRestoredOut(done=True, month=done.month, rows=done.rows, kept_until=time_of(done.until_ms))


@post("/control/retention/run", guards=[owner_only, scopes("admin")], include_in_schema=False, status_code=200)
async def run_retention(house: TheHouse, caller: TheCaller) -> dict[str, Any]:
    """The nightly clean-up, now; `done` is false while it goes on, and the same request waits for it again."""
    one = await house.retention.run_for(_PATIENCE_S, house.runs)
    return {"done": one is not None, "run": _run_out(one)}


@get("/control/archive/search", guards=[owner_only, scopes("admin")], include_in_schema=False)
async def search_audit(
    house: TheHouse, caller: TheCaller, text: FromQuery[str] = "", limit: FromQuery[int] = 100
) -> dict[str, Any]:
    """The archived audit log, for the owner of the box."""
    found = await house.archives.search(caller.workspace_id, Wanted(what="audit", text=text, limit=limit))
    return {"items": [_found(one) for one in found]}


@post("/control/archive/verify", guards=[owner_only, scopes("admin")], include_in_schema=False, status_code=200)
async def verify_archive(house: TheHouse, caller: TheCaller) -> dict[str, int]:
    """Whether every file of the archive is as it was written."""
    return {"files": await house.archives.verify(caller.workspace_id)}


ROUTES: Final[list[Any]] = [
    get_retention,
    change_retention,
    preview_retention,
    list_archive,
    search_archive,
    restore_archive,
    run_retention,
    search_audit,
    verify_archive,
]
