"""/metrics: what Prometheus scrapes (https://prometheus.io/docs/instrumenting/exposition_formats/).

Counters count since the program started, as Prometheus expects. Labels are kinds, templates and words of ours, never
something that a sender chose, so their number is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from litestar import Request, Response, get
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from signalcraft import __version__
from signalcraft.domain.group import Status as GroupStatus
from signalcraft.http import measured
from signalcraft.http.auth import Caller, TheCaller, scopes
from signalcraft.http.declared import METRICS
from signalcraft.http.edge import Edge
from signalcraft.http.groups import STATUSES
from signalcraft.http.wire import TheHouse
from signalcraft.services.deliver import Status
from signalcraft.services.house import House
from signalcraft.services.registry import Snapshot
from signalcraft.storage import disks, overview
from signalcraft.storage.db import Tx

_IN: Final = {
    "events": "accepted",
    "duplicates": "duplicate",
    "sampled": "sampled",
    "quarantined": "quarantined",
    "refused_signature": "refused_signature",
    "refused_limit": "refused_limit",
}
_OUT: Final = {"notifications": "notification", "edits": "edit", "failures": "failure"}
_LATE_MINUTES: Final = 2
"""A minute's counters may still grow for so long after it."""

Key = tuple[int, str, int]
Measured = tuple[disks.Pages, int, list[int]]


class Totals:
    """Sums of the counted minutes since the program started, by (workspace, what, subject)."""

    def __init__(self, started_ms: int) -> None:
        self.sums: Counter[Key] = Counter()
        self._from_minute = started_ms // 60_000
        self._seen: dict[tuple[int, int, str, int], int] = {}

    @property
    def from_minute(self) -> int:
        """The first minute to read next time."""
        return self._from_minute

    def add(self, rows: Iterable[tuple[int, int, str, int, int]], now_ms: int) -> None:
        """Takes in what was read from `from_minute` on."""
        for workspace_id, minute, what, subject, n in rows:
            if minute < self._from_minute:
                continue  # another scrape, under way at the same time, took it in
            place = (workspace_id, minute, what, subject)
            self.sums[workspace_id, what, subject] += n - self._seen.get(place, 0)
            self._seen[place] = n
        self._from_minute = max(self._from_minute, now_ms // 60_000 - _LATE_MINUTES)
        self._seen = {place: n for place, n in self._seen.items() if place[1] >= self._from_minute}


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


@get(
    "/metrics",
    guards=[scopes("metrics:read")],
    summary="Metrics",
    operation_id="get_metrics",
    tags=["health"],
    media_type="text/plain",
)
async def metrics(house: TheHouse, caller: TheCaller, request: Request[Any, Any, Any]) -> Response[bytes]:
    """Counters and gauges in Prometheus' text format, or OpenMetrics where that is asked for."""
    return await _scraped(house, caller, request)


@get(
    "/metrics/prometheus",
    guards=[scopes("metrics:read")],
    summary="Metrics",
    operation_id="get_prometheus_metrics",
    tags=["health"],
    media_type="text/plain",
)
async def metrics_too(house: TheHouse, caller: TheCaller, request: Request[Any, Any, Any]) -> Response[bytes]:
    """The same as /metrics."""
    return await _scraped(house, caller, request)


async def _scraped(house: House, caller: Caller, request: Request[Any, Any, Any]) -> Response[bytes]:
    totals: Totals = request.app.state.totals
    edge: Edge = request.app.state.edge
    now_ms = house.now()

    def read(tx: Tx) -> tuple[list[tuple[int, int, str, int, int]], Status, dict[str, int], Measured]:
        return (
            overview.minutes(tx, totals.from_minute),
            house.deliver.status(tx, caller.workspace_id),
            overview.by_status(tx, caller.workspace_id),
            measured.read(tx, caller.workspace_id, now_ms),
        )

    rows, status, by_status, (pages, members, active) = await house.db.read(read)
    totals.add(rows, now_ms)
    registry = CollectorRegistry()
    families = [
        *_families(house, caller, totals, edge, status, by_status, now_ms),
        *measured.of_the_program(house, request.app.state.live.streams),
        *measured.of_the_watch(house),
        *measured.of_the_box(house, pages),
        *measured.of_the_setup(house, caller.workspace_id, members, active),
    ]
    registry.register(_Families(families))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"content-type": content_type})


_CLASSES: Final = {
    **dict.fromkeys((400, 405, 408, 413, 414, 415, 422, 431), "validation"),
    **dict.fromkeys((401, 403), "access"),
    **dict.fromkeys((404, 409, 410), "state"),
    429: "limit",
    **dict.fromkeys((502, 504), "external"),
    503: "unavailable",
}
"""What an answer's status says of why it was refused. Any other one from 500 on: internal; from 400 on: other."""


def _errors(edge: Edge) -> Metric:
    """Refused and failed requests by class: every class is there, also while it is 0."""
    family = CounterMetricFamily("signalcraft_errors", "Refused or failed requests, by class.", labels=["class"])
    found: Counter[str] = Counter(dict.fromkeys((*_CLASSES.values(), "internal", "other"), 0))
    for (_, _, status), n in edge.requests.items():
        if status >= 400:
            found[_CLASSES.get(status) or ("internal" if status >= 500 else "other")] += n
    for name, n in sorted(found.items()):
        family.add_metric([name], n)
    return family


