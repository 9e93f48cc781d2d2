"""One routing rule as it stands in the file of `apply` and `export`; names identify its channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from signalcraft.domain.matcher import nearest
from signalcraft.errors import Fault, Invalid
from signalcraft.services.configure import rules
from signalcraft.services.tomltext import drafted, lines, parse

FIELDS: Final = (
    "when", "channels", "mention", "stop", "escalate_after_minutes", "escalate_to", "repeat_minutes", "runbook_url",
    "runbook",
)  # fmt: skip
"""What a rule says besides its name, its priority and whether it is switched on, in the order of the file."""


class Shown(Protocol):
    """A rule with every field of `FIELDS`."""

    @property
    def name(self) -> str: ...
    @property
    def priority(self) -> int | None: ...
    @property
    def enabled(self) -> bool: ...


def entry(rule: Shown) -> dict[str, Any]:
    """The table of a rule. What is at its default is left out."""
    table: dict[str, Any] = {"name": rule.name}
    if rule.priority is not None:
        table["priority"] = rule.priority
    if not rule.enabled:
        table["enabled"] = False
    for field in FIELDS:
        value = getattr(rule, field)
        if value not in (None, False, {}, []):
            table[field] = value
    return table


def read(table: Mapping[str, Any]) -> rules.Draft:
    """The rule of a table. Raises Invalid with the place in the table."""
    known = rules.Draft.__struct_fields__
    unknown = tuple((key, f'no such setting: "{key[:60]}"{nearest(key, known)}') for key in table if key not in known)
    if unknown:
        raise Invalid(unknown[0][1], errors=unknown)
    return drafted(table, rules.Draft)


def write_one(rule: Shown) -> str:
    """A file with this rule alone."""
    return "\n".join(["[[rules]]", *lines(entry(rule)), ""])


def read_one(text: str) -> rules.Draft:
    """The rule of a file that holds one and nothing else. Raises Invalid with the place in the file."""
    doc = parse(text)
    others = [name for name in doc if name != "rules"]
    tables = doc.get("rules")
    if others:
        # Most often the header is missing: the settings of the rule stand alone.
        raise Invalid("only one rule is read here: a table that begins with [[rules]]", path=others[0][:60])
    if not isinstance(tables, list) or len(tables) != 1 or not isinstance(tables[0], dict):
        raise Invalid("exactly one rule is read here: a table that begins with [[rules]]", path="rules")
    try:
        return read(tables[0])
    except Fault as fault:
        fault.errors = tuple((f"rules[0].{path}" if path else "rules[0]", said) for path, said in fault.errors)
        raise
