"""How we tell people. One file a channel; the list below is where it is named."""

from __future__ import annotations

from typing import Any, Final, Protocol

from msgspec import Struct

from signalcraft.channels import email, slack, webhook
from signalcraft.domain.delivery import Note, Outcome, Reply, Step
from signalcraft.domain.setup import SetupStep


class Channel(Protocol):
    """What a module in this folder offers. It computes; the postman carries.

    `EDITS` says whether a posted message can be edited and answered in its thread; where it cannot, `update` notes are
    not owed. `GAP_MS` is the least time between two calls to one destination, `EDITS_PER_MINUTE` the budget of edits of
    one credential (0: none). `SETUP` is what a person does at the vendor, step by step. How its Config becomes a form:
    see sources/__init__.py.
    """

    @property
    def KIND(self) -> str: ...
    @property
    def LABEL(self) -> str: ...
    @property
    def Config(self) -> type[Struct]: ...
    @property
    def SETUP(self) -> tuple[SetupStep, ...]: ...
    @property
    def EDITS(self) -> bool: ...
    @property
    def GAP_MS(self) -> int: ...
    @property
    def EDITS_PER_MINUTE(self) -> int: ...

    def check(self, config: Any) -> list[tuple[str, str]]:
        """What is wrong with the settings beyond their types, as (field, sentence); run on what a person wrote."""

    def compose(self, config: Any, note: Note, receipt: dict[str, str]) -> list[Step]:
        """The calls that say the note; none where this kind of channel is not told that kind of note.

        `receipt` is what the last `Sent` of this group and channel left, {} at first. Every `Sent` carries the whole
        receipt, so keeping the newest and adding to the older one come to the same.
        """

    def judge(self, config: Any, note: Note, step: Step, reply: Reply) -> Outcome:
        """What a reply means."""


def by_kind(*channels: Channel) -> dict[str, Channel]:
    """The channels under their kinds."""
    return {c.KIND: c for c in channels}


CHANNELS: Final = by_kind(slack, email, webhook)
