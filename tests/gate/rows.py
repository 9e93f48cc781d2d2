"""The requirement rows: which there have to be, what the page says of each, and what is wrong with that."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/reference/requirements.md"

FAMILIES: Final = {
    "PRE": 2, "SEC": 25, "ERR": 6, "LOG": 8, "PERF": 21, "MON": 22, "RET": 6,
    "INF": 15, "CI": 14, "CFG": 7, "MIG": 7, "BCK": 12, "DOC": 14, "VAL": 10,
}  # fmt: skip
"""How many rows each family has: 169 in all, numbered from 1."""
IDS: Final = tuple(f"{family}-{n}" for family, count in FAMILIES.items() for n in range(1, count + 1))

MET: Final = "met"
NOT_APPLICABLE: Final = "not applicable"
NOT_HERE: Final = "not verifiable here"
OPEN: Final = "open"
STATES: Final = (MET, NOT_APPLICABLE, NOT_HERE, OPEN)

_LINE: Final = re.compile(r"^\| ([A-Z]+-\d+) \|(.*)\|[ \t]*$", re.MULTILINE)
_NAMED: Final = re.compile(r"`([\w/]+\.py)::(\w+|\*)`")
_FACT_MIN: Final = 20


class Row(NamedTuple):
    """One row of the page. `tests`: (file under tests/, name of the test or `*` for the whole file)."""

    id: str
    state: str
    what: str
    how: str
    tests: tuple[tuple[str, str], ...]


class Wrong(NamedTuple):
    """What is wrong with a row. `is_open`: nothing but that it is open."""

    id: str
    why: str
    is_open: bool = False


def read(text: str) -> list[Row]:
    """The rows of a page: `| id | state | what | how, and what differs | tests |`."""
    rows = []
    for found in _LINE.finditer(text):
        cells = [cell.strip() for cell in found[2].split("|")]
        state, what, how, tests = [*cells, "", "", "", ""][:4]
        rows.append(Row(found[1], state, what, how, tuple(_NAMED.findall(tests))))
    return rows


def wrong(rows: list[Row], tests: Path = ROOT / "tests") -> list[Wrong]:
    """Every fault: a row that is missing, unknown or there twice, without a state, without what its state asks for,
    with a test that is gone, or open.
    """
    times = Counter(row.id for row in rows)
    faults = [Wrong(name, "the row is missing") for name in IDS if not times[name]]
    faults += [Wrong(name, "no such requirement") for name in times if name not in IDS]
    faults += [Wrong(name, "the row is there twice") for name, n in times.items() if n > 1]
    for row in rows:
        if row.state not in STATES:
            faults.append(Wrong(row.id, f"its state is {row.state!r}"))
        elif row.state == OPEN:
            faults.append(Wrong(row.id, "open", is_open=True))
        elif row.state == MET and not row.tests:
            faults.append(Wrong(row.id, "met, and no test is named"))
        elif row.state != MET and len(row.how) < _FACT_MIN:
            faults.append(Wrong(row.id, f"{row.state}, and nothing says why"))
        faults += [
            Wrong(row.id, f"{file}::{name} is gone") for file, name in row.tests if not _there(tests, file, name)
        ]
    return faults


def _there(tests: Path, file: str, name: str) -> bool:
    path = tests / file
    if not path.is_file():
        return False
    return name == "*" or re.search(rf"^\s*(?:async )?def {name}\(", path.read_text("utf-8"), re.MULTILINE) is not None
