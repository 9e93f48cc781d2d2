"""Restoring: whole or not at all, held, and exactly told what is lacking."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nacl.public import PrivateKey

from signalcraft.config.replica import Replica
from signalcraft.errors import BadSetting, Conflict, Damaged, DiskFull, Fault, Foreign, Invalid, NoReplica, WrongKey
from signalcraft.storage import bundle, bundlekeys, hold, litestream, masterkey, migrate, restoring
from signalcraft.storage.bundle import Header
from signalcraft.storage.db import Db
from signalcraft.storage.lock import DataLock, Held
from signalcraft.storage.restoring import Given, MasterKeyMissing, Order, read_keys, restore
from tests.storage.restored import ARCHIVED, backed_up
from tests.world import START_MS, World

MINUTE_MS = 60_000
NOW_MS = START_MS + 45 * MINUTE_MS


class Used:
    """What is left of a box: its data directory, its keys, a backup."""

    def __init__(self, root: Path) -> None:
        self.data = root / "data"
        with World(self.data) as world:
            world.rule(channel="#oncall")
            world.receives("sentry", "event_alert", title="Before the loss")
        self.recipient = PrivateKey.generate()
        self.bundle = backed_up(
            self.data, root / "signalcraft-20260302-090000.scb", created_ms=START_MS, recipient=self.recipient
        )
        self.master = read_keys(self.data / "master.key")


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Used:
    return Used(tmp_path_factory.mktemp("used"))


@pytest.fixture
def to(tmp_path: Path) -> Iterator[Path]:
    """Where to restore. Whatever happens, nothing half-made stays beside it."""
    yield tmp_path / "new" / "data"
    if (tmp_path / "new").is_dir():
        stray = [e.name for e in (tmp_path / "new").iterdir() if e.name.startswith("data.restoring")]
        assert stray == []


def order(to: Path, **more: object) -> Order:
    return Order(**{"target": to, "now_ms": NOW_MS, **more})  # type: ignore[arg-type]


def titles(data: Path) -> list[str]:
    db = Db(data / "signalcraft.db")
    try:
        with db.direct() as tx:
            return [title for (title,) in tx.all("select title from alert_group")]
    finally:
        db.stop()


# -- from a backup ----------------------------------------------------------------------------------------------------


def test_a_backup_becomes_a_held_box_on_an_empty_machine(left: Used, to: Path) -> None:
    done = restore(order(to, file=left.bundle, given=left.master))
    assert titles(to) == ["Before the loss"]
    assert (done.copy_ms, done.lacks, done.fails, done.enter_again, done.aside) == (START_MS, [], [], [], None)
    assert done.rows["alert_group"] == 1
    assert (to / "master.key").read_bytes() == (left.data / "master.key").read_bytes()
    assert (to / "archive/1/event/2026-01.1.parquet").read_bytes() == ARCHIVED
    assert (to / "restored/config/signalcraft.toml").is_file()
    assert not (to / "keys.sealed").exists()
    assert {oct(p.stat().st_mode & 0o077) for p in (to, *to.rglob("*"))} == {"0o0"}
    with World(to) as world:
        assert world.house.hold.held
        world.clock.at_ms = NOW_MS
        held = world.get("/api/hold")
        assert held["copy_at"] == "2026-03-02T09:00:00.000Z"
        assert left.bundle.name in held["why"]
        world.after(hours=1)
        assert world.told == []


def test_what_is_missing_since_when_is_recorded_as_a_gap(left: Used, to: Path) -> None:
    restore(order(to, file=left.bundle, given=left.master))
    world = World(to)
    world.clock.at_ms = NOW_MS
    with world:
        rows = world.house.db.call(lambda tx: tx.all("select why, from_ms, until_ms from gap"))
        assert rows == [("restored", START_MS, NOW_MS)]
        assert "restored" in world.get("/health")["components"]["gaps"]["detail"]
        runs = world.house.db.call(lambda tx: tx.all("select kind, state from maintenance_run where kind = 'restore'"))
        assert runs == [("restore", "ok")]
        assert "hold.begun" in [row["verb"] for row in world.get("/api/audit")["items"]]
        world.stopped().restarted()
        assert len(world.house.db.call(lambda tx: tx.all("select 1 from gap"))) == 1


def test_the_backup_key_alone_brings_the_master_key_back(left: Used, to: Path) -> None:
    done = restore(order(to, file=left.bundle, given=Given((left.recipient,))))
    assert done.lacks == []
    assert (to / "master.key").read_bytes() == (left.data / "master.key").read_bytes()


def test_a_master_key_of_the_settings_is_not_written_down(left: Used, to: Path) -> None:
    restore(order(to, file=left.bundle, given=left.master, master_set=frozenset(left.master.masters)))
    assert not (to / "master.key").exists()


def test_no_key_and_a_wrong_one_are_told_apart(left: Used, to: Path) -> None:
    with pytest.raises(WrongKey, match="opens with the master key"):
        restore(order(to, file=left.bundle))
    with pytest.raises(WrongKey, match="not with this key"):
        restore(order(to, file=left.bundle, given=Given((PrivateKey.generate(),))))
    assert not to.exists()


def test_without_the_master_key_the_rest_is_there_and_what_fails_is_said(left: Used, to: Path, tmp_path: Path) -> None:
    """A backup whose keys were sealed to a recipient, opened with the recipient's key, its keys damaged."""
    plain = _without_keys(left, tmp_path)
    with pytest.raises(MasterKeyMissing, match="--without-secrets"):
        restore(order(to, file=plain, given=Given((left.recipient,))))
    assert not to.exists()
    done = restore(order(to, file=plain, given=Given((left.recipient,)), without_secrets=True))
    assert "integration sentry" in done.enter_again
    assert "channel #oncall" in done.enter_again
    assert any("entered again" in one for one in done.fails)
    with World(to) as world:
        assert [g["title"] for g in world.groups()] == ["Before the loss"]
        assert len(world.get("/api/routing-rules")["items"]) == 1
        health = world.get("/health")["components"]
        assert health["channels"]["status"] != "ok" or health["configuration"]["status"] != "ok"


