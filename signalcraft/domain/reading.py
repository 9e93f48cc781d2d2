"""Reading what strangers send: a JSON value of any type in; text, a number, a time or tags out, or None.

A sender may put anything anywhere: a list where a word should be, a number in quotes, a time of the year 2999. Nothing
here raises because of a value; only `json_of` raises, Unreadable, because of a body.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from signalcraft.domain.event import TAGS_MAX
from signalcraft.errors import Unreadable

_T = TypeVar("_T")
_any: Final[Callable[[bytes], Any]] = msgspec.json.Decoder().decode
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"[+-]?\d{1,19}(?:\.\d{1,20})?")
_LARGEST: Final = 2**63


def json_of(body: bytes, decode: Callable[[bytes], _T] = _any) -> _T:
    """The value of a JSON body (RFC 8259, UTF-8, a byte order mark is let pass, of doubled keys the last one holds).

    `decode` is a msgspec decoder's, where only some of the body is wanted. Raises Unreadable for anything that is no
    such JSON, and for nesting beyond the interpreter's depth.
    """
    try:
        return decode(body[3:] if body.startswith(b"\xef\xbb\xbf") else body)
    except RecursionError:
        raise Unreadable("the JSON is nested too deeply") from None
    except UnicodeDecodeError:
        raise Unreadable("the body is not UTF-8") from None
    except msgspec.DecodeError as fault:
        raise Unreadable(f"the body cannot be read: {fault}") from None


def obj(value: object) -> dict[str, Any]:
    """The object itself, or an empty one in place of anything else."""
    return value if type(value) is dict else {}


def items(value: object) -> list[Any]:
    """The list itself, or an empty one in place of anything else."""
    return value if type(value) is list else []


def text(value: object) -> str | None:
    """A text or number as trimmed text; None where nothing is left, or for any other type (true and false too)."""
    if type(value) is str:
        return value.strip() or None
    if type(value) is int:
        return str(value) if -_LARGEST < value < _LARGEST else None
    if type(value) is float and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return None


def first_text(*values: object) -> str | None:
    """The first of the values that is text."""
    for value in values:
        if value is not None:
            found = text(value)
            if found is not None:
                return found
    return None


def whole(value: object) -> int | None:
    """A whole number, also from "12", 12.0 or "12.0"; None for anything else and beyond 63 bits."""
    if type(value) is str:
        value = _number(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and -_LARGEST < value < _LARGEST else None


def time_ms(value: object) -> int | None:
    """Milliseconds since 1970 UTC of an ISO 8601 text or an epoch number, quoted or not; None for anything else.

    A time without a zone is UTC. Digits past the millisecond are cut. An epoch number counts seconds, from 1e11 (the
    year 5138) milliseconds, from 1e14 microseconds, from 1e17 nanoseconds; zero is how senders write "none".
    """
    if type(value) is str:
        number = None if value[4:5] == "-" else _number(value)
        return _iso_ms(value) if number is None else _epoch_ms(number)
    if type(value) is int or type(value) is float:
        return _epoch_ms(value)
    return None


def tags_of(value: object) -> dict[str, str]:
    """Tags, at most TAGS_MAX, in any shape in use: {k: v}, [[k, v]], [{"key": k, "value": v}], ["k:v"] or "k:v,k:v".

    Values are text, numbers, true or false; others are left out. A bare word is a tag with an empty value.
    """
    if type(value) is str:
        value = value.split(",")
    out: dict[str, str] = {}
    if type(value) is dict:
        for key, held in value.items():
            _tag(out, key, held)
            if len(out) >= TAGS_MAX:
                break
    elif type(value) is list:
        for member in value:
            if type(member) is list and len(member) == 2 and type(member[0]) is str and type(member[1]) is str:
                out[member[0].strip()] = member[1]  # nearly always
            else:
                _tag(out, *_pair(member))
            if len(out) >= TAGS_MAX:
                break
    return out


def tag_text(value: object) -> str | None:
    """The text of a tag's value, or None where it has none."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    return text(value)


def _pair(member: object) -> tuple[object, object]:
    if type(member) is list:
        return (member[0], member[1]) if len(member) == 2 else (None, None)
    if type(member) is dict:
        return member.get("key", member.get("name")), member.get("value")
    if type(member) is str:
        key, _, held = member.partition(":")
        return key, held.strip()
    return None, None


def _tag(out: dict[str, str], key: object, value: object) -> None:
    if type(key) is not str:
        return
    key = key.strip()
    held = value if type(value) is str else tag_text(value)
    if key and held is not None:
        out[key] = held


def _number(value: str) -> float | int | None:
    value = value.strip()
    if not _NUMBER.fullmatch(value):
        return None
    return float(value) if "." in value else int(value)


def _epoch_ms(number: float) -> int | None:
    if not 0 < number < 1e20:  # NaN is neither
        return None
    if number < 1e11:
        # Through whole microseconds: 1709991285.873 s is 1709991285872.9999 ms in floating point.
        return int(number * 1000) if type(number) is int else round(number * 1_000_000) // 1000
    if number < 1e14:
        return int(number)
    return int(number) // (1000 if number < 1e17 else 1_000_000)


def _iso_ms(value: str) -> int | None:
    value = value.strip()
    if not 10 <= len(value) <= 40:
        return None
    if value.endswith(("z", " UTC")):
        value = value.removesuffix("z").removesuffix(" UTC") + "Z"
    try:
        at = datetime.fromisoformat(value)
        since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
        return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    except (ValueError, OverflowError):
        return None
