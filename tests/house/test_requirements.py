"""Every requirement names tests, and those tests are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/requirements.md").read_text("utf-8")
ROWS = {"SEC": 25, "ERR": 6, "LOG": 8, "CFG": 7, "RET": 6, "MIG": 7, "BCK": 12, "MON": 22}
LATER = {"SEC-19", "LOG-6", "MON-6", "MON-10", "MON-11", "MON-17", "MON-18", "MON-19", "MON-21"}


def test_every_row_is_there_and_names_a_test_or_says_that_it_comes_later() -> None:
    """Twenty-five, six, eight and seven rows; a row without a test is one of those that are due later."""
    rows = {m[1]: m[0] for m in re.finditer(r"^\| ([A-Z]{3}-\d+) \|.*$", PAGE, re.MULTILINE)}
    assert set(rows) == {f"{family}-{n}" for family, count in ROWS.items() for n in range(1, count + 1)}
    without = {name for name, row in rows.items() if "::" not in row}
    assert without == LATER | {"LOG-7"}


def test_every_test_that_is_named_exists() -> None:
    """By file and name; `*` is the whole file."""
    named = re.findall(r"`([\w/]+\.py)::(\w+|\*)`", PAGE)
    assert len(named) > 60
    for file, name in named:
        text = (ROOT / "tests" / file).read_text("utf-8")
        assert name == "*" or re.search(rf"def {name}\(", text), f"{file}::{name}"
