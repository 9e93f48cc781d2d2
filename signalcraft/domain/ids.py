"""Ids: 63-bit integers that grow with time, shown as 13 characters that sort the same way.

42 bits of milliseconds since 2020 and 21 bits of a counter. Inside, an id is an int (the row id of its table);
outside, `show(id)` is its text in Crockford's base 32, lower case (https://www.crockford.com/base32.html).
"""

from __future__ import annotations

from signalcraft.errors import NotFound

EPOCH_MS = 1_577_836_800_000  # 2020-01-01T00:00:00Z
_COUNTER_BITS = 21
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {c: i for i, c in enumerate(_ALPHABET)}
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_LENGTH = 13


def show(number: int) -> str:
    """The text of an id: 13 characters, sorting as the number does."""
    two = _PAIRS
    return (
        _ALPHABET[number >> 60 & 31] + two[number >> 50 & 1023] + two[number >> 40 & 1023] + two[number >> 30 & 1023]
        + two[number >> 20 & 1023] + two[number >> 10 & 1023] + two[number & 1023]
    )  # fmt: skip


def parse(text: str) -> int:
    """The number of an id's text. Raises NotFound for anything that no id looks like."""
    if len(text) != _LENGTH:
        raise NotFound(f"no such id: {text[:40]}")
    number = 0
    for c in text.lower():
        value = _VALUES.get(c)
        if value is None:
            raise NotFound(f"no such id: {text[:40]}")
        number = number << 5 | value
    if number >> 63:
        raise NotFound(f"no such id: {text[:40]}")
    return number


def at_ms(number: int) -> int:
    """The millisecond at which an id was minted (as the mint saw it)."""
    return (number >> _COUNTER_BITS) + EPOCH_MS


def floor(now_ms: int) -> int:
    """The smallest id of a millisecond."""
    return max(now_ms - EPOCH_MS, 0) << _COUNTER_BITS


class Mint:
    """Makes ids that only grow, also when the clock steps back. Not thread-safe: one mint belongs to one thread,
    or is called under the caller's lock.
    """

    def __init__(self, last: int = 0) -> None:
        self.last = last

    def next(self, now_ms: int) -> int:
        """A new id, larger than every id before it."""
        self.last = max(floor(now_ms), self.last + 1)
        return self.last
