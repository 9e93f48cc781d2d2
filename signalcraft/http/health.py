"""/health and its kin: for people, load balancers and service managers. They need no key."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from signalcraft.http import alive
from signalcraft.http.wire import TheHouse
from signalcraft.services.health import Report
from signalcraft.services.house import House

TAG: Final = ["health"]


def _said(report: Report) -> Response[Report]:
    return Response(report, status_code=alive.status_of(report))


async def _whole(house: House) -> Response[Report]:
    report = await house.health.report(ready=house.ready, stopping=house.stopping, warnings=house.warnings)
    stopped = ("process", "database")
    well = all(report.components[name].status != "failing" for name in stopped)
    return Response(report, status_code=200 if well else 503)


@get("/health", summary="How everything is", operation_id="get_health", tags=TAG)
async def health(house: TheHouse) -> Response[Report]:
    """Every component with its status and what to do. 503 only when it is not live or not ready."""
    return await _whole(house)


@get("/health/live", summary="Is it alive?", operation_id="get_liveness", tags=TAG)
async def live(house: TheHouse) -> Response[Report]:
    """503 when the process should be restarted."""
    return _said(alive.liveness(house))


@get("/live", summary="Is it alive?", operation_id="get_live", tags=TAG)
async def live_too(house: TheHouse) -> Response[Report]:
    """The same as /health/live."""
    return _said(alive.liveness(house))


@get("/health/ready", summary="Does it take requests?", operation_id="get_readiness", tags=TAG)
async def ready(house: TheHouse) -> Response[Report]:
    """503 until the database is migrated and everything listens, and again when it is stopping."""
    return _said(await alive.readiness(house))


@get("/ready", summary="Does it take requests?", operation_id="get_ready", tags=TAG)
async def ready_too(house: TheHouse) -> Response[Report]:
    """The same as /health/ready."""
    return _said(await alive.readiness(house))


@get("/health/startup", summary="Has it started?", operation_id="get_startup", tags=TAG)
async def startup(house: TheHouse) -> Response[Report]:
    """503 until the first start is over; 200 from then on."""
    return _said(alive.startup(house))


ROUTES: list[Any] = [health, live, live_too, ready, ready_too, startup]
