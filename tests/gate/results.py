"""What came of each test: in the latest run of the suite, and in the kept output of the long rounds."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree

from tests.gate.rows import ROOT

RECORDS: Final = ROOT / "docs/reference/trials"
PASSED: Final = "passed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
RECORDED: Final = "recorded"
"""A long round whose own output is kept, which says its figures and not a runner's word."""
_SAID: Final = re.compile(r"^(PASSED|FAILED|ERROR) (tests/\S+?\.py)::(\w+)", re.MULTILINE)
_LEFT: Final = re.compile(r"^SKIPPED \[\d+\] (tests/\S+?\.py):\d+: (.*)$", re.MULTILINE)

Outcomes = dict[tuple[str, str], str]
"""By (file under tests/, name of the test)."""


class Trial(NamedTuple):
    """A long round. `outcome`: one of the words above, or "" where nothing is kept of it; `why`: of a skip."""

    file: str
    name: str
    outcome: str = ""
    date: str = ""
    record: str = ""
    why: str = ""


def suite(report: Path, tests: Path = ROOT / "tests") -> Outcomes:
    """A JUnit report by test, its parameters together: one failure fails it; it passed where one passed."""
    found: Outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        file = _file(case.get("classname", ""), tests)
        kinds = {child.tag for child in case}
        outcome = FAILED if kinds & {"failure", "error"} else SKIPPED if "skipped" in kinds else PASSED
        key = (file, re.split(r"[\[(]", case.get("name", ""), maxsplit=1)[0])
        found[key] = _together(found.get(key, ""), outcome)
    return found


def began_s(report: Path) -> float:
    """When the run of a report began, in seconds since 1970."""
    said = next(ElementTree.parse(report).iter("testsuite")).get("timestamp", "")
    at = datetime.fromisoformat(said)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _together(one: str, other: str) -> str:
    return next(word for word in (FAILED, PASSED, SKIPPED) if word in (one, other))


def _file(module: str, tests: Path) -> str:
    """`tests.http.test_errors` and `tests.http.test_errors.TestIt` are in http/test_errors.py."""
    parts = module.split(".")[1:]
    while parts and not (tests / Path(*parts)).with_suffix(".py").is_file():
        parts.pop()
    return str(Path(*parts).with_suffix(".py")) if parts else module


def trial_tests(tests: Path = ROOT / "tests") -> list[tuple[str, str]]:
    """Every test that is marked as a long round."""
    return sorted(
        (str(path.relative_to(tests)), name) for path in tests.rglob("test_*.py") for name in _marked(path.read_text())
    )


def _marked(text: str) -> Iterator[str]:
    if "mark.trial" not in text:
        return
    whole = re.search(r"^pytestmark = .*mark\.trial", text, re.MULTILINE) is not None
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            marks = [ast.unparse(one) for one in node.decorator_list]
            if whole or any("mark.trial" in one for one in marks):
                yield node.name


def trials(records: Path = RECORDS, tests: Path = ROOT / "tests") -> dict[tuple[str, str], Trial]:
    """What is kept of each long round, the newest record first."""
    said: dict[tuple[str, str], Trial] = {}
    left: dict[str, Trial] = {}
    for record in sorted(records.glob("*.txt"), key=_date):
        text, date = record.read_text("utf-8", "replace"), _date(record)
        for word, path, name in _SAID.findall(text):
            file = path.removeprefix("tests/")
            earlier = said.get((file, name))
            outcome = PASSED if word == "PASSED" else FAILED
            if earlier is not None and earlier.record == record.name:
                outcome = _together(earlier.outcome, outcome)
            said[file, name] = Trial(file, name, outcome, date, record.name)
        for path, why in _LEFT.findall(text):
            file = path.removeprefix("tests/")
            left[file] = Trial(file, "", SKIPPED, date, record.name, why.strip())
    found = {}
    for file, name in trial_tests(tests):
        own = records / f"{Path(file).stem.removeprefix('test_')}.txt"
        if (file, name) in said:
            found[file, name] = said[file, name]
        elif own.is_file() and f"trials/{own.name}" in (tests / file).read_text("utf-8"):
            found[file, name] = Trial(file, name, RECORDED, _date(own), own.name)
        elif file in left:
            found[file, name] = left[file]._replace(name=name)
        else:
            found[file, name] = Trial(file, name)
    return found


def _date(record: Path) -> str:
    """The day of its last commit; of the file where it is not committed."""
    done = subprocess.run(
        ["git", "log", "-1", "--format=%cs", "--", record.name],
        cwd=record.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or datetime.fromtimestamp(record.stat().st_mtime, UTC).date().isoformat()
