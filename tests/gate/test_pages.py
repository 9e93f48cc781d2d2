"""The pages that stand behind a row: capabilities with tests that are there, the plan for an incident."""

from __future__ import annotations

import re

from tests.gate import rows
from tests.gate.rows import ROOT

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


def test_the_security_policy_says_whom_to_ask_and_what_to_do() -> None:
    """SEC-18, DOC-9: a way to report, who is needed, and the steps of an incident."""
    policy = (ROOT / "docs/security-policy.md").read_text("utf-8")
    parts = dict(re.findall(r"(?ms)^## (.*?)\n(.*?)(?=^## |\Z)", policy))
    assert "private security report" in parts["Reporting a hole"]
    assert re.search(r"within\s+\w+ working days", parts["Reporting a hole"])
    assert {"*critical*", "*high*", "*medium*", "*low*"} <= set(
        re.findall(r"\*\w+\*", parts["What we do about a report"])
    )
    attacked = parts["When your own box is attacked"]
    for role in ("who may stop the service", "who owns the workspace", "where the copies of the master key are"):
        assert role in attacked
    steps = re.findall(r"(?m)^(\d)\. \*\*(.*?)\*\*", attacked)
    assert [number for number, _ in steps] == ["1", "2", "3", "4", "5"]
