"""What is kept of a database from before its schema changed: verified copies in `<data>/before`, each with a manifest.

`0010-0.1.0-20261121T113000Z.db` is a database at schema 10 that SignalCraft 0.1.0 had served, copied at that time (UTC)
before a newer program migrated it. `newer-…` is one that `signalcraft migrate down` put aside.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import apsw
import msgspec
from msgspec import Struct

from signalcraft.errors import Conflict, Damaged, DiskFull, Fault
from signalcraft.storage import copies

FOLDER: Final = "before"
WANTED: Final = "wanted.json"
"""Asks the next start of an older program to go back (storage/returning.py)."""
KEEP: Final = 3
"""Copies from before a migration; those that were put aside are kept until somebody removes them."""
NEWER: Final = "newer-"
_SCRATCH: Final = ".scratch-"
RESERVE: Final = 32 << 20
"""Bytes that stay free on the disk whatever a migration needs."""


class Kept(Struct, frozen=True, kw_only=True):
    """One kept database. `program`: the version that had served it, `to`: the schema that came after, `newer`: put
    aside by a return. `since`: of one put aside, the rows in it that its successor does not have, by table.
    """

    file: str
    schema: int
    program: str
    made_ms: int
    to: int
    bytes: int
    pages: int
    rows: dict[str, int]
    sha256: str
    newer: bool = False
    since: dict[str, int] = {}


def folder(data_dir: Path) -> Path:
    """Where they are; made where it is missing, for its owner alone. Raises Fault."""
    found = data_dir / FOLDER
    try:
        found.mkdir(mode=0o700, exist_ok=True)
        _give_to_owner(found)
    except OSError as problem:
        raise Fault(f"{found} cannot be made: {problem.strerror}; nothing was changed") from None
    return found


def _give_to_owner(path: Path) -> None:
    """What root makes in a data directory belongs to whom that belongs: the service has to use it."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def kept(data_dir: Path) -> list[Kept]:
    """What is there with its manifest, the newest first."""
    found = []
    for manifest in (data_dir / FOLDER).glob("*.db.json"):
        with suppress(OSError, msgspec.MsgspecError):
            one = msgspec.json.decode(manifest.read_bytes(), type=Kept)
            if manifest.with_name(one.file).is_file():
                found.append(one)
    return sorted(found, key=lambda one: (one.made_ms, one.schema), reverse=True)


def keep(
    source: Path,
    data_dir: Path,
    *,
    schema: int,
    program: str,
    to: int,
    now_ms: int,
    newer: bool = False,
    since: dict[str, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Kept:
    """A verified copy with its manifest, durable when this returns. Raises Damaged, DiskFull or Fault:
    nothing is left then.
    """
    at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S%fZ")
    base = f"{NEWER if newer else ''}{schema:04d}-{program or 'unknown'}-{at}"
    target = folder(data_dir) / f"{base}.db"
    number = 1
    while target.exists():
        number += 1
        target = target.with_name(f"{base}-{number}.db")
    copies.copy_database(source, target, progress=progress)
    try:
        _give_to_owner(target)
        seen = copies.verified(target)
        if seen.schema != schema:
            raise Damaged(f"the copy of {source.name} says schema {seen.schema}, not {schema}")
        made = Kept(
            file=target.name, schema=schema, program=program, made_ms=now_ms, to=to, bytes=target.stat().st_size,
            pages=seen.pages, rows=seen.rows, sha256=seen.sha256, newer=newer, since=since or {},
        )  # fmt: skip
        write(target.with_name(f"{target.name}.json"), msgspec.json.encode(made))
    except BaseException:
        copies.discard(target)
        raise
    return made


def write(file: Path, content: bytes) -> None:
    """Writes a small file whole and durably. Raises DiskFull, Fault."""
    draft = file.with_name(f"{file.name}{copies.PART}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, content)
            os.fsync(handle)
        finally:
            os.close(handle)
        _give_to_owner(draft)
        draft.rename(file)
        copies.sync_folder(file.parent)
    except OSError as problem:
        draft.unlink(missing_ok=True)
        raise Fault(f"{file.name} cannot be written in {file.parent}: {problem.strerror}") from None


def sound(data_dir: Path, one: Kept) -> Path:
    """The file of a kept database, read whole once more. Raises Damaged where it is not what was kept."""
    path = data_dir / FOLDER / one.file
    seen = copies.verified(path)
    if seen.sha256 != one.sha256:
        raise Damaged(f"{path} is not what was kept: its checksum has changed")
    return path


def prune(data_dir: Path, number: int = KEEP) -> list[str]:
    """Removes all but the newest copies from before migrations; their names."""
    gone = [one for one in kept(data_dir) if not one.newer][number:]
    for one in gone:
        discard(data_dir, one)
    return [one.file for one in gone]


def discard(data_dir: Path, one: Kept) -> None:
    """Removes a kept database and its manifest."""
    copies.discard(data_dir / FOLDER / one.file)
    (data_dir / FOLDER / f"{one.file}.json").unlink(missing_ok=True)


def scratch(data_dir: Path, name: str) -> Path:
    """A place for a copy that nobody keeps, of this process; nothing is there."""
    file = folder(data_dir) / f"{_SCRATCH}{name}-{os.getpid()}.db"
    copies.discard(file)
    return file


def tidy(data_dir: Path) -> None:
    """Removes what an earlier process left half done: its scratch copies, parts, and copies without a manifest."""
    there = data_dir / FOLDER
    if not there.is_dir():
        return
    for file in there.iterdir():
        of = file.name.removeprefix(_SCRATCH).partition(".db")[0].rpartition("-")[2]
        dead = file.name.startswith(_SCRATCH) and not (of.isdigit() and _lives(int(of)))
        half = not file.name.startswith(_SCRATCH) and copies.PART in file.name
        bare = file.name.endswith(".db") and not file.with_name(f"{file.name}.json").exists()
        if dead or half or (bare and not file.name.startswith(_SCRATCH)):
            file.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    return pid != os.getpid() and Path(f"/proc/{pid}").exists()


def give_back(source: Path, target: Path) -> None:
    """Replaces everything in a database by what a kept one holds, in one transaction of SQLite's: whatever ends the
    program, the target is as it was or as the source is. Raises Fault, DiskFull: then it is as it was.
    """
    reader = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
    writer = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        writer.set_busy_timeout(5000)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            writer.execute(f"pragma {pragma}").fetchall()
        with writer.backup("main", reader, "main") as backup:
            while not backup.done:
                backup.step(512)
    except apsw.FullError:
        raise DiskFull(f"the disk is full: {target.name} could not be replaced and is as it was") from None
    except apsw.Error as problem:
        raise Fault(f"{target.name} could not be replaced by {source.name}: {problem}") from None
    finally:
        writer.close()
        reader.close()


def choose(data_dir: Path, level: int, to: int | None, at_most: int | None = None) -> Kept:
    """The newest kept database to go back to: of schema `to`, of one up to `at_most`, or any. Raises Conflict."""
    found = [one for one in kept(data_dir) if not one.newer and one.schema < level and to in (None, one.schema)]
    found = [one for one in found if at_most is None or one.schema <= at_most]
    if not found:
        there = ", ".join(str(n) for n in sorted({one.schema for one in kept(data_dir) if not one.newer}))
        wanted = f"schema {to}" if to is not None else f"before schema {level}"
        raise Conflict(
            f"no copy of {wanted} is kept in {data_dir / FOLDER} (of schema: {there or 'none'}): "
            "restore a backup with `signalcraft restore` instead"
        )
    return found[0]
