"""Restoring: everything is made ready in a folder beside the target, checked, and then takes its place in one step."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import apsw
import msgspec
from msgspec import Struct

from signalcraft.config.replica import Replica
from signalcraft.domain.wording import rfc3339
from signalcraft.errors import BadSetting, Conflict, Damaged, Foreign, Invalid, WrongKey
from signalcraft.storage import bundle, bundlekeys, copies, disks, hold, litestream, migrate
from signalcraft.storage.bundle import DATABASE, KEYS, SUFFIX, Bundle, Manifest
from signalcraft.storage.db import Db
from signalcraft.storage.lock import LOCK, DataLock
from signalcraft.storage.restoring import masters
from signalcraft.storage.restoring.keys import Given
from signalcraft.storage.room import told
from signalcraft.storage.vault import shown

SCRATCH: Final = ".restoring"
ASIDE: Final = "before-restore-"
KEPT: Final = "restored"
"""Where the settings of the earlier box lie in the new data directory."""
_STAY: Final = ("backups", "reports")
"""What of the earlier content belongs to the new one too: it is not of the database."""
_AFTER_MS: Final = 10_000
"""So long after the last change of its replica the earlier box may have lived: it writes something each 2 s."""
_TABLES: Final = ("fact", "workspace", "delivery", "alert_group", "escalation", "journal")


class MasterKeyMissing(Conflict):
    """The secrets in the copy hang on a master key that is not at hand."""

    code = "master_key_missing"


class Order(Struct, frozen=True, kw_only=True):
    """What is to be restored, from where (one of the two), to where.

    * `given`: the keys at hand. `master_set`: the check values of those that the settings give: they need no file.
    * `consent`: what is in the target may be moved aside.
    * `without_secrets`: go on without the master key.
    * `held`: the box that starts on it tells nobody until it is resumed; a drill has no need of it.
    """

    target: Path
    now_ms: int
    file: Path | None = None
    replica: Replica | None = None
    at_ms: int | None = None
    given: Given = Given()
    master_set: frozenset[str] = frozenset()
    consent: bool = False
    without_secrets: bool = False
    held: bool = True
    progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None


class Restored(Struct, kw_only=True):
    """What was done.

    * `copy_ms`: up to when the copy tells; what happened after it is lost. `resolution_ms`: how far from the time that
      was asked for the next copy lies, None where it is not known.
    * `lacks`: what is not there; `fails`: what does not work because of it; `enter_again`: names.
    * `aside`: where what was in the target lies now.
    """

    source: str
    data_dir: str
    copy_ms: int
    now_ms: int
    schema: int
    newest_schema: int
    rows: dict[str, int]
    size: int
    took_s: float
    asked_ms: int | None = None
    resolution_ms: int | None = None
    lacks: list[str] = []
    fails: list[str] = []
    enter_again: list[str] = []
    aside: str | None = None
    settings: str | None = None
    held: bool = True


class _Copy(Struct, frozen=True, kw_only=True):
    """What was made ready in the scratch folder, and where it comes from."""

    source: str
    why: str
    copy_ms: int
    lost_ms: int | None
    manifest: Manifest | None = None
    resolution_ms: int | None = None
    lacks: tuple[str, ...] = ()


def restore(order: Order) -> Restored:
    """Does it. What fails leaves the target as it was and nothing beside it.

    Raises Conflict (no consent, the target is in use), MasterKeyMissing, Damaged, WrongKey, Foreign, NoReplica,
    BadSetting (a newer schema, a network disk), DiskFull, Fault for another failure of a disk.
    """
    began_s = time.monotonic()
    target = order.target.absolute()
    with _target(target, order.consent) as place:
        try:
            copy = _filled(order, place.scratch)
            done = _checked(order, copy, place.scratch)
            _secrets(order, copy, place.scratch, done)
            _settled(order, copy, place.scratch, done)
            done.aside = place.swap(order.now_ms)
        except OSError as problem:
            raise told(problem, place.scratch.parent, "nothing was restored") from None
        except apsw.FullError:
            raise told(OSError(28, "no space left on device"), target, "nothing was restored") from None
        except apsw.Error as problem:
            raise Damaged(f"the restored database cannot be used: {problem}") from None
    done.data_dir = str(target)
    done.took_s = time.monotonic() - began_s
    return done


# -- where it goes ----------------------------------------------------------------------------------------------------


class _Place:
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
def _target(target: Path, consent: bool) -> Iterator[_Place]:
    """The place, empty and its own process's; the scratch folder is gone afterwards whatever happens."""
    if target.exists() and not target.is_dir():
        raise Invalid(f"{target} is no directory", path="to")
    lock: DataLock | None = None
    place: _Place | None = None
    try:
        place = _Place(target)
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


