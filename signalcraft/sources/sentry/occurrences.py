"""One event that happened: issue alerts, error webhooks, the legacy WebHooks plugin, service hooks.

The four tell of the same events. Their statements share one key, event id and issue id, so that an event told by two
alert rules, as an error and by the plugin is one occurrence.

This is the hot path. Most of a body is the stack trace, so it is decoded into structs that name what is needed here and
skip the rest; every field is of any type, since a sender may put anything anywhere.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from signalcraft.domain.event import Event
from signalcraft.domain.reading import first_text, items, json_of, obj, tags_of, text, time_ms
from signalcraft.errors import Unreadable
from signalcraft.sources.sentry.told import Told, actor_of, kept, level_of, title_of, unknown_action, users_of


class Happening(Struct):
    """What is read of an event, under Sentry's names; the ones in camel case are those of the API (service hooks)."""

    event_id: Any = None
    eventID: Any = None
    id: Any = None
    title: Any = None
    message: Any = None
    level: Any = None
    environment: Any = None
    tags: Any = None
    metadata: Any = None
    occurrence: Any = None
    logentry: Any = None
    culprit: Any = None
    logger: Any = None
    transaction: Any = None
    server_name: Any = None
    platform: Any = None
    release: Any = None
    project: Any = None
    project_slug: Any = None
    project_name: Any = None
    url: Any = None
    web_url: Any = None
    issue_url: Any = None
    issue_id: Any = None
    group_id: Any = None
    groupID: Any = None
    datetime: Any = None
    timestamp: Any = None
    received: Any = None
    dateCreated: Any = None
    dateReceived: Any = None
    users: Any = None
    user_count: Any = None
    userCount: Any = None
    raised: Any = None  # ours: what an event of Sentry 9 was raised by, the title where it has no other


class Data(Struct):
    """`data` of event_alert and error."""

    event: Happening | None = None
    error: Happening | None = None
    triggered_rule: Any = None
    issue_alert: Any = None


class Envelope(Struct):
    """A whole body of event_alert and error."""

    data: Data
    action: Any = None
    actor: Any = None


_Shape = TypeVar("_Shape")
_envelope: Final = msgspec.json.Decoder(Envelope).decode

_URL_MAX: Final = 2_000
_PROJECT_IN_URL: Final = re.compile(r"/projects/[^/?#]+/([^/?#]+)/")  # /api/0/projects/{organisation}/{project}/events/
_ISSUE_IN_URL: Final = re.compile(r"/(?:issues|group)/(\d{1,19})(?:[/?#]|$)")
_UNLABELED: Final = "<unlabeled event>"  # what Sentry calls an event without a title of its own


def from_bytes(resource: str, body: bytes) -> Event:
    """`event_alert.triggered`, an issue alert rule fired, or `error.created`, every single event on plans that have it.

    Neither ever resolves; that is `issue.resolved`. Raises Unreadable.
    """
    envelope = json_of(body, _envelope)
    return _platform(resource, (text(envelope.action) or "").lower(), envelope.data, actor_of(envelope.actor))


def from_told(told: Told) -> Event:
    """The same, of a body that has been decoded already."""
    return _platform(told.resource, told.action, _shaped(told.data, Data), told.actor)


def _platform(resource: str, action: str, data: Data, actor: str | None) -> Event:
    if action != ("created" if resource == "error" else "triggered"):
        raise unknown_action(resource, action)
    event = (data.error or data.event) if resource == "error" else data.event
    if event is None:
        raise Unreadable(f"a Sentry {resource} webhook without its event", path="data")
    rule = text(data.triggered_rule) or text(obj(data.issue_alert).get("title"))  # the test button sends ""
    return _happened(
        event,
        issue=first_text(event.issue_id, event.groupID, event.group_id) or _issue_in(event.issue_url, event.web_url),
        project=_found(_PROJECT_IN_URL, event.url)
        or first_text(event.project_slug, event.project, obj(event.project).get("slug"), event.project_name),
        link=text(event.web_url),
        rule=rule,
        action=f"{resource}.{action}",
        actor=actor,
        around=_NOTHING,
    )


def legacy(body: dict[str, Any]) -> Event:
    """The legacy WebHooks plugin: flat, unsigned, an alert that fires. `body` has an object `event`."""
    get = body.get
    event = _shaped(body["event"], Happening)
    event.raised = _raised(body["event"])
    rules = [name for name in map(text, items(get("triggering_rules"))) if name]
    return _happened(
        event,
        issue=first_text(get("id"), event.groupID, event.group_id) or _issue_in(get("url")),
        project=first_text(get("project_slug"), get("project"), get("project_name"), event.project),
        link=text(get("url")),
        rule=", ".join(rules) or None,
        action="legacy",
        actor=None,
        around=body,
    )


