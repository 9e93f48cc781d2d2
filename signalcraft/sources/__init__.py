"""How the world tells us. One file a source; the list below is where it is named."""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol

from msgspec import Struct

from signalcraft.domain.event import Event, HttpInbound
from signalcraft.domain.setup import SetupStep
from signalcraft.sources import generic, sentry


class Source(Protocol):
    """What a module in this folder offers. It computes; it opens no socket and reads no clock.

    A field of its Config says by `Meta(title, description)` how a form shows it, and by `extra` the rest:
    `placeholder`; `advanced` for what few people need; `choices` of a text; `keys` and `values` that a map may have.
    """

    @property
    def KIND(self) -> str: ...  # "sentry": in URLs and rows, never changes
    @property
    def LABEL(self) -> str: ...  # "Sentry": for people
    @property
    def SCOPE(self) -> Literal["kind", "integration"]: ...  # whether two integrations can speak of one problem
    @property
    def Config(self) -> type[Struct]: ...  # what a person fills in; secrets are typed `Secret`
    @property
    def SETUP(self) -> tuple[SetupStep, ...]: ...  # what a person does at the sender, step by step

    def verify(self, config: Any, inbound: HttpInbound, now_ms: int) -> None:
        """Raises BadSignature."""

    def read(self, config: Any, inbound: HttpInbound, now_ms: int) -> list[Event]:
        """Every statement in the body, in order. Raises Unreadable."""


def by_kind(*sources: Source) -> dict[str, Source]:
    """The sources under their kinds."""
    return {s.KIND: s for s in sources}


SOURCES: Final = by_kind(sentry, generic)
