"""What a person fills in for each kind of integration and channel, read from the plug-in's own Config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.channels import CHANNELS
from signalcraft.config import Settings
from signalcraft.domain.matcher import nearest
from signalcraft.errors import Invalid
from signalcraft.sources import SOURCES

KEPT: Final = "kept"
"""What `export` writes for a secret; given back, the stored one stays."""
_SECRETS_MAX: Final = 32_768

_MADE_PREFIX: Final = {"sentry": "", "generic": "whsec_", "webhook": "whsec_"}
"""Kinds whose field `secret` we can make ourselves, and how it begins."""
_MADE_UNASKED: Final = frozenset(("sentry", "webhook"))
"""Kinds of which a new entry without a secret gets one; the others only where signatures are required."""
_VENDORS_SECRET: Final = frozenset(("sentry",))
"""Kinds whose secret is rotated at the vendor, not here."""


class Kind(Struct, frozen=True):
    """One kind: its module, and its Config's fields. `operator` ones are set by the settings, never by a person.

    `defaults`: of the fields that need not be filled in.
    """

    name: str
    label: str
    module: Any
    fields: tuple[str, ...]
    secrets: frozenset[str]
    operator: frozenset[str]
    defaults: dict[str, Any]

    @property
    def made_prefix(self) -> str | None:
        """How a secret that we make begins; None where we make none."""
        return _MADE_PREFIX.get(self.name)

    @property
    def made_unasked(self) -> bool:
        """Whether a new entry without a secret gets one."""
        return self.name in _MADE_UNASKED

    @property
    def vendors_secret(self) -> bool:
        """Whether the secret is the vendor's to make."""
        return self.name in _VENDORS_SECRET


class Parts(Struct, frozen=True):
    """A config as it is used, and as it is kept: what may be shown, and what is sealed."""

    config: Any
    shown: dict[str, Any]
    secrets: dict[str, str]


def _kind_of(module: Any) -> Kind:
    info = msgspec.inspect.type_info(module.Config)
    names, secret, operator = [], set(), set()
    defaults: dict[str, Any] = {}
    for field in info.fields:  # type: ignore[attr-defined]  # a Config is a Struct
        names.append(field.name)
        if not field.required:
            factory = field.default_factory
            defaults[field.name] = field.default if factory is msgspec.NODEFAULT else factory()
        extra = getattr(field.type, "extra", None) or {}
        if extra.get("secret"):
            secret.add(field.name)
        if extra.get("operator"):
            operator.add(field.name)
    return Kind(module.KIND, module.LABEL, module, tuple(names), frozenset(secret), frozenset(operator), defaults)


SOURCE_KINDS: Final = {name: _kind_of(module) for name, module in SOURCES.items()}
CHANNEL_KINDS: Final = {name: _kind_of(module) for name, module in CHANNELS.items()}


def kind_named(kinds: Mapping[str, Kind], name: str) -> Kind:
    """Raises Invalid with the nearest name."""
    kind = kinds.get(name)
    if kind is None:
        raise Invalid(f'no such kind: "{name[:60]}"{nearest(name, tuple(kinds))}', path="kind")
    return kind


def decode(kind: Kind, shown: Mapping[str, Any], secrets: Mapping[str, str], settings: Settings) -> Any:
    """The Config of what is stored. Raises Invalid."""
    given = {**shown, **secrets}
    if kind.name == "slack":
        given["api_url"] = settings.slack.api_url
    try:
        return msgspec.convert(given, kind.module.Config)
    except msgspec.ValidationError as problem:
        raise _said(kind, problem) from None


def read(kind: Kind, given: Mapping[str, Any], stored: Mapping[str, str], settings: Settings, path: str = "") -> Parts:
    """The parts of what a person wrote. A secret that is left out or "kept" is the stored one.

    Raises Invalid with every path that is wrong, as far as they can be told at once.
    """
    unknown = [
        (path + name, f'no such setting: "{name[:60]}"{nearest(name, kind.fields)}')
        for name in given
        if name not in kind.fields or name in kind.operator
    ]
    secrets = {name: value for name, value in stored.items() if name in kind.secrets}
    for name in kind.secrets:
        value = given.get(name)
        if value == KEPT and name not in secrets:
            unknown.append((path + name, "there is no stored secret to keep: write it out"))
        elif value is not None and value != KEPT:
            secrets[name] = value
    if unknown:
        raise Invalid(unknown[0][1], errors=tuple(unknown))
    shown = {name: value for name, value in given.items() if name not in kind.secrets}
    return _checked(kind, shown, {k: v for k, v in secrets.items() if v != ""}, settings, path)


def _checked(kind: Kind, shown: dict[str, Any], secrets: dict[str, str], settings: Settings, path: str) -> Parts:
    try:
        written = msgspec.convert({**shown, **secrets}, kind.module.Config)
    except msgspec.ValidationError as problem:
        raise _said(kind, problem, path) from None
    check = getattr(kind.module, "check", None)
    faults = [(path + name, sentence) for name, sentence in check(written)] if check is not None else []
    if faults:
        raise Invalid(f"{faults[0][0]} {faults[0][1]}", errors=tuple(faults))
    if len(msgspec.json.encode(written)) > _SECRETS_MAX:
        raise Invalid("the settings are larger than 32 kB", path=path.rstrip("."))
    # What the type read, not what was written: a number in range, a list that was a tuple.
    held = msgspec.to_builtins(written)
    shown = {name: held[name] for name in kind.fields if name not in kind.secrets and name not in kind.operator}
    return Parts(decode(kind, shown, secrets, settings), shown, secrets)


def _said(kind: Kind, problem: msgspec.ValidationError, path: str = "") -> Invalid:
    text, _, where = str(problem).partition(" - at `$")
    name = where.rstrip("`").lstrip(".")
    if not name and text.startswith("Object missing required field `"):
        name, text = text.split("`")[1], "this is needed"
    elif not name:
        # A Config that checks itself begins its sentence with the field.
        name = next((field for field in kind.fields if text.startswith(f"{field} ")), "")
    return Invalid(text, path=path + name if name else path.rstrip(".") or "config")


def schema(kind: Kind) -> dict[str, Any]:
    """The JSON schema of what a person fills in: secrets as `writeOnly`, operator's fields left out."""
    drawn = msgspec.json.schema(kind.module.Config)
    definitions = drawn.pop("$defs", {})
    if "$ref" in drawn:
        drawn = definitions.pop(drawn["$ref"].rpartition("/")[2])
    for name in kind.operator:
        drawn["properties"].pop(name, None)
    for name in kind.secrets:
        drawn["properties"][name] |= {"writeOnly": True, "format": "password"}
    return {**drawn, "$defs": definitions} if definitions else drawn
