"""What is lost with a box, when all that is left of it is its replica."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalcraft.config.replica import Replica
from signalcraft.config.secret import Secret
from tests.standins.s3 import S3
from tests.trials.losing import PER_SECOND, Outcome, Trial


def check(outcome: Outcome, worth_s: float) -> None:
    print()
    print("\n".join(outcome.lines))
    for one in outcome.rounds:
        assert one.acknowledged > PER_SECOND / 2, "too little load to mean anything"
        assert one.wrong == []
        assert one.worth_s <= worth_s
        assert one.lost <= worth_s * PER_SECOND
    assert outcome.twice == []
    assert outcome.held == 0


@pytest.mark.whole
def test_a_lost_box_comes_back_a_second_poorer(tmp_path: Path) -> None:
    check(Trial(tmp_path, Replica(url=f"file://{tmp_path}/copy")).run(rounds=1, seconds=2.0), 1.0)


@pytest.mark.trial
def test_twenty_lost_boxes_from_a_folder(tmp_path: Path) -> None:
    check(Trial(tmp_path, Replica(url=f"file://{tmp_path}/copy")).run(rounds=20), 1.0)


@pytest.mark.trial
def test_five_lost_boxes_from_s3(tmp_path: Path) -> None:
    with S3() as server:
        key, secret = server.key_id, server.secret
        replica = Replica(url=server.url(), access_key_id=Secret(key), secret_access_key=Secret(secret))
        trial = Trial(tmp_path, replica, REPLICA__ACCESS_KEY_ID=key, REPLICA__SECRET_ACCESS_KEY=secret)
        check(trial.run(rounds=5), 2.0)
