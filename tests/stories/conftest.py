"""The world of a story."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A SignalCraft with an empty data directory, at 09:00 on a Monday."""
    with World(tmp_path / "data") as it:
        yield it
