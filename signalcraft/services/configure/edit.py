"""What every change of the configuration needs, and how what changed is said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.config import Settings
from signalcraft.domain import ids
from signalcraft.domain.group import Actor
from signalcraft.domain.matcher import nearest
from signalcraft.errors import Conflict, Invalid, NotFound
from signalcraft.services.registry import Registry
from signalcraft.storage import channels, journal
from signalcraft.storage.db import Tx
from signalcraft.storage.vault import CannotOpen

NAME_MAX: Final = 100


class Edit(Struct, frozen=True):
    """One transaction of one person's change."""

    tx: Tx
    registry: Registry
    workspace_id: int
    actor: Actor
    now_ms: int

    @property
    def settings(self) -> Settings:
        """The settings of the box."""
        return self.registry.settings

    def opened(self, place: str, sealed: bytes | None) -> dict[str, str]:
        """The secrets of a row. Raises CannotOpen."""
        return self.registry.secrets_of(self.tx, self.workspace_id, place, sealed)

    def opened_for(self, place: str, sealed: bytes | None, given: object) -> dict[str, str]:
        """The same for a change: secrets that do not open are none where a config is given, which mends them."""
        try:
            return self.opened(place, sealed)
        except CannotOpen:
            if not given:
                raise
            return {}

    def sealed(self, place: str, secrets: Mapping[str, str]) -> bytes | None:
        """Secrets, ready to be stored in their place."""
        if not secrets:
            return None
        data = msgspec.json.encode(secrets)
        return self.registry.vault.seal(self.tx, self.workspace_id, place, data, self.now_ms)

    def note(self, verb: str, thing_id: int, name: str, **data: Any) -> None:
        """Writes a line of the journal: who did what to which thing."""
        said = {"id": ids.show(thing_id), "name": name, **data}
        journal.add(self.tx, self.now_ms, self.workspace_id, None, verb, self.actor, said)


class Once(Struct, frozen=True, kw_only=True):
    """What was made and is shown this once."""

    token: str | None = None
    webhook_url: str | None = None
    secret: str | None = None


def checked_name(name: str, taken: bool) -> str:
    """The name, if a thing can be called so. Raises Invalid, or Conflict where it is taken."""
    if not 1 <= len(name) <= NAME_MAX or name != name.strip() or not name.isprintable():
        raise Invalid(f"a name has 1 to {NAME_MAX} visible characters and no space at its ends", path="name")
    if taken:
        raise Conflict(f'the name "{name}" is taken', path="name")
    return name


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What changed, a line each: `channel: "C01" → "C02"`."""
    return [
        f"{name}: {_text(before.get(name))} → {_text(after.get(name))}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def secret_difference(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Which secrets changed, a line each, without what they are."""
    lines = []
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            lines.append(f"{name}: {'set' if name not in before else 'changed' if name in after else 'removed'}")
    return lines


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:199] + "…"


def channel_ids(tx: Tx, workspace_id: int, named: Sequence[str], path: str) -> list[int]:
    """The ids of channels that are given by name or id, each once. Raises Invalid with the place of what is unknown."""
    known = {channel.name: channel.id for channel in channels.every(tx, workspace_id)}
    found = []
    errors = []
    for i, name in enumerate(named):
        channel_id = known.get(name) or _by_id(name, known.values())
        if channel_id is None:
            hint = nearest(name, tuple(known)) if known else "; there is none yet"
            errors.append((f"{path}[{i}]", f'no such channel: "{name[:60]}"{hint}'))
        else:
            found.append(channel_id)
    if errors:
        raise Invalid(errors[0][1], errors=tuple(errors))
    return list(dict.fromkeys(found))


def _by_id(text: str, known: Iterable[int]) -> int | None:
    try:
        number = ids.parse(text)
    except NotFound:
        return None
    return number if number in known else None
