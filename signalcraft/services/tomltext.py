"""TOML texts: read with the place of what is wrong, written so that people can go on from them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from signalcraft.errors import Invalid

T = TypeVar("T")
TEXT_MAX: Final = 1_000_000


def parse(text: str) -> dict[str, Any]:
    """The document of a TOML text. Raises Invalid with the line."""
    if len(text) > TEXT_MAX:
        raise Invalid(f"the file has more than {TEXT_MAX} characters", path="toml")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise Invalid(f"this is not TOML: {problem}", path="toml") from None
    except RecursionError:
        raise Invalid("this is not TOML that can be read: it is nested too deeply", path="toml") from None


def drafted(raw: Mapping[str, Any], of: type[T]) -> T:
    """A draft of JSON or TOML. Raises Invalid with the path of a wrong type."""
    try:
        return msgspec.convert(raw, of)
    except msgspec.ValidationError as problem:
        text, _, where = str(problem).partition(" - at `$")
        path = where.rstrip("`").lstrip(".")
        if text.startswith("Object contains unknown field `"):
            text, path = "there is no such setting", f"{path}.{text.split('`')[1]}".lstrip(".")
        raise Invalid(text, path=path) from None


def lines(table: Mapping[str, Any]) -> list[str]:
    """The lines of a table: one setting a line, but for the lists of a condition."""
    return [f"{_key(name)} = {_value(value)}" for name, value in table.items()]


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else _text(name)


def _value(value: Any, depth: int = 0) -> str:
    """A value on one line, but for the lists of a condition: one question a line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v, depth)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        if any(isinstance(v, dict) for v in value):
            indent = "  " * (depth + 1)
            inner = ",\n".join(indent + _value(v, depth + 1) for v in value)
            return f"[\n{inner},\n{'  ' * depth}]"
        return "[" + ", ".join(_value(v, depth) for v in value) + "]"
    if isinstance(value, str):
        if "\n" in value:
            return '"""\n' + "\n".join(_text(line)[1:-1] for line in value.split("\n")) + '"""'
        return _text(value)
    return json.dumps(value)


def _text(value: str) -> str:
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
