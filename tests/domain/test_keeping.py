"""Which backups go: presets, the newest sound one, and clocks that were wrong."""

from __future__ import annotations

import pytest

from signalcraft.config.backup import DAYS
from signalcraft.domain.keeping import DAY_MS, Kept, expired

NOW = 1_760_000_000_000


def aged(*days: float) -> list[Kept]:
    return [Kept(f"d{day:g}", NOW - round(day * DAY_MS)) for day in days]


@pytest.mark.parametrize(
    ("preset", "stay", "go"),
    [
        ("30d", [0, 1, 29, 30], [30.01, 31, 89, 365]),
        ("90d", [0, 30.01, 89, 90], [90.01, 364, 366]),
        ("1y", [0, 90.01, 364, 365], [365.01, 366, 1000]),
    ],
)
def test_each_preset_keeps_what_it_says(preset: str, stay: list[float], go: list[float]) -> None:
    gone = expired(aged(*stay, *go), "d0", DAYS[preset], NOW)
    assert gone == [one.name for one in aged(*sorted(go, reverse=True))]


def test_a_month_of_nights_keeps_thirty_days_of_them() -> None:
    kept = aged(*range(400))
    for preset, days in DAYS.items():
        assert len(kept) - len(expired(kept, "d0", days, NOW)) == days + 1, preset


def test_the_newest_sound_one_stays_however_old_it_is() -> None:
    assert expired(aged(100, 200, 300), "d200", 30, NOW) == ["d300", "d100"]


def test_without_a_sound_one_nothing_goes() -> None:
    assert expired(aged(100, 200, 300), None, 30, NOW) == []


def test_one_from_the_future_stays() -> None:
    assert expired(aged(-500, 1), "d1", 30, NOW) == []
