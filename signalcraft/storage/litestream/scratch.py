"""A folder for the files of one call. Its lock is held as long as its process lives: what a killed one left is known by
that, and goes as soon as another is made.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

PREFIX: Final = "signalcraft-replica-"


class Scratch:
    """Made empty, removed at the end. Only its owner may look into it."""

    def __init__(self) -> None:
        _tidy(Path(tempfile.gettempdir()))
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            held = _held(self.path, fcntl.LOCK_SH)
            if held is not None:
                self._lock = held
                return

    def remove(self) -> None:
        """With all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _held(folder: Path, how: int) -> int | None:
    """The folder's lock, None where somebody else has it or the folder is gone meanwhile."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), folder.lstat()):
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _tidy(folder: Path) -> None:
    for one in folder.glob(f"{PREFIX}*"):
        try:
            ours = one.lstat().st_uid == os.geteuid()
        except OSError:
            continue
        lock = _held(one, fcntl.LOCK_EX) if ours else None
        if lock is not None:
            shutil.rmtree(one, ignore_errors=True)
            os.close(lock)
