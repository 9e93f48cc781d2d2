"""Restoring: everything is made ready in a folder beside the target, checked, and then takes its place in one step."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw
import msgspec
from msgspec import Struct

from signalcraft.config.replica import Replica
from signalcraft.domain.wording import rfc3339
from signalcraft.errors import BadSetting, Damaged, Foreign, Invalid, MasterKeyMissing, WrongKey
from signalcraft.storage import bundle, bundlekeys, copies, hold, litestream, migrate
from signalcraft.storage.bundle import DATABASE, KEYS, SUFFIX, Bundle, Manifest
from signalcraft.storage.db import Db
from signalcraft.storage.restoring import masters
from signalcraft.storage.restoring.keys import Given
from signalcraft.storage.restoring.place import emptied
from signalcraft.storage.room import told
from signalcraft.storage.vault import shown

KEPT: Final = "restored"
"""Where the settings of the earlier box lie in the new data directory."""
_AFTER_MS: Final = 10_000
"""So long after the last change of its replica the earlier box may have lived: it writes something each 2 s."""
_TABLES: Final = ("fact", "workspace", "delivery", "alert_group", "escalation", "journal")


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
    with emptied(target, order.consent) as place:
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
