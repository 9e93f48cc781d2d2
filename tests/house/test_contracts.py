"""The import contracts bite: a planted offence of each kind is found, by name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT

PLANTED = [
    ("domain/planted.py", "import signalcraft.storage.db", "Each floor imports only the floors below it"),
    ("services/planted.py", "import signalcraft.http", "Each floor imports only the floors below it"),
    ("attic.py", "x = 1", "Each floor imports only the floors below it"),
    ("sources/planted.py", "import signalcraft.sources.sentry", "No source knows another source"),
    ("channels/planted.py", "import signalcraft.channels.email", "No channel knows another channel"),
    ("sources/planted.py", "import time", "Domain, sources and channels touch neither I/O nor clock nor chance"),
    ("domain/planted.py", "import signalcraft.config", "Domain, sources and channels touch neither I/O nor clock nor"),
    ("services/planted.py", "import apsw", "Only storage opens databases"),
    ("services/planted.py", "import httpx", "Only the postman opens outbound sockets"),
    ("services/planted.py", "import litestar", "Services know no web framework, queue or command line"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The house, to plant in."""
    there = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "signalcraft", there / "signalcraft", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", there)
    return there


def broken(house: Path) -> list[str]:
    """The names of the contracts that do not hold."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, '.'); {code}", "--no-cache"],
        cwd=house, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "COLUMNS": "200"},
    )  # fmt: skip
    assert "Contracts" in done.stdout, done.stdout + done.stderr
    return [line.partition(" BROKEN")[0] for line in done.stdout.splitlines() if " BROKEN" in line]


def test_the_house_as_it_is_keeps_every_contract(copy: Path) -> None:
    """Nothing planted, nothing found."""
    assert broken(copy) == []


@pytest.mark.parametrize(("place", "line", "contract"), PLANTED)
def test_a_planted_offence_is_found(copy: Path, place: str, line: str, contract: str) -> None:
    """By the contract that is meant for it."""
    file = copy / "signalcraft" / place
    file.write_text(f"{line}\n")
    try:
        assert [name for name in broken(copy) if name.startswith(contract)]
    finally:
        file.unlink()
