"""Making, verifying and pruning backups: what the child process does (storage/backup/child.py runs it)."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct
from nacl.public import PrivateKey

from signalcraft.domain import keeping
from signalcraft.errors import Conflict, Damaged, Fault
from signalcraft.storage import bundle
from signalcraft.storage.backup import gather, shelf
from signalcraft.storage.bundle import DATABASE, SUFFIX, Manifest, Opener
from signalcraft.storage.copies import copy_database, sha256_of, sync_folder, verified
from signalcraft.storage.room import need_room, part_of, sweep, told

STAGING: Final = "backup-staging"
"""Where the copy of the database lies while a backup is made, in the data directory."""
PATTERN: Final = f"signalcraft-*{SUFFIX}"
REBUILT: Final = "metrics.duckdb is not in it: it is rebuilt from the database and the archive"
_RESERVE: Final = 16 << 20
_BLOCK: Final = 1 << 20

Heard = Callable[[str, int, int], None]
"""Hears what is being done (copy, check, write, verify, send), how far it is, and of how much."""


class Make(Struct, frozen=True, kw_only=True, tag="make"):
    """One backup. No private key is in it. `files`: members that are not on the disk."""

    data_dir: str
    folder: str
    copy_to: str
    box: str
    created_ms: int
    program: str
    build: str
    master: str
    config_file: str | None
    files: dict[str, bytes]
    openers: list[Opener]
    left_out: list[str]


class Verify(Struct, frozen=True, kw_only=True, tag="verify"):
    """Reading backups whole. `keys`: private parts that may open them."""

    files: list[str]
    keys: list[bytes]


class Prune(Struct, frozen=True, kw_only=True, tag="prune"):
    """Removing the box's backups that are older than so many days."""

    folders: list[str]
    box: str
    days: int
    now_ms: int
    keys: list[bytes]
    dry: bool = False


Job = Make | Verify | Prune


class Made(Struct, frozen=True, kw_only=True, tag="made"):
    """A backup that was written and read back. Bytes; `unpacked`: of all members. `copied_to`: "" for no second one."""

    name: str
    path: str
    bytes: int
    unpacked: int
    schema: int
    rows: int
    members: int
    sha256: str
    copied_to: str
    trouble: str = ""


class Judged(Struct, frozen=True, kw_only=True):
    """What came of reading one backup. `code`: of the fault, "" for a sound one; `said`: the fault's sentence."""

    file: str
    code: str = ""
    said: str = ""
    box: str = ""
    created_ms: int = 0
    schema: int = 0
    rows: int = 0
    members: int = 0
    unpacked: int = 0


class Verified(Struct, frozen=True, tag="verified"):
    """Each file, in the order in which they were asked."""

    judged: list[Judged]


class Pruned(Struct, frozen=True, kw_only=True, tag="pruned"):
    """Paths that went (or would). `proven`: the newest of each folder that was read whole, and stays."""

    gone: list[str]
    proven: list[str]
    bytes: int
    kept: int


Done = Made | Verified | Pruned


# -- making -----------------------------------------------------------------------------------------------------------


