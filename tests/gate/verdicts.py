"""One verdict for each requirement, out of what the page says and of what came of its tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from tests.gate.checks import CHECKS, Ran
from tests.gate.readiness import BOXES
from tests.gate.results import PASSED, RECORDED, SKIPPED, Outcomes, Trial
from tests.gate.rows import FAMILIES, IDS, NOT_APPLICABLE, STATES, Row, Wrong

NOT_RUN: Final = "not run"
_WHAT: Final = {check.name: check.what for check in CHECKS}


class Verdict(NamedTuple):
    """What came of a row."""

    id: str
    state: str
    good: bool
    said: str


def of_row(row: Row, faults: Iterable[Wrong], outcomes: Outcomes, trials: dict[tuple[str, str], Trial]) -> Verdict:
    """Its tests passed in the suite or, where it is a long round, in the latest that is kept."""
    why = [fault.why for fault in faults if fault.id == row.id]
    if why:
        return Verdict(row.id, row.state, False, "; ".join(why))
    if row.state == NOT_APPLICABLE:
        return Verdict(row.id, row.state, True, row.how)
    count: Counter[str] = Counter()
    dates = []
    for file, name in row.tests:
        for one in _every(file, name, outcomes, trials):
            trial = trials.get(one)
            outcome = trial.outcome if trial is not None else outcomes.get(one, "")
            count[outcome or NOT_RUN] += 1
            if trial is not None and trial.date:
                dates.append(trial.date)
    good = not set(count) - {PASSED, RECORDED} and (bool(count) or row.state != "met")
    words = [f"{n} {word}" for word, n in sorted(count.items())]
    words += [f"long rounds of {min(dates)}"] if dates else []
    return Verdict(row.id, row.state, good, ", ".join(words) or row.how)


def _every(file: str, name: str, outcomes: Outcomes, trials: dict[tuple[str, str], Trial]) -> list[tuple[str, str]]:
    if name != "*":
        return [(file, name)]
    return [one for one in outcomes if one[0] == file and one not in trials] or [(file, name)]


def of_rows(
    rows: list[Row], faults: list[Wrong], outcomes: Outcomes, trials: dict[tuple[str, str], Trial]
) -> list[Verdict]:
    """In the order of the requirements; a row that is missing has its verdict too."""
    by_id = {row.id: row for row in rows}
    order = [*IDS, *(name for name in by_id if name not in IDS)]
    missing = Row("", "open", "", "", ())
    return [of_row(by_id.get(name, missing._replace(id=name)), faults, outcomes, trials) for name in order]


def ready(ran: list[Ran], verdicts: list[Verdict]) -> bool:
    """Whether the gate is passed."""
    return all(one.code == 0 for one in ran) and all(one.good for one in verdicts)


def page(ran: list[Ran], verdicts: list[Verdict], trials: dict[tuple[str, str], Trial], on: str) -> str:
    """The whole table, as docs/reference/gate.md has it."""
    bad = [one.id for one in verdicts if not one.good]
    failed = [one.name for one in ran if one.code != 0]
    verdict = "**ready**" if ready(ran, verdicts) else f"**not ready**: {', '.join([*failed, *bad])}"
    lines = [
        "# The production gate",
        "",
        "Written by `make gate`. What each row asks, and how it is met: [requirements](requirements.md).",
        "",
        f"Verdict: {verdict}. {on}",
        "",
        *counts(verdicts),
        *_checks(ran),
        *_boxes({one.id: one for one in verdicts}),
        *_verdicts(verdicts),
        *_trials(trials),
    ]
    return "\n".join(lines) + "\n"


def counts(verdicts: list[Verdict]) -> list[str]:
    """How many rows of each state, by family."""
    lines = ["| | rows | " + " | ".join(STATES) + " |", "|---|---|" + "---|" * len(STATES)]
    for family in (*FAMILIES, ""):
        of = [one for one in verdicts if one.id.startswith(f"{family}-" if family else "")]
        numbers = [sum(one.state == state for one in of) for state in STATES]
        lines.append(f"| {family or '**all**'} | {len(of)} | " + " | ".join(map(str, numbers)) + " |")
    return [*lines, ""]


def _checks(ran: list[Ran]) -> list[str]:
    lines = ["## What was run", "", "| check | what it shows | verdict | when | seconds |", "|---|---|---|---|---|"]
    for one in ran:
        word = NOT_RUN if one.code is None else PASSED if one.code == 0 else f"**failed** ({one.code})"
        took = f"{one.seconds:.0f}" if one.seconds else ""
        lines.append(f"| {one.name} | {_WHAT.get(one.name, '')} | {word} | {one.at} | {took} |")
    return [*lines, ""]


def _boxes(verdicts: dict[str, Verdict]) -> list[str]:
    ticked = [all(verdicts[name].good for name in box.rows) for box in BOXES]
    lines = ["## The checklist of readiness", "", f"{sum(ticked)} of {len(BOXES)} boxes are ticked."]
    part = ""
    for box, tick in zip(BOXES, ticked, strict=True):
        if box.part != part:
            part = box.part
            lines += ["", f"### {part}", ""]
        evidence = ", ".join(
            name if verdicts[name].state == "met" else f"{name} ({verdicts[name].state})" for name in box.rows
        )
        lines.append(f"- [{'x' if tick else ' '}] {box.what}: {evidence}")
    return [*lines, ""]


def _verdicts(verdicts: list[Verdict]) -> list[str]:
    lines = ["## Every requirement", "", "| row | state | verdict | |", "|---|---|---|---|"]
    lines += [f"| {one.id} | {one.state} | {'ok' if one.good else '**no**'} | {one.said} |" for one in verdicts]
    return [*lines, ""]


def _trials(trials: dict[tuple[str, str], Trial]) -> list[str]:
    lines = ["## The long rounds", "", "| round | verdict | kept output | of |", "|---|---|---|---|"]
    for one in trials.values():
        word = one.outcome or "nothing is kept of it"
        word = f"{word}: {one.why}" if one.outcome == SKIPPED else word
        link = f"[{one.record}](trials/{one.record})" if one.record else ""
        lines.append(f"| `{one.file}::{one.name}` | {word} | {link} | {one.date} |")
    return lines
