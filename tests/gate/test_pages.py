"""The pages that stand behind a row: capabilities and risks, with tests that are there."""

from __future__ import annotations

import re

from tests.gate import rows
from tests.gate.rows import IDS, ROOT

NAMED = re.compile(r"`([\w/]+\.py)::(\w+|\*)`")


def cells(page: str) -> list[list[str]]:
    lines = (ROOT / "docs" / page).read_text("utf-8").splitlines()
    table = [line for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]


def there(text: str) -> bool:
    """Every test that is named exists."""
    row = rows.Row("SEC-1", "met", "", "", tuple(NAMED.findall(text)))
    return bool(row.tests) and not [one for one in rows.wrong([row]) if "is gone" in one.why]


def test_every_capability_is_there_with_its_tests_or_says_what_is_instead() -> None:
    """PRE-1: twenty-five; the seven that make up the core are all there."""
    found = cells("reference/capabilities.md")
    assert [row[0] for row in found] == [str(n) for n in range(1, 26)]
    for number, what, state, how, tests in found:
        assert state in ("there", "in part", "not there"), what
        assert there(tests) == (state != "not there"), f"{number} {what}"
        assert state == "there" or len(how) > 20, what
    states = [row[2] for row in found]
    assert states[:10] == ["there"] * 10, "taken in, made one, routed, told, escalated"


def test_every_risk_has_its_requirements_and_a_test() -> None:
    """VAL-10: load, migrations, holes, releases."""
    found = cells("explanation/risks.md")
    assert len(found) == 4
    met = {row.id for row in rows.read(rows.PAGE.read_text("utf-8")) if row.state in ("met", "open")}
    asked = []
    for _, how, named, test in found:
        assert len(how) > 20
        assert there(test)
        asked += named.split(", ")
    assert set(asked) <= set(IDS)
    assert set(asked) <= met
    assert {name.split("-")[0] for name in asked} >= {"PERF", "MIG", "BCK", "SEC", "CI"}
