"""/api/dashboard/overview: what a stretch of time looked like, measured."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from litestar import get
from litestar.params import QueryParameter
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.severity import Severity
from signalcraft.errors import Invalid
from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.shapes import GroupOut, groups_out
from signalcraft.http.wire import TheHouse, show_time, time_of
from signalcraft.services import own
from signalcraft.services.overview import FORMULAS, ChannelNow, Seen, Source, Stretch, percent
from signalcraft.services.senders import Sender
from signalcraft.storage.db import Tx

TAG: Final = ["dashboard"]
_RANGE: Final = re.compile(r"([1-9]\d{0,4})([mhd])", re.ASCII)
_UNIT_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS: Final = 90 * 86_400_000


class SeverityCountOut(Struct, frozen=True):
    """Groups that were active, of one severity; `open` of them nobody has answered."""

    severity: str
    groups: int
    open: int


class NoisySource(Struct, frozen=True, kw_only=True):
    """What an integration sent. `integration` and `kind` are None once it is deleted; `score`: see `formulas`."""

    integration_id: str
    integration: str | None
    kind: str | None
    events: int
    new_groups: int
    share_percent: float
    score: float


class FiguresOut(Struct, frozen=True, kw_only=True):
    """What was measured in [since, until), by whole minutes. None: nothing was there to measure.

    * `events`: taken in; `duplicates`: said before; `sampled`: counted, their bytes not kept; `refused`: sent away.
    * `new_groups`: began.
    * `notifications`: messages that make a sound; `edits` of messages make none.
    * `noise_reduction_percent`: events that made no sound, of a hundred.
    * `ack_rate_percent`: groups that began and were acknowledged, of a hundred that began.
    * `mtta_seconds`: mean time from a group's first event to its first acknowledgement, of groups that began;
      `mttr_seconds`: to its resolution, of groups resolved by a person or their source.
    """

    since: str
    until: str
    events: int
    duplicates: int
    sampled: int
    quarantined: int
    refused: int
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


class OverviewPoint(Struct, frozen=True):
    """What was counted in one bucket, from `at` on."""

    at: str
    events: int
    notifications: int
    new_groups: int


class CriticalsOut(Struct, frozen=True):
    """Open groups of severity critical: how many, and the five that were seen last."""

    count: int
    items: list[GroupOut]


class SenderHealth(Struct, frozen=True, kw_only=True):
    """How an integration is. `events` and what was refused: in the range.

    `state`: ok; silent (for longer than usual); refused (wrong signatures, or over a limit, in the range); unreadable
    (bodies in quarantine, in the range); waiting (nothing came in seven days); disabled. `last_webhook_at`: by the
    minute, null where nothing came in seven days. `usual_silence_seconds`: the longest pause between two of its events
    in seven days, null where it spoke too seldom.
    """

    id: str
    name: str
    kind: str
    state: str
    last_webhook_at: str | None
    silent_seconds: int | None
    usual_silence_seconds: int | None
    events: int
    quarantined: int
    refused_signature: int
    refused_limit: int


class TargetHealth(Struct, frozen=True, kw_only=True):
    """How a channel is. `sent`, `edits`, `failures`: in the range; `owed`: now, edits included.

    `state`: ok; broken (a person must mend it: `why`); silent (nobody answers, it is probed); waiting (the vendor asked
    for a pause); held (disabled, and something is owed); unusable (its settings cannot be read); disabled.
    """

    id: str
    name: str
    kind: str
    state: str
    why: str | None
    last_sent_at: str | None
    owed: int
    oldest_owed_at: str | None
    sent: int
    edits: int
    failures: int


class RangeOffer(Struct, frozen=True):
    """A range that the dashboard offers, or `why` not: it would take too long to add up."""

    range: str
    available: bool
    why: str | None


class OverviewOut(FiguresOut, frozen=True, kw_only=True):
    """Everything measured in the range, and how senders and channels are now.

    * `groups`: had an event in the range. `by_status`: all groups, now. `owed`: messages not taken yet.
    * `previous`: the same figures for the stretch of the same length before; null where the counters do not reach back
      (`previous_why`). `measured_since`: where counting began within the range, else null.
    * `series`: at most 97 buckets of `bucket_seconds`. `formulas`: how each figure is counted.
    """

    range: str
    groups: int
    previous: FiguresOut | None
    previous_why: str | None
    measured_since: str | None
    by_status: dict[str, int]
    by_severity: list[SeverityCountOut]
    bucket_seconds: int
    series: list[OverviewPoint]
    top_sources: list[NoisySource]
    open_criticals: CriticalsOut
    owed: int
    oldest_owed_at: str | None
    last_sent_at: str | None
    failed_last_day: int
    integrations: list[SenderHealth]
    channels: list[TargetHealth]
    ranges: list[RangeOffer]
    formulas: dict[str, str]


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
) -> OverviewOut:
    """Events, groups, messages and how fast people answered, over a stretch of time that ends now."""
    workspace_id, span_ms, now_ms = caller.workspace_id, range_ms(range), house.now()

    def read(tx: Tx) -> OverviewOut:
        return _out(tx, house.overview.look(tx, workspace_id, span_ms, now_ms), range, now_ms)

    # By whole minutes, as it counts: who fell silent is said in time. How channels answer is in memory alone.
    key = ("overview", range, now_ms // 60_000, house.deliver.moods(workspace_id))
    return await house.cache.read("stats", workspace_id, key, read)


def range_ms(text: str) -> int:
    """Milliseconds of `24h`. Raises Invalid at `range`."""
    match = _RANGE.fullmatch(text)
    span_ms = int(match[1]) * _UNIT_MS[match[2]] if match else 0
    if not 0 < span_ms <= _LONGEST_MS:
        raise Invalid("a range looks like 90m, 24h or 7d, and is at most 90d", path="range")
    return span_ms


def _out(tx: Tx, seen: Seen, said: str, now_ms: int) -> OverviewOut:
    count, criticals = seen.criticals
    names = {one.row.id: one for one in seen.senders}
    status = seen.status
    return OverviewOut(
        **_figures(seen.now, now_ms),
        range=said,
        groups=sum(one.groups for one in seen.severities),
        previous=None if seen.previous is None else FiguresOut(**_figures(seen.previous, seen.previous.until_ms)),
        previous_why=seen.previous_why,
        measured_since=show_time(seen.measured_since_ms),
        by_status=dict(sorted(seen.by_status.items())),
        by_severity=[SeverityCountOut(Severity(one.severity).label, one.groups, one.open) for one in seen.severities],
        bucket_seconds=seen.bucket_ms // 1000,
        series=[OverviewPoint(time_of(p.at_ms), p.events, p.notifications, p.new_groups) for p in seen.points],
        top_sources=[_source(one, names.get(one.integration_id)) for one in seen.top],
        open_criticals=CriticalsOut(count, groups_out(tx, criticals, now_ms)),
        owed=status.owed_posts + status.owed_edits,
        oldest_owed_at=show_time(status.oldest_owed_ms),
        last_sent_at=show_time(status.last_sent_ms),
        failed_last_day=status.failed_last_day,
        integrations=[_sender(one, now_ms) for one in seen.senders],
        channels=[_target(one) for one in seen.channels],
        ranges=[RangeOffer(one.range, one.available, one.why) for one in seen.ranges],
        formulas=FORMULAS,
    )


def _figures(one: Stretch, until_ms: int) -> dict[str, Any]:
    counted = one.counted
    events, notifications = counted["events"], counted["notifications"]
    return {
        "since": time_of(one.since_ms),
        "until": time_of(until_ms),
        "events": events,
        "duplicates": counted["duplicates"],
        "sampled": counted["sampled"],
        "quarantined": counted["quarantined"],
        "refused": counted["refused_signature"] + counted["refused_limit"],
        "new_groups": one.new_groups,
        "notifications": notifications,
        "edits": counted["edits"],
        "failures": counted["failures"],
        "noise_reduction_percent": percent(max(events - notifications, 0), events),
        "acknowledged": one.acknowledged,
        "ack_rate_percent": percent(one.acknowledged, one.new_groups),
        "mtta_seconds": _seconds(one.to_acknowledge_ms),
        "resolved": one.resolved,
        "mttr_seconds": _seconds(one.to_resolve_ms),
    }


def _source(one: Source, sender: Sender | None) -> NoisySource:
    name, kind = (None, None) if sender is None else (sender.row.name, sender.row.kind)
    if one.integration_id == own.INTEGRATION_ID:  # it stands in no table, and is not deleted either
        name, kind = own.LABEL, own.KIND
    return NoisySource(
        integration_id=ids.show(one.integration_id),
        integration=name,
        kind=kind,
        events=one.events,
        new_groups=one.new_groups,
        share_percent=one.share_percent,
        score=one.score,
    )


def _sender(one: Sender, now_ms: int) -> SenderHealth:
    return SenderHealth(
        id=ids.show(one.row.id),
        name=one.row.name,
        kind=one.row.kind,
        state=one.state,
        last_webhook_at=show_time(one.last_ms),
        silent_seconds=None if one.last_ms is None else max(now_ms - one.last_ms, 0) // 1000,
        usual_silence_seconds=None if one.usual_ms is None else one.usual_ms // 1000,
        events=one.events,
        quarantined=one.quarantined,
        refused_signature=one.refused_signature,
        refused_limit=one.refused_limit,
    )


def _target(one: ChannelNow) -> TargetHealth:
    return TargetHealth(
        id=ids.show(one.row.id),
        name=one.row.name,
        kind=one.row.kind,
        state=one.state,
        why=one.why,
        last_sent_at=show_time(one.row.last_sent_ms),
        owed=one.owed,
        oldest_owed_at=show_time(one.oldest_owed_ms),
        sent=one.sent,
        edits=one.edits,
        failures=one.failures,
    )


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 1)


ROUTES = [get_overview]
