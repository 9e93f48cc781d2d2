"""What the page of an alert group shows beside the group: tags, occurrences, kindred groups, its past, who is next."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Final, Literal

from litestar import get
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.shapes import GroupOut, RuleNamed, groups_out
from signalcraft.http.wire import TheHouse, show_time, time_of
from signalcraft.services import history, outlook, related
from signalcraft.services.watch import MINUTES_KEPT_DAYS
from signalcraft.storage import behind, groups, lists

TAG: Final = ["alert groups"]
EVENTS_LOOKED_AT: Final = 1_000
VALUES_MAX: Final = 10
KEYS_MAX: Final = 100
_MINUTE_MS: Final = 60_000
_RANGES: Final = {"24h": (24 * 60, 15), "7d": (7 * 24 * 60, 120), "30d": (30 * 24 * 60, 480)}
"""How far back, and how wide a bucket is, in minutes."""

Range = Literal["24h", "7d", "30d"]


class TagValue(Struct, frozen=True):
    """A value, and how many events bear it."""

    value: str
    count: int


class TagKey(Struct, frozen=True, kw_only=True):
    """One tag. `events`: how many bear it; `distinct`: how many values it has; `values`: the ten most frequent."""

    key: str
    events: int
    distinct: int
    values: list[TagValue]


class Tags(Struct, frozen=True, kw_only=True):
    """How tags are spread over the latest events (at most 1,000); the tags that most events bear first."""

    events_looked_at: int
    events: int
    keys: list[TagKey]


class Bucket(Struct, frozen=True):
    """Events in the stretch that begins then; null where they are not counted any more."""

    at: str
    events: int | None


class Occurrences(Struct, frozen=True, kw_only=True):
    """Events over time, the oldest bucket first. Minutes are counted for 14 days: before `counted_since` is null."""

    range: str
    bucket_minutes: int
    counted_since: str
    total: int
    buckets: list[Bucket]


class ReasonOut(Struct, frozen=True):
    """kind: same_project, same_title, same_tags."""

    kind: str
    detail: str


class RelatedOut(Struct, frozen=True):
    """Another alert group, and why it may have to do with this one."""

    group: GroupOut
    reasons: list[ReasonOut]


class RelatedPage(Struct, frozen=True):
    """Those with more reasons first. `window_minutes`: how far apart two groups of one project may have begun."""

    window_minutes: int
    items: list[RelatedOut]


class EpisodeOut(Struct, frozen=True, kw_only=True):
    """One episode. began_by: opened, episode, reopened, broke_through, acknowledgement_expired.

    `end`: resolved, or `next` where another one began before; null while it lasts. `minutes`: how long it lasted.
    """

    episode: int
    began_at: str
    began_by: str
    why: str
    acknowledged_at: str | None
    acknowledged_by: str | None
    ended_at: str | None
    end: str | None
    resolved_by: str | None
    note: str | None
    minutes: int | None


class PastOut(Struct, frozen=True, kw_only=True):
    """One alert group of the key with its episodes, the latest first.

    `whole`: all of its episodes are here. `this`: the group that was asked of.
    """

    group_id: str
    this: bool
    title: str
    status: str
    count: int
    opened_at: str
    resolved_at: str | None
    resolved_by: str | None
    resolution_note: str | None
    minutes: int | None
    episodes: list[EpisodeOut]
    whole: bool


class History(Struct, frozen=True):
    """The alert groups of one key, the latest begun first, at most 20."""

    group_key: str
    items: list[PastOut]


class StepTarget(Struct, frozen=True):
    """A channel of a step. `usable` false: it would not be told; `why` says why."""

    name: str
    usable: bool
    why: str


class StepOut(Struct, frozen=True, kw_only=True):
    """One step. state: pending, fired, cancelled. `rule` is null once it is deleted.

    `late_seconds`: by how much it came late.
    """

    id: str
    rule: RuleNamed | None
    episode: int
    after_minutes: int
    targets: list[StepTarget]
    state: str
    due_at: str
    ended_at: str | None
    late_seconds: int | None


class EscalationOut(Struct, frozen=True):
    """Who is told if nobody answers. `next` is null where nobody: `why` says it in words, `state` in one.

    state: pending, settling, acknowledged, snoozed, resolved, no_rule, done.
    """

    state: str
    why: str
    next: StepOut | None
    steps: list[StepOut]


@get(
    "/api/alert-groups/{id:str}/tags",
    guards=[scopes("alerts:read")],
    summary="Tags of an alert group",
    operation_id="get_alert_group_tags",
    tags=TAG,
)
async def group_tags(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> Tags:
    """How often which value of which tag was seen, over the latest 1,000 events."""
    group_id = ids.parse(id)

    def read(tx: Any) -> Tags:
        group = groups.get(tx, caller.workspace_id, group_id)
        spread: dict[str, Counter[str]] = {}
        looked_at = 0
        for tags, n in behind.tags(tx, group.id, EVENTS_LOOKED_AT):
            looked_at += n
            for key, value in tags.items():
                spread.setdefault(key, Counter())[value] += n
        keys = [
            TagKey(
                key=key,
                events=counted.total(),
                distinct=len(counted),
                values=[TagValue(value, n) for value, n in counted.most_common(VALUES_MAX)],
            )
            for key, counted in spread.items()
        ]
        keys.sort(key=lambda one: (-one.events, one.distinct, one.key))
        return Tags(events_looked_at=looked_at, events=group.count, keys=keys[:KEYS_MAX])

    return await house.db.read(read)


@get(
    "/api/alert-groups/{id:str}/occurrences",
    guards=[scopes("alerts:read")],
    summary="Events of an alert group over time",
    operation_id="get_alert_group_occurrences",
    tags=TAG,
)
async def group_occurrences(
    house: TheHouse,
    caller: TheCaller,
    id: FromPath[str],
    span: Annotated[Range, QueryParameter(name="range", description="24h, 7d or 30d.")] = "24h",
) -> Occurrences:
    """How many events came when: buckets of 15 minutes, 2 hours or 8 hours."""
    group_id = ids.parse(id)
    back, width = _RANGES[span]
    now_minute = house.now() // _MINUTE_MS
    last = now_minute // width * width
    first = last - back + width
    kept = now_minute - MINUTES_KEPT_DAYS * 24 * 60

    def read(tx: Any) -> Occurrences:
        group = groups.get(tx, caller.workspace_id, group_id)
        counted: Counter[int] = Counter()
        for minute, n in behind.minutes(tx, group.id, first):
            counted[minute // width * width] += n
        # Before its first event there were none: that is known, however long ago.
        since = kept if group.first_seen_ms // _MINUTE_MS < kept else first
        buckets = [
            Bucket(time_of(at * _MINUTE_MS), counted[at] if at >= since else None)
            for at in range(first, last + 1, width)
        ]
        return Occurrences(
            range=span,
            bucket_minutes=width,
            counted_since=time_of(max(since, first) * _MINUTE_MS),
            total=sum(one.events or 0 for one in buckets),
            buckets=buckets,
        )

    return await house.db.read(read)


@get(
    "/api/alert-groups/{id:str}/related",
    guards=[scopes("alerts:read")],
    summary="Related alert groups",
    operation_id="list_related_alert_groups",
    tags=TAG,
)
async def group_related(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> RelatedPage:
    """What began about the same time in the same project, bears the same title elsewhere, or shares rare tags."""
    group_id = ids.parse(id)
    minutes = house.settings.grouping.window_minutes
    now_ms = house.now()

    def read(tx: Any) -> RelatedPage:
        group = groups.get(tx, caller.workspace_id, group_id)
        found = related.of(tx, group, minutes * _MINUTE_MS)
        shown = groups_out(tx, [one.group for one in found], now_ms)
        items = [
            RelatedOut(out, [ReasonOut(why.kind, why.detail) for why in one.reasons])
            for out, one in zip(shown, found, strict=True)
        ]
        return RelatedPage(minutes, items)

    return await house.db.read(read)


@get(
    "/api/alert-groups/{id:str}/history",
    guards=[scopes("alerts:read")],
    summary="History of an alert group's key",
    operation_id="get_alert_group_history",
    tags=TAG,
)
async def group_history(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> History:
    """Earlier alert groups and episodes of the same key: when, how long, who resolved them and how."""
    group_id = ids.parse(id)

    def read(tx: Any) -> History:
        group = groups.get(tx, caller.workspace_id, group_id)
        return History(group.group_key, [_past(one, group.id) for one in history.of(tx, group)])

    return await house.db.read(read)


def _past(past: history.Past, this: int) -> PastOut:
    group = past.group
    return PastOut(
        group_id=ids.show(group.id),
        this=group.id == this,
        title=group.title,
        status=group.status,
        count=group.count,
        opened_at=time_of(group.first_seen_ms),
        resolved_at=show_time(group.resolved_ms),
        resolved_by=group.resolved_by,
        resolution_note=group.resolution_note,
        minutes=_minutes(group.first_seen_ms, group.resolved_ms),
        episodes=[_episode(one) for one in past.episodes],
        whole=past.whole,
    )


def _episode(one: history.Episode) -> EpisodeOut:
    return EpisodeOut(
        episode=one.number,
        began_at=time_of(one.began_ms),
        began_by=one.began_by,
        why=one.why,
        acknowledged_at=show_time(one.acknowledged_ms),
        acknowledged_by=one.acknowledged_by,
        ended_at=show_time(one.ended_ms),
        end=one.end,
        resolved_by=one.resolved_by,
        note=one.note,
        minutes=_minutes(one.began_ms, one.ended_ms),
    )


def _minutes(from_ms: int, until_ms: int | None) -> int | None:
    return None if until_ms is None else max(until_ms - from_ms, 0) // _MINUTE_MS


@get(
    "/api/alert-groups/{id:str}/escalation",
    guards=[scopes("alerts:read")],
    summary="Escalation of an alert group",
    operation_id="get_alert_group_escalation",
    tags=TAG,
)
async def group_escalation(house: TheHouse, caller: TheCaller, id: FromPath[str]) -> EscalationOut:
    """The steps that were carried out or called off; the next one, when it comes and whom it tells, or why none."""
    group_id = ids.parse(id)
    snapshot = house.registry.snapshot

    def read(tx: Any) -> EscalationOut:
        group = groups.get(tx, caller.workspace_id, group_id)
        found = outlook.of(tx, snapshot, group, lists.channel_names(tx, caller.workspace_id))
        coming = None if found.next is None else _step(found.next)
        return EscalationOut(found.state, found.why, coming, [_step(one) for one in found.steps])

    return await house.db.read(read)


def _step(step: outlook.Step) -> StepOut:
    return StepOut(
        id=ids.show(step.id),
        rule=None if step.rule is None else RuleNamed(ids.show(step.rule_id), step.rule),
        episode=step.episode,
        after_minutes=step.after_minutes,
        targets=[StepTarget(one.name, one.usable, one.why) for one in step.targets],
        state=step.state,
        due_at=time_of(step.due_ms),
        ended_at=show_time(step.ended_ms),
        late_seconds=None if step.late_ms is None else step.late_ms // 1000,
    )


ROUTES = [group_tags, group_occurrences, group_related, group_history, group_escalation]