# -- where it comes from ----------------------------------------------------------------------------------------------


def bundle_in(folder: Path, at_ms: int | None) -> Path:
    """The newest backup of a folder (that was made before a time). Raises Foreign where there is none."""
    found: list[tuple[int, Path]] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with suppress(Foreign, Damaged):
            found.append((bundle.read_header(path).created_ms, path))
    fitting = [one for one in found if at_ms is None or one[0] <= at_ms]
    if not fitting:
        first = f": the first one is of {_at(min(found)[0])}" if found else ""
        before = "" if at_ms is None else f" of before {_at(at_ms)}"
        raise Foreign(f"{folder} holds no backup{before}{first}")
    return max(fitting)[1]


def _filled(order: Order, scratch: Path) -> _Copy:
    if order.file is not None:
        return _from_bundle(order, order.file, scratch)
    if order.replica is None:
        raise Invalid("say what to restore: a backup, or --from-replica", path="from")
    return _from_replica(order, order.replica, scratch)


def _from_bundle(order: Order, file: Path, scratch: Path) -> _Copy:
    later: int | None = None
    if file.is_dir():
        folder, file = file, bundle_in(file, order.at_ms)
        later = _next_after(folder, bundle.read_header(file).created_ms)
    elif order.at_ms is not None and bundle.read_header(file).created_ms > order.at_ms:
        raise Invalid(
            f"{file.name} was made at {_at(bundle.read_header(file).created_ms)}, after the time asked for:"
            " a backup is one moment; name the folder of the backups, or --from-replica",
            path="at",
        )
    header = bundle.read_header(file)
    _refuse_newer(header.schema, header.program)
    opened = bundle.open_bundle(file, *order.given.openers)
    bundle.unpack(opened, scratch, lambda done, of: order.progress("unpacking", done, of))
    manifest = opened.manifest
    return _Copy(
        source=f"the backup {file.name}",
        why=f"from the backup {file.name} of {_at(manifest.created_ms)}",
        copy_ms=manifest.created_ms,
        lost_ms=None,
        manifest=manifest,
        resolution_ms=None if later is None else later - manifest.created_ms,
        lacks=_lacks(opened),
    )


def _next_after(folder: Path, created_ms: int) -> int | None:
    later = []
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(Foreign, Damaged):
            later.append(bundle.read_header(path).created_ms)
    return min((one for one in later if one > created_ms), default=None)


def _lacks(opened: Bundle) -> tuple[str, ...]:
    return tuple(opened.manifest.left_out)


def _from_replica(order: Order, replica: Replica, scratch: Path) -> _Copy:
    scratch.mkdir(mode=0o700)
    order.progress("fetching", 0, 0)
    newest = litestream.newest(replica)
    got = litestream.restore(replica, scratch / DATABASE, at_ms=order.at_ms)
    return _Copy(
        source=f"the replica at {litestream.shown(replica)}",
        why=f"from the replica as it was at {_at(got.at_ms)}",
        copy_ms=got.at_ms,
        lost_ms=max(newest.at_ms, got.at_ms) + _AFTER_MS,
        resolution_ms=got.resolution_ms,
        lacks=(
            "the archive of old months: it is in backups only; put the folder archive/ of one into the data directory",
            "the settings file: it is in backups only",
        ),
    )


