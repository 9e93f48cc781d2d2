"""The tutorial as a newcomer has it: a fresh clone, `make build`, then the page word for word, timed."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Box
from tests.cli.test_tutorial import followed
from tests.house.tree import ROOT

pytestmark = pytest.mark.trial


@pytest.mark.trial
def test_the_tutorial_in_a_scratch_folder(tmp_path: Path) -> None:
    clone, began = tmp_path / "signalcraft", time.monotonic()
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    print(f"\n{time.monotonic() - began:6.1f} s  git clone")
    began = time.monotonic()
    built = subprocess.run(["make", "--silent", "build"], cwd=clone, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    print(f"{time.monotonic() - began:6.1f} s  make build")
    box = Box(tmp_path)
    try:
        done = followed(box, f'"{clone}/.venv/bin/signalcraft"')
    finally:
        box.close()
    for one in done:
        print(f"{one.seconds:6.1f} s  {one.text.strip().splitlines()[0]}")
        for line in one.text.strip().splitlines()[1:]:
            print(f"          {line}")
        print("".join(f"            | {line}\n" for line in one.said.replace(str(tmp_path), "SCRATCH").splitlines()))
    total = sum(one.seconds for one in done)
    print(f"{total:6.1f} s  for all commands of the page, in {len(done)} blocks")
    assert total < 600
