"""Room on a disk: asked for before something long is written; files that are whole or not there; what went wrong."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from signalcraft.errors import Conflict, DiskFull, Fault
from signalcraft.storage.copies import PART


def need_room(folder: Path, size: int, what: str) -> None:
    """Raises DiskFull where fewer bytes than that are free."""
    free = shutil.disk_usage(folder).free
    if free < size:
        said = f"the disk of {folder} has {free >> 20} MB free, and {-(-size >> 20)} MB are needed to {what}"
        raise DiskFull(said, retry_after_s=60)


def told(problem: OSError, folder: Path, what: str) -> Fault:
    """A failure of a disk, in a sentence."""
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"the disk of {folder} is full: {what}", retry_after_s=60)
    if problem.errno == errno.EROFS:
        return Fault(f"the disk of {folder} can only be read: {what}")
    return Fault(f"{what}: {problem.filename or folder}: {problem.strerror}")


@contextmanager
def part_of(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A file to be written and renamed. It is locked as long: one that is not locked may be removed (`sweep`)."""
    part = target.with_name(target.name + PART)
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(f"{part} is being written by another process") from None
        try:
            os.ftruncate(handle, 0)
            yield part, file
        finally:
            with suppress(OSError):
                part.unlink()


def sweep(folder: Path, pattern: str) -> list[str]:
    """Removes what writers of such files left that were killed; the names. Raises OSError."""
    gone = []
    for part in sorted(folder.glob(pattern + PART)):
        with part.open("rb") as file:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            part.unlink()
            gone.append(part.name)
    return gone
