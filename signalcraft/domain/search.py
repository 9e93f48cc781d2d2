"""The search language of the inbox: `severity>=high project:api -env:staging seen<2h "timeout"` as terms.

A search is words in any order, all of which must hold. A word is `key:value`, `key:one,other`, `key!=value`, for what
has an order also `key>=value`, or free text, looked for in title, project and message. A minus before a word turns it
around. Quotes keep spaces, commas and asterisks together; without them `*` stands for anything.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from signalcraft.domain import severity
from signalcraft.errors import Invalid

Op = Literal["in", ">=", "<=", ">", "<"]
Kind = Literal["is", "like", "none", "me"]

STATUSES: Final = ("open", "acknowledged", "snoozed", "resolved")
TEXT: Final = "text"
"""The key of free text."""
LENGTH_MAX: Final = 1000
TERMS_MAX: Final = 32
VALUES_MAX: Final = 50
NUMBER_MAX: Final = 10**12

_UNITS: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000}
_SPAN_MAX_MS: Final = 3650 * 86_400_000
_ALIASES: Final = {"env": "environment", "tags": "tag", "sev": "severity"}
_OPS: Final = ("!=", ">=", "<=", ":", "=", ">", "<")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAG: Final = re.compile(r'[^\s":!<>=,]+')
_BARE: Final = re.compile(r'[^\s,"]+')
_WORD: Final = re.compile(r"\S+")
_SPAN: Final = re.compile(r"(\d{1,9})([smhdw])")
_JOINERS: Final = ("OR", "AND", "NOT")


class Unsearchable(Invalid):
    """A search that cannot be read. `extra`: where in it, counted in characters from 0."""

    def __init__(self, detail: str, position: int, length: int = 1) -> None:
        super().__init__(f"{detail} (at character {position + 1})", path="search")
        self.extra = {"position": position, "length": max(length, 1)}


class Value(Struct, frozen=True):
    """What a key is held against. `is`: this text; `like`: `*` for anything; `none`: it has none; `me`: who asks.

    `number`: the rank of a severity, a count, or the ms of a span.
    """

    text: str
    kind: Kind = "is"
    number: int = 0


class Term(Struct, frozen=True, kw_only=True):
    """One word: any of the values (`in`), or a comparison with one. `tag`: which, where the key is `tag`."""

    key: str
    op: Op = "in"
    values: tuple[Value, ...]
    tag: str = ""
    negated: bool = False


class Search(Struct, frozen=True):
    """Every term must hold; none holds for everything."""

    terms: tuple[Term, ...] = ()

    @property
    def asks_for_me(self) -> bool:
        """Whether it depends on who asks."""
        return any(value.kind == "me" for term in self.terms for value in term.values)


# -- keys -------------------------------------------------------------------------------------------------------------


def _severity(text: str) -> Value | None:
    found = severity.parse(text)
    return None if found is None else Value(found.label, number=int(found))


def _status(text: str) -> Value | None:
    return Value(text.lower()) if text.lower() in STATUSES else None


def _number(text: str) -> Value | None:
    if not (text.isascii() and text.isdigit()) or len(text) > 13 or int(text) > NUMBER_MAX:
        return None
    return Value(str(int(text)), number=int(text))


def _span(text: str) -> Value | None:
    found = _SPAN.fullmatch(text.lower())
    ms = int(found[1]) * _UNITS[found[2]] if found else -1
    if not found or ms > _SPAN_MAX_MS:
        return None
    unit = next((name for name, of in _UNITS.items() if ms % of == 0), "s") if ms else found[2]
    return Value(f"{ms // _UNITS[unit]}{unit}", number=ms)


class _Key(NamedTuple):
    """How a key is read. `read` None: any text; `special`: words with a meaning of their own."""

    read: Callable[[str], Value | None] | None = None
    expects: str = ""
    ordered: bool = False
    listed: bool = True
    like: bool = False
    special: tuple[Kind, ...] = ()


KEYS: Final[dict[str, _Key]] = {
    "severity": _Key(_severity, f"one of {', '.join(severity.BY_NAME)}", ordered=True),
    "status": _Key(_status, f"one of {', '.join(STATUSES)}"),
    "project": _Key(like=True, special=("none",)),
    "environment": _Key(like=True, special=("none",)),
    "source": _Key(like=True),
    "assignee": _Key(like=True, special=("none", "me")),
    "title": _Key(),
    "message": _Key(),
    "tag": _Key(like=True, special=("none",)),
    "count": _Key(_number, "a whole number", ordered=True),
    "users": _Key(_number, "a whole number", ordered=True),
    "seen": _Key(_span, "a span like 30m, 2h or 7d", ordered=True, listed=False),
    "age": _Key(_span, "a span like 30m, 2h or 7d", ordered=True, listed=False),
}
"""Every key but free text. `seen`: since its latest event; `age`: since its first."""


# -- reading ----------------------------------------------------------------------------------------------------------


def parse(text: str) -> Search:
    """The terms of a search. Raises Unsearchable, which says where."""
    if len(text) > LENGTH_MAX:
        raise Unsearchable(f"a search has at most {LENGTH_MAX} characters", LENGTH_MAX)
    return Search(tuple(_Reader(text).terms()))


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def terms(self) -> list[Term]:
        found: list[Term] = []
        while self._skip_space():
            if len(found) == TERMS_MAX:
                raise Unsearchable(f"a search has at most {TERMS_MAX} words", self.at)
            found.append(self._term())
        return found

    def _skip_space(self) -> bool:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.at < len(self.text)

    def _term(self) -> Term:
        start = self.at
        following = self.text[start + 1 : start + 2]
        negated = self.text[start] == "-" and following != "" and not following.isspace()
        self.at += negated
        if self._is('"'):
            quoted = self._quoted()
            self._end_of_word("a space is missing behind the quotes")
            return _free(quoted, negated, start, self.at)
        name = self._name()
        if name is not None:
            return self._filter(*name, negated=negated)
        word = self._match(_WORD)
        if word in _JOINERS:
            raise Unsearchable(
                f"every word must hold, and there is no {word}: list values as in status:open,snoozed, turn a word"
                f' around with a minus, or put "{word}" in quotes to look for it',
                start,
                len(word),
            )
        return _free(word, negated, start, self.at)

    def _name(self) -> tuple[str, str, str, int] | None:
        """(key, tag, operator, where it begins) of a word that begins like a filter; else None, having read nothing."""
        start = self.at
        found = _NAME.match(self.text, start)
        if found is None:
            return None
        self.at = found.end()
        tag = ""
        if self._is(".") and found[0].lower() in ("tag", "tags"):
            self.at += 1
            tag = self._quoted() if self._is('"') else self._match(_TAG)
        op = next((op for op in _OPS if self.text.startswith(op, self.at)), "")
        if not op:
            self.at = start
            return None
        self.at += len(op)
        return found[0], tag, op, start

    def _filter(self, name: str, tag: str, op: str, start: int, *, negated: bool) -> Term:
        key = _ALIASES.get(name.lower(), name.lower())
        how = KEYS.get(key)
        length = self.at - start
        if how is None:
            raise _unknown(name, start)
        if (key == "tag") != bool(tag):
            raise Unsearchable("a tag is named as in tag.release:1.2.3", start, length)
        compared = op in (">=", "<=", ">", "<")
        if compared and not how.ordered:
            raise Unsearchable(f"{key} has no order: ask {name}:… or {name}!=…", start, length)
        if not compared and not how.listed:
            raise Unsearchable(f"{key} is compared, as in {key}<2h or {key}>1d", start, length)
        began = self.at
        values = self._values(key, how)
        if compared and len(values) > 1:
            raise Unsearchable(f"{op} takes one value", began, self.at - began)
        return Term(
            key=key,
            op=op if op in (">=", "<=", ">", "<") else "in",  # type: ignore[arg-type]
            values=tuple(dict.fromkeys(values)),
            tag=tag,
            negated=negated != (op == "!="),
        )

    def _values(self, key: str, how: _Key) -> list[Value]:
        values: list[Value] = []
        while True:
            start = self.at
            quoted = self._is('"')
            text = self._quoted() if quoted else self._match(_BARE)
            if not text.strip():
                raise Unsearchable(f"a value for {key} is missing", start)
            if len(values) == VALUES_MAX:
                raise Unsearchable(f"at most {VALUES_MAX} values", start)
            values.append(self._value(text, how, quoted, start))
            if not self._is(","):
                self._end_of_word("a space is missing behind the value")
                return values
            self.at += 1

    def _value(self, text: str, how: _Key, quoted: bool, start: int) -> Value:
        if how.read is not None:
            value = how.read(text.strip())
            if value is None:
                raise Unsearchable(f"{text[:40]!r} is not {how.expects}", start, self.at - start)
            return value
        if not quoted and text.lower() in how.special:
            return Value("", text.lower())  # type: ignore[arg-type]  # one of the special words
        if not quoted and how.like and "*" in text:
            return Value(re.sub(r"\*+", "*", text), "like")
        return Value(text)

    def _quoted(self) -> str:
        start = self.at
        self.at += 1
        out: list[str] = []
        while self.at < len(self.text):
            c = self.text[self.at]
            self.at += 1
            if c == '"':
                return "".join(out)
            if c == "\\" and self.text[self.at : self.at + 1] in ('"', "\\"):
                c = self.text[self.at]
                self.at += 1
            out.append(c)
        raise Unsearchable("these quotes are never closed", start, len(self.text) - start)

    def _end_of_word(self, fault: str) -> None:
        if self.at < len(self.text) and not self.text[self.at].isspace():
            raise Unsearchable(fault, self.at)

    def _is(self, c: str) -> bool:
        return self.text[self.at : self.at + 1] == c

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]


def _free(text: str, negated: bool, start: int, end: int) -> Term:
    if not text.strip():
        raise Unsearchable("there is nothing between the quotes", start, end - start)
    return Term(key=TEXT, values=(Value(text),), negated=negated)


def _unknown(name: str, start: int) -> Unsearchable:
    near = difflib.get_close_matches(name.lower(), [*KEYS, *_ALIASES], 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(KEYS)}."
    return Unsearchable(
        f"nothing is called {name[:40]!r}: {hint} To look for the text, put it in quotes", start, len(name)
    )


# -- showing ----------------------------------------------------------------------------------------------------------


def show(search: Search) -> str:
    """A search as people write it; reading it again gives the same terms."""
    return " ".join(map(_shown, search.terms))


def _shown(term: Term) -> str:
    minus = "-" if term.negated else ""
    if term.key == TEXT:
        return minus + _free_shown(term.values[0].text)
    name = term.key
    if term.tag:
        name += "." + (term.tag if _TAG.fullmatch(term.tag) else _in_quotes(term.tag))
    how = KEYS[term.key]
    return f"{minus}{name}{':' if term.op == 'in' else term.op}{','.join(_value_shown(v, how) for v in term.values)}"


def _value_shown(value: Value, how: _Key) -> str:
    if value.kind in ("none", "me"):
        return value.kind
    if value.kind == "like":
        return value.text
    plain = _BARE.fullmatch(value.text) and value.text.lower() not in how.special
    return value.text if plain and not (how.like and "*" in value.text) else _in_quotes(value.text)


def _free_shown(text: str) -> str:
    reader = _Reader(text)
    try:
        plain = _WORD.fullmatch(text) and text[0] not in '-"' and text not in _JOINERS and reader._name() is None
    except Unsearchable:
        plain = None
    return text if plain else _in_quotes(text)


def _in_quotes(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
