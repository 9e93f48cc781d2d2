"""The floors of coverage: `floors.py .build/coverage.json`; exit 1 below one of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FLOORS: Final = {"": 80.0, "domain": 95.0, "sources": 95.0, "channels": 95.0}
"""Of what is under signalcraft/<name>, statements and branches together, in percent."""


def measured(report: Mapping[str, Any]) -> dict[str, float]:
    """Percent for each floor, of coverage's JSON report
    (https://coverage.readthedocs.io/en/latest/commands/cmd_json.html). Raises ValueError for one without branches.
    """
    if not report["meta"]["branch_coverage"]:
        raise ValueError("the report knows no branches: coverage must run with branch = true")
    found = {}
    for room in FLOORS:
        done = wanted = 0
        for file, one in report["files"].items():
            if file.startswith(f"signalcraft/{room}"):
                seen = one["summary"]
                done += seen["covered_lines"] + seen["covered_branches"]
                wanted += seen["num_statements"] + seen["num_branches"]
        if not wanted:
            raise ValueError(f"nothing of signalcraft/{room} was measured")
        found[room] = 100 * done / wanted
    return found


def main(words: list[str]) -> int:
    """The exit code."""
    found = measured(json.loads(Path(words[0]).read_text("utf-8")))
    for room, percent in found.items():
        low = percent < FLOORS[room]
        print(f"{room or 'whole':<10} {percent:6.2f} % of {FLOORS[room]:g} %{'  TOO LOW' if low else ''}")
    return int(any(percent < FLOORS[room] for room, percent in found.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
