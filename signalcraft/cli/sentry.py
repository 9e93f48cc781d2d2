"""What `signalcraft send sentry` sends: one webhook as Sentry writes it, signed over its very bytes."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import msgspec
from msgspec import Struct

from signalcraft.demo import sentry_bodies as bodies
from signalcraft.demo.sentry_bodies import KIM, SAM, Json, Metric, Problem, Project, Standing
from signalcraft.demo.week import sign

ACTIONS = {
    "event_alert": ("triggered",),
    "issue": ("created", "assigned", "resolved", "unresolved", "ignored", "archived"),
    "metric_alert": ("critical", "warning", "resolved"),
}
"""What each resource can say; the first is the usual one."""

_PROJECT_ID = 4509000000000100


class Wanted(Struct, frozen=True, kw_only=True):
    """What the webhook is to say. `issue`: Sentry's number of the problem; the same one folds into the same group."""

    resource: str
    action: str
    title: str
    environment: str
    level: str
    project: str
    issue: int
    message: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)


def issue_of(project: str, title: str) -> int:
    """A number for a problem, the same each time: so that a second send is a repeat."""
    return int.from_bytes(hashlib.sha256(f"{project}\n{title}".encode()).digest()[:4], "big")


def body(wanted: Wanted, now_ms: int) -> bytes:
    """The bytes that Sentry would post."""
    makers = {"event_alert": _event_alert, "issue": _issue, "metric_alert": _metric_alert}
    return bodies.dump(makers[wanted.resource](wanted, now_ms))


def headers(wanted: Wanted, body: bytes, secret: str, now_ms: int) -> dict[str, str]:
    """The headers that go with it; without a signature where there is no secret."""
    out = sign(secret, body, wanted.resource, now_ms // 1000)
    if not secret:
        del out["Sentry-Hook-Signature"]
    return out


def _problem(wanted: Wanted) -> Problem:
    kind, _, value = wanted.title.partition(": ")
    return Problem(
        label="send",
        issue_id=wanted.issue,
        short_id=f"{wanted.project.upper()}-{wanted.issue % 1000}",
        project=Project(_PROJECT_ID, wanted.project, "python"),
        environment=wanted.environment,
        level=wanted.level,  # type: ignore[arg-type]  # the command lets only Sentry's levels through
        type=kind,
        value=value,
        where=(("app.py", "main", "    main()"),),
        transaction="/",
        rule="signalcraft send",
    )


def _event_alert(wanted: Wanted, now_ms: int) -> Json:
    problem = _problem(wanted)
    told = bodies.event(problem, secrets.token_hex(16), now_ms, user=1000)
    told["message"] = wanted.message
    told["tags"] += [[key, value] for key, value in wanted.tags.items()]
    if not wanted.environment:
        del told["environment"]
        told["tags"] = [pair for pair in told["tags"] if pair[0] != "environment"]
    return bodies.event_alert(problem, told)


def _issue(wanted: Wanted, now_ms: int) -> Json:
    problem = _problem(wanted)
    standing = Standing(at_ms=now_ms, first_ms=now_ms, count=1, users=1)
    if wanted.action == "created":
        return bodies.issue_created(problem, standing)
    if wanted.action == "assigned":
        return bodies.issue_assigned(problem, standing, SAM, KIM)
    if wanted.action == "resolved":
        return bodies.issue_resolved(problem, standing, SAM)
    if wanted.action == "unresolved":
        return bodies.issue_unresolved(problem, standing)
    return bodies.issue_archived(problem, standing, wanted.action, SAM)


def _metric_alert(wanted: Wanted, now_ms: int) -> Json:
    metric = Metric(
        label="send",
        rule_id=wanted.issue % 100_000,
        incident_id=wanted.issue,
        name=wanted.title,
        project=Project(_PROJECT_ID, wanted.project, "python"),
        environment=wanted.environment,
        aggregate="count()",
        query="level:error",
    )
    text = wanted.message or "412 events in the last 5 minutes"
    said: dict[str, Any] = bodies.metric_alert(metric, wanted.action, text, now_ms, now_ms)
    if not wanted.environment:
        said["data"]["metric_alert"]["alert_rule"]["environment"] = None
    return said
