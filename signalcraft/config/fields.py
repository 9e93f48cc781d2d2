"""The settings as a flat list: one `Field` a key, drawn from the model."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import msgspec
from msgspec import Meta

from signalcraft.config.model import Settings
from signalcraft.config.secret import Secret
from signalcraft.config.section import Section

PREFIX = "SIGNALCRAFT_"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting. `path` is dotted (`http.listen`); `type` is without its Meta, `annotated` with it; `meta` has its
    description and limits.
    """

    path: str
    annotated: Any
    type: Any
    meta: Meta
    default: Any

    @property
    def is_secret(self) -> bool:
        """Whether it is never shown, and may come from a file or a credential."""
        return self.type is Secret

    @property
    def is_list(self) -> bool:
        """Whether it holds several texts."""
        return typing.get_origin(self.type) is list

    @property
    def env(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.path.replace(".", "__").upper()

    @property
    def form(self) -> str | None:
        """The name of its form in `forms.FORMS`."""
        return (self.meta.extra or {}).get("form")

    @property
    def credential(self) -> str | None:
        """The systemd credential that sets it."""
        return (self.meta.extra or {}).get("credential")

    def allowed(self) -> str:
        """What may be written, in words: `a whole number from 1 to 60`."""
        if typing.get_origin(self.type) is Literal:
            words = [f'"{word}"' for word in typing.get_args(self.type)]
            return " or ".join([", ".join(words[:-1]), words[-1]])
        if self.type is Secret:
            return "a text"
        if self.is_list:
            return "a list of texts (in the environment: parted by commas)"
        if self.type is str:
            return "a text"
        if self.type is bool:
            return "true or false"
        return ("a whole number" if self.type is int else "a number") + self._range()

    def _range(self) -> str:
        meta = self.meta
        low = f" from {meta.ge}" if meta.ge is not None else f" above {meta.gt}" if meta.gt is not None else ""
        if meta.le is not None:
            return f"{low} to {meta.le}" if meta.ge is not None else f"{low}, at most {meta.le}"
        return f"{low} up" if meta.ge is not None else low


def _walk(section: type[Section], prefix: str) -> Iterator[Field]:
    for f in msgspec.structs.fields(section):
        path = f"{prefix}{f.name}"
        if isinstance(f.type, type) and issubclass(f.type, Section):
            yield from _walk(f.type, f"{path}.")
            continue
        kind, meta = typing.get_args(f.type)
        default = f.default_factory() if f.default is msgspec.NODEFAULT else f.default
        yield Field(path=path, annotated=f.type, type=kind, meta=meta, default=default)


@cache
def fields() -> dict[str, Field]:
    """Every setting under its path, in the model's order."""
    return {f.path: f for f in _walk(Settings, "")}


@cache
def sections() -> dict[str, type[Section]]:
    """Every section under its path, in the model's order; a section in a section after its parent."""
    found: dict[str, type[Section]] = {}

    def walk(section: type[Section], prefix: str) -> None:
        for f in msgspec.structs.fields(section):
            if isinstance(f.type, type) and issubclass(f.type, Section):
                found[prefix + f.name] = f.type
                walk(f.type, f"{prefix}{f.name}.")

    walk(Settings, "")
    return found


def value_of(settings: Settings, path: str) -> Any:
    """The value of a setting by its path."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value
