"""How long an overview takes beside five million events, each read anew: nothing that is kept answers it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import overview


@pytest.mark.trial
def test_overviews_beside_five_million_events_take_less_than_50_ms(tmp_path: Path) -> None:
    """The p95 of sixty, of every range that the dashboard offers."""
    found = overview.figures(tmp_path)
    assert found.keys() == set(overview.RANGES)
    assert {word: one["p95"] for word, one in found.items() if one["p95"] >= 50} == {}