def make(job: Make, heard: Heard) -> Made:
    """Writes the backup, reads it back, copies it. Raises DiskFull, Damaged, Conflict, Fault: having left nothing.

    A second directory that fails is no reason to throw the first away: it is told in `trouble`.
    """
    folder, data_dir = Path(job.folder), Path(job.data_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep(folder, PATTERN)
    except OSError as problem:
        raise told(problem, folder, "no backup was made") from None
    target = _free_name(folder, job.created_ms)
    with _staging(data_dir) as staging:
        source = data_dir / DATABASE
        size = _database_size(source)
        need_room(staging, size + _RESERVE, "copy the database")
        copy = staging / DATABASE
        copy_database(source, copy, progress=lambda done, of: heard("copy", done, of))
        heard("check", 0, 1)
        seen = verified(copy)
        try:
            archived = gather.archive(data_dir, staging)
            sources: dict[str, Path | bytes] = {DATABASE: copy, **archived, **job.files}
            members = gather.members(sources)
        except OSError as problem:
            raise told(problem, data_dir, "no backup was made") from None
        heard("check", 1, 1)
        manifest = Manifest(
            format=bundle.FORMAT, box=job.box, created_ms=job.created_ms, program=job.program, build=job.build,
            schema=seen.schema, master=job.master, data_dir=job.data_dir, config_file=job.config_file, rows=seen.rows,
            members=members, left_out=(REBUILT, *job.left_out),
        )  # fmt: skip
        need_room(folder, _expected(folder, job.box, manifest) + _RESERVE, "write the backup")
        written = bundle.write_bundle(
            target, manifest, sources, job.openers,
            progress=lambda done, of: heard("write", done, of), verifying=lambda done, of: heard("verify", done, of),
        )  # fmt: skip
    copied, trouble = "", ""
    if job.copy_to:
        try:
            copied = str(_copied(target, Path(job.copy_to), heard))
        except Fault as fault:
            trouble = f"{target} was written, and not copied to {job.copy_to}: {fault.detail}"
    return Made(
        name=target.name, path=str(target), bytes=written, unpacked=manifest.size, schema=seen.schema,
        rows=sum(seen.rows.values()), members=len(members), sha256=sha256_of(target), copied_to=copied, trouble=trouble,
    )  # fmt: skip


def _free_name(folder: Path, at_ms: int) -> Path:
    base = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("signalcraft-%Y%m%d-%H%M%S")
    number, target = 1, folder / f"{base}{SUFFIX}"
    while target.exists():
        number += 1
        target = folder / f"{base}-{number}{SUFFIX}"
    return target


@contextmanager
def _staging(data_dir: Path) -> Iterator[Path]:
    """An empty folder for one backup at a time; what a killed one left is removed."""
    folder = data_dir / STAGING
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as problem:
        raise told(problem, data_dir, "no backup was made") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict("a backup of this data directory is being made by another process") from None
        _emptied(folder)
        yield folder
    finally:
        _emptied(folder)
        os.close(handle)


def _emptied(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _database_size(source: Path) -> int:
    found = 0
    for file in (source, source.with_name(source.name + "-wal")):
        try:
            found += file.stat().st_size
        except OSError:
            continue
    return found


def _expected(folder: Path, box: str, manifest: Manifest) -> int:
    """What the file will take: a quarter more than the last one took, or a third of what goes into the first."""
    last = next((one for one in shelf.listed(folder) if one.box == box), None)
    return manifest.size // 3 if last is None else last.bytes + last.bytes // 4


def _copied(source: Path, folder: Path, heard: Heard) -> Path:
    """The file once more in a second directory, read back. Raises DiskFull, Damaged, Fault."""
    if not folder.is_dir():
        raise Fault(f"{folder} is not there: is it mounted?")
    target, size = folder / source.name, source.stat().st_size
    try:
        sweep(folder, PATTERN)
        if target.exists():
            raise Conflict(f"{target} is there already")
        need_room(folder, size + _RESERVE, "copy the backup")
        digest, done = hashlib.sha256(), 0
        with part_of(target) as (part, file):
            with source.open("rb") as opened:
                while block := opened.read(_BLOCK):
                    file.write(block)
                    digest.update(block)
                    done += len(block)
                    heard("send", done, size)
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if sha256_of(part) != digest.hexdigest():
                raise Damaged(f"{folder} gives back something else than was written")
            part.rename(target)
        sync_folder(folder)
    except OSError as problem:
        raise told(problem, folder, f"{target.name} was not copied") from None
    return target


# -- verifying and pruning --------------------------------------------------------------------------------------------


def verify(job: Verify, heard: Heard) -> Verified:
    """Each of the files, read whole."""
    keys = [PrivateKey(key) for key in job.keys]
    return Verified([judge(Path(file), keys, heard) for file in job.files])


def judge(file: Path, keys: list[PrivateKey], heard: Heard) -> Judged:
    """One file, read whole."""
    try:
        manifest = bundle.verify(file, *keys, progress=lambda done, of: heard("verify", done, of))
    except Fault as fault:
        return Judged(file=str(file), code=fault.code, said=fault.detail)
    return Judged(
        file=str(file), box=manifest.box, created_ms=manifest.created_ms, schema=manifest.schema,
        rows=sum(manifest.rows.values()), members=len(manifest.members), unpacked=manifest.size,
    )  # fmt: skip


def prune(job: Prune, heard: Heard) -> Pruned:
    """Removes what is too old from each folder, never the newest that is sound. What is not this box's stays."""
    keys = [PrivateKey(key) for key in job.keys]
    gone, proven, freed, kept = list[str](), list[str](), 0, 0
    for folder in map(Path, job.folders):
        own = [one for one in shelf.listed(folder) if one.box == job.box]
        sound = next((one.name for one in own if _sound(folder / one.name, keys, heard)), None)
        if sound is not None:
            proven.append(str(folder / sound))
        sizes = {one.name: one.bytes for one in own}
        dates = [keeping.Kept(one.name, one.created_ms) for one in own]
        kept += len(own)
        for name in keeping.expired(dates, sound, job.days, job.now_ms):
            if not job.dry:
                try:
                    (folder / name).unlink(missing_ok=True)
                except OSError as problem:
                    raise told(problem, folder, f"{name} could not be removed") from None
            gone.append(str(folder / name))
            freed += sizes[name]
            kept -= 1
    return Pruned(gone=gone, proven=proven, bytes=freed, kept=kept)


def _sound(file: Path, keys: list[PrivateKey], heard: Heard) -> bool:
    try:
        bundle.verify(file, *keys, progress=lambda done, of: heard("verify", done, of))
    except Fault:
        return False
    return True


def do(job: Job, heard: Heard) -> Done:
    """Whatever is asked."""
    if isinstance(job, Make):
        return make(job, heard)
    return verify(job, heard) if isinstance(job, Verify) else prune(job, heard)
