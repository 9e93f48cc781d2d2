"""What the tests of the services share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.desk import Desk
from tests.services.office import Office


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as it:
        yield it


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A workspace with the Slack channels oncall and leads, and one rule that sends everything to oncall."""
    with Office(tmp_path) as it:
        it.oncall, it.leads = it.channel("oncall"), it.channel("leads")
        it.rule("oncall")
        yield it


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Office]:
    """A workspace without channels and rules."""
    with Office(tmp_path) as it:
        yield it


@pytest.fixture
def chain(bare: Office) -> Office:
    """One rule: oncall, and after 15 minutes leads."""
    bare.oncall, bare.leads = bare.channel("oncall"), bare.channel("leads")
    bare.rule(name="serious", escalate_after_minutes=15, escalate_to=["leads"])
    return bare
