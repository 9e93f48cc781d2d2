"""What is lost with a box, when all that is left of it is its replica."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalcraft.config.replica import Replica
from tests.trials.losing import PER_SECOND, Outcome, Trial


def check(outcome: Outcome) -> None:
    print()
    print("\n".join(outcome.lines))
    for one in outcome.rounds:
        assert one.acknowledged > PER_SECOND, "too little load to mean anything"
        assert one.wrong == []
        assert one.worth_s <= 1.0
        assert one.lost <= PER_SECOND
    assert outcome.twice == []
    assert outcome.held == 0


def test_a_lost_box_comes_back_a_second_poorer(tmp_path: Path) -> None:
    check(Trial(tmp_path, Replica(url=f"file://{tmp_path}/copy")).run(rounds=1, seconds=2.0))


@pytest.mark.trial
def test_twenty_lost_boxes_from_a_folder(tmp_path: Path) -> None:
    check(Trial(tmp_path, Replica(url=f"file://{tmp_path}/copy")).run(rounds=20))
