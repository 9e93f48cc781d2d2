"""/api/replica: the copy of the database that is kept elsewhere."""

from __future__ import annotations

from typing import Final, Literal

from litestar import get
from msgspec import Struct

from signalcraft.http.auth import needs
from signalcraft.http.wire import TheHouse, show_time

TAG: Final = ["health"]


class ReplicaOut(Struct, frozen=True, kw_only=True):
    """How it is. `state` is off without `replica.url`, held on a box that was restored, starting until it was in step
    once, late where that is a while ago, behind where it is an alarm. `why`: what is wrong, or "".

    `lag_seconds`: since when all that is committed is known to be there; `synced_at`: that moment. `generation`: this
    box's number there; `superseded_by`: a later one, of a box that was restored from this replica.
    """

    state: Literal["off", "held", "starting", "in_step", "late", "behind"]
    url: str
    generation: int | None
    lag_seconds: float | None
    synced_at: str | None
    wal_bytes: int
    restarts: int
    alarm_after_seconds: int
    retention_hours: int
    why: str
    superseded_by: int | None


@get(
    "/api/replica",
    guards=[needs("settings", "read")],
    summary="The replica",
    operation_id="get_replica",
    tags=TAG,
)
async def get_replica(house: TheHouse) -> ReplicaOut:
    """Whether the copy of the database elsewhere is in step."""
    kept, now = house.replica, house.replica.state()
    return ReplicaOut(
        state=now.state,
        url=now.url,
        generation=now.generation,
        lag_seconds=None if now.lag_s is None else round(now.lag_s, 1),
        synced_at=show_time(None if now.lag_s is None or now.txid is None else house.now() - int(now.lag_s * 1000)),
        wal_bytes=now.wal_bytes,
        restarts=now.restarts,
        alarm_after_seconds=kept.replica.behind_alarm_seconds,
        retention_hours=kept.replica.retention_hours,
        why=now.why,
        superseded_by=now.superseded_by,
    )


ROUTES: Final = (get_replica,)
