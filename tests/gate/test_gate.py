"""The gate fails where anything is wanting: a row, its test, its fact, a check, a long round."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.gate import __main__ as gate
from tests.gate import checks, readiness, results, rows, verdicts
from tests.gate.checks import Check, Ran
from tests.gate.results import Trial
from tests.gate.rows import IDS, Row, Wrong

FACT = "a fact that is long enough to be one"


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    """A folder of tests with two in it, one of them a long round."""
    folder = tmp_path / "tests"
    (folder / "http").mkdir(parents=True)
    (folder / "http/test_it.py").write_text("def test_one() -> None:\n    pass\n")
    (folder / "test_long.py").write_text("@pytest.mark.trial\ndef test_hours() -> None:\n    pass\n")
    return folder


def line(name: str, state: str = "met", how: str = "", named: str = "`http/test_it.py::test_one`") -> str:
    return f"| {name} | {state} | what is asked | {how} | {named} |"


def page(**instead: str) -> str:
    """A page with every row met, but those that are said."""
    lines = {name: line(name) for name in IDS} | {name.replace("_", "-"): text for name, text in instead.items()}
    return "\n".join(["| row | state | what | how | tests |", "|---|---|---|---|---|", *filter(None, lines.values())])


def test_there_are_a_hundred_and_sixty_nine_requirements() -> None:
    assert len(IDS) == len(set(IDS)) == 169


def test_a_page_with_every_row_met_is_well(tests: Path) -> None:
    assert rows.wrong(rows.read(page()), tests) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "missing"),
        (line("SEC-1", "open"), "open"),
        (line("SEC-1", "done"), "its state is 'done'"),
        (line("SEC-1", named=""), "no test is named"),
        (line("SEC-1", named="`http/test_it.py::test_two`"), "is gone"),
        (line("SEC-1", named="`http/test_other.py::*`"), "is gone"),
        (line("SEC-1", named="`http/test_it.py::test_on`"), "is gone"),
        (line("SEC-1", "not applicable", "no", ""), "nothing says why"),
        (line("SEC-1", "not verifiable here", "", ""), "nothing says why"),
        (f"{line('SEC-1')}\n{line('SEC-1')}", "twice"),
        (f"{line('SEC-1')}\n{line('SEC-99')}", "no such requirement"),
    ],
)
def test_a_row_that_wants_something_is_named(tests: Path, text: str, why: str) -> None:
    found = rows.wrong(rows.read(page(SEC_1=text)), tests)
    assert len(found) == 1
    assert why in found[0].why
    assert found[0].is_open == (why == "open")


def test_what_does_not_apply_or_cannot_be_seen_here_needs_its_fact_and_no_test(tests: Path) -> None:
    text = page(SEC_1=line("SEC-1", "not applicable", FACT, ""), SEC_2=line("SEC-2", "not verifiable here", FACT, ""))
    assert rows.wrong(rows.read(text), tests) == []


ONE = ("http/test_it.py", "test_one")
LONG = ("test_long.py", "test_hours")


@pytest.mark.parametrize(
    ("outcome", "good"), [("passed", True), ("recorded", True), ("failed", False), ("skipped", False), ("", False)]
)
def test_a_row_is_met_when_its_tests_passed(outcome: str, good: bool) -> None:
    met = Row("SEC-1", "met", "", "", (ONE,))
    assert verdicts.of_row(met, [], {ONE: outcome} if outcome else {}, {}).good is good
    long = Row("SEC-1", "met", "", "", (LONG,))
    assert verdicts.of_row(long, [], {}, {LONG: Trial(*LONG, outcome, "2026-01-01")}).good is good
    whole = Row("SEC-1", "met", "", "", ((ONE[0], "*"),))
    assert verdicts.of_row(whole, [], {ONE: outcome} if outcome else {}, {}).good is good


def test_one_test_that_did_not_pass_is_enough() -> None:
    met = Row("SEC-1", "met", "", "", (ONE, LONG))
    verdict = verdicts.of_row(met, [], {ONE: "passed"}, {LONG: Trial(*LONG)})
    assert not verdict.good
    assert verdict.said == "1 not run, 1 passed"
    seen = Row("SEC-1", "not verifiable here", "", FACT, (ONE,))
    assert not verdicts.of_row(seen, [], {ONE: "failed"}, {}).good


def report(path: Path, *cases: str, began: str = "2026-01-01T00:00:00+00:00") -> Path:
    path.write_text(f'<testsuites><testsuite timestamp="{began}">{"".join(cases)}</testsuite></testsuites>')
    return path


def test_a_report_is_read_by_test_and_one_failure_of_its_parameters_fails_it(tests: Path, tmp_path: Path) -> None:
    def case(name: str, inside: str = "", of: str = "tests.http.test_it") -> str:
        return f'<testcase classname="{of}" name="{name}">{inside}</testcase>'

    path = report(
        tmp_path / "r.xml",
        case("test_one[a]"), case("test_one[b]", "<skipped/>"), case("test_two[a]"), case("test_two[b]", "<failure/>"),
        case("test_three", "<skipped/>"), case("test_four", of="tests.http.test_it.TestIt"),
    )  # fmt: skip
    file = "http/test_it.py"
    assert results.suite(path, tests) == {
        (file, "test_one"): "passed", (file, "test_two"): "failed",
        (file, "test_three"): "skipped", (file, "test_four"): "passed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "outcome", "why"),
    [
        ("PASSED tests/test_long.py::test_hours\n", "passed", ""),
        ("PASSED tests/test_long.py::test_hours[a]\nFAILED tests/test_long.py::test_hours[b] - x\n", "failed", ""),
        ("ERROR tests/test_long.py::test_hours\n", "failed", ""),
        ("SKIPPED [1] tests/test_long.py:2: needs root\n", "skipped", "needs root"),
        ("PASSED tests/test_long.py::test_days\n", "", ""),
    ],
)
def test_a_long_round_is_what_its_kept_output_says(
    tests: Path, tmp_path: Path, text: str, outcome: str, why: str
) -> None:
    (tmp_path / "long.txt").write_text(text)
    assert results.trials(tmp_path, tests).keys() == {LONG}
    found = results.trials(tmp_path, tests)[LONG]
    assert (found.outcome, found.why) == (outcome, why)


def test_every_long_round_of_ours_is_known() -> None:
    found = results.trial_tests()
    assert ("trials/test_load.py", "test_load_of_a_team_beside_a_million_events") in found
    assert ("e2e/test_scrolling.py", "test_scrolling_through_5000_rows_blocks_nothing") in found
    assert ("trials/test_load.py", "metric") not in found


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tests: Path) -> Path:
    """A gate of its own: no check is run, the page is one with every row met."""
    monkeypatch.setattr(rows, "PAGE", tmp_path / "requirements.md")
    monkeypatch.setattr(gate, "_PAGE", tmp_path / "gate.md")
    monkeypatch.setattr(checks, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(checks, "REPORT", report(tmp_path / "tests.xml"))
    monkeypatch.setattr(checks, "all_of", lambda quick: [Ran(one.name, 0) for one in checks.CHECKS])
    monkeypatch.setattr(results, "suite", lambda path: {ONE: "passed"})
    monkeypatch.setattr(results, "trials", dict)
    real = rows.wrong
    monkeypatch.setattr(rows, "wrong", lambda found: real(found, tests))
    rows.PAGE.write_text(page())
    return tmp_path


def test_the_gate_is_passed_where_nothing_wants(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate.main([]) == 0
    text = (begun / "gate.md").read_text()
    assert text.strip() == capsys.readouterr().out.strip()
    assert "Verdict: **ready**" in text
    assert "| **all** | 169 | 169 | 0 | 0 | 0 |" in text
    assert [name for name in IDS if f"| {name} | met | ok |" not in text] == []
    assert "25 of 25 boxes are ticked" in text


@pytest.mark.parametrize(
    ("instead", "shown"),
    [
        ({"SEC_1": ""}, "| SEC-1 | open | **no** | the row is missing |"),
        ({"SEC_1": line("SEC-1", "open")}, "| SEC-1 | open | **no** | open |"),
        (
            {"SEC_1": line("SEC-1", named="`http/test_it.py::test_gone`")},
            "| SEC-1 | met | **no** | http/test_it.py::test_gone is gone |",
        ),
    ],
)
def test_the_gate_fails_over_one_row(begun: Path, instead: dict[str, str], shown: str) -> None:
    rows.PAGE.write_text(page(**instead))
    assert gate.main([]) == gate.main(["--quick"]) == gate.main(["--rows"]) == 1
    text = (begun / "gate.md").read_text()
    assert "Verdict: **not ready**: SEC-1." in text
    assert shown in text
    assert "24 of 25 boxes are ticked" in text
    assert "- [ ] Secrets are sealed and told nowhere: SEC-1" in text


@pytest.mark.parametrize("code", [1, None])
def test_the_gate_fails_over_one_check(begun: Path, monkeypatch: pytest.MonkeyPatch, code: int | None) -> None:
    def ran(quick: bool) -> list[Ran]:
        return [Ran(one.name, code if one.name == "audit" else 0) for one in checks.CHECKS]

    monkeypatch.setattr(checks, "all_of", ran)
    assert gate.main([]) == 1
    assert "**not ready**: audit." in (begun / "gate.md").read_text()


def test_quick_runs_again_only_what_did_not_go_well_on_these_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "key", lambda: "these")
    monkeypatch.setattr(checks, "CHECKS", (Check("a", ""), Check("b", ""), Check("c", ""), Check("d", "")))
    monkeypatch.setattr(checks, "kept", lambda name, now: real(name, now, tmp_path))
    for name, code, on in (("a", 0, "these"), ("b", 1, "these"), ("c", 0, "others")):
        checks.note(Ran(name, code, 1.0, "then", "x"), on, tmp_path)
    done: list[str] = []

    def does(check: Check) -> Ran:
        done.append(check.name)
        return Ran(check.name, 0)

    assert [one.at for one in checks.all_of(True, does)] == ["then", "", "", ""]
    assert done == ["b", "c", "d"]
    done.clear()
    assert len(checks.all_of(False, does)) == 4
    assert done == ["a", "b", "c", "d"]


real = checks.kept


def test_a_run_that_began_before_the_last_commit_is_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "KEPT", tmp_path)
    monkeypatch.setattr(checks, "note", lambda ran, on: noted.append(ran.name))
    noted: list[str] = []
    monkeypatch.setattr(checks, "REPORT", report(tmp_path / "r.xml"))
    assert "before the last commit" in checks.ran_now("test-whole")
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    monkeypatch.setattr(checks, "REPORT", report(tmp_path / "r.xml", began=now))
    assert checks.ran_now("test-whole") == ""
    assert noted == ["test-whole"]


def test_what_a_check_says_and_its_code_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    monkeypatch.setattr(checks, "key", lambda: "these")
    kept: list[Any] = []
    monkeypatch.setattr(checks, "note", lambda ran, on: kept.append((ran.code, on)))
    (tmp_path / "Makefile").write_text("good:\n\t@echo well\nbad:\n\t@echo ill; exit 3\n")
    assert (checks.run(Check("good", "")).code, checks.run(Check("good", "")).said) == (0, "well")
    assert checks.run(Check("bad", "")).code == 2
    assert kept == [(0, "these"), (0, "these"), (2, "these")]
    assert json.loads(json.dumps(kept[0])) == [0, "these"]


def test_every_box_of_the_checklist_has_its_rows() -> None:
    assert len(readiness.BOXES) == 25
    assert len({box.part for box in readiness.BOXES}) == 5
    assert {name for box in readiness.BOXES for name in box.rows} <= set(IDS)


def test_a_fault_of_another_row_is_none_of_this_one() -> None:
    met = Row("SEC-1", "met", "", "", (ONE,))
    assert verdicts.of_row(met, [Wrong("SEC-2", "open", True)], {ONE: "passed"}, {}).good
