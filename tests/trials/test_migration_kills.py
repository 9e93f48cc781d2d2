"""Killed at any point of a migration: the old schema or the new one, with every row, and the next start goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trials import migration_kills


def check(outcome: migration_kills.Outcome, rounds: int) -> None:
    print()
    print("\n".join(outcome.lines))
    assert outcome.rounds == rounds
    assert outcome.wrong == []


@pytest.mark.whole
def test_eight_kills_inside_migrations(tmp_path: Path) -> None:
    check(migration_kills.run(tmp_path, 8, events=2_000, seed=3), 8)


@pytest.mark.trial
def test_a_hundred_kills_inside_migrations(tmp_path: Path) -> None:
    """MIG-1: while copying, backing up, migrating, looking, and returning."""
    outcome = migration_kills.run(tmp_path, 100, events=20_000, seed=11)
    check(outcome, 100)
    assert len(outcome.stages) >= 6, "the kills met too few stages to mean anything"
    assert len(outcome.found) >= 4, "no kill came before the end, or none after it"
