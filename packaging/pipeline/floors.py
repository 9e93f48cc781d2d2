"""The floors of coverage: `floors.py WHOLE ROOMS`, two JSON reports of coverage's; exit 1 below one of them.

WHOLE is of every test, in statements. ROOMS is of the tests of the pure rooms alone, in statements and branches
together: to count branches makes every test nearly twice as slow before Python 3.14, and these are quick.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

WHOLE: Final = 80.0
"""Of all statements of signalcraft, in percent."""
ROOMS: Final = {"domain": 95.0, "sources": 95.0, "channels": 95.0}
"""Of statements and branches of signalcraft/<name>, in percent."""


def measured(whole: Mapping[str, Any], rooms: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """(percent, its floor) by room, "whole" for all, of coverage's JSON reports
    (https://coverage.readthedocs.io/en/latest/commands/cmd_json.html). Raises ValueError for rooms without branches,
    and where nothing was measured.
    """
    if not rooms["meta"]["branch_coverage"]:
        raise ValueError("the report of the rooms knows no branches: it must be made with --cov-branch")
    found = {"whole": (_percent(whole, "signalcraft/", ("statements",)), WHOLE)}
    for room, floor in ROOMS.items():
        found[room] = (_percent(rooms, f"signalcraft/{room}/", ("statements", "branches")), floor)
    return found


def _percent(report: Mapping[str, Any], below: str, kinds: tuple[str, ...]) -> float:
    covered = {"statements": "covered_lines", "branches": "covered_branches"}
    seen = [one["summary"] for file, one in report["files"].items() if file.startswith(below)]
    wanted = sum(one[f"num_{kind}"] for one in seen for kind in kinds)
    if not wanted:
        raise ValueError(f"nothing of {below} was measured")
    return 100 * sum(one[covered[kind]] for one in seen for kind in kinds) / wanted


def main(words: list[str]) -> int:
    """The exit code."""
    whole, rooms = (json.loads(Path(word).read_text("utf-8")) for word in words)
    found = measured(whole, rooms)
    for name, (percent, floor) in found.items():
        print(f"{name:<10} {percent:6.2f} % of {floor:g} %{'  TOO LOW' if percent < floor else ''}")
    return int(any(percent < floor for percent, floor in found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
