"""What a stretch of time looked like, measured: events and messages from the minute counters, people's answers from the
groups, and how senders and channels are.

The sentences of FORMULAS say how each figure is counted; the dashboard shows them on hover, and
docs/reference/figures.md holds the same ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from signalcraft.domain.group import Group
from signalcraft.domain.severity import Severity
from signalcraft.services.deliver import Deliver, Status
from signalcraft.services.senders import Sender, Senders
from signalcraft.storage import channels, outbox, overview, rolled
from signalcraft.storage.db import Db, Tx

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
RANGES: Final = {"24h": DAY_MS, "7d": 7 * DAY_MS, "30d": 30 * DAY_MS, "90d": 90 * DAY_MS}
FINE_MS: Final = 7 * DAY_MS
"""Longer ranges begin with a whole hour: minutes are kept fourteen days, and the stretch before is as long again."""
POINTS_MAX: Final = 96
TOP: Final = 10
CRITICALS: Final = 5
_BUCKETS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440)

FORMULAS: Final[dict[str, str]] = {
    "events": "Every statement that a sender made and we took in, repeats of a group included; exact duplicates of one"
    " statement count apart.",
    "groups": "Alert groups that had at least one event in the range, whenever they began.",
    "new_groups": "Alert groups whose first event came in the range.",
    "notifications": "Messages that a channel took and that make a sound: first messages, repeats, escalations and"
    " resolutions. Edits of a message are silent and count apart.",
    "noise_reduction_percent": "(events - notifications) / events: of a hundred events, how many made no sound.",
    "acknowledged": "Groups that began in the range and were acknowledged at least once.",
    "ack_rate_percent": "Groups that began in the range and were acknowledged, of a hundred that began in it.",
    "mtta_seconds": "Mean time to acknowledge: from a group's first event to its first acknowledgement, over the groups"
    " that began in the range and were acknowledged.",
    "resolved": "Groups that a person or their source resolved in the range, whenever they began.",
    "mttr_seconds": "Mean time to resolve: from a group's first event to its resolution, over the groups that a person"
    " or their source resolved in the range. Those that closed by themselves after silence do not count.",
    "score": "Noise score: repeats of this source (its events that began no new group) of a hundred events of all"
    " sources. 40 means: without its repeats there would be 40 % fewer events.",
    "open_criticals": "Groups of severity critical with status open: nobody has acknowledged, snoozed or resolved them."
    " Whatever the range.",
    "by_severity": "Alert groups that had at least one event in the range, by the highest severity of their present"
    " episode; open ones are those that nobody has answered.",
    "owed": "Messages that are owed to a channel now and have not been taken yet, edits included.",
    "failures": "Messages that no channel took in the range and that we stopped trying to deliver.",
    "silent": "A sender counts as silent when its last event is longer ago than twice the longest pause between two of"
    " its events in the seven days before, and it spoke in at least 20 different minutes of them.",
    "trend": "Against the stretch of the same length just before: (now - before) / before.",
}
"""One sentence a figure."""


class Range(Struct, frozen=True):
    """A range that can be offered, or why not."""

    range: str
    available: bool
    why: str | None


class Stretch(Struct, frozen=True, kw_only=True):
    """The figures of [since, until). `counted`: sums by word. Means in ms."""

    since_ms: int
    until_ms: int
    counted: dict[str, int]
    new_groups: int
    acknowledged: int
    to_acknowledge_ms: float | None
    resolved: int
    to_resolve_ms: float | None


class Point(Struct, frozen=True):
    """One bucket, from `at_ms` on."""

    at_ms: int
    events: int
    notifications: int
    new_groups: int


class Source(Struct, frozen=True):
    """What one integration sent. `score`: see FORMULAS."""

    integration_id: int
    events: int
    new_groups: int
    share_percent: float
    score: float


class ChannelNow(Struct, frozen=True, kw_only=True):
    """How a channel is. `sent`: messages that made a sound, `owed`: now, edits included."""

    row: channels.Channel
    state: str
    why: str | None
    owed: int
    oldest_owed_ms: int | None
    sent: int
    edits: int
    failures: int


class Seen(Struct, frozen=True, kw_only=True):
    """A whole overview. `previous` is None where the counters do not reach back, `previous_why` says so."""

    now: Stretch
    previous: Stretch | None
    previous_why: str | None
    measured_since_ms: int | None
    bucket_ms: int
    points: list[Point]
    severities: list[overview.SeverityCount]
    by_status: dict[str, int]
    top: list[Source]
    criticals: tuple[int, list[Group]]
    senders: list[Sender]
    channels: list[ChannelNow]
    status: Status
    ranges: list[Range]


class Overview:
    """Reads overviews; how senders speak is slow to know, changes slowly and is kept for ten minutes. One instance."""

    def __init__(self, db: Db, deliver: Deliver, now: Callable[[], int]) -> None:
        self._db = db
        self._deliver = deliver
        self._now = now
        self._senders = Senders()

    async def seen(self, workspace_id: int, span_ms: int) -> Seen:
        """The last `span_ms` until now, by whole minutes; longer than a week by whole hours."""
        now_ms = self._now()
        return await self._db.read(lambda tx: self.look(tx, workspace_id, span_ms, now_ms))

    async def tend(self) -> None:
        """Each minute: looks again at what is kept before it is too old."""
        now_ms = self._now()
        await self._db.read(lambda tx: self._senders.tend(tx, now_ms))

    def look(self, tx: Tx, workspace_id: int, span_ms: int, now_ms: int) -> Seen:
        """The same, for whoever reads already."""
        border = MINUTE_MS if span_ms <= FINE_MS else 60 * MINUTE_MS
        since_ms = (now_ms - span_ms) // border * border
        step = bucket_of(span_ms)
        first = rolled.first_minute(tx, workspace_id)
        by_subject = rolled.sums(tx, workspace_id, since_ms // MINUTE_MS, now_ms // MINUTE_MS + 1)
        previous, why = _previous(tx, workspace_id, since_ms, span_ms // border * border, first)
        status = self._deliver.status(tx, workspace_id)
        return Seen(
            now=_stretch(since_ms, now_ms + 1, _words(by_subject)),
            previous=previous,
            previous_why=why,
            measured_since_ms=None if first is None or first * MINUTE_MS <= since_ms else first * MINUTE_MS,
            bucket_ms=step * MINUTE_MS,
            points=_points(tx, workspace_id, since_ms, now_ms, step),
            severities=overview.by_severity(tx, workspace_id, since_ms),
            by_status=overview.by_status(tx, workspace_id),
            top=_top(by_subject),
            criticals=overview.open_of(tx, workspace_id, int(Severity.CRITICAL), CRITICALS),
            senders=self._senders.seen(tx, workspace_id, by_subject, now_ms),
            channels=_channels(tx, workspace_id, status, by_subject),
            status=status,
            ranges=[Range(word, True, None) for word in RANGES],
        )


def _previous(
    tx: Tx, workspace_id: int, since_ms: int, span_ms: int, first: int | None
) -> tuple[Stretch | None, str | None]:
    from_ms = since_ms - span_ms // MINUTE_MS * MINUTE_MS
    if first is None or first * MINUTE_MS > from_ms:
        return None, "Nothing was counted yet during the whole of the stretch before."
    return _stretch(
        from_ms, since_ms, rolled.words(tx, workspace_id, from_ms // MINUTE_MS, since_ms // MINUTE_MS)
    ), None


def bucket_of(span_ms: int) -> int:
    """Minutes of a bucket, so that at most POINTS_MAX cover the span."""
    minutes = -(-span_ms // MINUTE_MS)
    return next((b for b in _BUCKETS if -(-minutes // b) <= POINTS_MAX), _BUCKETS[-1])


def percent(part: float, whole: float) -> float | None:
    """Of a hundred; None of nothing."""
    return round(100 * part / whole, 1) if whole else None


def _words(by_subject: Counter[tuple[str, int]]) -> Counter[str]:
    words: Counter[str] = Counter()
    for (what, _), n in by_subject.items():
        words[what] += n
    return words


def _stretch(since_ms: int, until_ms: int, words: Counter[str]) -> Stretch:
    answered, mended = words["answered"], words["mended"]
    return Stretch(
        since_ms=since_ms,
        until_ms=until_ms,
        counted={word: words[word] for word in overview.WORDS},
        new_groups=words["began"],
        acknowledged=answered,
        to_acknowledge_ms=words["answer_ms"] / answered if answered else None,
        resolved=mended,
        to_resolve_ms=words["mend_ms"] / mended if mended else None,
    )


def _points(tx: Tx, workspace_id: int, since_ms: int, now_ms: int, step: int) -> list[Point]:
    """Buckets begin at whole multiples of their width, the first one where the range does."""
    start, until = since_ms // MINUTE_MS, now_ms // MINUTE_MS + 1
    events, told, began = (
        rolled.totals(tx, workspace_id, what, start, until, step) for what in ("events", "notifications", "began")
    )
    return [
        Point(max(at, start) * MINUTE_MS, events[at], told[at], began[at])
        for at in range(start // step * step, until, step)
    ]


def _top(by_subject: Counter[tuple[str, int]]) -> list[Source]:
    fresh = Counter({subject: n for (what, subject), n in by_subject.items() if what == "began"})
    events = {subject: n for (what, subject), n in by_subject.items() if what == "events"}
    whole = sum(events.values())
    sources = [
        Source(
            subject,
            n,
            fresh[subject],
            percent(n, whole) or 0.0,
            percent(max(n - fresh[subject], 0), whole) or 0.0,
        )
        for subject, n in events.items()
    ]
    return sorted(sources, key=lambda one: (-one.score, -one.events, one.integration_id))[:TOP]


def _channels(tx: Tx, workspace_id: int, status: Status, by_subject: Counter[tuple[str, int]]) -> list[ChannelNow]:
    troubles = {one.channel_id: one for one in status.troubles}
    owed = {one.channel_id: one for one in outbox.owed(tx) if one.workspace_id == workspace_id}
    out = []
    for row in channels.every(tx, workspace_id):
        trouble, waits = troubles.get(row.id), owed.get(row.id)
        calm = "ok" if row.enabled else "disabled"
        out.append(
            ChannelNow(
                row=row,
                state=calm if trouble is None else trouble.state,
                why=None if trouble is None else trouble.why,
                owed=0 if waits is None else waits.posts + waits.edits,
                oldest_owed_ms=None if waits is None else waits.oldest_ms,
                sent=by_subject["notifications", row.id],
                edits=by_subject["edits", row.id],
                failures=by_subject["failures", row.id],
            )
        )
    return out
