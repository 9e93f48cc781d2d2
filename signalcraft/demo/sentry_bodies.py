"""Bodies as Sentry writes them: the integration platform's webhooks and the legacy plugin's.

Shapes as in getsentry/sentry `sentry_apps/api/serializers/app_platform_event.py` and its documentation of webhooks:
compact JSON with everything outside ASCII escaped, keys in Sentry's order, `count` a string, `project` a number in
events, tags as pairs. The people, projects and errors are made up here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

Json = dict[str, Any]

ORIGIN = "https://sentry.example.com"
ORG = "shop"
INSTALLATION = {"uuid": "7c0a5f0e-3f43-4d1c-9f3b-0c8a4f1d2e6b"}
SENTRY: Json = {"type": "application", "id": "sentry", "name": "Sentry"}
SAM: Json = {"type": "user", "id": 101, "name": "Sam"}
KIM: Json = {"type": "user", "id": 102, "name": "Kim"}
_MODULES = {"certifi": "2026.1.4", "jinja2": "3.1.6", "psycopg": "3.3.2", "redis": "7.1.0", "sentry-sdk": "2.17.0"}
_BROWSERS = ("Firefox 131.0", "Chrome 129.0", "Safari 18.0", "Edge 129.0")


class Project(Struct, frozen=True):
    """A Sentry project."""

    id: int
    slug: str
    platform: str


class Problem(Struct, frozen=True, kw_only=True):
    """One issue in Sentry. `where` is (file, function, line of code) of the frame that failed, outermost call first."""

    label: str
    issue_id: int
    short_id: str
    project: Project
    environment: str
    level: Literal["fatal", "error", "warning", "info", "debug"]
    type: str
    value: str
    where: tuple[tuple[str, str, str], ...]
    transaction: str
    release: str = ""
    category: str = "error"
    issue_type: str = "error"
    priority: str = "medium"
    rule: str = "Tell us about every new error"

    @property
    def title(self) -> str:
        """As Sentry shows it."""
        return f"{self.type}: {self.value}" if self.value else self.type

    @property
    def culprit(self) -> str:
        """The code Sentry blames."""
        file, function, _ = self.where[-1]
        return f"{file.removesuffix('.py').replace('/', '.')} in {function}"


def dump(body: Json) -> bytes:
    """The bytes Sentry would send and sign."""
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def moment(ms: int) -> str:
    """A time as Sentry writes it: 2026-03-01T10:00:00.123000Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def hook(action: str, data: Json, actor: Json) -> Json:
    """What every webhook of the integration platform is wrapped in."""
    return {"action": action, "installation": INSTALLATION, "data": data, "actor": actor}


# ------------------------------------------------------------------------------------------------------------- issues


class Standing(Struct, kw_only=True):
    """How an issue stands at one moment."""

    at_ms: int
    first_ms: int
    count: int
    users: int
    status: Literal["unresolved", "resolved", "ignored"] = "unresolved"
    substatus: str | None = "ongoing"
    details: Json = msgspec.field(default_factory=dict)
    assigned: Json | None = None


def issue(problem: Problem, standing: Standing) -> Json:
    """The group serializer's shape."""
    page = f"{ORIGIN}/organizations/{ORG}/issues/{problem.issue_id}/"
    file, function, _ = problem.where[-1]
    return {
        "id": str(problem.issue_id),
        "shareId": None,
        "shortId": problem.short_id,
        "title": problem.title,
        "culprit": problem.culprit,
        "permalink": page,
        "logger": None,
        "level": problem.level,
        "status": standing.status,
        "statusDetails": standing.details,
        "substatus": standing.substatus,
        "isPublic": False,
        "platform": problem.project.platform,
        "project": {
            "id": str(problem.project.id),
            "name": problem.project.slug,
            "slug": problem.project.slug,
            "platform": problem.project.platform,
        },
        "type": "error" if problem.category == "error" else "generic",
        "metadata": {"value": problem.value, "type": problem.type, "filename": file, "function": function},
        "numComments": 0,
        "assignedTo": standing.assigned,
        "isBookmarked": False,
        "isSubscribed": False,
        "subscriptionDetails": None,
        "hasSeen": False,
        "annotations": [],
        "issueType": problem.issue_type,
        "issueCategory": problem.category,
        "priority": problem.priority,
        "priorityLockedAt": None,
        "isUnhandled": problem.level in ("fatal", "error"),
        "count": str(standing.count),
        "userCount": standing.users,
        "firstSeen": moment(standing.first_ms),
        "lastSeen": moment(standing.at_ms),
    }


def issue_created(problem: Problem, standing: Standing) -> Json:
    """issue.created: the only action whose issue carries web_url."""
    standing.substatus = "new"
    links = {
        "url": f"{ORIGIN}/api/0/organizations/{ORG}/issues/{problem.issue_id}/",
        "web_url": f"{ORIGIN}/organizations/{ORG}/issues/{problem.issue_id}/",
        "project_url": f"{ORIGIN}/organizations/{ORG}/issues/?project={problem.project.id}",
    }
    return hook("created", {"issue": links | issue(problem, standing)}, SENTRY)


