"""What tells of one person in texts and records: found, and replaced by what tells of nobody."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

import msgspec

from signalcraft.domain.group import Actor

ERASED: Final = "erased person"
GONE: Final = "[erased]"
MARK_MIN: Final = 5
"""A mark shorter than this stands in too many words to be looked for inside of texts."""
_AT: Final = r"(?:@|%40|\\u0040)"
_PRIVATE: Final = ("address", "user_agent", "email")


class Subject:
    """One person, by all that they are known as. `ids`: as actors; `marks`: e-mail addresses, Slack ids; `names`.

    Marks are found inside of texts, whole and in any case; names only where a field holds nothing else, in sentences of
    our own, and in notes that people wrote here. `code` tells one erased person from another, and from nothing else.
    """

    def __init__(self, ids: Iterable[str], marks: Iterable[str], names: Iterable[str], code: str) -> None:
        self.ids = frozenset(i for i in ids if i)
        self.marks = tuple(dict.fromkeys(m.lower() for m in marks if len(m) >= MARK_MIN))
        self.names = frozenset(n for n in names if n)
        self.code = code

    @property
    def actor(self) -> Actor:
        """Who stands in their place."""
        return Actor("user", f"erased-{self.code}", ERASED)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        words = "|".join(re.escape(mark).replace("@", _AT) for mark in self.marks) or r"(?!)"
        return re.compile(rf"(?<![\w.+-])(?:{words})(?![\w-]|\.\w)", re.IGNORECASE)

    @cached_property
    def _sentence(self) -> re.Pattern[str]:
        words = "|".join(re.escape(name) for name in self.names if len(name) > 1) or r"(?!)"
        return re.compile(rf"(?<!\w)(?:{words})(?!\w)")

    def text(self, text: str) -> str:
        """A text of others without the marks."""
        return self._pattern.sub(GONE, text)

    def sentence(self, text: str) -> str:
        """A sentence of our own without marks and names."""
        return self._sentence.sub(ERASED, self.text(text))

    def name(self, text: str) -> str:
        """A field that holds a name."""
        return ERASED if text in self.names else self.text(text)

    def bytes(self, data: bytes) -> bytes:
        """The bytes of a webhook without the marks; the same bytes where there are none."""
        text = data.decode("utf-8", "surrogateescape")
        clean = self.text(text)
        return data if clean == text else clean.encode("utf-8", "surrogateescape")

    def is_actor(self, actor: object) -> bool:
        """Whether they did it: by their id, or by the name that a sender gave."""
        if not isinstance(actor, dict):
            return False
        return actor.get("id") in self.ids or (actor.get("kind") == "source" and actor.get("name") in self.names)

    def who(self, text: str) -> str:
        """The JSON of an actor, or of an assignee."""
        actor = msgspec.json.decode(text)
        if self.is_actor(actor):
            return msgspec.json.encode(self.actor).decode()
        return self._json(actor, text)

    def data(self, text: str, *, theirs: bool = False) -> str:
        """A JSON object of ours. `theirs`: it is about what they did, so where they did it from goes too."""
        value = msgspec.json.decode(text)
        if isinstance(value, dict) and (theirs or value.get("person") in self.ids):
            value = {k: GONE if k in _PRIVATE and v else v for k, v in value.items()}
        return self._json(value, text)

    def _json(self, value: Any, text: str) -> str:
        clean = msgspec.json.encode(self._clean(value)).decode()
        return text if msgspec.json.decode(clean) == msgspec.json.decode(text) else clean

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return f"erased-{self.code}" if value in self.ids else self.sentence(value)
        if isinstance(value, list):
            return [self._clean(one) for one in value]
        if isinstance(value, dict):
            if self.is_actor(value):
                return msgspec.to_builtins(self.actor)
            return {self.text(key): self._clean(one) for key, one in value.items()}
        return value
