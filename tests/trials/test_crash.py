"""The delivery promise under kill -9, on real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trials import crash


def check(outcome: crash.Outcome) -> None:
    print()
    print("\n".join(outcome.lines))
    assert outcome.acknowledged > 10 * outcome.rounds, "too little load to mean anything"
    assert outcome.missing_events == []
    assert outcome.wrong_counts == []
    assert outcome.untold == []
    assert all(number <= outcome.rounds for number in outcome.duplicates.values()), outcome.duplicates


def test_eight_kills_under_load(tmp_path: Path) -> None:
    check(crash.run(tmp_path, rounds=8))


@pytest.mark.trial
def test_fifty_kills_under_load(tmp_path: Path) -> None:
    check(crash.run(tmp_path, rounds=50, seed=7))