def _families(
    house: House,
    caller: Caller,
    totals: Totals,
    edge: Edge,
    status: Status,
    by_status: dict[str, int],
    now_ms: int,
) -> Iterator[Metric]:
    yield from _counted(house.registry.snapshot, caller.workspace_id, totals)
    yield from _given(house)
    yield from _owed(status, now_ms)
    groups = GaugeMetricFamily("signalcraft_alert_groups", "Alert groups by status.", labels=["status"])
    names: tuple[GroupStatus, ...] = STATUSES
    for name in names:
        groups.add_metric([name], by_status.get(name, 0))
    yield groups
    requests = CounterMetricFamily(
        "signalcraft_http_requests", "Answered requests.", labels=["route", "method", "status"]
    )
    for (route, method, code), n in sorted(edge.requests.items()):
        requests.add_metric([route, method, str(code)], n)
    yield requests
    yield _errors(edge)
    exceeded = CounterMetricFamily("signalcraft_limit_exceeded", "Refused or cut by a limit.", labels=["limit"])
    for limit, n in sorted(edge.exceeded.counts.items()):
        exceeded.add_metric([limit], n)
    yield exceeded
    db = house.db
    yield GaugeMetricFamily("signalcraft_writer_queue_length", "Writes that wait.", value=db.queued)
    yield GaugeMetricFamily("signalcraft_writer_queue_max", "Beyond so many: 503.", value=db.queue_max)
    yield CounterMetricFamily("signalcraft_writer_commits", "Commits to disk.", value=db.commits)
    yield CounterMetricFamily("signalcraft_writer_writes", "Writes in those commits.", value=db.works)
    version = GaugeMetricFamily("signalcraft_info", "Always 1; the version is the label.", labels=["version"])
    version.add_metric([__version__], 1)
    yield version
    yield GaugeMetricFamily(
        "signalcraft_start_time_seconds", "When the program started.", value=house.started_ms / 1000
    )


def _given(house: House) -> Iterator[Metric]:
    """What other parts say of themselves (`house.figures`)."""
    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for give in house.figures.values():
        for figure in give():
            name = figure.name if figure.name.startswith("signalcraft_") else f"signalcraft_{figure.name}"
            family = families.get(name)
            if family is None:
                sort = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
                known = METRICS.get(f"{name}_total" if figure.kind == "counter" else name)
                what = figure.what if known is None else known.what
                family = families[name] = sort(name, what, labels=[label for label, _ in figure.labels])
            family.add_metric([value for _, value in figure.labels], figure.value)
    yield from families.values()


def _counted(snapshot: Snapshot, workspace_id: int, totals: Totals) -> Iterator[Metric]:
    events: Counter[tuple[str, str]] = Counter()
    deliveries: Counter[tuple[str, str]] = Counter()
    unrouted = 0
    for (workspace, what, subject), n in totals.sums.items():
        if workspace != workspace_id:
            continue
        if what in _IN:
            source = snapshot.integrations.get(subject)
            events["deleted" if source is None else source.kind, _IN[what]] += n
        elif what in _OUT:
            channel = snapshot.channels.get(subject)
            deliveries["deleted" if channel is None else channel.kind, _OUT[what]] += n
        elif what == "unrouted":
            unrouted += n
    taken = CounterMetricFamily(
        "signalcraft_events", "Statements by senders, and what became of them.", labels=["source", "outcome"]
    )
    for (source_kind, outcome), n in sorted(events.items()):
        taken.add_metric([source_kind, outcome], n)
    yield taken
    told = CounterMetricFamily(
        "signalcraft_deliveries", "Messages, edits and failures.", labels=["channel_kind", "outcome"]
    )
    for (channel_kind, outcome), n in sorted(deliveries.items()):
        told.add_metric([channel_kind, outcome], n)
    yield told
    yield CounterMetricFamily("signalcraft_unrouted", "Times that nobody was there to be told.", value=unrouted)


def _owed(status: Status, now_ms: int) -> Iterator[Metric]:
    owed = GaugeMetricFamily("signalcraft_deliveries_owed", "Messages that are owed.", labels=["kind"])
    owed.add_metric(["post"], status.owed_posts)
    owed.add_metric(["edit"], status.owed_edits)
    yield owed
    oldest_s = 0.0 if status.oldest_owed_ms is None else max(now_ms - status.oldest_owed_ms, 0) / 1000
    yield GaugeMetricFamily(
        "signalcraft_deliveries_oldest_owed_seconds", "How long the oldest owed message has waited.", value=oldest_s
    )
    channels = GaugeMetricFamily("signalcraft_channels_in_trouble", "Channels that do not deliver.", labels=["state"])
    states = Counter(one.state for one in status.troubles)
    for state in ("broken", "silent", "waiting", "held", "unusable"):
        channels.add_metric([state], states.get(state, 0))
    yield channels
    yield GaugeMetricFamily(
        "signalcraft_alert_groups_untold", "Open alert groups that nobody was told of.", value=status.untold_groups
    )


ROUTES: list[Any] = [metrics, metrics_too]
