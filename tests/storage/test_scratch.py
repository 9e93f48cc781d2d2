"""Folders for passing files: what a killed process left there goes when the next one is made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from signalcraft.storage.litestream.scratch import Scratch

KILLED = """
import sys, tempfile
from signalcraft.storage.litestream.scratch import Scratch
tempfile.tempdir = sys.argv[1]
made = Scratch()
(made.path / "settings").write_text("x")
print(made.path, flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing of one that lives, nor of anybody else."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "somebody-elses").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        mine = Scratch()
        assert (theirs / "settings").is_file(), "it is in use"
        process.kill()
    again = Scratch()
    assert not theirs.exists()
    assert mine.path.is_dir()
    assert mine.path.stat().st_mode & 0o077 == 0
    for one in (mine, again):
        one.remove()
    assert [one.name for one in tmp_path.iterdir()] == ["somebody-elses"]
