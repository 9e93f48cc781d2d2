"""Sentry webhooks as the tests send them: the shapes of Sentry's integration platform, written by us.

Contract: https://docs.sentry.io/organization/integrations/integration-platform/webhooks/
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from typing import Any

_numbers = itertools.count(1)
SECRET = "the-client-secret-of-the-tests"


def signed(body: bytes, resource: str, secret: str = SECRET, at_s: int = 1_772_000_000) -> dict[str, str]:
    """The headers that Sentry sends with a body; without a secret, no signature."""
    number = next(_numbers)
    headers = {
        "Content-Type": "application/json",
        "Request-ID": hashlib.md5(str(number).encode()).hexdigest(),
        "Sentry-Hook-Resource": resource,
        "Sentry-Hook-Timestamp": str(at_s),
    }
    if secret:
        headers["Sentry-Hook-Signature"] = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return headers


def event_id() -> str:
    """32 hex digits that no other event of this run has."""
    return hashlib.md5(f"event {next(_numbers)}".encode()).hexdigest()


def body(resource: str, **say: Any) -> bytes:
    """A webhook of one resource. `say` as its builder below takes it."""
    built = {"event_alert": event_alert, "issue": issue, "metric_alert": metric_alert, "comment": comment}[resource](
        **say
    )
    return json.dumps(built, separators=(",", ":")).encode()


def event_alert(
    *,
    title: str = "TypeError in checkout",
    issue: str = "1001",
    project: str = "shop",
    environment: str | None = "prod",
    level: str = "error",
    event: str | None = None,
    tags: dict[str, str] | None = None,
    message: str = "",
    users: int | None = None,
) -> dict[str, Any]:
    """An issue alert: one event of an issue."""
    event = event or event_id()
    all_tags = {"level": level, **({"environment": environment} if environment else {}), **(tags or {})}
    base = "https://sentry.example/organizations/acme"
    said: dict[str, Any] = {
        "event_id": event,
        "project": 4242,
        "title": title,
        "message": message,
        "level": level,
        "culprit": "shop.views in checkout",
        "tags": [[k, v] for k, v in all_tags.items()],
        "datetime": "2026-03-02T08:59:58.500000Z",
        "timestamp": 1772441998.5,
        "url": f"https://sentry.example/api/0/projects/acme/{project}/events/{event}/",
        "web_url": f"{base}/issues/{issue}/events/{event}/",
        "issue_url": f"https://sentry.example/api/0/organizations/acme/issues/{issue}/",
        "issue_id": issue,
    }
    if environment:
        said["environment"] = environment
    if users is not None:
        said["user_count"] = users
    return {
        "action": "triggered",
        "installation": {"uuid": "7a485448-a9e2-4c85-8a3c-4f44175783c9"},
        "data": {"event": said, "triggered_rule": "Send to SignalCraft"},
        "actor": {"type": "application", "id": "sentry", "name": "Sentry"},
    }


def issue(
    *,
    action: str = "created",
    title: str = "TypeError in checkout",
    issue: str = "1001",
    project: str = "shop",
    level: str = "error",
    count: int = 1,
    users: int = 1,
    last_seen: str = "2026-03-02T08:59:58.500000Z",
    actor: str = "Kim",
) -> dict[str, Any]:
    """A change of an issue: created, resolved, unresolved, ignored, archived, assigned."""
    status = {"resolved": "resolved", "ignored": "ignored", "archived": "ignored"}.get(action, "unresolved")
    said: dict[str, Any] = {
        "id": issue,
        "shortId": f"{project.upper()}-{issue}",
        "title": title,
        "culprit": "shop.views in checkout",
        "level": level,
        "status": status,
        "substatus": None,
        "statusDetails": {},
        "project": {"id": "4242", "slug": project, "name": project.title(), "platform": "python"},
        "metadata": {"type": title.split(" ")[0], "value": title},
        "count": str(count),
        "userCount": users,
        "firstSeen": "2026-03-02T08:00:00Z",
        "lastSeen": last_seen,
        "permalink": f"https://sentry.example/organizations/acme/issues/{issue}/",
        "web_url": f"https://sentry.example/organizations/acme/issues/{issue}/",
    }
    data: dict[str, Any] = {"issue": said}
    if action == "assigned":
        data["assignee"] = {"type": "user", "name": actor, "id": 7, "email": "kim@example.com"}
    if action == "resolved":
        data["resolution_type"] = "now"
    return {
        "action": action,
        "installation": {"uuid": "7a485448-a9e2-4c85-8a3c-4f44175783c9"},
        "data": data,
        "actor": {"type": "user", "id": 7, "name": actor},
    }


def metric_alert(
    *, action: str = "critical", title: str = "High error rate", incident: str = "77", project: str = "shop"
) -> dict[str, Any]:
    """A metric alert: open, warning, critical, resolved."""
    return {
        "action": action,
        "installation": {"uuid": "7a485448-a9e2-4c85-8a3c-4f44175783c9"},
        "data": {
            "metric_alert": {
                "id": incident,
                "identifier": "12",
                "organization_id": "1",
                "projects": [project],
                "status": {"critical": 20, "warning": 10, "open": 1, "resolved": 2}[action],
                "title": title,
                "date_started": "2026-03-02T08:55:00Z",
                "date_detected": "2026-03-02T08:56:00Z",
                "date_created": "2026-03-02T08:56:00Z",
                "date_closed": "2026-03-02T08:59:00Z" if action == "resolved" else None,
                "alert_rule": {"id": "5", "name": title, "environment": "prod", "projects": [project]},
            },
            "description_title": f"{action.title()}: {title}",
            "description_text": "412 events in the last 5 minutes",
            "web_url": "https://sentry.example/organizations/acme/alerts/rules/details/5/?alert=12",
        },
        "actor": {"type": "application", "id": "sentry", "name": "Sentry"},
    }


def comment(
    *, text: str = "looking into it", issue: str = "1001", project: str = "shop", action: str = "created"
) -> dict[str, Any]:
    """A comment on an issue."""
    return {
        "action": action,
        "installation": {"uuid": "7a485448-a9e2-4c85-8a3c-4f44175783c9"},
        "data": {
            "comment": text,
            "project_slug": project,
            "comment_id": next(_numbers),
            "issue_id": int(issue),
            "timestamp": "2026-03-02T09:00:00Z",
        },
        "actor": {"type": "user", "id": 7, "name": "Kim"},
    }
