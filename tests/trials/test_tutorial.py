"""The tutorial in a scratch folder, word for word: every command with its output, timed; and from a fresh clone."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Box
from tests.cli.test_tutorial import followed
from tests.house.tree import ROOT

pytestmark = pytest.mark.trial


def timed(root: Path, program: Path) -> None:
    """Follows the page with that program and prints what a person would see, with the seconds of each block."""
    box = Box(root)
    try:
        done = followed(box, f'"{program}"')
    finally:
        box.close()
    print()
    for one in done:
        first, *rest = one.text.strip().splitlines()
        print(f"{one.seconds:6.1f} s  $ {first}")
        print("".join(f"          $ {line}\n" for line in rest), end="")
        print("".join(f"            {line}\n" for line in one.said.replace(str(root), "SCRATCH").splitlines()))
    total = sum(one.seconds for one in done)
    print(f"{total:6.1f} s  for all commands of the page, in {len(done)} blocks; each printed what the page says")
    assert total < 600


def test_the_tutorial_in_a_scratch_folder(tmp_path: Path) -> None:
    """With what `make build` left in this checkout."""
    timed(tmp_path, ROOT / ".venv/bin/signalcraft")


def test_the_tutorial_from_a_fresh_clone(tmp_path: Path) -> None:
    """As a newcomer has it: clone, `make build`, and on."""
    clone, began = tmp_path / "signalcraft", time.monotonic()
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    print(f"\n{time.monotonic() - began:6.1f} s  git clone")
    began = time.monotonic()
    built = subprocess.run(["make", "--silent", "build"], cwd=clone, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    print(f"{time.monotonic() - began:6.1f} s  make build")
    timed(tmp_path, clone / ".venv/bin/signalcraft")
