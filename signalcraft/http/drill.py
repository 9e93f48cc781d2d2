"""/api/drill: the restore drill, its last result, and its quarterly reports."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from signalcraft.domain.drillreport import Tried
from signalcraft.http.auth import TheCaller, needs
from signalcraft.http.wire import TheHouse, show_time
from signalcraft.services.house import House

TAG: Final = ["health"]
_WAIT_MAX: Final = 30


class DrillPartOut(Struct, frozen=True, kw_only=True):
    """One thing that was restored. `source`: backup or replica; `restore_seconds`: until it was there and checked;
    `data_loss_seconds`: how much a loss of the box at that moment would have cost.
    """

    source: str
    well: bool
    restore_seconds: float | None
    data_loss_seconds: float | None
    said: str


class DrillOut(Struct, frozen=True, kw_only=True):
    """How the drills stand. `state` of the last one: ok, failed, or null where none ended yet. `sources`: what would be
    restored now. `reports`: names, the newest first.
    """

    state: str | None
    said: str
    began_at: str | None
    took_ms: int | None
    parts: list[DrillPartOut]
    last_good_at: str | None
    next_at: str | None
    running: bool
    sources: list[str]
    reports: list[str]


class DrillReportOut(Struct, frozen=True):
    """A quarter's report, as Markdown."""

    name: str
    text: str


@get(
    "/api/drill",
    guards=[needs("settings", "read")],
    summary="The restore drill",
    operation_id="get_drill",
    tags=TAG,
)
async def get_drill(
    house: TheHouse,
    wait_seconds: Annotated[
        int, QueryParameter(name="wait_seconds", ge=0, le=_WAIT_MAX, description="Wait so long for one under way.")
    ] = 0,
) -> DrillOut:
    """Each night what would be restored from is restored into a scratch directory."""
    if wait_seconds:
        await house.drill.settled(wait_seconds)
    return await _out(house)


@post(
    "/api/drill",
    guards=[needs("settings", "write")],
    summary="Begin a restore drill",
    operation_id="begin_drill",
    tags=TAG,
    status_code=202,
)
async def begin_drill(house: TheHouse, caller: TheCaller) -> DrillOut:
    """One now, beside the nights'. 409: one is under way."""
    await house.drill.begin(caller.actor)
    return await _out(house)


@get(
    "/api/drill/reports/{name:str}",
    guards=[needs("settings", "read")],
    summary="A quarterly report of the restore drills",
    operation_id="get_drill_report",
    tags=TAG,
)
async def get_drill_report(house: TheHouse, name: FromPath[str]) -> DrillReportOut:
    """As it lies under reports/ in the data directory."""
    return DrillReportOut(name, await asyncio.to_thread(house.drill.read_report, name))


async def _out(house: House) -> DrillOut:
    state = await house.drill.state()
    last = state.last
    return DrillOut(
        state=None if last is None else last.state,
        said="" if last is None else last.said,
        began_at=show_time(None if last is None else last.began_ms),
        took_ms=None if last is None or last.ended_ms is None else last.ended_ms - last.began_ms,
        parts=[_part(one) for one in state.tried],
        last_good_at=show_time(state.last_good_ms),
        next_at=show_time(state.next_ms),
        running=state.running,
        sources=state.sources,
        reports=state.reports,
    )


def _part(one: Tried) -> DrillPartOut:
    return DrillPartOut(
        source=one.source, well=one.well, restore_seconds=one.rto_s, data_loss_seconds=one.rpo_s, said=one.said
    )


ROUTES: Final[list[Any]] = [get_drill, begin_drill, get_drill_report]
