"""A SignalCraft whose people come by single sign-on, from a provider that says what the test wants."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.issuing import Issuer, trusting
from tests.world import World


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as it:
        yield it


@pytest.fixture(autouse=True)
def _honest(issuer: Issuer) -> None:
    issuer.honest()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[World]:
    with trusting(issuer, tmp_path_factory.mktemp("world") / "data") as it:
        yield it