def _without_keys(left: Used, tmp_path: Path) -> Path:
    opened = bundle.open_bundle(left.bundle, left.recipient)
    bundle.unpack(opened, tmp_path / "unpacked")
    members = tuple(m for m in opened.manifest.members if m.name != "keys.sealed")
    manifest = msgspec.structs.replace(opened.manifest, members=members)
    slot = bundle.Opener("recipient", bytes(left.recipient.public_key), "kept")
    target = tmp_path / "plain.scb"
    bundle.write_bundle(target, manifest, {m.name: tmp_path / "unpacked" / m.name for m in members}, [slot])
    return target


# -- the target -------------------------------------------------------------------------------------------------------


def test_what_is_there_is_moved_aside_with_consent_alone(left: Used, to: Path) -> None:
    shutil.copytree(left.data, to)
    (to / "mine.txt").write_text("keep me")
    (to / "backups").mkdir()
    (to / "backups/earlier.scb").write_bytes(b"a backup")
    with pytest.raises(Conflict, match="not empty"):
        restore(order(to, file=left.bundle, given=left.master))
    assert (to / "mine.txt").is_file()
    done = restore(order(to, file=left.bundle, given=left.master, consent=True))
    assert done.aside is not None
    assert (Path(done.aside) / "mine.txt").read_text() == "keep me"
    assert (Path(done.aside) / "signalcraft.db").is_file()
    assert not (to / "mine.txt").exists()
    assert (to / "backups/earlier.scb").is_file()  # backups belong to whatever database is there


def test_a_directory_in_use_is_refused(left: Used, to: Path) -> None:
    shutil.copytree(left.data, to)
    lock = DataLock(to)
    lock.take("serve")
    try:
        with pytest.raises(Held, match="in use"):
            restore(order(to, file=left.bundle, given=left.master, consent=True))
    finally:
        lock.release()


def test_an_empty_directory_needs_no_consent(left: Used, to: Path) -> None:
    to.mkdir(parents=True)
    assert restore(order(to, file=left.bundle, given=left.master)).aside is None
    assert titles(to) == ["Before the loss"]


