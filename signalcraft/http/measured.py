"""What /metrics says beside the counted minutes: durations, the program, the box, the watch over itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from signalcraft.domain.measuring import Histogram
from signalcraft.http.declared import METRICS
from signalcraft.services import own
from signalcraft.services.care.alarms import CONDITIONS
from signalcraft.services.house import House
from signalcraft.storage import disks, usage
from signalcraft.storage.db import Tx

WITHIN: Final = {"day": 86_400_000, "week": 7 * 86_400_000, "month": 30 * 86_400_000}
Samples = Mapping[tuple[str, ...], float]


class Read(dict[str, tuple[int, ...]]):
    """What is read of the database for it."""


def read(tx: Tx, workspace_id: int, now_ms: int) -> tuple[disks.Pages, int, list[int]]:
    """The database's size, the people of the workspace, and how many were here within each of `WITHIN`."""
    members, active = usage.people(tx, workspace_id, tuple(now_ms - span_ms for span_ms in WITHIN.values()))
    return disks.pages(tx), members, active


def gauge(name: str, samples: Samples | float) -> Metric:
    """A declared gauge: one value, or values by labels. Raises KeyError for a name that is not declared."""
    one = METRICS[f"signalcraft_{name}"]
    family = GaugeMetricFamily(one.name, one.what, labels=one.labels)
    for labels, value in ({(): samples} if isinstance(samples, int | float) else samples).items():
        family.add_metric(labels, value)
    return family


def counter(name: str, samples: Samples | float) -> Metric:
    """A declared counter, its name without `_total`."""
    one = METRICS[f"signalcraft_{name}_total"]
    family = CounterMetricFamily(one.name.removesuffix("_total"), one.what, labels=one.labels)
    for labels, value in ({(): samples} if isinstance(samples, int | float) else samples).items():
        family.add_metric(labels, value)
    return family


def histogram(name: str, samples: Histogram | Mapping[tuple[str, ...], Histogram]) -> Metric:
    """A declared histogram."""
    one = METRICS[f"signalcraft_{name}"]
    family = HistogramMetricFamily(one.name, one.what, labels=one.labels)
    for labels, held in ({(): samples} if isinstance(samples, Histogram) else samples).items():
        family.add_metric(labels, held.cumulative(), held.sum)
    return family


def of_the_program(house: House, streams: int) -> Iterator[Metric]:
    """Durations and counts of the whole process."""
    measures = house.measures
    routes: dict[tuple[str, ...], Histogram] = {(route,): held for route, held in sorted(measures.routes.items())}
    yield histogram("http_request_duration_seconds", routes)
    yield histogram("ingest_duration_seconds", measures.ingest)
    yield histogram("notify_latency_seconds", {(kind,): held for kind, held in sorted(measures.notify.items())})
    yield histogram("loop_lag_seconds", measures.lag)
    yield histogram("writer_commit_duration_seconds", house.db.commit_took)
    yield histogram("read_duration_seconds", house.db.read_took)
    yield counter("rule_evaluations", measures.evaluated)
    yield counter("rule_matches", measures.matched)
    yield counter("alert_groups_opened", measures.opened)
    escalated = house.watch.escalated
    yield counter("escalations", {(outcome,): escalated[outcome] for outcome in ("told", "nobody")})
    yield gauge("streams_open", streams)


def of_the_watch(house: House) -> Iterator[Metric]:
    """Alarms, self-check, heartbeat."""
    alarms, canary, beat = house.alarms, house.canary.last, house.heartbeat.beat
    yield gauge(
        "self_alarm",
        {(one.name, one.severity.label): float(one.name in alarms.wrong) for one in CONDITIONS.values()},
    )
    yield counter("self_alarms_raised", {(name,): alarms.raised[name] for name in CONDITIONS})
    yield histogram("self_check_duration_seconds", house.measures.canary)
    if canary is not None:
        yield gauge("self_check_ok", float(not canary.wrong))
    if beat.state != "off":
        yield gauge("heartbeat_ok", float(beat.state == "sent"))
    if beat.sent_ms is not None:
        yield gauge("heartbeat_last_success_timestamp_seconds", beat.sent_ms / 1000)


def of_the_box(house: House, pages: disks.Pages) -> Iterator[Metric]:
    """Disk, memory, clock, certificate, load, network: what is not known is left out."""
    yield gauge("database_bytes", pages.used)
    yield gauge("database_reusable_bytes", pages.reusable)
    seen = house.selfwatch.vitals.seen
    if seen is None:
        return
    yield gauge("disk_free_bytes", seen.disk.free)
    yield gauge("disk_size_bytes", seen.disk.total)
    if seen.disk.full_in_h is not None:
        yield gauge("disk_full_seconds", seen.disk.full_in_h * 3600)
    if seen.memory.limit is not None:
        yield gauge("memory_limit_bytes", seen.memory.limit)
    if seen.clock.synchronized is not None:
        yield gauge("clock_synchronized", float(seen.clock.synchronized))
    if seen.clock.error_s is not None:
        yield gauge("clock_error_seconds", seen.clock.error_s)
    if house.selfwatch.skew is not None:
        yield gauge("clock_skew_seconds", house.selfwatch.skew[0])
    if seen.certificate_ms is not None:
        yield gauge("certificate_expiry_timestamp_seconds", seen.certificate_ms / 1000)
    if seen.load is not None:
        yield gauge("load1", seen.load)
    if seen.network is not None:
        yield counter("network_receive_bytes", seen.network[0])
        yield counter("network_transmit_bytes", seen.network[1])


def of_the_setup(house: House, workspace_id: int, members: int, active: list[int]) -> Iterator[Metric]:
    """What a workspace has set up, and its people."""
    snapshot = house.registry.snapshot
    sources = Counter(
        one.kind
        for one in snapshot.integrations.values()
        if one.workspace_id == workspace_id and one.enabled and one.kind != own.KIND
    )
    channels = Counter(
        one.kind for one in snapshot.channels.values() if one.workspace_id == workspace_id and one.enabled
    )
    yield gauge("integrations", {(kind,): n for kind, n in sorted(sources.items())})
    yield gauge("channels", {(kind,): n for kind, n in sorted(channels.items())})
    yield gauge("routing_rules", len(snapshot.workspaces[workspace_id].rules))
    yield gauge("people", members)
    yield gauge("people_active", {(within,): n for within, n in zip(WITHIN, active, strict=True)})
