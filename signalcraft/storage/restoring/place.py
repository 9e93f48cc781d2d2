"""Where a restored box goes: made ready beside the target on the same disk, then it takes its place in one step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from signalcraft.errors import Conflict, Invalid
from signalcraft.storage import copies, disks
from signalcraft.storage.bundle import DATABASE
from signalcraft.storage.lock import LOCK, DataLock
from signalcraft.storage.room import told

SCRATCH: Final = ".restoring"
ASIDE: Final = "before-restore-"
_STAY: Final = ("backups", "reports")
"""What of the earlier content belongs to the new one too: it is not of the database."""


class Place:
    """The target and the scratch folder on the same disk. `inside`: the target itself cannot be renamed."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.there = target.is_dir() and any(entry.name != LOCK for entry in target.iterdir())
        self.inside = target.is_dir() and (target.is_mount() or not os.access(target.parent, os.W_OK))
        self.scratch = target / SCRATCH if self.inside else target.with_name(target.name + SCRATCH)

    def swap(self, now_ms: int) -> str | None:
        """What is ready takes its place; where the earlier content lies now. Raises OSError, having undone it."""
        at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        owner = self.target.stat() if self.target.is_dir() else None
        if owner is not None and os.geteuid() == 0 and owner.st_uid != 0:
            _give(self.scratch, owner.st_uid, owner.st_gid)
        aside = self._swap_inside(at) if self.inside else self._swap_beside(at)
        for name in _STAY if aside is not None else ():
            kept = Path(str(aside)) / name
            if kept.is_dir() and not (self.target / name).exists():
                kept.rename(self.target / name)
        return aside

    def _swap_beside(self, at: str) -> str | None:
        aside = _free(self.target.with_name(f"{self.target.name}.{ASIDE}{at}")) if self.there else None
        if aside is not None:
            self.target.rename(aside)
        elif self.target.is_dir():
            (self.target / LOCK).unlink(missing_ok=True)
        try:
            self.scratch.rename(self.target)
        except OSError:
            if aside is not None and not self.target.exists():
                aside.rename(self.target)
            raise
        copies.sync_folder(self.target.parent)
        return None if aside is None else str(aside)

    def _swap_inside(self, at: str) -> str | None:
        old = [entry for entry in self.target.iterdir() if entry.name not in (LOCK, SCRATCH)]
        aside = _free(self.target / f"{ASIDE}{at}") if old else None
        if aside is not None:
            aside.mkdir(mode=0o700)
            for entry in sorted(old, key=lambda one: one.name.startswith(DATABASE)):
                entry.rename(aside / entry.name)
        # The database comes last: without it, nobody takes what is there for whole.
        for entry in sorted(self.scratch.iterdir(), key=lambda one: one.name == DATABASE):
            entry.rename(self.target / entry.name)
        copies.sync_folder(self.target)
        self.scratch.rmdir()
        return None if aside is None else str(aside)


@contextmanager
def emptied(target: Path, consent: bool) -> Iterator[Place]:
    """The place, empty and its own process's; the scratch folder is gone afterwards whatever happens."""
    if target.exists() and not target.is_dir():
        raise Invalid(f"{target} is no directory", path="to")
    lock: DataLock | None = None
    place: Place | None = None
    try:
        place = Place(target)
        if place.there:
            lock = DataLock(target)
            lock.take("restore")
            if not consent:
                raise Conflict(
                    f"{target} is not empty: with --yes it is moved aside (not deleted), and the restored one put there"
                )
        shutil.rmtree(place.scratch, ignore_errors=True)
        place.scratch.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        disks.refuse_network(place.scratch.parent)
        yield place
    except OSError as problem:
        raise told(problem, target.parent, "nothing was restored") from None
    finally:
        if place is not None:
            shutil.rmtree(place.scratch, ignore_errors=True)
            shutil.rmtree(place.scratch.with_name(place.scratch.name + copies.PART), ignore_errors=True)
        if lock is not None:
            with suppress(OSError):
                lock.release()


def _free(wanted: Path) -> Path:
    found, number = wanted, 1
    while found.exists():
        number += 1
        found = wanted.with_name(f"{wanted.name}-{number}")
    return found


def _give(folder: Path, uid: int, gid: int) -> None:
    """Root restores for the account that the service runs as."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)
