"""The appliance as a sender of its own: what it says of itself goes the way of every alert.

Nothing of it is a row in the database, so nobody can delete it, and it has no address that the world could post to.
Beside it stand the integration, the channel and the workspace of the canary: an alert that goes through the whole
pipeline and is seen by nobody (services/care/canary.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.domain import severity as severities
from signalcraft.domain.delivery import Note, Outcome, Reply, Sent, Step
from signalcraft.domain.event import Event, HttpInbound, Status
from signalcraft.errors import Unreadable

KIND: Final = "self"
LABEL: Final = "SignalCraft"
SCOPE: Final = "integration"
INTEGRATION_ID: Final = 1
"""Smaller than any id that is minted, as those below."""
CANARY_INTEGRATION_ID: Final = 2
CANARY_CHANNEL_ID: Final = 3
CANARY_RULE_ID: Final = 4
OWN_RULE_ID: Final = 5
CANARY_WORKSPACE_ID: Final = 0


class Config(Struct, frozen=True):
    """Nothing to fill in."""


class Said(Struct, frozen=True, kw_only=True):
    """What the appliance says of itself. `condition`: what it is one problem with; `runbook_url`: "" for none."""

    condition: str
    status: Status
    severity: str
    title: str
    message: str
    environment: str
    runbook_url: str = ""


def inbound(said: Said) -> HttpInbound:
    """As if it had been posted: kept, shown and replayed like any other."""
    return HttpInbound("POST", "", "", {"content-type": "application/json"}, msgspec.json.encode(said))


def verify(config: Config, inbound: HttpInbound, now_ms: int) -> None:
    """Nobody but the process itself can say it."""


def read(config: Config, inbound: HttpInbound, now_ms: int) -> list[Event]:
    """One event. Raises Unreadable."""
    try:
        said = msgspec.json.decode(inbound.body, type=Said)
    except msgspec.MsgspecError as problem:
        raise Unreadable(str(problem)) from None
    tags = {"condition": said.condition}
    if said.runbook_url:
        tags["runbook_url"] = said.runbook_url
    return [
        Event(
            status=said.status,
            severity=severities.parse(said.severity),
            title=said.title,
            message=said.message,
            project=LABEL,
            environment=said.environment,
            dedup_key=f"{KIND}:{said.condition}",
            tags=tags,
            action=said.status,
            actor=LABEL,
        )
    ]


class _CanaryChannel:
    """Where the canary's messages end. It composes as others do and needs no carrying."""

    KIND = "canary"
    LABEL = "self-check"
    EDITS = False
    GAP_MS = 0
    EDITS_PER_MINUTE = 0
    Config = Config

    def compose(self, config: object, note: Note, receipt: Mapping[str, str]) -> list[Step]:
        return []

    def judge(self, config: object, note: Note, step: Step, reply: Reply) -> Outcome:
        return Sent({})


CANARY_CHANNEL: Final[Any] = _CanaryChannel()
