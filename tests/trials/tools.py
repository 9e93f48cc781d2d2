"""Linters and schemas of other people's, in an environment of their own that is thrown away: too heavy for the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = ROOT / ".venv/bin/uv"


def environment(folder: Path, *packages: str, python: str = sys.executable) -> Path:
    """A fresh environment with these packages; its folder of programs. Where it cannot be had, the test is skipped."""
    env = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    for command in (
        [str(UV), "venv", "--quiet", "--python", python, str(folder)],
        [str(UV), "pip", "install", "--quiet", "--python", str(folder / "bin/python"), *packages],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"!! NOT CHECKED: {' '.join(packages)} cannot be installed here: {done.stderr.strip()[-200:]}")
    return folder / "bin"


def ran(*command: str | Path, cwd: Path = ROOT, code: int = 0, env: Mapping[str, str] | None = None) -> str:
    """Runs a program to its end and expects an exit code; all that it said."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
