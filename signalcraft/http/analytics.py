"""/api/analytics: long ranges, what leads in them and who took part; the numbers themselves; questions in SQL."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta, Struct

from signalcraft.domain import ids
from signalcraft.errors import NotFound
from signalcraft.http.auth import TheCaller, needs, scopes
from signalcraft.http.wire import TheHouse, show_time, time_of
from signalcraft.services.care.rollups import Analysed
from signalcraft.services.overview import percent
from signalcraft.storage import channels, integrations, journal, people, rules
from signalcraft.storage.db import Tx
from signalcraft.storage.rollups import querying
from signalcraft.storage.rollups.asking import Leader, Point, Progress

TAG: Final = ["dashboard"]


class MeasuredOut(Struct, frozen=True, kw_only=True):
    """What was counted. Means and medians are null where nothing was measured; medians are within 2.5 %.

    * `notifications` make a sound, `edits` make none, `failures` were given up; `groups` began.
    * `acknowledged`: groups, when they were acknowledged the first time, and how long after their first event
      (`mtta_seconds` is the mean); `resolved`: resolutions by people and sources, each (`mttr_seconds`).
    * `dedup_percent`: events that made no sound, of a hundred. `delivered_percent`: messages that a channel took.
    * `active_people`: who signed in, answered or changed anything.
    """

    events: int
    duplicates: int
    groups: int
    notifications: int
    edits: int
    failures: int
    acknowledged: int
    mtta_seconds: float | None
    median_ack_seconds: float | None
    resolved: int
    mttr_seconds: float | None
    median_resolve_seconds: float | None
    dedup_percent: float | None
    delivered_percent: float | None
    active_people: int


class AnalyticsPoint(MeasuredOut, frozen=True, kw_only=True):
    """One hour or day, from `at` on."""

    at: str


class LeaderOut(Struct, frozen=True, kw_only=True):
    """What one of a dimension adds up to. `id` is null for a project, a severity, and what was deleted."""

    id: str | None
    name: str
    events: int
    duplicates: int
    groups: int
    notifications: int
    edits: int
    failures: int
    delivered_percent: float | None
    acknowledged: int
    acknowledgements: int
    acts: int
    median_ack_seconds: float | None
    resolved: int
    median_resolve_seconds: float | None


class AnalyticsOut(Struct, frozen=True, kw_only=True):
    """A long range. `as_of`: up to when everything is counted. `leaders`: at most 20, the loudest first.

    `people_of_last_day`, `people_of_last_week`: active people, whatever the range. `closed`: groups that closed by
    themselves after silence.
    """

    range: str
    by: str
    since: str
    until: str
    as_of: str
    step_seconds: int
    whole: MeasuredOut
    series: list[AnalyticsPoint]
    leaders: list[LeaderOut]
    people_of_last_day: int
    people_of_last_week: int
    escalations: int
    closed: int


class MetricsStateOut(Struct, frozen=True, kw_only=True):
    """The file of long-range numbers. `why`: where it cannot be read; it is made anew by itself within the hour."""

    there: bool
    why: str
    counted_at: str | None
    built_at: str | None
    since: str | None
    until: str | None
    minutes: int
    hours: int
    days: int
    bytes: int


class RebuiltOut(Struct, frozen=True, kw_only=True):
    """What was counted. `done`: false where that takes longer: it goes on. `filled_days`: days whose rows are gone and
    in no archive; their counters stand in for them.
    """

    done: bool
    events: int
    archived_events: int
    groups: int
    lines: int
    filled_days: int
    seconds: float
    bytes: int


class QueryIn(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One SELECT over minutes, hours, days, label and archived_*."""

    sql: Annotated[str, Meta(min_length=1, max_length=querying.SQL_MAX)]
    limit: Annotated[int, Meta(ge=1, le=querying.ROWS_MAX)] = 1_000


class QueryColumn(Struct, frozen=True):
    """A column and its type in DuckDB."""

    name: str
    type: str


class QueryOut(Struct, frozen=True, kw_only=True):
    """The answer: rows of values in the order of the columns. `truncated`: there were more rows than were asked for."""

    columns: list[QueryColumn]
    rows: list[list[str | int | float | bool | None]]
    truncated: bool
    seconds: float


@get(
    "/api/analytics",
    guards=[scopes("alerts:read")],
    summary="What happened over a long time",
    operation_id="get_analytics",
    tags=TAG,
)
async def get_analytics(
    house: TheHouse,
    caller: TheCaller,
    range: Annotated[str, QueryParameter(name="range", description="24h, 7d, 30d, 90d or 1y.")] = "30d",
    by: Annotated[
        str, QueryParameter(name="by", description="integration, project, severity, rule, channel or user.")
    ] = "integration",
) -> AnalyticsOut:
    """Trends of events, messages and answers, and who or what leads in one dimension."""
    seen = await house.rollups.analysed(caller.workspace_id, range, by)
    return await house.db.read(lambda tx: _out(tx, caller.workspace_id, seen, range, by))


@get(
    "/api/metrics/rollups",
    guards=[needs("settings", "read")],
    summary="How the long-range numbers are",
    operation_id="get_rollups",
    tags=["health"],
)
async def get_rollups(house: TheHouse) -> MetricsStateOut:
    """What the file holds. 503 while it is counted."""
    held = await house.rollups.held()
    return MetricsStateOut(
        there=held.there,
        why=held.why,
        counted_at=show_time(house.rollups.counted_ms or None),
        built_at=show_time(held.built_ms),
        since=show_time(held.from_ms),
        until=show_time(held.until_ms),
        minutes=held.minutes,
        hours=held.hours,
        days=held.days,
        bytes=held.bytes,
    )


