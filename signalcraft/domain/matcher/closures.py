"""Conditions as closures: what the event decides before the write transaction, and what is left for inside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from signalcraft.domain.matcher.condition import LATE, ORDERINGS, TAG, Condition, Facts, Leaf
from signalcraft.domain.matcher.question import Test, number_of, shown_to_patterns, test_of
from signalcraft.domain.severity import Severity


class Said:
    """The event's side of the facts, with each text folded or encoded at most once."""

    __slots__ = ("_folded", "_shown", "tags", "texts")

    def __init__(self, project: str | None, source: str, title: str | None, message: str, tags: dict[str, str]) -> None:
        self.texts = {
            "project": project or None,
            "source": source or None,
            "title": title or None,
            "message": message or None,
        }
        self.tags = tags
        self._folded: dict[str, str | None] = {}
        self._shown: dict[str, bytes | None] = {}

    def folded(self, field: str) -> str | None:
        """The text of a field without its case."""
        try:
            return self._folded[field]
        except KeyError:
            text = self.texts[field]
            self._folded[field] = folded = None if text is None else text.casefold()
            return folded

    def shown(self, field: str) -> bytes | None:
        """The text of a field as patterns see it."""
        try:
            return self._shown[field]
        except KeyError:
            text = self.texts[field]
            self._shown[field] = shown = None if text is None else shown_to_patterns(text)
            return shown


Known = tuple[str | None, Severity, str, int, int | None]
"""The group's side: environment (folded), severity, status (folded), count, users_affected."""
_SLOT = {"environment": 0, "severity": 1, "status": 2, "count": 3, "users_affected": 4}


def said_of(facts: Facts) -> Said:
    """The event's side of facts."""
    return Said(facts.project, facts.source, facts.title, facts.message, facts.tags)


def known_of(facts: Facts) -> Known:
    """The group's side of facts."""
    environment = facts.environment
    return (
        environment.casefold() if environment else None,
        facts.severity,
        facts.status.casefold(),
        facts.count,
        facts.users_affected,
    )


def _late_view(leaf: Leaf) -> Callable[[Any], Any] | None:
    """How a leaf of the group's side reads the slot where the slot itself is not what its test takes."""
    if leaf.operator == "regex":
        if leaf.field == "severity":
            return lambda v: v.label.encode()
        return lambda v: None if v is None else shown_to_patterns(str(v))
    if leaf.operator in ("contains", "not_contains"):
        if leaf.field == "severity":
            return lambda v: v.label
        return lambda v: None if v is None else str(v)
    return None


def _late(leaf: Leaf, test: Test) -> Late:
    slot = _SLOT[leaf.field]
    view = _late_view(leaf)
    if view is not None:
        return lambda k: test(view(k[slot]))
    return lambda k: test(k[slot])


def _early(leaf: Leaf, test: Test) -> Early:
    field = leaf.field
    if field.startswith(TAG):
        key = field[len(TAG) :]
        if leaf.operator == "regex":
            return lambda s: test(None if (v := s.tags.get(key)) is None else shown_to_patterns(v))
        if leaf.operator in ORDERINGS:
            return lambda s: test(number_of(s.tags.get(key)))
        return lambda s: test(None if (v := s.tags.get(key)) is None else v.casefold())
    if leaf.operator == "regex":
        return lambda s: test(s.shown(field))
    return lambda s: test(s.folded(field))


Early = Callable[[Said], bool]
Late = Callable[[Known], bool]
Split = Callable[[Said], "bool | Late"]
"""Before the transaction: True, False, or what is still to be asked of the group."""


class Part(Struct, frozen=True):
    """A compiled condition. `begin` answers what the event alone can; of the others at most one is set: the whole
    condition asks only about the event (`early`), or only about the group (`late`).
    """

    begin: Split
    early: Early | None = None
    late: Late | None = None


def _about_event(test: Early) -> Part:
    return Part(test, early=test)


def _about_group(test: Late) -> Part:
    return Part(lambda said: test, late=test)


def compile_condition(condition: Condition, path: str = "when") -> Part:
    """Closures for a condition. Raises Invalid with the path of a value that cannot be meant."""
    parts = [_compile(m, f"{path}.all[{i}]") for i, m in enumerate(condition.all)]
    if condition.any:
        parts.append(_join([_compile(m, f"{path}.any[{i}]") for i, m in enumerate(condition.any)], every=False))
    return _join(parts, every=True)


def ask(leaf: Leaf, facts: Facts) -> bool:
    """One question, answered from whole facts."""
    part = _compile(leaf, "when")
    answer = part.begin(said_of(facts))
    return answer if isinstance(answer, bool) else answer(known_of(facts))


def _compile(member: Leaf | Condition, path: str) -> Part:
    if isinstance(member, Condition):
        return compile_condition(member, path)
    test = test_of(member, f"{path}.value")
    if member.field in LATE:
        return _about_group(_late(member, test))
    return _about_event(_early(member, test))


def _join(parts: list[Part], *, every: bool) -> Part:
    """One part that stands for all of them (`every`) or for any of them."""
    if len(parts) == 1:
        return parts[0]
    earlies = [p.early for p in parts if p.early is not None]
    lates = [p.late for p in parts if p.late is not None]
    splits = [p.begin for p in parts if p.early is None and p.late is None]
    fold: Callable[[list[Callable[[Any], bool]]], Callable[[Any], bool]] = _every if every else _some
    early = fold(earlies)
    if not lates and not splits:
        return _about_event(early)
    if not earlies and not splits:
        return _about_group(fold(lates))
    decided = not every  # the answer of one member that settles the whole
    if not splits:
        late = fold(lates)
        return Part(lambda said: decided if early(said) is decided else late)

    def begin(said: Said) -> bool | Late:
        if earlies and early(said) is decided:
            return decided
        rest = lates.copy()
        for member in splits:
            answer = member(said)
            if not isinstance(answer, bool):
                rest.append(answer)
            elif answer is decided:
                return decided
        return fold(rest) if rest else every

    return Part(begin)


def _every(tests: list[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        a, b = tests
        return lambda x: a(x) and b(x)
    if len(tests) == 3:
        a, b, c = tests
        return lambda x: a(x) and b(x) and c(x)
    held = tuple(tests)
    return lambda x: all(test(x) for test in held)


def _some(tests: list[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        a, b = tests
        return lambda x: a(x) or b(x)
    held = tuple(tests)
    return lambda x: any(test(x) for test in held)