def issue_resolved(problem: Problem, standing: Standing, actor: Json, release: str = "") -> Json:
    """issue.resolved, by a person or by a release."""
    standing.status, standing.substatus = "resolved", None
    standing.details = {"inRelease": release} if release else {}
    how = "in_release" if release else "now"
    return hook("resolved", {"resolution_type": how, "issue": issue(problem, standing)}, actor)


def issue_unresolved(problem: Problem, standing: Standing) -> Json:
    """issue.unresolved: it came back."""
    standing.substatus = "regressed"
    return hook("unresolved", {"issue": issue(problem, standing)}, SENTRY)


def issue_archived(problem: Problem, standing: Standing, action: str, actor: Json) -> Json:
    """issue.ignored or issue.archived; Sentry sends both for one click."""
    standing.status, standing.substatus = "ignored", "archived_until_escalating"
    return hook(action, {"issue": issue(problem, standing)}, actor)


def issue_assigned(problem: Problem, standing: Standing, to: Json, actor: Json) -> Json:
    """issue.assigned: the assignee's id is a number in data.assignee and a string in the issue."""
    person = {"type": "user", "id": to["id"], "name": to["name"], "email": f"{to['name'].lower()}@example.com"}
    standing.assigned = person | {"id": str(to["id"])}
    return hook("assigned", {"assignee": person, "issue": issue(problem, standing)}, actor)


def comment(problem: Problem, text: str, comment_id: int, at_ms: int, actor: Json) -> Json:
    """comment.created: names its issue by id alone."""
    data = {
        "comment": text,
        "project_slug": problem.project.slug,
        "comment_id": comment_id,
        "issue_id": problem.issue_id,
        "timestamp": moment(at_ms),
    }
    return hook("created", data, actor)


# ------------------------------------------------------------------------------------------------------------- events


def event(problem: Problem, event_id: str, at_ms: int, user: int) -> Json:
    """One event with its stack trace, as event_alert.triggered and error.created carry it."""
    python = problem.project.platform == "python"
    browser = _BROWSERS[user % len(_BROWSERS)]
    runtime = {"name": "CPython", "version": "3.13.0", "type": "runtime"}
    tags = [["environment", problem.environment], ["level", problem.level], ["transaction", problem.transaction]]
    tags += (
        [["runtime", "CPython 3.13.0"], ["server_name", f"web-{user % 4 + 1}"]] if python else [["browser", browser]]
    )
    tags += [["release", problem.release]] if problem.release else []
    file, function, _ = problem.where[-1]
    return {
        "event_id": event_id,
        "project": problem.project.id,
        "release": problem.release or None,
        "dist": None,
        "platform": problem.project.platform,
        "message": "",
        "datetime": moment(at_ms),
        "tags": [*tags, ["user", f"id:{user}"]],
        "_metrics": {"bytes.stored.event": 4096 + user % 512},
        "contexts": {"runtime": runtime} if python else {"browser": {"name": browser.split()[0], "type": "browser"}},
        "culprit": problem.culprit,
        "environment": problem.environment,
        "exception": {"values": [_exception(problem)]},
        "extra": {"attempt": user % 3 + 1},
        "fingerprint": ["{{ default }}"],
        "hashes": [f"{problem.issue_id:032x}"],
        "level": problem.level,
        "location": file,
        "logger": "",
        "metadata": {"function": function, "type": problem.type, "value": problem.value, "filename": file},
        "modules": _MODULES if python else {},
        "nodestore_insert": at_ms / 1000 + 1.2,
        "received": at_ms / 1000 + 0.4,
        "request": {
            "url": f"https://shop.example.com{problem.transaction}",
            "method": "POST" if python else "GET",
            "headers": [
                ["Accept", "application/json"],
                ["Accept-Encoding", "gzip, br"],
                ["Content-Type", "application/json"],
                ["Referer", "https://shop.example.com/"],
                ["User-Agent", f"Mozilla/5.0 ({browser})"],
                ["X-Request-Id", f"{event_id[:8]}-{event_id[8:12]}"],
            ],
            "query_string": [],
            "fragment": None,
        },
        "sdk": {"name": f"sentry.{problem.project.platform}", "version": "2.17.0", "packages": []},
        "timestamp": at_ms / 1000,
        "title": problem.title,
        "transaction": problem.transaction,
        "type": "error",
        "user": {"id": str(user), "ip_address": f"192.0.2.{user % 250 + 1}"},
        "version": "7",
        **_places(problem, event_id),
    }