def service_hook(body: dict[str, Any]) -> Event:
    """A service hook (version 0): {project, group, event}, the issue and the event as the API shows them."""
    group, project = body["group"], body.get("project")
    event = _shaped(obj(body.get("event")), Happening)
    link = first_text(event.web_url, event.url, group.get("permalink"), group.get("url"))
    return _happened(
        event,
        issue=first_text(group.get("id"), event.groupID) or _issue_in(link),
        project=first_text(
            obj(project).get("slug"), obj(project).get("name"), project, obj(group.get("project")).get("slug")
        ),
        link=link,
        rule=None,
        action="service_hook",
        actor=None,
        around=group,
    )


_NOTHING: Final[dict[str, Any]] = {}


def _happened(
    event: Happening, *, issue: str | None, project: str | None, link: str | None, rule: str | None,
    action: str, actor: str | None, around: dict[str, Any],
) -> Event:  # fmt: skip
    # `around` is what stands beside the event and says the same for the whole issue: level, message, culprit, logger.
    beside, occurrence = around.get, obj(event.occurrence)
    event_id = first_text(event.event_id, event.eventID, event.id)
    said = tags_of(event.tags)
    for name in [name for name in said if name.startswith("sentry:")]:  # its names inside Sentry
        said.setdefault(name.removeprefix("sentry:"), said.pop(name))
    culprit = text(beside("culprit")) or text(event.culprit)
    tags = kept(
        rule=rule,
        release=obj(event.release).get("version", event.release),
        culprit=culprit,
        logger=text(beside("logger")) or event.logger,
        transaction=event.transaction,
        server_name=event.server_name,
        platform=event.platform,
    )
    tags.update(said)
    message = first_text(beside("message"), event.message, occurrence.get("subtitle"), culprit)
    level = first_text(beside("level"), event.level, said.get("level"), occurrence.get("level"))
    return Event(
        status="firing",
        severity=level_of(level),
        title=_title(event, occurrence, around),
        message=message or first_text(obj(event.metadata).get("value"), *_formatted(event)) or "",
        project=project,
        environment=text(event.environment) or text(said.get("environment")),
        source_event_id=event_id or issue,
        dedup_key=issue,
        delivery_key=f"event:{event_id}:{issue or ''}" if event_id else None,
        link=link,
        tags=tags,
        occurred_ms=_first_time(event),
        users=users_of(event.userCount, event.user_count, beside("userCount"), _length(event.users)),
        action=action,
        actor=actor,
        any_project=project is None or project.isdigit(),
    )


def _title(event: Happening, occurrence: dict[str, Any], around: dict[str, Any]) -> str | None:
    own = text(event.title)
    if own is not None and own != _UNLABELED:
        return own
    return first_text(
        occurrence.get("issueTitle"), around.get("title"), title_of(event.metadata), event.raised,
        event.message, around.get("message"), *_formatted(event), event.culprit, around.get("culprit"), own,
    )  # fmt: skip


def _raised(event: dict[str, Any]) -> str | None:
    # The exception that was raised last, under its name of today or of Sentry 9.
    for name in ("exception", "sentry.interfaces.Exception"):
        held = event.get(name)
        values = items(obj(held).get("values")) or items(held)
        if values:
            return title_of({"type": obj(values[-1]).get("type"), "value": obj(values[-1]).get("value")})
    entry = obj(event.get("sentry.interfaces.Message"))
    return first_text(entry.get("formatted"), entry.get("message"))


def _formatted(event: Happening) -> tuple[object, object]:
    entry = obj(event.logentry)
    return entry.get("formatted"), entry.get("message")


def _first_time(event: Happening) -> int | None:
    for held in (event.datetime, event.timestamp, event.dateCreated, event.received, event.dateReceived):
        if held is not None:
            at = time_ms(held)
            if at is not None:
                return at
    return None


def _length(value: object) -> int | None:
    return len(value) if type(value) is list and value else None


def _issue_in(*urls: object) -> str | None:
    for url in urls:
        found = _found(_ISSUE_IN_URL, url)
        if found is not None:
            return found
    return None


def _found(pattern: re.Pattern[str], url: object) -> str | None:
    match = pattern.search(url[:_URL_MAX]) if type(url) is str else None
    return match[1] if match else None


def _shaped(value: dict[str, Any], shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as fault:
        raise Unreadable(f"the event is not an object: {fault}", path="data") from None
