"""/api/first-run: how far a workspace has come from an empty box to its first alert told. Measured, not remembered."""

from __future__ import annotations

from typing import Any, Final, Literal
from urllib.parse import urlsplit

from litestar import get
from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.addresses import Allowed, objection
from signalcraft.http.auth import TheCaller, scopes
from signalcraft.http.wire import TheHouse, show_time, time_of
from signalcraft.services.heard import Heard
from signalcraft.storage import firstrun, lists

TAG: Final = ["dashboard"]
_LATELY_MS: Final = 3_600_000
_INSIDE: Final = ("local", "internal", "lan", "home.arpa", "localdomain", "test", "corp", "home")
"""Endings of names that the internet does not know (RFC 6761, RFC 6762, RFC 8375, and habit)."""


class Address(Struct, frozen=True):
    """Where this box says it is. `reach`: whom that address can serve, as far as the address itself tells.

    internet: HTTPS and a public name; network: a name or number of a private network, or no TLS; loopback: this machine
    alone. `configured`: http.public_url is set.
    """

    url: str
    reach: Literal["internet", "network", "loopback"]
    configured: bool


class ChannelStep(Struct, frozen=True):
    """The channel that took a message last, else the newest one. `done`: one took a message."""

    done: bool
    id: str | None
    name: str | None
    kind: str | None
    broken_why: str | None
    last_sent_at: str | None


class IntegrationStep(Struct, frozen=True):
    """The integration that a webhook came for first, else the newest one. `done`: one came and was kept.

    `refused_at`: a webhook was sent away since its settings were changed last, and why. `quarantined`: webhooks of the
    last hour that could not be read.
    """

    done: bool
    id: str | None
    name: str | None
    kind: str | None
    first_webhook_at: str | None
    refused_at: str | None
    refused_why: str | None
    quarantined: int


class AlertStep(Struct, frozen=True):
    """The first alert that somebody was told of. `done`: there is one."""

    done: bool
    group_id: str | None
    channel: str | None
    sent_at: str | None


class FirstRun(Struct, frozen=True):
    """`done`: every step is."""

    done: bool
    address: Address
    channel: ChannelStep
    integration: IntegrationStep
    alert: AlertStep


@get(
    "/api/first-run",
    guards=[scopes("config:read")],
    summary="How far the first steps are",
    operation_id="get_first_run",
    tags=TAG,
)
async def get_first_run(house: TheHouse, caller: TheCaller) -> FirstRun:
    """A channel that took a message, a webhook that arrived, an alert that was told: what is there, what is next."""
    since_ms = house.now() - _LATELY_MS
    base = house.people.base

    def read(tx: Any) -> FirstRun:
        channel = _channel(firstrun.channel(tx, caller.workspace_id))
        integration = _integration(tx, house.ingest.heard, caller.workspace_id, since_ms)
        alert = _alert(tx, caller.workspace_id)
        return FirstRun(
            done=channel.done and integration.done and alert.done,
            address=Address(base, reach(base), bool(house.settings.http.public_url)),
            channel=channel,
            integration=integration,
            alert=alert,
        )

    return await house.db.read(read)


def reach(url: str) -> Literal["internet", "network", "loopback"]:
    """Whom an address can serve, by what it says: nothing is asked of anybody."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost") or objection(host, Allowed()) == "a loopback address":
        return "loopback"
    return "internet" if parts.scheme == "https" and _is_known_outside(host) else "network"


def _is_known_outside(host: str) -> bool:
    if objection(host, Allowed()) != "not an IP address":
        return objection(host, Allowed()) == ""
    return "." in host and not any(host.endswith(f".{ending}") for ending in _INSIDE)


def _channel(seen: firstrun.ChannelSeen | None) -> ChannelStep:
    if seen is None:
        return ChannelStep(False, None, None, None, None, None)
    sent_at = show_time(seen.last_sent_ms)
    done = sent_at is not None and seen.state == "ok"
    return ChannelStep(done, ids.show(seen.id), seen.name, seen.kind, seen.broken_why, sent_at)


def _integration(tx: Any, heard: Heard, workspace_id: int, since_ms: int) -> IntegrationStep:
    seen = firstrun.integration(tx, workspace_id)
    if seen is None:
        return IntegrationStep(False, None, None, None, None, None, None, 0)
    said = heard.of(tx, workspace_id, [seen.id])[seen.id]
    # What was refused before a change, such as another secret, says nothing about how it is now.
    refused = said.refused_ms is not None and said.refused_ms >= seen.updated_ms
    return IntegrationStep(
        done=seen.first_ms is not None,
        id=ids.show(seen.id),
        name=seen.name,
        kind=seen.kind,
        first_webhook_at=show_time(seen.first_ms),
        refused_at=show_time(said.refused_ms) if refused else None,
        refused_why=said.refused_why if refused else None,
        quarantined=firstrun.quarantined(tx, workspace_id, seen.id, since_ms),
    )


def _alert(tx: Any, workspace_id: int) -> AlertStep:
    told = firstrun.told(tx, workspace_id)
    if told is None:
        return AlertStep(False, None, None, None)
    names = lists.channel_names(tx, workspace_id)
    return AlertStep(True, ids.show(told.group_id), names.get(told.channel_id), time_of(told.sent_ms))


ROUTES: list[Any] = [get_first_run]
