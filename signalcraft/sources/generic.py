"""Generic webhook: any program that can post a JSON object, or an array of them, with the field names it has.

The fields are `title, message, severity, status, project, environment, dedup_key, link, tags, occurred_at, users,
source_event_id`; what other programs call the same things is understood too. Signing is optional: Standard Webhooks
(https://www.standardwebhooks.com) or the hex HMAC of the body that GitHub made common.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qs

import msgspec
from msgspec import Meta, Struct

from signalcraft.domain import mapping, severity
from signalcraft.domain.event import Event, HttpInbound, Kind, Secret, Status
from signalcraft.domain.reading import first_text, json_of, obj, tag_text, tags_of, text, time_ms, whole
from signalcraft.domain.setup import SetupStep
from signalcraft.domain.severity import Severity
from signalcraft.errors import BadSignature, Unreadable

KIND: Final = "generic"
LABEL: Final = "Generic webhook"
SCOPE: Final[Literal["kind", "integration"]] = "integration"  # two senders' keys have nothing to do with each other

_PREFIX: Final = "whsec_"
_TOLERANCE_S: Final = 300
_HEX_HEADERS: Final = ("x-signature-256", "x-hub-signature-256")

MAPPED: Final = (
    "title", "message", "severity", "status", "project", "environment", "dedup_key", "link", "occurred_at", "users",
    "source_event_id", mapping.EACH,
)  # fmt: skip
"""What a mapping may name, beside `tags.<key>`."""
MEANINGS: Final = (*severity.BY_NAME, "firing", "resolved", "acknowledged", "test")
"""What a sender's own words may mean."""
SETUP: Final = (
    SetupStep(
        text="Try it from any shell: this opens an alert group.",
        copy="""curl {webhook_url} \\
  -H 'Content-Type: application/json' \\
  -d '{"title": "A first try", "severity": "high", "environment": "production", "dedup_key": "try-1"}'""",
    ),
    SetupStep(
        text="And this says that it is over: the same dedup_key.",
        copy="""curl {webhook_url} \\
  -d '{"dedup_key": "try-1", "status": "resolved"}'""",
    ),
    SetupStep(
        text="Then let your program post its JSON to this address. Its own names for the fields are understood where "
        "they are common ones; for others say under “Where the fields stand” where each one is.",
        copy="{webhook_url}",
    ),
    SetupStep(
        text="Only with a secret: every request must be signed, as Standard Webhooks does it, or with the hex "
        "HMAC-SHA256 of the body in X-Signature-256. From a shell:",
        copy="""body='{"title": "A signed try"}'
sum=$(printf %s "$body" | openssl dgst -sha256 -hmac '{secret}' -r | cut -d' ' -f1)
curl {webhook_url} -H "X-Signature-256: sha256=$sum" -d "$body\"""",
    ),
)
"""What is done at the sender."""


class Config(Struct, frozen=True, kw_only=True):
    """What a person fills in for one generic integration."""

    secret: Annotated[
        Secret,
        Meta(
            title="Secret",
            description="`whsec_` and base64 (Standard Webhooks), or any text. Without one, the address alone protects "
            "this integration.",
            extra={"placeholder": "whsec_…"},
        ),
    ] = ""
    require_signature: Annotated[
        bool | None,
        Meta(
            title="Require a signature",
            description="Left out: as soon as there is a secret.",
            extra={"advanced": True},
        ),
    ] = None
    default_severity: Annotated[
        str,
        Meta(
            title="Default severity",
            description="For alerts that say nothing of it: info, low, medium, high or critical.",
            extra={"choices": tuple(severity.BY_NAME)},
        ),
    ] = ""
    mapping: Annotated[
        dict[str, str],
        Meta(
            title="Where the fields stand",
            description="For bodies with other names or deeper down: our field, and its path in the body, as "
            '`title = "incident.name"`. `each` is the path of the array, where there are several alerts in a body; '
            "`tags.<key>` makes a tag; what begins with = is taken as text.",
            extra={"advanced": True, "keys": MAPPED, "placeholder": "incident.name"},
        ),
    ] = msgspec.field(default_factory=dict)
    words: Annotated[
        dict[str, str],
        Meta(
            title="What its words mean",
            description="The sender's own words for severity and status, and which of ours each one means, as "
            '`sev1 = "critical"`.',
            extra={"advanced": True, "values": MEANINGS, "placeholder": "sev1"},
        ),
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.default_severity and severity.parse(self.default_severity) is None:
            raise ValueError(f"default_severity must be one of {', '.join(severity.BY_NAME)}")
        if self.secret.startswith(_PREFIX):
            _key(self.secret)


def check(config: Config) -> list[tuple[str, str]]:
    """What is wrong with the settings beyond their types, as (field, sentence)."""
    return mapping.faults(config.mapping, config.words, MAPPED, MEANINGS)


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"secret must be base64 behind {_PREFIX}") from None