@post(
    "/api/metrics/rebuild",
    guards=[needs("settings", "write")],
    summary="Count the long-range numbers anew",
    operation_id="rebuild_rollups",
    tags=["health"],
    status_code=200,
)
async def rebuild_rollups(house: TheHouse, caller: TheCaller) -> RebuiltOut:
    """From the database and the archive. The old numbers are shown until the new ones are whole."""
    now_ms = house.now()
    await house.db.write(
        lambda tx: journal.add(tx, now_ms, caller.workspace_id, None, "metrics.rebuilt", caller.actor, {})
    )
    return _rebuilt(await house.rollups.rebuild())


@post(
    "/api/query",
    guards=[needs("settings", "write")],
    summary="Ask the long-range numbers in SQL",
    operation_id="query",
    tags=TAG,
    status_code=200,
)
async def query(house: TheHouse, caller: TheCaller, data: JSONBody[QueryIn]) -> QueryOut:
    """One SELECT, read-only, at most ten seconds. Who asked what is in the audit log."""
    now_ms = house.now()
    said = {"sql": data.sql[:2_000]}
    await house.db.write(
        lambda tx: journal.add(tx, now_ms, caller.workspace_id, None, "query.asked", caller.actor, said)
    )
    table = await house.rollups.asked(caller.workspace_id, data.sql, data.limit)
    return QueryOut(
        columns=[QueryColumn(*one) for one in table.columns],
        rows=table.rows,
        truncated=table.cut,
        seconds=round(table.seconds, 3),
    )


def _out(tx: Tx, workspace_id: int, seen: Analysed, said: str, by: str) -> AnalyticsOut:
    found = seen.analysis
    names = _names(tx, workspace_id, by, found.leaders)
    return AnalyticsOut(
        range=said,
        by=by,
        since=time_of(seen.from_ms),
        until=time_of(seen.until_ms),
        as_of=time_of(seen.as_of_ms),
        step_seconds=3600 if seen.step == "hours" else 86_400,
        whole=MeasuredOut(**_measured(found.whole)),
        series=[
            AnalyticsPoint(at=time_of(max(point.at_ms, seen.from_ms)), **_measured(point)) for point in found.points
        ],
        leaders=[_leader(one, by, names) for one in found.leaders],
        people_of_last_day=found.day_users,
        people_of_last_week=found.week_users,
        escalations=found.escalations,
        closed=found.closed,
    )


def _measured(point: Point) -> dict[str, Any]:
    return {
        "events": point.events, "duplicates": point.duplicates, "groups": point.groups,
        "notifications": point.notifications, "edits": point.edits, "failures": point.failures,
        "acknowledged": point.acknowledged, "mtta_seconds": _seconds(point.ack_mean_ms),
        "median_ack_seconds": _seconds(point.ack_median_ms), "resolved": point.resolved,
        "mttr_seconds": _seconds(point.resolve_mean_ms), "median_resolve_seconds": _seconds(point.resolve_median_ms),
        "dedup_percent": percent(max(point.events - point.notifications, 0), point.events),
        "delivered_percent": percent(point.notifications, point.notifications + point.failures),
        "active_people": point.users,
    }  # fmt: skip


def _names(tx: Tx, workspace_id: int, by: str, leaders: list[Leader]) -> dict[str, str]:
    if by == "integration":
        return {str(row.id): row.name for row in integrations.every(tx, workspace_id)}
    if by == "channel":
        return {str(row.id): row.name for row in channels.every(tx, workspace_id)}
    if by == "rule":
        return {str(row.id): row.name for row in rules.every(tx, workspace_id)}
    return _people(tx, [one.name for one in leaders]) if by == "user" else {}


def _people(tx: Tx, keys: list[str]) -> dict[str, str]:
    """{user:ID: the person's name now}. Who has no account here, in Slack or on the box's terminal, has their id."""
    found = {}
    for key in keys:
        kind, _, number = key.partition(":")
        if kind == "user":
            with suppress(NotFound):
                person = people.find(tx, ids.parse(number))
                if person is not None:
                    found[key] = person.name
    return found


def _leader(one: Leader, by: str, names: dict[str, str]) -> LeaderOut:
    known = names.get(one.name)
    return LeaderOut(
        id=_id(one.name) if known is not None else None,
        name=known if known is not None else "deleted" if by in ("integration", "channel", "rule") else one.name,
        events=one.events,
        duplicates=one.duplicates,
        groups=one.groups,
        notifications=one.notifications,
        edits=one.edits,
        failures=one.failures,
        delivered_percent=percent(one.notifications, one.notifications + one.failures),
        acknowledged=one.acknowledged,
        acknowledgements=one.acknowledgements,
        acts=one.acts,
        median_ack_seconds=_seconds(one.ack_median_ms),
        resolved=one.resolved,
        median_resolve_seconds=_seconds(one.resolve_median_ms),
    )


def _id(key: str) -> str:
    return ids.show(int(key)) if key.isdecimal() else key.partition(":")[2]


def _rebuilt(done: Progress | None) -> RebuiltOut:
    progress = done or Progress()
    return RebuiltOut(
        done=done is not None,
        events=progress.events,
        archived_events=progress.archived_events,
        groups=progress.groups,
        lines=progress.lines,
        filled_days=progress.filled_days,
        seconds=round(progress.seconds, 2),
        bytes=progress.bytes,
    )


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 1)


ROUTES: Final[list[Any]] = [get_analytics, get_rollups, rebuild_rollups, query]
