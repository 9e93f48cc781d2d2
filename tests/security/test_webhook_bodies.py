"""Bodies that no sender means, at every webhook route: refused, quarantined or taken in, never a fault of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from signalcraft.services.ingest import Ingest
from tests.security.ground import Ground
from tests.security.inside import posts
from tests.security.webhook_bodies import KINDS, some


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Ground(tmp_path_factory.mktemp("ground")) as it:
        yield it


@pytest.mark.parametrize("kind", KINDS)
def test_five_hundred_random_bodies_are_no_fault_of_ours(ground: Ground, kind: str) -> None:
    told = posts(ground, kind, 500)
    print(kind, dict(told))
    assert told.wrong == []
    assert told.total() == 500
    assert {status for status in told if status < 300}, "some of them are read"
    assert {status for status in told if 400 <= status < 500}, "some of them are not"


def test_a_fault_of_ours_is_found(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("of ours")

    monkeypatch.setattr(Ingest, "receive", broken)
    told = posts(ground, "generic", 5)
    assert len(told.wrong) == 5


def test_the_bodies_are_the_same_every_time_and_of_many_forms() -> None:
    assert list(some("slack", 20, 7)) == list(some("slack", 20, 7))
    assert len({body for body, _ in some("generic", 200, 3)}) > 150