def verify(config: Config, inbound: HttpInbound, now_ms: int) -> None:
    """Checks a Standard Webhooks signature, or `sha256=<hex>` in X-Signature-256 or X-Hub-Signature-256.

    Raises BadSignature: one that is there must match, and one must be there where it is required.
    """
    headers = inbound.headers
    required = bool(config.secret) if config.require_signature is None else config.require_signature
    given = next((headers[name] for name in _HEX_HEADERS if name in headers), None)
    if "webhook-signature" not in headers and given is None:
        if required:
            raise BadSignature("the request carries no signature (Webhook-Signature or X-Signature-256)")
        return
    if not config.secret:
        if required:
            raise BadSignature("this integration requires signatures and has no secret to check them with")
        return
    if "webhook-signature" in headers:
        _verify_standard(config, inbound, now_ms)
    elif given is not None:
        expected = "sha256=" + hmac.digest(config.secret.encode(), inbound.body, "sha256").hex()
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode()):
            raise BadSignature("the signature does not match the body and this integration's secret")


def _verify_standard(config: Config, inbound: HttpInbound, now_ms: int) -> None:
    headers = inbound.headers
    id_, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    at_s = whole(stamp)
    if not id_ or at_s is None:
        raise BadSignature("a signed request needs Webhook-Id and Webhook-Timestamp")
    if abs(now_ms // 1000 - at_s) > _TOLERANCE_S:
        raise BadSignature(f"Webhook-Timestamp is more than {_TOLERANCE_S} s away from our clock")
    signed = f"{id_}.{stamp}.".encode("utf-8", "surrogatepass") + inbound.body
    expected = b"v1," + base64.b64encode(hmac.digest(_key(config.secret), signed, "sha256"))
    # Several, separated by spaces, while a secret is being rotated.
    offered = headers["webhook-signature"].encode("utf-8", "surrogatepass").split()
    if not any(hmac.compare_digest(one, expected) for one in offered):
        raise BadSignature("no Webhook-Signature matches the body and this integration's secret")


def read(config: Config, inbound: HttpInbound, now_ms: int) -> list[Event]:
    """One event for an object, one for each member of an array. Raises Unreadable for anything else."""
    body: Any = json_of(_json_part(inbound))
    delivery = None
    if config.secret and "webhook-signature" in inbound.headers:  # then verify has checked it
        delivery = inbound.headers.get("webhook-id")
    several = body
    if type(body) is dict:
        several = mapping.members(body, config.mapping) if mapping.EACH in config.mapping else None
        if several is None:
            return [_event(body, config, "", f"webhook:{delivery}" if delivery else None, body)]
    if type(several) is not list:
        raise Unreadable("the body is neither a JSON object nor an array of them")
    return [
        _event(member, config, f"[{n}]", f"webhook:{delivery}:{n}" if delivery else None, body)
        for n, member in enumerate(several)
    ]


def _json_part(inbound: HttpInbound) -> bytes:
    # curl -d says "form" whatever it sends, so only a body that looks like one is taken apart.
    body = inbound.body.lstrip()
    if body[:1] in (b"{", b"[") or b"payload=" not in body:
        return inbound.body
    said_so = "x-www-form-urlencoded" in inbound.headers.get("content-type", "").lower()
    if not said_so and not body.startswith(b"payload="):
        return inbound.body
    try:
        return parse_qs(body.decode("utf-8"), errors="strict", max_num_fields=1_000)["payload"][0].encode()
    except (ValueError, KeyError):
        raise Unreadable("the form has no readable field `payload`") from None


# In each list the first name that holds something wins; the first is the one we document.
_TITLES: Final = ("title", "alertname", "alert_name", "name", "check_name", "summary", "subject")
_MESSAGES: Final = ("message", "body", "text", "long_description", "description", "details")
_SEVERITIES: Final = ("severity", "level", "importance_level", "importance", "priority", "criticality", "urgency")
_STATUSES: Final = ("status", "state", "current_state", "alert_state", "alert_status", "event_action")
_PROJECTS: Final = ("project", "project_slug", "project_name", "application")
_ENVIRONMENTS: Final = ("environment", "env", "deployment_environment", "stage")
_KEYS: Final = ("dedup_key", "deduplication_key", "dedupKey", "fingerprint", "incident_key")
_PROBLEMS: Final = ("alert_uid", "alert_id", "alertId", "incident_id", "problem_id", "check_id", "monitor_id")
_EVENT_IDS: Final = ("source_event_id", "event_id", "eventId", "id", "uuid")
_DELIVERY_IDS: Final = ("delivery_id", "event_id", "eventId")
_LINKS: Final = (
    "link", "url", "link_to_upstream_details", "web_url", "html_url", "permalink", "alert_url", "details_url",
    "generatorURL",
)  # fmt: skip
_ENDS: Final = ("resolved_at", "ended_at", "endsAt", "closed_at")
_TIMES: Final = (
    "occurred_at", "occurredAt", "timestamp", "@timestamp", "time", "datetime", "date", "fired_at", "started_at",
    "startsAt", "created_at", "state_changed_timestamp", "state_changed_utc_time",
)  # fmt: skip
_USERS: Final = ("users", "users_affected", "affected_users", "user_count", "userCount")
# What else of a body is worth a tag, under its own name.
_TAGS: Final = (
    "host", "hostname", "instance", "service", "component", "region", "zone", "cluster", "namespace", "team", "metric",
    "value", "check_type", "release", "version", "runbook_url",
)  # fmt: skip

_WORDS: Final[dict[str, Severity]] = {
    **dict.fromkeys(("critical", "crit", "disaster", "fatal", "emergency", "emerg", "panic", "p1"), Severity.CRITICAL),
    **dict.fromkeys(("high", "error", "err", "major", "p2"), Severity.HIGH),
    **dict.fromkeys(("medium", "warning", "warn", "average", "moderate", "p3"), Severity.MEDIUM),
    **dict.fromkeys(("low", "minor", "p4"), Severity.LOW),
    **dict.fromkeys(("info", "information", "informational", "notice", "debug", "p5"), Severity.INFO),
}
_OVER: Final = frozenset((
    "resolved", "resolve", "ok", "okay", "closed", "close", "up", "recovered", "recovery", "inactive", "normal",
    "clear", "cleared", "green", "healthy", "success", "fixed", "0",
))  # fmt: skip
_SEEN: Final = frozenset(("acknowledged", "acknowledge", "ack", "acked"))
# Of a state's words only these say how bad it is; "error" as a state is what some programs call firing.
_STATES_THAT_GRADE: Final = frozenset(("critical", "crit", "disaster", "major", "warning", "warn", "minor"))


def _event(body: object, config: Config, path: str, delivery: str | None, around: object) -> Event:
    if type(body) is not dict:
        raise Unreadable("a member of the array is not an object", path=path)
    if config.mapping:
        body = mapping.laid_over(body, around, config.mapping)
    tags = _tags(body)
    words = {word.lower(): meaning for word, meaning in config.words.items()}
    state, grade = _word(body, _STATUSES, words), _word(body, _SEVERITIES, words)
    kind, status = _status(state if state is not None else grade)
    how_bad = _WORDS.get(grade or "")
    if how_bad is None and state in _STATES_THAT_GRADE:
        how_bad = _WORDS.get(state)
    if how_bad is None and config.default_severity:
        how_bad = severity.parse(config.default_severity)
    message = _named(body, _MESSAGES)
    title, problem = _named(body, _TITLES), _named(body, _PROBLEMS)
    key = _named(body, _KEYS) or problem
    if title is None:
        # Programs like Riemann name no alert, only where it is; other texts are titled by their first line.
        title = _place(body, " ") or (message.splitlines()[0] if message else None)
        key = key or _place(body, "/")
    if title is None and key is None:
        raise Unreadable("no title, message or dedup_key to make an alert of", path=path)
    project = _named(body, _PROJECTS)
    event_id = _named(body, _EVENT_IDS)
    said = _named(body, _DELIVERY_IDS)
    return Event(
        kind=kind,
        status=status,
        severity=how_bad,
        title=title,
        message=message or "",
        project=project,
        environment=_named(body, _ENVIRONMENTS) or first_text(tags.get("environment"), tags.get("env")),
        source_event_id=event_id or problem,
        dedup_key=key,
        delivery_key=delivery or (f"event:{said}:{kind}:{status}" if said else None),
        link=_link(body),
        tags=tags,
        occurred_ms=_time(body, status),
        users=_users(body),
        # A key is the sender's own and enough: "resolved" often comes without the rest.
        any_project=project is None and key is not None,
    )


def _named(body: dict[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        if name in body:
            found = text(body[name])
            if found is not None:
                return found
    return None


def _word(body: dict[str, Any], names: tuple[str, ...], words: dict[str, str]) -> str | None:
    found = _named(body, names)
    return None if found is None else words.get(found.lower(), found.lower())


def _status(word: str | None) -> tuple[Kind, Status]:
    # An unknown word fires: rather one alert too many than one that nobody heard of.
    if word in _SEEN:
        return "ack", "firing"
    if word == "test":
        return "test", "firing"
    return "alert", "resolved" if word in _OVER else "firing"


def _place(body: dict[str, Any], between: str) -> str | None:
    parts = [part for part in (_named(body, ("host", "hostname")), _named(body, ("service",))) if part]
    return between.join(parts) or None


def _link(body: dict[str, Any]) -> str | None:
    for held in (*(body.get(name) for name in _LINKS), obj(body.get("check_params")).get("full_url")):
        found = text(held)
        if found is not None and found.lower().startswith(("http://", "https://")):
            return found
    return None


def _time(body: dict[str, Any], status: Status) -> int | None:
    for name in (*_ENDS, *_TIMES) if status == "resolved" else _TIMES:
        at = time_ms(body.get(name))
        if at is not None:
            return at
    return None


def _users(body: dict[str, Any]) -> int | None:
    for name in _USERS:
        held = body.get(name)
        count = len(held) if type(held) is list else whole(held)
        if count is not None:
            return max(count, 0)
    return None


def _tags(body: dict[str, Any]) -> dict[str, str]:
    tags = tags_of(body.get("tags")) or tags_of(body.get("labels"))
    for name in _TAGS:
        if name in body and name not in tags:
            held = tag_text(body[name])
            if held:
                tags[name] = held
    return tags
