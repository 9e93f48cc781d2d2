"""/api/dashboard/overview: what a stretch of time looked like, measured."""

from __future__ import annotations

import re
from typing import Annotated, Final

from litestar import get
from litestar.params import QueryParameter
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.severity import Severity
from signalcraft.errors import Invalid
from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.wire import TheHouse, time_of
from signalcraft.storage import lists, overview
from signalcraft.storage.db import Tx

TAG: Final = ["dashboard"]
_RANGE: Final = re.compile(r"([1-9]\d{0,4})([mhd])", re.ASCII)
_UNIT_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS: Final = 90 * 86_400_000
_TOP: Final = 10


class SeverityOut(Struct, frozen=True):
    """Groups that were active, of one severity; `open` of them nobody has answered."""

    severity: str
    groups: int
    open: int


class SourceOut(Struct, frozen=True):
    """An integration and what it sent. `integration` is None once it is deleted."""

    integration_id: str
    integration: str | None
    events: int


class Overview(Struct, frozen=True, kw_only=True):
    """Everything measured since `since`, by whole minutes. None: nothing was there to measure.

    * `events`: taken in; `duplicates`: said before; `sampled`: counted, their bytes not kept; `refused`: sent away.
    * `groups`: had an event; `new_groups`: began.
    * `notifications`: messages that make a sound; `edits` of messages make none.
    * `noise_reduction_percent`: events that made no sound, of a hundred.
    * `ack_rate_percent`: groups that began and were acknowledged, of a hundred that began.
    * `mtta_seconds`: mean time from a group's first event to its first acknowledgement, of groups that began;
      `mttr_seconds`: to its resolution, of groups resolved by a person or their source.
    """

    range: str
    since: str
    until: str
    events: int
    duplicates: int
    sampled: int
    quarantined: int
    refused: int
    groups: int
    new_groups: int
    notifications: int
    edits: int
    failures: int
    noise_reduction_percent: float | None
    acknowledged: int
    ack_rate_percent: float | None
    mtta_seconds: float | None
    resolved: int
    mttr_seconds: float | None
    by_status: dict[str, int]
    by_severity: list[SeverityOut]
    top_sources: list[SourceOut]


@get(
    "/api/dashboard/overview",
    guards=[scopes("alerts:read")],
    summary="What happened lately",
    operation_id="get_overview",
    tags=TAG,
)
async def get_overview(
    house: TheHouse,
    caller: TheCaller,
    range: Annotated[str, QueryParameter(name="range", description="24h, 90m, 7d; at most 90d.")] = "24h",
) -> Overview:
    """Events, groups, messages and how fast people answered, over a stretch of time that ends now."""
    now_ms = house.now()
    since_ms = (now_ms - range_ms(range)) // 60_000 * 60_000  # counters are kept by the minute
    return await house.db.read(lambda tx: _measured(tx, caller.workspace_id, range, since_ms, now_ms))


def range_ms(text: str) -> int:
    """Milliseconds of `24h`. Raises Invalid at `range`."""
    match = _RANGE.fullmatch(text)
    span_ms = int(match[1]) * _UNIT_MS[match[2]] if match else 0
    if not 0 < span_ms <= _LONGEST_MS:
        raise Invalid("a range looks like 90m, 24h or 7d, and is at most 90d", path="range")
    return span_ms


def _measured(tx: Tx, workspace_id: int, said: str, since_ms: int, now_ms: int) -> Overview:
    from_minute = since_ms // 60_000
    counted = overview.counted(tx, workspace_id, from_minute)
    severities = overview.by_severity(tx, workspace_id, since_ms)
    answered = overview.answered(tx, workspace_id, since_ms)
    resolved, to_resolve_ms = overview.resolved(tx, workspace_id, since_ms)
    names = lists.integration_names(tx, workspace_id)
    events, notifications = counted.get("events", 0), counted.get("notifications", 0)
    return Overview(
        range=said,
        since=time_of(since_ms),
        until=time_of(now_ms),
        events=events,
        duplicates=counted.get("duplicates", 0),
        sampled=counted.get("sampled", 0),
        quarantined=counted.get("quarantined", 0),
        refused=counted.get("refused_signature", 0) + counted.get("refused_limit", 0),
        groups=sum(one.groups for one in severities),
        new_groups=answered.began,
        notifications=notifications,
        edits=counted.get("edits", 0),
        failures=counted.get("failures", 0),
        noise_reduction_percent=_percent(max(events - notifications, 0), events),
        acknowledged=answered.acknowledged,
        ack_rate_percent=_percent(answered.acknowledged, answered.began),
        mtta_seconds=_seconds(answered.to_acknowledge_ms),
        resolved=resolved,
        mttr_seconds=_seconds(to_resolve_ms),
        by_status=dict(sorted(overview.by_status(tx, workspace_id).items())),
        by_severity=[SeverityOut(Severity(one.severity).label, one.groups, one.open) for one in severities],
        top_sources=[
            SourceOut(ids.show(one.integration_id), names.get(one.integration_id), one.events)
            for one in overview.top_sources(tx, workspace_id, from_minute, _TOP)
        ],
    )


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 1)


ROUTES = [get_overview]