def test_a_directory_that_cannot_be_renamed_is_filled_inside(
    left: Used, to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to.mkdir(parents=True)
    (to / "signalcraft.db").write_bytes(b"an earlier one")
    monkeypatch.setattr(Path, "is_mount", lambda self: self == to)
    done = restore(order(to, file=left.bundle, given=left.master, consent=True))
    assert done.aside is not None
    assert Path(done.aside).parent == to
    assert (Path(done.aside) / "signalcraft.db").read_bytes() == b"an earlier one"
    assert titles(to) == ["Before the loss"]
    assert not (to / ".restoring").exists()


def test_a_failed_switch_puts_back_what_was_there(left: Used, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(left.data, to)
    (to / "mine.txt").write_text("keep me")
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name.endswith(".restoring"):
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(Fault, match="nothing was restored"):
        restore(order(to, file=left.bundle, given=left.master, consent=True))
    assert (to / "mine.txt").read_text() == "keep me"


@pytest.mark.parametrize(("number", "said"), [(errno.EROFS, "can only be read"), (errno.ENOSPC, "is full")])
def test_a_disk_that_takes_nothing_is_said(
    left: Used, to: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    """Real disks of both kinds are in the trial of the recovery sheet."""
    real = Path.mkdir

    def mkdir(self: Path, *args: Any, **more: Any) -> None:
        if "new" in self.parts:
            raise OSError(number, os.strerror(number), str(self))
        real(self, *args, **more)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(Fault, match=said):
        restore(order(to, file=left.bundle, given=left.master))


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 10, 200, 5_000, -1, -40])
def test_a_truncated_backup_is_refused(left: Used, to: Path, tmp_path: Path, cut: int) -> None:
    bad = tmp_path / "cut.scb"
    bad.write_bytes(left.bundle.read_bytes()[:cut])
    with pytest.raises((Damaged, Foreign)):
        restore(order(to, file=bad, given=left.master))
    assert not to.exists()


@pytest.mark.parametrize("where", [30, 300, 2_000, -100])
def test_a_changed_backup_is_refused(left: Used, to: Path, tmp_path: Path, where: int) -> None:
    raw = bytearray(left.bundle.read_bytes())
    raw[where] ^= 0x20
    bad = tmp_path / "changed.scb"
    bad.write_bytes(bytes(raw))
    with pytest.raises((Damaged, WrongKey, Foreign)):
        restore(order(to, file=bad, given=left.master))
    assert not to.exists()


def test_another_kind_of_file_is_refused(to: Path, tmp_path: Path) -> None:
    other = tmp_path / "photo.jpg"
    other.write_bytes(b"\xff\xd8\xff" * 1000)
    with pytest.raises(Foreign, match="no backup of SignalCraft"):
        restore(order(to, file=other))
    with pytest.raises(Fault, match="cannot be read"):
        restore(order(to, file=tmp_path / "nothing.scb"))


def test_a_later_schema_is_refused_before_it_is_unpacked(left: Used, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "newest", lambda: 3)
    with pytest.raises(BadSetting, match="install that version"):
        restore(order(to, file=left.bundle, given=left.master))
    assert not to.exists()


def test_rows_that_differ_from_the_manifest_are_damage(left: Used, to: Path, tmp_path: Path) -> None:
    bad = backed_up(left.data, tmp_path / "rows.scb", created_ms=START_MS, rows={"alert_group": 99})
    with pytest.raises(Damaged, match="alert_group"):
        restore(order(to, file=bad, given=left.master))
    assert not to.exists()


def test_a_full_disk_leaves_nothing(left: Used, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))  # type: ignore[attr-defined]
    with pytest.raises(DiskFull, match="free"):
        restore(order(to, file=left.bundle, given=left.master))
    assert not to.exists()


# -- moments ----------------------------------------------------------------------------------------------------------


