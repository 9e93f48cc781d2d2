"""The settings of the watch over the appliance itself: its alarms, its heartbeat, its weekly digest."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from signalcraft.config.secret import Secret
from signalcraft.config.section import Section, says


class Monitoring(Section, frozen=True):
    """When SignalCraft raises an alert about itself (source `self`). docs/how-to/watch-over-it.md tells how."""

    self_watch: Annotated[bool, says("Whether alerts about the appliance itself are raised.")] = True
    hold_seconds: Annotated[
        int, says("Seconds that something must be wrong before it is told, and well before that is told.", ge=0, le=90)
    ] = 30
    canary_seconds: Annotated[
        int,
        says("Seconds between two alerts that test the whole pipeline and are seen by nobody; 0: none.", ge=0, le=3600),
    ] = 60
    requests_least: Annotated[
        int, says("Requests in five minutes below which neither errors nor slowness are judged.", ge=1)
    ] = 20
    error_percent: Annotated[
        float, says("Answers with 500 or more, of a hundred in five minutes: above it an alarm.", gt=0, le=100)
    ] = 5.0
    slow_ms: Annotated[
        int, says("Milliseconds within which 95 of a hundred requests of five minutes should be answered.", ge=10)
    ] = 1000
    loop_lag_ms: Annotated[
        int, says("Milliseconds by which the program may be late for its own work before that is an alarm.", ge=50)
    ] = 2000
    queue_percent: Annotated[
        float, says("How full the writer's queue may be, in percent of limits.queue_max.", gt=0, le=100)
    ] = 50.0
    write_ms: Annotated[int, says("Milliseconds that one write may take before that is an alarm.", ge=10)] = 1000
    latency_seconds: Annotated[
        float, says("Seconds from an alert's arrival until a channel has its message: above it an alarm.", gt=0)
    ] = 60.0
    owed_minutes: Annotated[
        float, says("Minutes for which a message may be owed before that is an alarm.", gt=0, le=1440)
    ] = 5.0
    refused_least: Annotated[
        int, says("Webhooks refused for their signature within ten minutes that make an alarm; 0: never.", ge=0)
    ] = 5
    silent_senders: Annotated[
        bool, says("Whether a sender that is quiet for twice its longest pause of the week is an alarm.")
    ] = True
    disk_free_percent: Annotated[
        float, says("Free space, in percent of the data directory's disk, below which there is an alarm.", ge=0, le=100)
    ] = 10.0
    disk_full_hours: Annotated[
        float, says("An alarm when the disk would be full within so many hours, as it fills now; 0: never.", ge=0)
    ] = 24.0
    memory_mb: Annotated[
        int, says("Megabytes that the program may take; 0: the limit of its control group, else the box's.", ge=0)
    ] = 0
    memory_percent: Annotated[
        float, says("How much of that may be taken, in percent, before that is an alarm.", gt=0, le=100)
    ] = 90.0
    certificate_days: Annotated[int, says("Days before its own certificate ends that make an alarm.", ge=0)] = 14
    clock_seconds: Annotated[
        float, says("Seconds by which the box's clock may be wrong, or step, before that is an alarm.", gt=0)
    ] = 30.0


class Heartbeat(Section, frozen=True):
    """A sign of life to a dead-man service elsewhere, which tells you when it stops. Off while `url` is empty."""

    url: Annotated[
        Secret,
        says(
            "An address that is asked (GET) after each self-check that went well: an alert through the whole pipeline, "
            "nobody's channels broken, the disk written. Anything but 2xx counts as not taken.",
            credential="signalcraft-heartbeat-url",
        ),
    ] = field(default_factory=Secret)
    every_seconds: Annotated[int, says("Seconds between two signs of life.", ge=10, le=86_400)] = 60


class Digest(Section, frozen=True):
    """A message once a week: what came, what was kept from people, what went wrong. Off while `channels` is empty."""

    channels: Annotated[list[str], says("Names of the channels (of the workspace default) that get it.")] = field(
        default_factory=list
    )
    weekday: Annotated[
        Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], says("On which day.")
    ] = "monday"
    at: Annotated[str, says("At what local time (workspace.timezone), as HH:MM.", form="time_of_day")] = "08:00"
