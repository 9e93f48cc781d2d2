"""What a form asks for each kind of integration and channel, and what a person does at its vendor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from signalcraft.channels.slack import create_link, manifest, suits
from signalcraft.channels.slack.manifest import ACTIONS_PATH
from signalcraft.config import Settings
from signalcraft.domain.setup import SetupStep
from signalcraft.services.kinds import Kind

FieldType = Literal["text", "secret", "number", "toggle", "choice", "list", "map"]
NOT_TOLD: Final = "<{}>"


class FormField(Struct, frozen=True, kw_only=True):
    """One field of a form. `default`: what holds where it is left empty; null of a toggle: it follows from the others.

    `choices`: of a choice. `keys`, `values`: what a map's keys and values may be, [] for anything; `made`: left empty,
    a secret is made. `advanced`: few people need it.
    """

    name: str
    label: str
    help: str
    type: FieldType
    required: bool
    default: Any
    placeholder: str
    advanced: bool
    made: bool
    choices: list[str]
    keys: list[str]
    values: list[str]
    least: int | None
    most: int | None


_TYPES: Final[dict[type, FieldType]] = {
    msgspec.inspect.BoolType: "toggle",
    msgspec.inspect.IntType: "number",
    msgspec.inspect.LiteralType: "choice",
    msgspec.inspect.ListType: "list",
    msgspec.inspect.DictType: "map",
    msgspec.inspect.StrType: "text",
}


def fields(kind: Kind) -> list[FormField]:
    """The fields of a kind in the order of its Config, what the operator sets left out."""
    info: Any = msgspec.inspect.type_info(kind.module.Config)
    return [_field(kind, field) for field in info.fields if field.name not in kind.operator]


def _field(kind: Kind, field: Any) -> FormField:
    held = field.type
    told: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    if isinstance(held, msgspec.inspect.Metadata):
        told, extra, held = held.extra_json_schema or {}, held.extra or {}, held.type
    if isinstance(held, msgspec.inspect.UnionType):
        held = next(one for one in held.types if not isinstance(one, msgspec.inspect.NoneType))
    choices = list(extra.get("choices", getattr(held, "values", ())))
    secret = field.name in kind.secrets
    return FormField(
        name=field.name,
        label=told.get("title", field.name),
        help=told.get("description", ""),
        type="secret" if secret else "choice" if choices else _TYPES[type(held)],
        required=field.required,
        default=kind.defaults.get(field.name),
        placeholder=extra.get("placeholder", ""),
        advanced=extra.get("advanced", False),
        made=secret and field.name == "secret" and kind.made_unasked,
        choices=choices,
        keys=list(extra.get("keys", ())),
        values=list(extra.get("values", ())),
        least=getattr(held, "ge", None),
        most=getattr(held, "le", None),
    )


def base_url(settings: Settings) -> str:
    """The address of this box as others know it; where none is set, as this box itself does."""
    return settings.http.public_url or "http://" + re.sub(r"^(0\.0\.0\.0|\[::\]|):", "localhost:", settings.http.listen)


def setup(kind: Kind, settings: Settings, known: Mapping[str, str | None] | None = None) -> list[SetupStep]:
    """What a person does at the vendor, step by step, with this box's addresses filled in.

    `known`: webhook_url, secret and name of one integration; what is None or left out is shown as `<token>`.
    """
    base = base_url(settings)
    text = manifest(suits(settings.http.public_url)[0], settings.http.public_url)
    values = {
        "base_url": base,
        "webhook_url": f"{base}/webhooks/{kind.name}/{NOT_TOLD.format('token')}",
        "secret": NOT_TOLD.format("secret"),
        "name": NOT_TOLD.format("name"),
        "actions_url": base + ACTIONS_PATH,
        "manifest": text,
        "manifest_link": create_link(text),
    }
    values |= {name: value for name, value in (known or {}).items() if value}
    # It stands between single quotes in a line for a shell.
    values["name"] = values["name"].replace("'", "'\\''")
    return [step.filled(values) for step in kind.module.SETUP]