def test_the_backup_of_a_folder_that_fits_the_time(left: Used, to: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for n in (1, 2, 3):
        backed_up(left.data, folder / f"signalcraft-{n}.scb", created_ms=START_MS + n * 60 * MINUTE_MS)
    (folder / "other.scb").write_bytes(b"nothing of ours")
    asked = START_MS + 150 * MINUTE_MS
    done = restore(order(to, file=folder, at_ms=asked, given=left.master))
    assert done.copy_ms == START_MS + 120 * MINUTE_MS
    assert (done.asked_ms, done.resolution_ms) == (asked, 60 * MINUTE_MS)
    with pytest.raises(Foreign, match="the first one is of"):
        restoring.bundle_in(folder, START_MS)


def test_one_backup_cannot_be_earlier_than_itself(left: Used, to: Path) -> None:
    with pytest.raises(Invalid, match="after the time asked for"):
        restore(order(to, file=left.bundle, at_ms=START_MS - 1, given=left.master))


# -- from the replica -------------------------------------------------------------------------------------------------


def replicated(left: Used, folder: Path) -> Replica:
    """A replica of what is left, made by Litestream itself."""
    replica = Replica(url=f"file://{folder}")
    place = litestream.claim(left.data, replica, START_MS)
    from signalcraft.storage.litestream.command import Cli
    from signalcraft.storage.litestream.places import database_of

    copy = folder.parent / "source"
    copy.mkdir()
    shutil.copy(left.data / "signalcraft.db", copy / "signalcraft.db")
    with Cli(replica, database_of(place.generation)) as cli:
        shutil.copy(left.data / "signalcraft.db", cli.database)
        db = Db(cli.database)
        try:
            with db.direct() as tx:
                tx.run("insert or replace into fact (name, value) values ('marker', '1')")
            cli.run("replicate", "-once")
        finally:
            db.stop()
    litestream.forget(left.data)
    return replica


@pytest.fixture(scope="module")
def replica(left: Used, tmp_path_factory: pytest.TempPathFactory) -> Replica:
    return replicated(left, tmp_path_factory.mktemp("replica") / "files")


def test_the_replica_becomes_a_held_box_and_is_not_written(left: Used, replica: Replica, to: Path) -> None:
    def files() -> dict[str, int]:
        return {str(p): p.stat().st_mtime_ns for p in replica.folder.rglob("*")}

    before = files()
    done = restore(order(to, replica=replica, given=left.master))
    assert titles(to) == ["Before the loss"]
    assert any("archive" in one for one in done.lacks)
    assert files() == before
    db = Db(to / "signalcraft.db")
    with db.direct() as tx:
        held = hold.get(tx)
    db.stop()
    assert held is not None
    assert held.lost_ms - held.copy_ms == 10_000
    assert not (to / "replica").exists()


def test_the_replica_without_a_master_key(left: Used, replica: Replica, to: Path) -> None:
    with pytest.raises(MasterKeyMissing, match="keys export"):
        restore(order(to, replica=replica))
    done = restore(order(to, replica=replica, without_secrets=True))
    assert done.lacks[-1].startswith("the master key")
    with World(to) as world:
        assert [g["title"] for g in world.groups()] == ["Before the loss"]
        world.integration("generic", "new one")  # it has a new master key to seal with


def test_a_replica_that_vanished_is_said(to: Path, tmp_path: Path) -> None:
    with pytest.raises(NoReplica):
        restore(order(to, replica=Replica(url=f"file://{tmp_path / 'gone'}")))
    assert not to.exists()


# -- keys -------------------------------------------------------------------------------------------------------------


def test_every_form_of_key_is_read(left: Used, tmp_path: Path) -> None:
    printed = tmp_path / "backup.key"
    printed.write_text(f"# keep it safe\n{bundlekeys.show_private(left.recipient)}\n")
    assert [bytes(k) for k in read_keys(printed).openers] == [bytes(left.recipient)]
    assert list(left.master.masters) == [Header.__name__] or len(left.master.masters) == 1
    with pytest.raises(Invalid, match="holds no key"):
        read_keys(_text(tmp_path / "no.key", "hello"))
    with pytest.raises(Invalid, match="cannot be read"):
        read_keys(tmp_path / "missing.key")
    assert masterkey.read_file(left.data / "master.key") in left.master.masters.values()


def _text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
