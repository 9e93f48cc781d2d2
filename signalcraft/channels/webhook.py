"""The generic signed webhook: JSON by POST, signed as Standard Webhooks asks
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import urllib.parse
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from signalcraft.domain.addresses import BLOCKED
from signalcraft.domain.delivery import Broken, HttpCall, Note, Outcome, Refused, Reply, Retry, Sent, Step
from signalcraft.domain.event import Secret
from signalcraft.domain.replies import came_back, retry_after_s
from signalcraft.domain.setup import SetupStep
from signalcraft.domain.wording import rfc3339

KIND: Final = "webhook"
LABEL: Final = "Webhook"
EDITS: Final = False
GAP_MS: Final = 0
EDITS_PER_MINUTE: Final = 0

SETUP: Final = (
    SetupStep(
        text="Give the receiver the signing secret that is shown once when the channel is made. It checks every "
        "request with it, as Standard Webhooks says: every language has a library.",
        link="https://www.standardwebhooks.com/",
    ),
    SetupStep(
        text="It must answer 2xx within the time-out. The header webhook-id is the same when a message is sent again: "
        "keep it, and do nothing the second time.",
    ),
)
"""What is done at the receiver."""

_RESERVED = frozenset(
    {
        "host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "te", "trailer",
        "expect", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature",
    }
)  # fmt: skip
_SECRET_HEADERS = frozenset(("authorization", "proxy-authorization", "cookie"))
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person fills in. An empty secret is filled by the service, with one of 32 random bytes."""

    url: Annotated[
        str,
        Meta(
            title="Address",
            description="Where the JSON is posted to: https:// or http://.",
            extra={"placeholder": "https://example.com/alerts"},
        ),
    ]
    secret: Annotated[
        Secret,
        Meta(
            title="Signing secret",
            description="whsec_ and 24 to 64 bytes in base64; left empty, one is made and shown once. Two with a space "
            "between sign twice, while the receiver changes over.",
        ),
    ] = ""
    authorization: Annotated[
        Secret,
        Meta(
            title="Authorization",
            description="The whole Authorization header, if the receiver wants one.",
            extra={"advanced": True, "placeholder": "Bearer …"},
        ),
    ] = ""
    headers: Annotated[
        dict[str, str],
        Meta(
            title="Headers",
            description="Further headers. They are shown to whoever may read the settings.",
            extra={"advanced": True, "placeholder": "X-Team"},
        ),
    ] = msgspec.field(default_factory=dict)


def check(config: Config) -> list[tuple[str, str]]:
    """What is wrong with the settings beyond their types, as (field, sentence)."""
    faults = [("url", sentence) for sentence in _url_faults(config.url)]
    for number, secret in enumerate(config.secret.split()):
        if _key(secret) is None:
            which = "" if number == 0 else f" number {number + 1}"
            faults.append(("secret", f"secret{which} must be whsec_ and 24 to 64 bytes in base64"))
    if not _is_value(config.authorization):
        faults.append(("authorization", "holds a character that no header can carry"))
    for name, value in config.headers.items():
        path = f"headers.{name[:100]}"
        if not _HEADER_NAME.fullmatch(name):
            faults.append((path, "is not a header's name"))
        elif name.lower() in _RESERVED:
            faults.append((path, "is set by SignalCraft"))
        elif name.lower() in _SECRET_HEADERS:
            faults.append((path, "is a secret: headers are shown to readers; use the field authorization"))
        elif not _is_value(value):
            faults.append((path, "holds a character that no header can carry"))
    return faults


def _url_faults(url: str) -> list[str]:
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > 2000:
        return ["must be plain ASCII without spaces, at most 2000 characters"]
    try:
        parts = urllib.parse.urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return ["is not an address: https://host/path"]
    faults = []
    if parts.scheme not in ("http", "https") or not host:
        faults.append("must start with https:// or http:// and name a host")
    if parts.username is not None or parts.password is not None:
        faults.append("must hold no user name or password: use the field authorization")
    if parts.fragment:
        faults.append("must hold no #fragment")
    return faults


def _is_value(value: str) -> bool:
    return value.isascii() and (value.isprintable() or not value) and len(value) <= 4000 and value == value.strip()


