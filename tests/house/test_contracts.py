"""The import contracts bite: an offence of each kind, planted in a copy of the house, is found."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT

FLOORS = "Each floor imports only the floors below it"
PURE = "Domain, sources and channels touch neither I/O nor clock nor chance"
PLANTED = [  # where, what it imports, the contract that forbids it
    ("domain", "signalcraft.storage.db", FLOORS),
    ("services", "signalcraft.http", FLOORS),
    ("sources", "signalcraft.sources.sentry", "No source knows another source"),
    ("channels", "signalcraft.channels.email", "No channel knows another channel"),
    ("sources", "time", PURE),
    ("channels", "random", PURE),
    ("domain", "signalcraft.config", PURE),
    ("services", "apsw", "Only storage opens databases"),
    ("services", "httpx", "Only the postman opens outbound sockets"),
    ("http", "socket", "Only the postman opens outbound sockets"),
    ("services", "litestar", "Services know no web framework, queue or command line"),
]


def contracts(house: Path) -> str:
    """What the import linter says of a house."""
    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as go; go()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache", "--no-logo"],
        cwd=house, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "COLUMNS": "200"},
    )  # fmt: skip
    assert "Contracts" in done.stdout, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the broken contracts say of a house with every offence planted, by contract."""
    house = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "signalcraft", house / "signalcraft", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", house)
    (house / "signalcraft" / "attic.py").write_text("x = 1\n")
    for room, imported, _ in PLANTED:
        with (house / "signalcraft" / room / "planted.py").open("a") as file:
            file.write(f"import {imported}\n")
    details = contracts(house).partition("Broken contracts")[2]
    parts = re.split(r"\n([^\n]+)\n-{5,}\n", details)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("room", "imported", "contract"), PLANTED)
def test_a_planted_offence_is_found(said: dict[str, str], room: str, imported: str, contract: str) -> None:
    """By the contract that is meant for it."""
    assert re.search(rf"signalcraft\.{room}\.planted -> {re.escape(imported)}\b", said[contract])


def test_a_room_that_is_on_no_floor_is_found(said: dict[str, str]) -> None:
    """A new module at the top of the package has to say where it belongs."""
    assert "signalcraft.attic" in said[FLOORS]


def test_the_house_as_it_is_keeps_every_contract() -> None:
    """Nothing planted, nothing found."""
    assert " 0 broken" in contracts(ROOT)
