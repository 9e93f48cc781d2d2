"""Sentry: the integration platform, the legacy WebHooks plugin and service hooks, every version from 9 on.

Contracts: https://docs.sentry.io/organization/integrations/integration-platform/webhooks/ and, where those pages are
silent, Sentry's own src/sentry/sentry_apps/. Only a header names the resource; the body is signed as it was sent.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from signalcraft.domain import severity
from signalcraft.domain.event import Event, HttpInbound, Secret
from signalcraft.domain.reading import json_of, obj, text
from signalcraft.domain.setup import SetupStep
from signalcraft.errors import BadSignature, Unreadable
from signalcraft.sources.sentry import activity, issues, metric, occurrences
from signalcraft.sources.sentry.told import Told, actor_of

KIND: Final = "sentry"
LABEL: Final = "Sentry"
SCOPE: Final[Literal["kind", "integration"]] = "kind"  # an issue id means the same to every integration

SETUP: Final = (
    SetupStep(
        text="In Sentry, as a manager or owner of the organization: Settings → Custom Integrations (older versions: "
        "Developer Settings) → Create New Integration → Internal Integration → Next. Name it SignalCraft: alert rules "
        "will show that name.",
        copy="SignalCraft",
        link="https://sentry.io/settings/developer-settings/new-internal/",
    ),
    SetupStep(text="Webhook URL: this address. Treat it like a password.", copy="{webhook_url}"),
    SetupStep(
        text="Alert Rule Action: on. Permissions: Issue & Event → Read. Webhooks: tick issue (it tells what was "
        "resolved, archived or came back). comment shows comments in the timeline, error tells every single "
        "event and is a lot. Then Save Changes."
    ),
    SetupStep(
        text="Sentry now shows the Client Secret under Credentials, once and briefly. Paste it here: from then on "
        "every webhook without its signature is refused.",
        field="secret",
    ),
    SetupStep(
        text="In Sentry, Alerts: add the action “Send a notification via SignalCraft” to your issue alerts and metric "
        "alerts. Without a rule only the ticked webhooks arrive.",
    ),
    SetupStep(
        text="In an alert rule choose Send Test Notification. Or from this box, signed as Sentry would:",
        copy="signalcraft send sentry --integration '{name}' --title 'A first try' --level error",
    ),
)
"""What is done in Sentry."""


class Config(Struct, frozen=True, kw_only=True):
    """What a person fills in for one Sentry integration."""

    secret: Annotated[
        Secret,
        Meta(
            title="Client secret",
            description="The Client Secret of the internal integration in Sentry, or the secret of a service hook.",
            extra={"placeholder": "64 hex digits"},
        ),
    ] = ""
    require_signature: Annotated[
        bool | None,
        Meta(
            title="Require a signature",
            description="Left out: as soon as there is a secret. Switch it off for the legacy WebHooks plugin alone, "
            "which cannot sign; then only the address protects this integration.",
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

    def __post_init__(self) -> None:
        if self.default_severity and severity.parse(self.default_severity) is None:
            raise ValueError(f"default_severity must be one of {', '.join(severity.BY_NAME)}")


def verify(config: Config, inbound: HttpInbound, now_ms: int) -> None:
    """Checks the hex HMAC-SHA256 of the raw body. Raises BadSignature.

    There is no replay window: Sentry's timestamp is not part of what it signs. A replayed body is a duplicate.
    """
    headers = inbound.headers
    given = headers.get("sentry-hook-signature")
    if given is None:
        given = headers.get("x-servicehook-signature")
    required = bool(config.secret) if config.require_signature is None else config.require_signature
    if given is None:
        if required:
            raise BadSignature("the request carries no Sentry-Hook-Signature")
    elif config.secret:
        expected = hmac.digest(config.secret.encode(), inbound.body, "sha256").hex()
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode()):
            raise BadSignature("the Sentry-Hook-Signature does not match the body and this integration's secret")
    elif required:
        raise BadSignature("this integration requires signatures and has no secret to check them with")


def read(config: Config, inbound: HttpInbound, now_ms: int) -> list[Event]:
    """The one statement of the body. Raises Unreadable for no JSON object and for unknown resources and actions."""
    resource = inbound.headers.get("sentry-hook-resource", "").strip().lower()
    if resource in ("event_alert", "error"):
        event = occurrences.from_bytes(resource, inbound.body)
    else:
        event = _read(inbound.body, resource)
    if event.delivery_key is None:  # without an id of its own, a statement is known by its bytes
        event.delivery_key = "body:" + hashlib.blake2b(inbound.body, digest_size=16).hexdigest()
    if event.severity is None and event.kind == "alert" and config.default_severity:
        event.severity = severity.parse(config.default_severity)
    return [event]


_READERS: Final[dict[str, Callable[[Told], Event]]] = {
    "issue": issues.issue,
    "event_alert": occurrences.from_told,
    "error": occurrences.from_told,
    "metric_alert": metric.metric_alert,
    "activity_alert": issues.activity_alert,
    "comment": activity.comment,
    "installation": activity.installation,
    "seer": activity.seer,
    "preprod_artifact": activity.preprod_artifact,
    "size_analysis": activity.preprod_artifact,  # its name before 2026
}


def _read(raw: bytes, resource: str) -> Event:
    body: Any = json_of(raw)
    if type(body) is not dict:
        raise Unreadable("the body is not a JSON object")
    action = (text(body.get("action")) or "").lower()
    data = body.get("data")
    if not resource:
        if not action and type(data) is not dict:
            return _without_envelope(body)
        # A proxy dropped the header, or it is a service hook of 2018, which names "issue.created" in its action.
        resource, _, action = action.rpartition(".")
        resource = resource or _by_shape(obj(data))
    reader = _READERS.get(resource)
    if reader is None:
        raise Unreadable(f"unknown Sentry resource {resource[:80]!r}", path="headers.sentry-hook-resource")
    return reader(Told(resource, action, obj(data), body, actor_of(body.get("actor"))))


def _without_envelope(body: dict[str, Any]) -> Event:
    if type(body.get("group")) is dict:
        return occurrences.service_hook(body)
    if type(body.get("event")) is dict:
        return occurrences.legacy(body)
    raise Unreadable("neither a Sentry webhook (action, data) nor one of the legacy plugin (event, url)")


_SHAPES: Final = (
    ("activity", "activity_alert"), ("issue", "issue"), ("event", "event_alert"), ("error", "error"),
    ("metric_alert", "metric_alert"), ("comment_id", "comment"), ("installation", "installation"),
    ("run_id", "seer"), ("buildId", "preprod_artifact"),
)  # fmt: skip


def _by_shape(data: dict[str, Any]) -> str:
    for name, resource in _SHAPES:
        if name in data:
            return resource
    raise Unreadable("the request names no Sentry resource (Sentry-Hook-Resource) and its shape tells none")
