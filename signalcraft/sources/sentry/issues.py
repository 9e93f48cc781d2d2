"""Issues: created, moved by people or by Sentry, assigned; and alerts on an issue's activity."""

from __future__ import annotations

from typing import Any, Final

from signalcraft.domain.event import Event, Kind, Status
from signalcraft.domain.reading import first_text, obj, text, time_ms
from signalcraft.domain.severity import Severity
from signalcraft.errors import Unreadable
from signalcraft.sources.sentry.told import (
    Told,
    kept,
    level_of,
    statement_key,
    title_of,
    unknown_action,
    users_of,
)

# Archiving an issue tells both "ignored" (its name until 2023) and "archived" to who subscribes to both: one statement.
_SAME: Final = {"archived": "ignored"}
_STATUSES: Final[dict[str, Status]] = {
    "created": "firing", "unresolved": "firing", "resolved": "resolved", "ignored": "resolved",
}  # fmt: skip
# Which of the issue's own times is the time of the action; the others have none in the body.
_TIMES: Final = {"created": "firstSeen", "unresolved": "lastSeen"}
_PRIORITIES: Final = {"high": Severity.HIGH, "medium": Severity.MEDIUM, "low": Severity.LOW}


def issue(told: Told) -> Event:
    """`issue.*`: created and unresolved fire, resolved, ignored and archived resolve, assigned is activity."""
    found = told.data.get("issue")
    if found is None and "id" in told.data:  # a service hook of 2018: the issue itself is the data
        found = told.data
    if type(found) is not dict:
        raise Unreadable("a Sentry issue webhook without its issue", path="data.issue")
    action = _SAME.get(told.action, told.action)
    if action == "assigned":
        event = _about(found, told, "activity", _state(found))
        event.message = _assigned(told.data, found)
        return event
    status = _STATUSES.get(action)
    if status is None:
        raise unknown_action(told.resource, told.action)
    event = _about(found, told, "alert", status)
    event.occurred_ms = time_ms(found.get(_TIMES.get(action, "")))
    if status == "resolved":
        event.message = _ended(action, told.data, found)
        event.tags |= kept(resolution=told.data.get("resolution_type"))
    return event


def activity_alert(told: Told) -> Event:
    """`activity_alert.*` (2026): something was done on an issue, so far always by Seer."""
    found = told.data.get("issue")
    if type(found) is not dict:
        raise Unreadable("a Sentry activity alert without its issue", path="data.issue")
    activity = obj(told.data.get("activity"))
    details = obj(activity.get("details"))
    sort = text(activity.get("type"))
    event = _about(found, told, "activity", _state(found))
    event.message = first_text(details.get("summary"), details.get("description"), (sort or "").replace("_", " ")) or ""
    event.tags |= kept(activity=sort, rule=obj(told.data.get("alert")).get("title"))
    event.delivery_key = statement_key("activity_alert", found.get("id"), told.action, activity, told.data.get("alert"))
    return event


def _about(found: dict[str, Any], told: Told, kind: Kind, status: Status | None) -> Event:
    get = found.get
    id_ = text(get("id"))
    project = get("project")
    slug = first_text(obj(project).get("slug"), obj(project).get("name"), project)
    metadata = obj(get("metadata"))
    level = text(get("level"))
    return Event(
        kind=kind,
        status=status,
        severity=_PRIORITIES.get(text(get("priority")) or "") if level is None else level_of(level),
        title=first_text(get("title"), title_of(metadata), get("culprit"), get("shortId")),
        message=first_text(get("culprit"), metadata.get("value")) or "",
        project=slug,
        source_event_id=id_ or text(get("shortId")),
        dedup_key=id_,
        delivery_key=_key(id_, found, told),
        link=first_text(get("web_url"), get("permalink")),
        tags=kept(
            culprit=get("culprit"),
            logger=get("logger"),
            platform=get("platform"),
            short_id=get("shortId"),
            priority=get("priority"),
            substatus=get("substatus"),
            issue_type=get("issueType"),
            issue_category=get("issueCategory"),
        ),
        users=users_of(get("userCount")),
        action=told.name,
        actor=told.actor,
        any_project=slug is None or slug.isdigit(),
    )


def _key(id_: str | None, found: dict[str, Any], told: Told) -> str | None:
    # No id and no time of the action is in the body, so the state it tells is what makes a statement this one.
    if id_ is None:
        return None
    state = [found.get(name) for name in ("status", "substatus", "statusDetails", "firstSeen", "lastSeen", "count")]
    who = [obj(told.body.get("actor")).get(name) for name in ("type", "id")]
    whom = [obj(told.data.get("assignee")).get(name) for name in ("type", "id", "name")]
    action = _SAME.get(told.action, told.action)
    return statement_key(f"issue.{action}:{id_}", state, who, whom, told.data.get("resolution_type"))


def _state(found: dict[str, Any]) -> Status | None:
    status = text(found.get("status"))
    if status == "unresolved":
        return "firing"
    return "resolved" if status in ("resolved", "ignored") else None


def _assigned(data: dict[str, Any], found: dict[str, Any]) -> str:
    for whom in (obj(data.get("assignee")), obj(found.get("assignedTo"))):
        name = first_text(whom.get("name"), whom.get("email"), whom.get("id"))
        if name is not None:
            return f"Assigned to {name}" if whom.get("type") != "team" else f"Assigned to team {name}"
    return "Assigned"


def _ended(action: str, data: dict[str, Any], found: dict[str, Any]) -> str:
    details = obj(found.get("statusDetails"))
    if action == "ignored":
        return _ARCHIVED.get(text(found.get("substatus")) or "", "Archived in Sentry")
    release = first_text(_named(details.get("inRelease")), _named(obj(details.get("inNextRelease"))))
    if release is not None:
        return f"Resolved in Sentry, in release {release}"
    commit = obj(details.get("inCommit"))
    if commit:
        return f"Resolved in Sentry, in commit {first_text(commit.get('id'), commit.get('commit')) or 'unknown'}"
    how = text(data.get("resolution_type"))
    if details.get("inNextRelease") or how in ("in_next_release", "next_release"):
        return "Resolved in Sentry, in the next release"
    return "Resolved in Sentry" if how in (None, "now") else f"Resolved in Sentry ({how.replace('_', ' ')})"


_ARCHIVED: Final = {
    "archived_until_escalating": "Archived in Sentry until it escalates",
    "archived_until_condition_met": "Archived in Sentry until a condition is met",
    "archived_forever": "Archived in Sentry for good",
}


def _named(value: object) -> object:
    return value.get("version") if type(value) is dict else value
