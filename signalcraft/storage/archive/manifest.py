"""The list of a workspace's archive: each file with its digest, its rows and the times it spans."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct, structs

from signalcraft.errors import Damaged, DiskFull, Fault

FOLDER: Final = "archive"
NAME: Final = "manifest.json"
PART: Final = ".part"


class Entry(Struct, frozen=True, kw_only=True):
    """One file. `path`: below the workspace's folder. `pending`: its rows are not all deleted from the database yet.

    Times are those of its rows, in ms; `first_id` and `last_id` of a table without ids are those of its groups.
    """

    path: str
    table: str
    month: str
    rows: int
    first_id: int
    last_id: int
    from_ms: int
    until_ms: int
    sha256: str
    bytes: int
    state: Literal["pending", "done"] = "pending"


class Manifest(Struct, frozen=True, kw_only=True):
    """All of them. `number`: of the newest file; no number is used twice."""

    version: int = 1
    number: int = 0
    files: tuple[Entry, ...] = ()


class Shelf:
    """The archive of one workspace. Changed by one at a time (services/care keeps a lock)."""

    def __init__(self, data_dir: Path, workspace_id: int) -> None:
        self.root = data_dir / FOLDER / str(workspace_id)

    def read(self) -> Manifest:
        """The list; an empty one where nothing was archived yet. Raises Damaged."""
        try:
            return msgspec.json.decode((self.root / NAME).read_bytes(), type=Manifest)
        except FileNotFoundError:
            return Manifest()
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise Damaged(f"{self.root / NAME} cannot be read: take it from a backup") from None
        except OSError as problem:
            raise Fault(f"{self.root / NAME} cannot be read: {problem.strerror}") from None

    def next(self, table: str, month: str) -> str:
        """The path of a new file, below the folder. Raises DiskFull, Fault."""
        manifest = self.read()
        self._write(structs.replace(manifest, number=manifest.number + 1))
        folder = self.root / table
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return f"{table}/{month}.{manifest.number + 1}.parquet"

    def add(self, *entries: Entry) -> None:
        """More files, or the same ones in another state. Raises DiskFull, Fault."""
        known = {one.path: one for one in self.read().files} | {one.path: one for one in entries}
        self._put(known)

    def drop(self, *paths: str, instead: tuple[Entry, ...] = ()) -> None:
        """Files that go, and what takes their place: the list first, then the files. Raises DiskFull, Fault."""
        known = {one.path: one for one in self.read().files if one.path not in paths}
        self._put(known | {one.path: one for one in instead})
        for path in paths:
            (self.root / path).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Deletes what no list names: files that were cut off while they were written. How many."""
        named = {one.path for one in self.read().files}
        gone = 0
        for file in self.root.glob("*/*"):
            if str(file.relative_to(self.root)) not in named:
                file.unlink(missing_ok=True)
                gone += 1
        return gone

    def _put(self, known: dict[str, Entry]) -> None:
        files = tuple(sorted(known.values(), key=lambda one: (one.month, one.table, one.first_id)))
        self._write(structs.replace(self.read(), files=files))

    def _write(self, manifest: Manifest) -> None:
        part = self.root / (NAME + PART)
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
                file.flush()
                os.fsync(file.fileno())
            part.rename(self.root / NAME)
            sync(self.root)
        except OSError as problem:
            part.unlink(missing_ok=True)
            raise trouble(problem, self.root) from None


def trouble(problem: OSError, where: Path) -> Fault:
    """What a failure of the disk is called."""
    import errno

    if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull(f"the disk of {where} is full: nothing is deleted that was not archived", retry_after_s=30)
    return Fault(f"{where} cannot be written: {problem.strerror}")


def sync(folder: Path) -> None:
    """Makes renames in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
