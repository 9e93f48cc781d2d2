"""Metric alerts: an incident of an alert rule opens, changes its severity, closes."""

from __future__ import annotations

from typing import Any, Final

from signalcraft.domain.event import Event, Status
from signalcraft.domain.reading import first_text, items, obj, text, time_ms, whole
from signalcraft.domain.severity import Severity
from signalcraft.errors import Unreadable
from signalcraft.sources.sentry.told import Told, kept, statement_key, unknown_action

_STATUSES: Final[dict[str, Status]] = {
    "open": "firing", "critical": "firing", "warning": "firing", "resolved": "resolved",
}  # fmt: skip
_SEVERITIES: Final = {"critical": Severity.CRITICAL, "warning": Severity.MEDIUM}
# The incident's own status, which also tells an "open" one apart: 1 open, 2 closed, 10 warning, 20 critical.
_BY_STATUS: Final = {20: Severity.CRITICAL, 10: Severity.MEDIUM}


def metric_alert(told: Told) -> Event:
    """`metric_alert.*`: open, critical and warning fire, resolved resolves and repeats no level.

    The identity is the incident's id, in a fingerprint of its own: incidents and issues are numbered separately.
    """
    incident = told.data.get("metric_alert")
    if type(incident) is not dict:
        raise Unreadable("a Sentry metric alert without its incident", path="data.metric_alert")
    status = _STATUSES.get(told.action)
    if status is None:
        raise unknown_action(told.resource, told.action)
    rule = obj(_either(incident, "alert_rule", "alertRule"))
    id_ = first_text(incident.get("id"), incident.get("identifier"))
    projects = _slugs(incident) or _slugs(rule)
    severity = None
    if status == "firing":
        severity = _SEVERITIES.get(told.action) or _BY_STATUS.get(whole(incident.get("status")) or 0)
    return Event(
        status=status,
        severity=severity,
        # The incident's title was a random nickname until about 2022.
        title=first_text(rule.get("name"), told.data.get("description_title"), incident.get("title")),
        message=text(told.data.get("description_text")) or "",
        project=projects[0] if projects else None,
        environment=first_text(rule.get("environment"), obj(rule.get("environment")).get("name")),
        source_event_id=id_,
        dedup_key=id_,
        fingerprint=f"metric_alert:{id_}" if id_ else None,
        delivery_key=statement_key(f"metric_alert.{told.action}:{id_}", told.data),
        link=text(told.data.get("web_url")),
        tags=kept(
            rule=rule.get("name"),
            aggregate=rule.get("aggregate"),
            query=rule.get("query"),
            dataset=rule.get("dataset"),
            time_window_minutes=_either(rule, "time_window", "timeWindow"),
            projects=", ".join(projects) if len(projects) > 1 else None,
        ),
        occurred_ms=_occurred(incident, status),
        action=told.name,
        actor=told.actor,
        any_project=len(projects) != 1,  # the order of several is not promised
    )


def _occurred(incident: dict[str, Any], status: Status) -> int | None:
    if status == "resolved":
        return time_ms(_either(incident, "date_closed", "dateClosed"))  # null in some versions
    for what in ("detected", "started", "created"):
        at = time_ms(_either(incident, f"date_{what}", f"date{what.capitalize()}"))
        if at is not None:
            return at
    return None


def _slugs(holder: dict[str, Any]) -> list[str]:
    found = [text(member) or text(obj(member).get("slug")) for member in items(holder.get("projects"))]
    return [slug for slug in found if slug]


def _either(holder: dict[str, Any], name: str, camel: str) -> object:
    return holder.get(name, holder.get(camel))