def _refuse_newer(schema: int, program: str) -> None:
    if schema > migrate.newest():
        raise BadSetting(
            f"this copy is of schema {schema}, written by SignalCraft {program or 'of a later version'}; this program "
            f"knows {migrate.newest()}: install that version, then restore",
            path="data.dir",
        )


# -- what it is -------------------------------------------------------------------------------------------------------


def _checked(order: Order, copy: _Copy, scratch: Path) -> Restored:
    """SQLite's checks, and whether it is what its manifest says."""
    database = scratch / DATABASE
    if not database.is_file():
        raise Damaged(f"{copy.source} holds no database")
    order.progress("checking", 0, 0)
    found = copies.verified(database)
    missing = [table for table in _TABLES if table not in found.rows]
    if missing:
        raise Foreign(f"{copy.source} holds a database, but none of SignalCraft: it has no table {missing[0]}")
    _refuse_newer(found.schema, "")
    if copy.manifest is not None:
        differ = [t for t, n in copy.manifest.rows.items() if found.rows.get(t) != n]
        if differ:
            raise Damaged(f"{copy.source} does not hold the rows that it says: {', '.join(differ[:5])}")
    return Restored(
        source=copy.source,
        data_dir="",
        copy_ms=copy.copy_ms,
        now_ms=order.now_ms,
        schema=found.schema,
        newest_schema=migrate.newest(),
        rows={table: found.rows[table] for table in ("alert_group", "event", "delivery") if table in found.rows},
        size=database.stat().st_size,
        took_s=0.0,
        asked_ms=order.at_ms,
        resolution_ms=copy.resolution_ms,
        lacks=list(copy.lacks),
        held=order.held,
    )


def _secrets(order: Order, copy: _Copy, scratch: Path, done: Restored) -> None:
    keys = dict(order.given.masters)
    sealed = scratch / KEYS
    if sealed.is_file():
        for opener in order.given.openers:
            with suppress(WrongKey):
                keys |= bundlekeys.master_keys(sealed.read_bytes(), opener).keys
        sealed.unlink()
    db = Db(scratch / DATABASE)
    try:
        wanted = masters.needs(db)
        absent = [check for check in wanted.wanted if check not in keys]
        if not absent:
            if not set(wanted.wanted) <= order.master_set:
                masters.put_keys(scratch, wanted, keys)
            return
        if not order.without_secrets:
            raise MasterKeyMissing(
                f"the master key {shown(absent[0])} is missing. Give it with --master-key-file FILE (a copy of "
                "master.key, or the escrow file of `signalcraft keys export`). Without it do not work: "
                + "; ".join(masters.GONE)
                + ". --without-secrets goes on all the same: alert groups, events, rules and people are there"
            )
        done.enter_again = masters.strip(db)
        done.lacks.append(f"the master key {shown(absent[0])}")
        done.fails = list(masters.GONE)
    finally:
        db.stop()


def _settled(order: Order, copy: _Copy, scratch: Path, done: Restored) -> None:
    """The last touches: the box is held, and its settings lie where a person finds them."""
    if order.held:
        db = Db(scratch / DATABASE)
        try:
            with db.direct() as tx:
                hold.put(tx, now_ms=order.now_ms, why=copy.why, copy_ms=copy.copy_ms, lost_ms=copy.lost_ms)
        finally:
            db.stop()
    config = scratch / "config"
    if config.is_dir():
        (scratch / KEPT).mkdir(mode=0o700)
        config.rename(scratch / KEPT / "config")
        done.settings = str(order.target.absolute() / KEPT / "config")
    if copy.manifest is not None and order.held:
        (scratch / KEPT).mkdir(mode=0o700, exist_ok=True)
        (scratch / KEPT / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(copy.manifest)))
    for path in (scratch, *scratch.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if path.is_dir():
            copies.sync_folder(path)


def _at(at_ms: int) -> str:
    return rfc3339(at_ms)[:19] + "Z"
