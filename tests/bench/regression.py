"""`make bench-regression`: is it slower than the figures that were committed? By ratios, which hold between machines.

The benchmark measures each case beside one that leaves the database out. What a case reaches of that one says how dear
our own work is, whatever machine it runs on; absolute figures wander with their neighbours.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

PAGE: Final = Path("docs/reference/benchmarks.md")
LESS_MAX: Final = 0.10
"""A ratio may fall by a tenth; more is a regression."""
_ROW: Final = re.compile(r"^\| \((\w)\) [^|]*\| [\d,]+ \([^)]*\) \| (\d+\.\d+) \|", re.MULTILINE)


def ratios(text: str) -> dict[str, float]:
    """By case: how much of case (a) it reaches."""
    return {case: float(ratio) for case, ratio in _ROW.findall(text) if case != "a"}


def slower(before: str, now: str) -> list[str]:
    """What fell by more than a tenth, in words; a case that is gone too. Raises ValueError where nothing was known."""
    was, found = ratios(before), ratios(now)
    if not was:
        raise ValueError("the page that was committed has no figures")
    wrong = [f"({case}) is measured no more" for case in was if case not in found]
    return wrong + [
        f"({case}) reaches {found[case]:.2f} of (a); it was {was[case]:.2f}"
        for case in was
        if case in found and found[case] < was[case] * (1 - LESS_MAX)
    ]


def main() -> int:
    """Exit code 1 over a regression."""
    command = ["git", "show", f"HEAD:{PAGE}"]
    before = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wrong = slower(before, PAGE.read_text("utf-8"))
    print("\n".join(wrong) or "No case reaches less than nine tenths of what it did.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
