"""The quarterly report of the restore drills, as Markdown: what was tried, what came of it, how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

RTO_S: Final = 15 * 60
"""From nothing to a restored database: what is aimed at."""
RPO_S: Final = {"replica": 10, "backup": 26 * 3600}
"""What may be lost, by what it is restored from: what is aimed at."""
LABELS: Final = {"replica": "the replica", "backup": "the newest backup"}


class Tried(Struct, frozen=True, kw_only=True):
    """One source in one drill. `rto_s`: how long the restore took; `rpo_s`: how much a loss then would have cost."""

    source: str
    at_ms: int
    well: bool
    rto_s: float | None
    rpo_s: float | None
    said: str


def quarter(at_ms: int, zone: str) -> tuple[int, int]:
    """The year and the quarter (1 to 4) of a moment."""
    at = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    return at.year, (at.month - 1) // 3 + 1


def bounds_ms(year: int, number: int, zone: str) -> tuple[int, int]:
    """Where a quarter begins and where it ends, in ms."""
    first = datetime(year, 3 * number - 2, 1, tzinfo=ZoneInfo(zone))
    after = datetime(year + (number == 4), 3 * number % 12 + 1, 1, tzinfo=ZoneInfo(zone))
    return int(first.timestamp() * 1000), int(after.timestamp() * 1000)


def report(year: int, number: int, zone: str, tried: Sequence[Tried], version: str) -> str:
    """The whole text. `tried` in order of time."""
    lines = [
        f"# Restore drills, {year} Q{number}",
        "",
        "Each night SignalCraft restores its newest backup and its replica into a scratch directory and looks whether"
        " they are whole. Written by SignalCraft " + version + "; it is written anew after each drill.",
        "",
        "| Restored from | Drills | Went well | Longest restore (aim ≤ 15 min) | Most that a loss would have cost |",
        "|---|---|---|---|---|",
    ]
    for source, label in LABELS.items():
        own = [one for one in tried if one.source == source]
        if own:
            rto = max((one.rto_s for one in own if one.rto_s is not None), default=None)
            rpo = max((one.rpo_s for one in own if one.rpo_s is not None), default=None)
            well = sum(one.well for one in own)
            lines.append(
                f"| {label} | {len(own)} | {well} | {_span(rto)} | {_span(rpo)} (aim ≤ {_span(RPO_S[source])}) |"
            )
    if not tried:
        lines.append("| nothing | 0 | 0 | | |")
    lines += [
        "",
        "## Each drill",
        "",
        "| When | From | Result | Restore took | A loss would have cost |",
        "|---|---|---|---|---|",
    ]
    for one in tried:
        at = datetime.fromtimestamp(one.at_ms / 1000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M %Z")
        result = "well" if one.well else f"**failed**: {one.said.replace('|', '/')}"
        lines.append(
            f"| {at} | {LABELS.get(one.source, one.source)} | {result} | {_span(one.rto_s)} | {_span(one.rpo_s)} |"
        )
    return "\n".join(lines) + "\n"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 180:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3 * 3600 else f"{seconds / 3600:.1f} h"