def _places(problem: Problem, event_id: str) -> Json:
    page = f"{ORIGIN}/organizations/{ORG}/issues/{problem.issue_id}/"
    return {
        "url": f"{ORIGIN}/api/0/projects/{ORG}/{problem.project.slug}/events/{event_id}/",
        "web_url": f"{page}events/{event_id}/",
        "issue_url": f"{ORIGIN}/api/0/organizations/{ORG}/issues/{problem.issue_id}/",
        "issue_id": str(problem.issue_id),
    }


def _exception(problem: Problem) -> Json:
    python = problem.project.platform == "python"
    outermost = (
        ("runpy.py", "_run_code", "    exec(code, run_globals)")
        if python
        else ("app:///vendor.js", "dispatch", "  return listener.call(target, event);")
    )
    frames = [
        {
            "function": function,
            "module": file.rpartition(".")[0].replace("/", "."),
            "filename": file,
            "abs_path": f"/srv/app/{file}",
            "lineno": 40 + 17 * n,
            "colno": None,
            "pre_context": ["", "    # prices are kept in cents", "    if not items:", "        return None"],
            "context_line": line,
            "post_context": ["", "    return result"],
            "in_app": n > 0,
            "vars": {"items": "[<Item 4711>, <Item 4712>]", "self": f"<{function} object>"},
            "data": {},
            "errors": None,
            "package": None,
            "platform": None,
        }
        for n, (file, function, line) in enumerate((outermost, *problem.where))
    ]
    return {
        "type": problem.type,
        "value": problem.value,
        "mechanism": {"type": "logging" if problem.level in ("info", "warning") else "generic", "handled": False},
        "stacktrace": {"frames": frames},
    }


def event_alert(problem: Problem, told: Json) -> Json:
    """event_alert.triggered: an issue-alert rule fired for an event."""
    return hook("triggered", {"event": told, "triggered_rule": problem.rule}, SENTRY)


def error_created(told: Json) -> Json:
    """error.created: every single event, for those who subscribed to that."""
    return hook("created", {"error": told}, SENTRY)


def legacy(problem: Problem, told: Json) -> Json:
    """What the legacy WebHooks plugin posts, without a signature."""
    return {
        "id": str(problem.issue_id),
        "project": problem.project.slug,
        "project_name": problem.project.slug,
        "project_slug": problem.project.slug,
        "logger": None,
        "level": problem.level,
        "culprit": problem.culprit,
        "message": problem.title,
        "url": f"{ORIGIN}/organizations/{ORG}/issues/{problem.issue_id}/?referrer=webhooks_plugin",
        "triggering_rules": [problem.rule],
        "event": {k: v for k, v in told.items() if k not in ("url", "web_url", "issue_url", "issue_id")}
        | {"id": told["event_id"]},
    }


# ------------------------------------------------------------------------------------------------------ metric alerts


class Metric(Struct, frozen=True, kw_only=True):
    """A metric alert rule and its present incident."""

    label: str
    rule_id: int
    incident_id: int
    name: str
    project: Project
    environment: str
    aggregate: str
    query: str


def metric_alert(metric: Metric, action: str, text: str, at_ms: int, started_ms: int) -> Json:
    """metric_alert.critical, .warning or .resolved."""
    closed = moment(at_ms) if action == "resolved" else None
    alert = {
        "id": str(metric.incident_id),
        "identifier": str(metric.incident_id % 1000),
        "organization_id": "42",
        "projects": [metric.project.slug],
        "alert_rule": {
            "id": str(metric.rule_id),
            "name": metric.name,
            "organization_id": "42",
            "status": 0,
            "query_type": 0,
            "dataset": "events",
            "query": metric.query,
            "aggregate": metric.aggregate,
            "threshold_type": 0,
            "resolve_threshold": 1.0,
            "time_window": 1.0,
            "environment": metric.environment,
            "resolution": 1.0,
            "threshold_period": 1,
            "triggers": [
                {"id": str(metric.rule_id * 10 + n), "label": label, "alert_threshold": float(level), "actions": []}
                for n, (label, level) in enumerate((("critical", 50), ("warning", 20)))
            ],
            "projects": [metric.project.slug],
            "owner": "team:7",
            "date_created": "2026-01-12T09:00:00.000000Z",
            "description": "",
            "detection_type": "static",
        },
        "activities": None,
        "status": {"critical": 20, "warning": 10, "resolved": 2}[action],
        "status_method": 3,
        "type": 2,
        "title": metric.name,
        "date_started": moment(started_ms),
        "date_detected": moment(started_ms),
        "date_created": moment(started_ms),
        "date_closed": closed,
    }
    page = f"{ORIGIN}/organizations/{ORG}/alerts/rules/details/{metric.rule_id}/?alert={metric.incident_id}"
    data = {
        "metric_alert": alert,
        "description_text": text,
        "description_title": f"{action.capitalize()}: {metric.name}",
        "web_url": page,
    }
    return hook(action, data, SENTRY)
