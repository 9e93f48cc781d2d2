"""GET /api/system/watch: what is wrong with the appliance itself now, its last self-check, and its heartbeat."""

from __future__ import annotations

from typing import Any, Final

from litestar import get
from msgspec import Struct

from signalcraft.http.auth import needs
from signalcraft.http.wire import TheHouse, show_time, time_of
from signalcraft.services.care.alarms import CONDITIONS, runbook_url

TAG: Final = ["health"]


class SelfConditionOut(Struct, frozen=True, kw_only=True):
    """Something that is wrong. `alert_raised_at`: null where it has not held for long enough, or alerts are off;
    `runbook_url`: null where http.public_url is not set.
    """

    name: str
    title: str
    severity: str
    said: str
    since: str
    alert_raised_at: str | None
    runbook_url: str | None


class SelfCheckOut(Struct, frozen=True, kw_only=True):
    """The last test alert through the whole pipeline. `wrong`: why it did not get through, "" where it did."""

    at: str
    took_ms: int
    wrong: str


class HeartbeatOut(Struct, frozen=True, kw_only=True):
    """The sign of life. `state`: off (no address), waiting (none is due yet), sent, withheld or refused; `why`: of the
    last two.
    """

    state: str
    sent_at: str | None
    why: str


class SelfWatchOut(Struct, frozen=True, kw_only=True):
    """The watch over the appliance itself. `on`: whether it raises alerts; `watched`: how many conditions there are."""

    on: bool
    watched: int
    wrong: list[SelfConditionOut]
    self_check: SelfCheckOut | None
    heartbeat: HeartbeatOut


@get(
    "/api/system/watch",
    guards=[needs("settings", "read")],
    summary="The watch over the appliance itself",
    operation_id="get_self_watch",
    tags=TAG,
)
async def get_self_watch(house: TheHouse) -> SelfWatchOut:
    """What is wrong now, the last test alert, and the sign of life to others."""
    told, last, beat = house.alarms.told, house.canary.last, house.heartbeat.beat
    return SelfWatchOut(
        on=house.settings.monitoring.self_watch,
        watched=len(CONDITIONS),
        wrong=[
            SelfConditionOut(
                name=one.condition.name,
                title=one.condition.title,
                severity=one.condition.severity.label,
                said=one.said,
                since=time_of(one.since_ms),
                alert_raised_at=show_time(told.get(one.condition.name)),
                runbook_url=runbook_url(house.settings, one.condition) or None,
            )
            for one in sorted(house.alarms.wrong.values(), key=lambda one: (-one.condition.severity, one.since_ms))
        ],
        self_check=None
        if last is None
        else SelfCheckOut(at=time_of(last.at_ms), took_ms=round(last.took_s * 1000), wrong=last.wrong),
        heartbeat=HeartbeatOut(state=beat.state, sent_at=show_time(beat.sent_ms), why=beat.why),
    )


ROUTES: Final[list[Any]] = [get_self_watch]
