"""Whether it lives, has started and takes requests: what /health/live, /health/startup and /health/ready say.

No web framework is needed for it, so that these can be answered before the routes are there.
"""

from __future__ import annotations

from signalcraft.services.health import Component, Report
from signalcraft.services.house import House


def liveness(house: House) -> Report:
    """Failing when the process should be restarted."""
    return _one(house, "process", house.health.live())


async def readiness(house: House) -> Report:
    """Failing until the database is migrated and everything listens, and again when it is stopping."""
    if house.stopping:
        component = Component("failing", "it is stopping")
    elif not house.ready:
        component = Component("failing", "it is starting")
    else:
        component = await house.health.database()
    return _one(house, "ready", component)


def startup(house: House) -> Report:
    """Failing until the first start is over, and never again."""
    began = house.ready or house.stopping
    return _one(house, "startup", Component("ok", "started") if began else Component("failing", "it is starting"))


def status_of(report: Report) -> int:
    """The HTTP status that goes with one of these."""
    return 503 if report.status == "failing" else 200


def _one(house: House, name: str, component: Component) -> Report:
    return Report(component.status, house.health.version, {name: component})
