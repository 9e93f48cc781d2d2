"""The files of the repository, as the house tests look at them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def files() -> tuple[str, ...]:
    """Every file that git knows or would take in, by its path from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return tuple(sorted(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()))


def python_files(*folders: str) -> list[str]:
    """The Python files, of these top-level folders where some are named."""
    return [name for name in files() if name.endswith(".py") and (not folders or name.split("/")[0] in folders)]


def text_files() -> Iterator[tuple[str, str]]:
    """Path and text of every file that holds text."""
    for name in files():
        try:
            yield name, (ROOT / name).read_text("utf-8")
        except UnicodeDecodeError:
            continue


@cache
def parsed(name: str) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse((ROOT / name).read_text("utf-8"), filename=name)
