"""The tour through the code names what is there."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest

from tests.house.tree import ROOT

PAGE = "docs/explanation/tour-of-a-webhook.md"
TEXT = (ROOT / PAGE).read_text("utf-8")
FULL = sorted(set(re.findall(r"`(signalcraft(?:\.\w+)+)`", TEXT)))


def found(dotted: str) -> Any:
    """What a dotted name leads to. Raises AttributeError, ModuleNotFoundError."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            it: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            it = getattr(it, name)
        return it
    raise ModuleNotFoundError(dotted)


@pytest.mark.parametrize("name", FULL)
def test_every_full_name_leads_somewhere(name: str) -> None:
    found(name)


def test_every_short_name_belongs_to_something_that_was_named_in_its_section() -> None:
    """`_find`, `Edge._hook`: of a module or class whose full name stands in the same section."""
    assert len(FULL) > 35
    for section in TEXT.split("\n## ")[1:]:
        near = [found(name) for name in re.findall(r"`(signalcraft(?:\.\w+)+)`", section)]
        homes = near + [importlib.import_module(one.__module__) for one in near if hasattr(one, "__module__")]
        for short in re.findall(r"`((?:[A-Z]\w+\.)?_\w+|[A-Z]\w+\.\w+)`", section):
            whole = [short.split(".")] if "." in short else [[short]]
            assert any(_has(home, whole[0]) for home in _everywhere(homes)), f"{short} in {section.splitlines()[0]}"


def _everywhere(homes: list[Any]) -> list[Any]:
    """And what the whole page names, for a class that was introduced earlier."""
    return [*homes, *(importlib.import_module(".".join(name.split(".")[:n])) for name in FULL for n in _modules(name))]


def _modules(name: str) -> list[int]:
    count = len(name.split("."))
    usable = []
    for cut in range(2, count + 1):
        try:
            importlib.import_module(".".join(name.split(".")[:cut]))
        except ModuleNotFoundError:
            break
        usable.append(cut)
    return usable


def _has(home: Any, parts: list[str]) -> bool:
    for part in parts:
        if not hasattr(home, part):
            return False
        home = getattr(home, part)
    return True
