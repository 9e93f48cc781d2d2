"""The quarterly report of the restore drills."""

from __future__ import annotations

import pytest

from signalcraft.domain.drillreport import Tried, bounds_ms, quarter, report

ZONE = "Europe/Berlin"


@pytest.mark.parametrize(("number", "days"), [(1, 90), (2, 91), (3, 92), (4, 92)])
def test_a_quarter_begins_and_ends_at_local_midnight(number: int, days: int) -> None:
    first_ms, after_ms = bounds_ms(2026, number, ZONE)
    assert quarter(first_ms, ZONE) == quarter(after_ms - 1, ZONE) == (2026, number)
    assert quarter(first_ms - 1, ZONE) != (2026, number) != quarter(after_ms, ZONE)
    clock_ms = {1: -3_600_000, 4: 3_600_000}.get(number, 0)  # summer begins, and ends
    assert after_ms - first_ms == days * 86_400_000 + clock_ms


def tried(source: str, *, well: bool = True, rto_s: float | None = 4.2, rpo_s: float | None = 0.4) -> Tried:
    said = "" if well else "a | is missing"
    return Tried(source=source, at_ms=1_767_229_200_000, well=well, rto_s=rto_s, rpo_s=rpo_s, said=said)


def test_it_says_what_was_tried_and_what_came_of_it() -> None:
    every = [
        tried("replica"), tried("replica", rto_s=95.0), tried("backup", rto_s=400.0, rpo_s=20 * 3600.0),
        tried("backup", well=False, rto_s=None, rpo_s=None), tried("tape", rpo_s=9_000.0),
    ]  # fmt: skip
    text = report(2026, 1, ZONE, every, "1.2.0")
    assert text.startswith("# Restore drills, 2026 Q1\n")
    assert "Written by SignalCraft 1.2.0;" in text
    lines = text.splitlines()
    assert "| the replica | 2 | 2 | 95 s | 0.4 s (aim ≤ 10 s) |" in lines
    assert "| the newest backup | 2 | 1 | 7 min | 20.0 h (aim ≤ 26.0 h) |" in lines
    assert "| 2026-01-01 02:00 CET | the replica | well | 4.2 s | 0.4 s |" in lines
    assert "| 2026-01-01 02:00 CET | the newest backup | **failed**: a / is missing | – | – |" in lines
    assert "| 2026-01-01 02:00 CET | tape | well | 4.2 s | 150 min |" in lines


def test_a_quarter_without_a_drill_says_so() -> None:
    assert "| nothing | 0 | 0 | | |" in report(2026, 2, ZONE, [], "1.2.0").splitlines()
