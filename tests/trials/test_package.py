"""The program as the package lays it down: the browser's journeys and the crash rounds, as they pass for the checkout.

The .deb is the one that `make packages` made, or that lies in the folder $SIGNALCRAFT_DIST. It is unpacked and not
installed: what the service around it does is tried in tests/trials/test_installed.py.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from signalcraft import __version__
from tests.given import GIVEN
from tests.house.tree import ROOT
from tests.trials.test_binary import JOURNEYS, against, told

pytestmark = pytest.mark.trial


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program out of the package; without one nothing can be tried, which is said."""
    dist = Path(GIVEN["SIGNALCRAFT_DIST"] or ROOT / ".build/dist").absolute()
    found = list(dist.glob(f"*_{__version__}_*.deb"))
    if not found:
        pytest.skip("!! NOT RUN: there is no package (make packages): its journeys and crash rounds")
    folder = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["dpkg-deb", "-x", found[0], folder], check=True)
    return folder / "usr/lib/signalcraft/program/signalcraft"


def test_it_is_the_program_of_the_package(program: Path) -> None:
    said = subprocess.run([program, "version", "--all", "--json"], capture_output=True, text=True, check=True).stdout
    told(said.strip())
    assert json.loads(said)["version"] == __version__


@pytest.mark.parametrize("pages", JOURNEYS)
def test_the_browsers_journeys(program: Path, pages: str) -> None:
    files = [f"tests/e2e/test_{name}.py" for name in pages.split()]
    told(against(*files, minutes=30, program=program))


def test_the_crash_rounds(program: Path) -> None:
    """kill -9 under load, as tests/trials/test_crash.py does it to the checkout."""
    told(against("tests/trials/test_crash.py::test_eight_kills_under_load", "-s", minutes=15, program=program))
