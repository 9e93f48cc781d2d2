"""Every metric of /metrics, declared once: docs/reference/metrics.md is drawn from it, a scrape is held against it."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Sort = Literal["counter", "gauge", "histogram"]


class Declared(Struct, frozen=True):
    """One metric. `name` as it is scraped: a counter ends in `_total`, a histogram stands for its three series."""

    name: str
    sort: Sort
    what: str
    labels: tuple[str, ...] = ()


def _under(prefix: str, *metrics: tuple[str, Sort, str] | tuple[str, Sort, str, tuple[str, ...]]) -> list[Declared]:
    return [Declared(prefix + name, sort, what, *labels) for name, sort, what, *labels in metrics]


SECTIONS: Final[dict[str, list[Declared]]] = {
    "Alerts in": _under(
        "signalcraft_",
        ("events_total", "counter", "Statements by senders, and what became of them.", ("source", "outcome")),
        ("alert_groups", "gauge", "Alert groups by status.", ("status",)),
        ("alert_groups_opened_total", "counter", "Alert groups that began: with the events, how well they fold."),
        ("alert_groups_untold", "gauge", "Open alert groups that nobody was told of."),
        ("unrouted_total", "counter", "Times that nobody was there to be told."),
        ("ingest_duration_seconds", "histogram", "From a webhook's first byte until it is on disk and answered 202."),
        ("rule_evaluations_total", "counter", "Routing rules that were asked."),
        ("rule_matches_total", "counter", "Routing rules that held."),
    ),
    "Messages out": _under(
        "signalcraft_",
        ("deliveries_total", "counter", "Messages, edits and failures.", ("channel_kind", "outcome")),
        ("deliveries_owed", "gauge", "Messages that are owed.", ("kind",)),
        ("deliveries_oldest_owed_seconds", "gauge", "How long the oldest owed message has waited."),
        ("channels_in_trouble", "gauge", "Channels that do not deliver.", ("state",)),
        (
            "notify_latency_seconds", "histogram",
            "From an alert's arrival until a channel took its first message.", ("channel_kind",),
        ),
        ("escalations_total", "counter", "Escalations that were carried out: told, or nobody could be.", ("outcome",)),
    ),
    "Requests": _under(
        "signalcraft_",
        ("http_requests_total", "counter", "Answered requests.", ("route", "method", "status")),
        ("http_request_duration_seconds", "histogram", "How long requests took, event streams left out.", ("route",)),
        ("errors_total", "counter", "Refused or failed requests, by class.", ("class",)),
        ("limit_exceeded_total", "counter", "Refused or cut by a limit.", ("limit",)),
        ("streams_open", "gauge", "Event streams of dashboards that are open."),
    ),
    "The program": _under(
        "signalcraft_",
        ("info", "gauge", "Always 1; the version is the label.", ("version",)),
        ("start_time_seconds", "gauge", "When the program started."),
        ("loop_lag_seconds", "histogram", "How late the program was for its own work, asked four times a second."),
        ("writer_queue_length", "gauge", "Writes that wait."),
        ("writer_queue_max", "gauge", "Beyond so many: 503."),
        ("writer_commits_total", "counter", "Commits to disk."),
        ("writer_writes_total", "counter", "Writes in those commits."),
        ("writer_commit_duration_seconds", "histogram", "How long a transaction took until it was on disk."),
        ("read_duration_seconds", "histogram", "How long reads of the database took, waiting for a reader included."),
        (
            "cache_hits_total", "counter",
            "Questions to the cache of answers that read nothing anew: kept, or read together with others.", ("cache",),
        ),
        ("cache_misses_total", "counter", "Questions to the cache of answers that read the database.", ("cache",)),
        ("cache_entries", "gauge", "Answers that are kept."),
    ),
    "The box": _under(
        "signalcraft_",
        ("disk_free_bytes", "gauge", "Free space of the data directory's disk."),
        ("disk_size_bytes", "gauge", "Size of that disk."),
        ("disk_full_seconds", "gauge", "Seconds until that disk is full as it fills now; absent while it does not."),
        ("database_bytes", "gauge", "Size of the database file."),
        ("database_reusable_bytes", "gauge", "Free space inside it."),
        ("database_wal_bytes", "gauge", "Size of the database's write-ahead log."),
        ("memory_limit_bytes", "gauge", "What the process may take: MemoryMax, or the box's memory."),
        ("clock_synchronized", "gauge", "1 while the system says that a time service keeps the clock right."),
        ("clock_error_seconds", "gauge", "By how much the system estimates the clock may be wrong."),
        ("clock_skew_seconds", "gauge", "By how much a vendor's clock was ahead of ours, at its last answer."),
        ("certificate_expiry_timestamp_seconds", "gauge", "When the own certificate ends, in Unix time."),
        ("load1", "gauge", "The box's load average of one minute."),
        ("network_receive_bytes_total", "counter", "Bytes that the box took in, loopback left out."),
        ("network_transmit_bytes_total", "counter", "Bytes that the box sent, loopback left out."),
    ),
    "The watch over itself": _under(
        "signalcraft_",
        ("self_alarm", "gauge", "1 while a condition of SignalCraft itself is wrong.", ("condition", "severity")),
        ("self_alarms_raised_total", "counter", "Alerts about SignalCraft itself that were raised.", ("condition",)),
        ("self_check_ok", "gauge", "1 when the last test alert got through the whole pipeline."),
        ("self_check_duration_seconds", "histogram", "How long test alerts took through the whole pipeline."),
        ("heartbeat_last_success_timestamp_seconds", "gauge", "When the last sign of life was taken, in Unix time."),
        ("heartbeat_ok", "gauge", "1 while signs of life are taken; absent without heartbeat.url."),
    ),
    "What is set up": _under(
        "signalcraft_",
        ("integrations", "gauge", "Integrations that are switched on.", ("source",)),
        ("channels", "gauge", "Channels that are switched on.", ("channel_kind",)),
        ("routing_rules", "gauge", "Routing rules that are switched on."),
        ("people", "gauge", "People of this workspace."),
        ("people_active", "gauge", "People of this workspace who were here within that time.", ("within",)),
    ),
    "Care": _under(
        "signalcraft_",
        ("replica_up", "gauge", "1 while the process that keeps the replica runs."),
        ("replica_restarts_total", "counter", "Times that it had to be started again."),
        ("replica_lag_seconds", "gauge", "Seconds since when all that is committed is known to be in the replica."),
        (
            "replica_last_sync_timestamp_seconds", "gauge",
            "When all that is committed was in the replica last, in Unix time.",
        ),
        ("replica_transaction", "gauge", "The newest transaction that is in the replica."),
        ("drill_last_success_timestamp_seconds", "gauge", "When the last restore drill that went well began."),
        ("drill_ok", "gauge", "1: the source could be restored in the last drill; 0: not.", ("source",)),
        ("drill_restore_seconds", "gauge", "How long the last drill took to restore and check it.", ("source",)),
        ("drill_data_loss_seconds", "gauge", "What a loss of the box would have cost at that drill.", ("source",)),
        ("backup_files", "gauge", "Backups of this box that are kept, copies included."),
        ("backup_files_damaged", "gauge", "Kept backups of this box that did not read back when last tried."),
        ("backup_files_bytes", "gauge", "Bytes of the backups of this box that are kept."),
        ("backup_last_result", "gauge", "1: the last backup was made; 0: it failed."),
        ("backup_last_success_timestamp_seconds", "gauge", "When the last good backup began."),
        ("backup_last_duration_seconds", "gauge", "How long the last good backup took."),
        ("backup_last_size_bytes", "gauge", "Bytes of the last good backup."),
        ("backup_last_memory_peak_bytes", "gauge", "The most memory that the last good backup's process had."),
        ("retention_rows_deleted_total", "counter", "Rows that were deleted because of their age.", ("table",)),
        (
            "retention_rows_archived_total", "counter",
            "Rows that were archived before they were deleted.", ("table",),
        ),
        (
            "retention_step_seconds_max", "gauge",
            "The longest time that one step of the last clean-up kept the writer.",
        ),
        ("rollup_behind_seconds", "gauge", "How far the roll-ups of the counters are behind the present minute."),
        ("rollup_last_success_timestamp_seconds", "gauge", "When the long-range numbers were last brought up to date."),
        ("rollup_file_bytes", "gauge", "Size of the file of long-range numbers."),
    ),
    "The process, as every Prometheus client tells it": _under(
        "process_",
        ("cpu_seconds_total", "counter", "Processor time, in user and system mode."),
        ("resident_memory_bytes", "gauge", "Resident memory."),
        ("virtual_memory_bytes", "gauge", "Virtual memory."),
        ("open_fds", "gauge", "File descriptors that are open."),
        ("max_fds", "gauge", "File descriptors that may be open."),
        ("start_time_seconds", "gauge", "When the process started, in Unix time."),
    ),
}  # fmt: skip
"""In the order of the page."""
METRICS: Final = {one.name: one for section in SECTIONS.values() for one in section}

_HEAD: Final = """\
# Metrics

This page is generated from the program (`make gen`).

`GET /metrics` (also `/metrics/prometheus`) with a key of the scope `metrics:read` answers in Prometheus' text format,
or OpenMetrics where that is asked for. Counters count since the program started. Labels are kinds, route templates and
words of SignalCraft, never what a sender chose: fewer than 5,000 series whatever comes in. Alert rules, dashboards for
Grafana and how to set them up: [watch over it](../how-to/watch-over-it.md#prometheus-and-grafana).

A histogram `x` stands for `x_bucket`, `x_sum` and `x_count`.
"""


def page() -> str:
    """docs/reference/metrics.md."""
    out = [_HEAD]
    for title, metrics in SECTIONS.items():
        out += [f"## {title}\n", "| metric | sort | labels | what it is |", "|---|---|---|---|"]
        for one in metrics:
            labels = ", ".join(f"`{label}`" for label in one.labels)
            out.append(f"| `{one.name}` | {one.sort} | {labels} | {one.what} |")
        out.append("")
    return "\n".join(out).rstrip() + "\n"
