"""A whole SignalCraft for the tests of one file, asked over real HTTP on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.asking import OPENED, Other
from tests.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world a file: tests of a file share it, and look only at what they made."""
    with World(tmp_path_factory.mktemp("world") / "data") as it:
        yield it


@pytest.fixture(autouse=True)
def _clients_closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture(scope="module")
def other(world: World) -> Iterator[Other]:
    """A second workspace in the same box, with a key of its own."""
    with Other(world) as it:
        yield it