def _key(secret: str) -> bytes | None:
    """The bytes behind a `whsec_…` secret; None where it is not one."""
    if not secret.startswith("whsec_"):
        return None
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if 24 <= len(key) <= 64 else None


def compose(config: Config, note: Note, receipt: dict[str, str]) -> list[Step]:
    """One POST; none for an update, which a webhook is not told. `webhook-id` is the same on every try."""
    if note.kind == "update":
        return []
    body = msgspec.json.encode(_sound(_said(note)))
    stamp = str(note.now_ms // 1000)
    headers = {
        **config.headers,
        "Content-Type": "application/json",
        "User-Agent": "SignalCraft-Webhook/1.0",
        "webhook-id": note.delivery_id,
        "webhook-timestamp": stamp,
    }
    keys = [key for key in map(_key, config.secret.split()) if key is not None]
    if keys:
        signed = f"{note.delivery_id}.{stamp}.".encode() + body
        proofs = (base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)
        headers["webhook-signature"] = " ".join(f"v1,{proof}" for proof in proofs)
    if config.authorization:
        headers["Authorization"] = config.authorization
    return [HttpCall(method="POST", url=config.url, headers=headers, body=body)]


def _sound(value: Any) -> Any:
    """The same value without lone surrogates, which have no UTF-8 form."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_sound(k): _sound(v) for k, v in value.items()}
    return value


def _said(note: Note) -> dict[str, Any]:
    """The body. Names and forms are those of `/api/alert-groups`: snake_case, RFC 3339, null where unknown."""
    group = note.group
    return {
        "type": f"alert_group.{note.kind}",
        "timestamp": rfc3339(note.now_ms),
        "data": {
            "group": {
                "id": group.id,
                "title": group.title,
                "message": "" if note.plain else group.message,
                "severity": group.severity,
                "status": group.status,
                "source": group.source,
                "project": group.project,
                "environment": group.environment,
                "count": group.count,
                "episode": group.episode,
                "first_seen_at": rfc3339(group.first_seen_ms),
                "last_seen_at": rfc3339(group.last_seen_ms),
                "acknowledged_by": group.acknowledged_by,
                "assignee": group.assignee,
                "snoozed_until": None if group.snoozed_until_ms is None else rfc3339(group.snoozed_until_ms),
                "resolved_at": None if group.resolved_ms is None else rfc3339(group.resolved_ms),
                "resolved_by": group.resolved_by,
                "resolution_note": group.resolution_note,
                "users_affected": group.users_affected,
                "velocity_per_hour": group.velocity_per_hour,
                "runbook_url": group.runbook_url,
                "link": group.link,
                "memory": group.memory,
                "tags": {} if note.plain else group.tags,
            },
            "reason": note.reason,
            "mention": note.mention,
            "links": {"page": note.page_url, "ack": note.ack_url},
        },
    }


def judge(config: Config, note: Note, step: Step, reply: Reply) -> Outcome:
    """2xx alone is success; a receiver that is gone, closed or not there needs a person; the rest is tried again."""
    code = reply.status
    if 200 <= code < 300:
        return Sent({"id": note.delivery_id})
    if reply.error.startswith(BLOCKED):
        return Broken(f"{reply.error}; the operator can allow it (outbound.allow)")
    if code == 0:
        return Retry(f"the receiver could not be asked: {came_back(reply)}")
    if code in (408, 425, 429) or code >= 500:
        return Retry(f"the receiver asks for patience: HTTP {code}", retry_after_s(reply, note.now_ms))
    if code in _BROKEN:
        return Broken(f"{_BROKEN[code]} (HTTP {code})")
    if 300 <= code < 400:
        return Refused(f"the receiver redirects elsewhere (HTTP {code}), which is not followed: enter the new address")
    return Refused(f"the receiver refused the message (HTTP {code})")


_BROKEN: Final = {
    401: "the receiver does not accept our credentials: check the secret and the authorization",
    403: "the receiver forbids us to post: check the secret and the authorization",
    404: "there is nothing at this address: check it",
    410: "the receiver says it is gone for good: remove the channel or enter a new address",
}
