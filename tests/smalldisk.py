"""A small file system in memory, to fill: a disk that is really full, not one that is said to be."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def mounted(place: Path, size: int) -> str:
    """Mounts one of so many bytes on a new folder; why it cannot be done here, "" where it was."""
    place.mkdir()
    if os.geteuid() != 0:
        return "only root can mount one"
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stderr.strip() or "mount failed") if done.returncode else ""


def unmounted(place: Path, *, lazy: bool = False) -> None:
    """Takes it away. `lazy`: also from a process that still has a file open there; else that is an error."""
    subprocess.run(["umount", *(["--lazy"] if lazy else []), str(place)], check=True)


@contextmanager
def small_disk(place: Path, size: int, *, lazy: bool = False) -> Iterator[Path]:
    """One of so many bytes, as long as this lasts. A machine that mounts none skips the test, which is counted."""
    why_not = mounted(place, size)
    if why_not:
        pytest.skip(f"!! no small disk can be mounted here ({why_not}): a full disk is NOT CHECKED")
    try:
        yield place
    finally:
        unmounted(place, lazy=lazy)
