"""The making of a backup: what is in it, what a full disk or a kill leaves, its memory, and what is pruned."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from nacl.public import PrivateKey

from signalcraft.errors import Conflict, Damaged, DiskFull, Fault
from signalcraft.storage import bundlekeys, migrate
from signalcraft.storage.backup import child, gather, job, shelf
from signalcraft.storage.backup.job import Judged, Make, Prune, Verify
from signalcraft.storage.bundle import MAGIC, Opener, open_bundle, unpack
from signalcraft.storage.copies import verified
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.vault import check_of
from tests.house.tree import ROOT
from tests.smalldisk import small_disk

NOW = 1_760_000_000_000
DAY_MS = 86_400_000
MASTER = bytes(range(32))
BOX = bundlekeys.of_master(MASTER)


def nothing(_stage: str, _done: int, _of: int) -> None:
    return


def put(tx: Tx, number: int, size: int = 2000) -> None:
    tx.run("insert into fact (name, value) values (?, ?)", (f"f{number}", os.urandom(size // 2).hex()))


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose database is open and served, with an archive."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    db = Db(folder / "signalcraft.db")
    migrate.up(db)
    db.start()
    for number in range(300):
        db.call(lambda tx, number=number: put(tx, number))  # type: ignore[misc]
    (folder / "archive" / "event").mkdir(parents=True)
    (folder / "archive" / "event" / "2026-01.parquet").write_bytes(b"PAR1" + os.urandom(5000))
    (folder / "archive" / "event" / ".half.part").write_bytes(b"not this one")
    yield folder
    db.stop()


def asked(data: Path, folder: Path, **more: object) -> Make:
    plain = Make(
        data_dir=str(data), folder=str(folder), copy_to="", box="box-one", created_ms=NOW, program="1.2.3", build="",
        master=check_of(MASTER), config_file="/etc/signalcraft/signalcraft.toml",
        files={gather.CONFIG: b"[http]\n", gather.SETTINGS: b"[]"},
        openers=[Opener("box", bytes(BOX.public_key), "1a2b")], left_out=["a secret from outside"],
    )  # fmt: skip
    return msgspec.structs.replace(plain, **more)


def here(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_is_in_it(data: Path, tmp_path: Path) -> None:
    stages: list[str] = []
    made = job.make(asked(data, tmp_path / "backups"), lambda stage, _done, _of: stages.append(stage))
    assert made.name == "signalcraft-20251009-085320.scb"
    assert here(tmp_path / "backups") == [made.name]
    assert here(data / job.STAGING) == []
    assert list(dict.fromkeys(stages)) == ["copy", "check", "write", "verify"]
    found = open_bundle(Path(made.path), BOX)
    names = [member.name for member in found.manifest.members]
    assert names == ["signalcraft.db", "archive/event/2026-01.parquet", gather.CONFIG, gather.SETTINGS]
    assert found.manifest.left_out == (job.REBUILT, "a secret from outside")
    unpack(found, tmp_path / "out")
    seen = verified(tmp_path / "out" / "signalcraft.db")
    assert seen.rows == found.manifest.rows
    assert (seen.schema, seen.rows["fact"]) == (migrate.newest(), 300)
    assert (tmp_path / "out" / "archive/event/2026-01.parquet").read_bytes() == (
        data / "archive/event/2026-01.parquet"
    ).read_bytes()


def test_two_in_one_second_are_two(data: Path, tmp_path: Path) -> None:
    names = [job.make(asked(data, tmp_path / "backups"), nothing).name for _ in range(2)]
    assert names == ["signalcraft-20251009-085320.scb", "signalcraft-20251009-085320-2.scb"]


def test_an_archive_that_goes_on_does_not_spoil_it(data: Path, tmp_path: Path) -> None:
    """A month that is written anew or removed while the backup is made is in it as it was."""
    before = (data / "archive/event/2026-01.parquet").read_bytes()

    def change(stage: str, _done: int, _of: int) -> None:
        if stage == "write":
            new = data / "archive/event/new"
            new.write_bytes(b"another")
            new.replace(data / "archive/event/2026-01.parquet")

    made = job.make(asked(data, tmp_path / "backups"), change)
    unpack(open_bundle(Path(made.path), BOX), tmp_path / "out")
    assert (tmp_path / "out/archive/event/2026-01.parquet").read_bytes() == before


def test_writes_go_on_while_it_is_made(data: Path, tmp_path: Path) -> None:
    db = Db(data / "signalcraft.db")  # the pool and writer of another process would do the same
    db.start()
    written, stop = [0], threading.Event()

    def ingest() -> None:
        while not stop.is_set():
            db.call(lambda tx: put(tx, 1000 + written[0]))
            written[0] += 1

    thread = threading.Thread(target=ingest)
    thread.start()
    during: dict[str, int] = {}
    try:
        made = job.make(asked(data, tmp_path / "backups"), lambda stage, *_: during.setdefault(stage, written[0]))  # type: ignore[arg-type, return-value]
    finally:
        at_end = written[0]
        stop.set()
        thread.join()
        db.stop()
    assert at_end > during["copy"], "nothing was written while the backup was made"
    assert [one.code for one in job.verify(Verify(files=[made.path], keys=[bytes(BOX)]), nothing).judged] == [""]


def test_a_second_directory_gets_the_same_file(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    made = job.make(asked(data, tmp_path / "backups", copy_to=str(other)), nothing)
    assert (Path(made.copied_to).read_bytes(), made.trouble) == (Path(made.path).read_bytes(), "")


def test_a_second_directory_that_is_not_mounted_is_told(data: Path, tmp_path: Path) -> None:
    made = job.make(asked(data, tmp_path / "backups", copy_to=str(tmp_path / "gone")), nothing)
    assert made.copied_to == ""
    assert "was written, and not copied to" in made.trouble
    assert "is it mounted?" in made.trouble
    assert not (tmp_path / "gone").exists()  # nothing is written below a mount point without its disk


def test_a_damaged_database_gives_no_backup(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(data / "signalcraft.db", other / "signalcraft.db")
    raw = bytearray((other / "signalcraft.db").read_bytes())
    for page in range(3, len(raw) // 4096):
        raw[page * 4096 : page * 4096 + 50] = b"\xff" * 50
    (other / "signalcraft.db").write_bytes(raw)
    with pytest.raises(Damaged):
        job.make(asked(other, tmp_path / "backups"), nothing)
    assert here(tmp_path / "backups") == []


# -- full disks -------------------------------------------------------------------------------------------------------


FULL = {
    "the first write": 4,
    "the header": 40,
    "a quarter": 100,
    "the middle": 180,
    "nearly all": 300,
}


@pytest.mark.parametrize("stage", FULL)
def test_a_disk_that_fills_up_while_it_is_written(
    data: Path, tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "need_room", lambda *_: None)  # as if it had filled up since it was looked at
    with small_disk(tmp_path / "disk", FULL[stage] << 10) as disk:
        with pytest.raises(DiskFull, match=r"^the disk of .*disk is full: "):
            job.make(asked(data, disk), nothing)
        assert here(disk) == []
        assert here(data / job.STAGING) == []


@pytest.mark.parametrize("size_kb", [16, 400, 900])
def test_a_disk_that_fills_up_under_the_copy_of_the_database(
    data: Path, tmp_path: Path, size_kb: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "need_room", lambda *_: None)
    with small_disk(tmp_path / "disk", size_kb << 10) as disk:
        (data / job.STAGING).symlink_to(disk)
        with pytest.raises(DiskFull, match="is full"):
            job.make(asked(data, tmp_path / "backups"), nothing)
        assert here(disk) == []
    assert here(tmp_path / "backups") == []


def test_a_second_directory_that_fills_up_keeps_the_first_backup(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "need_room", lambda *_: None)
    with small_disk(tmp_path / "disk", 300 << 10) as disk:
        made = job.make(asked(data, tmp_path / "backups", copy_to=str(disk)), nothing)
        assert here(disk) == []
    assert "is full" in made.trouble
    assert here(tmp_path / "backups") == [made.name]


def test_too_little_room_is_seen_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2000 << 10) as disk:
        with pytest.raises(DiskFull, match="MB are needed to write the backup"):
            job.make(asked(data, disk), nothing)
        assert here(disk) == []


def test_a_disk_that_can_only_be_read(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "need_room", lambda *_: None)
    with small_disk(tmp_path / "disk", 4000 << 10) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(Fault, match="can only be read: "):
            job.make(asked(data, disk), nothing)


# -- the child process ------------------------------------------------------------------------------------------------

WORK = [sys.executable, "-m", "tests.storage.backupchild"]


def spawned(given: Make) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(WORK, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(given) + b"\n")
    process.stdin.close()
    return process


@pytest.mark.whole
def test_the_child_does_it_within_its_memory(data: Path, tmp_path: Path) -> None:
    (data / "archive" / "big.parquet").write_bytes(os.urandom(64 << 20))
    heard: list[child.Far] = []
    runner = child.Runner(lambda: WORK)
    ended = asyncio.run(runner.run(asked(data, tmp_path / "backups"), heard.append))
    assert isinstance(ended.done, job.Made)
    assert ended.done.unpacked > 64 << 20
    assert 0 < ended.peak < 96 << 20
    assert {far.stage for far in heard} == {"copy", "check", "write", "verify"}


def test_a_fault_of_the_child_is_the_parents(data: Path, tmp_path: Path) -> None:
    (tmp_path / "backups").write_bytes(b"a file in the way")
    with pytest.raises(Fault, match="no backup was made"):
        asyncio.run(child.Runner(lambda: WORK).run(asked(data, tmp_path / "backups"), lambda _far: None))


def test_a_child_that_is_cancelled_leaves_nothing(data: Path, tmp_path: Path) -> None:
    async def broken_off() -> None:
        seen = asyncio.Event()
        task = asyncio.create_task(child.Runner(lambda: WORK).run(asked(data, tmp_path / "b"), lambda _far: seen.set()))
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(broken_off())
    assert here(tmp_path / "b") == []
    assert here(data / job.STAGING) == []


@pytest.mark.whole
def test_a_kill_at_any_moment_leaves_nothing_that_passes_as_a_backup(data: Path, tmp_path: Path) -> None:
    (data / "archive" / "big.parquet").write_bytes(os.urandom(24 << 20))
    folder, halves = tmp_path / "backups", 0
    for number in range(8):
        process = spawned(asked(data, folder, created_ms=NOW + number * 1000))
        assert process.stdout is not None
        until = time.monotonic() + 0.05 * number
        while time.monotonic() < until and process.poll() is None:
            process.stdout.readline()
        if number % 2:  # in the midst of the writing, wherever that is
            while b'"write"' not in process.stdout.readline() and process.poll() is None:
                continue
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        halves += len(list(folder.glob("*.part")))
        for one in shelf.listed(folder):
            judged = job.judge(folder / one.name, [BOX], nothing)
            assert judged.code == "", judged.said  # what has the name of a backup is one
    assert halves, "no kill hit the writing"
    job.make(asked(data, folder, created_ms=NOW + DAY_MS), nothing)
    assert not list(folder.glob("*.part"))  # and the next one cleans up
    assert here(data / job.STAGING) == []


def test_a_parent_that_dies_takes_its_child_along(data: Path, tmp_path: Path) -> None:
    (data / "archive" / "big.parquet").write_bytes(os.urandom(48 << 20))
    process = spawned(asked(data, tmp_path / "backups"))
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 1
    assert here(tmp_path / "backups") == []
    assert here(data / job.STAGING) == []


def test_one_at_a_time_of_a_data_directory(data: Path, tmp_path: Path) -> None:
    with job._staging(data), pytest.raises(Conflict, match="is being made by another process"):
        job.make(asked(data, tmp_path / "backups"), nothing)


# -- verifying, pruning -----------------------------------------------------------------------------------------------


def shelved(folder: Path, data: Path, days: int, box: str = "box-one", key: PrivateKey = BOX) -> Path:
    opener = Opener("box", bytes(key.public_key), "1a2b")
    made = job.make(asked(data, folder, created_ms=NOW - days * DAY_MS, box=box, openers=[opener]), nothing)
    return Path(made.path)


def prune(folder: Path, days: int = 30, **more: object) -> job.Pruned:
    asked = Prune(folders=[str(folder)], box="box-one", days=days, now_ms=NOW, keys=[bytes(BOX)])
    return job.prune(msgspec.structs.replace(asked, **more), nothing)


def test_what_is_too_old_goes_and_nothing_else(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    old, older, young = (shelved(folder, data, days) for days in (31, 40, 3))
    theirs = shelved(folder, data, 400, box="box-two", key=PrivateKey.generate())
    (folder / "notes.scb").write_bytes(b"somebody's own")
    renamed = older.rename(folder / "before-the-move.scb")  # the name is not what counts
    assert set(prune(folder, dry=True).gone) == {str(old), str(renamed)}
    assert old.exists()
    done = prune(folder)
    assert (set(done.gone), done.proven, done.kept) == ({str(old), str(renamed)}, [str(young)], 1)
    assert set(folder.iterdir()) == {young, theirs, folder / "notes.scb"}


def test_the_newest_sound_one_stays_where_younger_ones_are_damaged(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    oldest, sound, damaged = (shelved(folder, data, days) for days in (90, 60, 2))
    raw = damaged.read_bytes()
    damaged.write_bytes(raw[: len(raw) // 2])
    assert prune(folder).gone == [str(oldest)]
    assert {sound, damaged} == set(folder.iterdir())


def test_without_the_key_nothing_is_pruned(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    for days in (60, 90):
        shelved(folder, data, days)
    assert prune(folder, keys=[]).gone == []
    assert len(list(folder.iterdir())) == 2


def test_each_file_is_judged(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    sound, cut = shelved(folder, data, 1), shelved(folder, data, 2)
    cut.write_bytes(cut.read_bytes()[:-1])
    theirs = shelved(folder, data, 3, key=PrivateKey.generate())
    other = folder / "other.scb"
    other.write_bytes(MAGIC[:5])
    files = [str(path) for path in (sound, cut, theirs, other, folder / "nothing.scb")]
    judged: list[Judged] = job.verify(Verify(files=files, keys=[bytes(BOX)]), nothing).judged
    assert [one.code for one in judged] == ["", "damaged", "wrong_key", "foreign", "internal"]
    assert (judged[0].rows > 300, judged[0].schema) == (True, migrate.newest())
    assert [one.trouble == "" for one in shelf.listed(folder)] == [True, True, True, False]
