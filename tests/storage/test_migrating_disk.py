"""A disk that is really full while the database is migrated, or on its way back: the schema it had, and every row."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path

import pytest

from signalcraft.errors import DiskFull, Fault
from signalcraft.storage import copies, migrate, migrating, returning
from signalcraft.storage.db import Db
from tests.smalldisk import small_disk
from tests.storage.schemas import draw
from tests.trials.migration_kills import grown

LEVEL = 10
HEAVY = (
    "create table heavy (id integer primary key, text text) strict;\ninsert into heavy select id, message from event;"
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes small file systems of so many bytes."""
    with ExitStack() as disks:
        number = count()
        yield lambda size: disks.enter_context(small_disk(tmp_path / f"disk-{next(number)}", size, lazy=True))


@pytest.fixture(autouse=True)
def newer_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its migration writes as much again as there is."""
    known = migrate.steps()
    monkeypatch.setattr(migrate, "steps", lambda: [*known, (9001, "heavy", HEAVY)])


def lots(_: Path) -> int:
    """A disk that promises more than it has: the check beforehand is of no help."""
    return 1 << 50


STAGES = (
    # How large the disk is, in tenths of the database; after which words it is filled up; what is said then.
    (12, "never", "is full: the copy of signalcraft.db was not kept"),
    (21, "never", "the disk became full while migrating a copy; nothing was changed"),
    (80, "a backup is made", "the backup before the migration failed: the disk of"),
    (80, "the database is migrated", "the disk gave up while migrating"),
    (80, "never", ""),
)


def test_enospc_at_every_stage_of_a_migration(tmp_path: Path, disk: Callable[[int], Path]) -> None:
    source = draw.laid(LEVEL, tmp_path / "data")
    grown(source, 3000)
    was, size = copies.verified(source), source.stat().st_size
    for tenths, words, wanted in STAGES:
        data_dir = disk(size * tenths // 10) / "data"
        shutil.copytree(tmp_path / "data", data_dir)

        def say(said: str, words: str = words, data_dir: Path = data_dir) -> None:
            if said.endswith(words):
                filled(data_dir)

        db = Db(data_dir / "signalcraft.db")
        way = migrating.Way(data_dir=data_dir, program="9.9.9", now=lambda: 1_772_500_000_000, free=lots, say=say)
        if wanted:
            with pytest.raises(DiskFull, match=wanted):
                migrating.bring_up(db, way)
            _as_it_was(db, was.rows["event"])
        else:
            assert migrating.bring_up(db, way)
            assert migrate.version(db) == 9001
        db.stop()


def filled(folder: Path) -> None:
    """Takes what is left of a disk."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def _as_it_was(db: Db, events: int) -> None:
    assert migrate.version(db) == LEVEL
    with db.direct() as tx:
        assert migrate.shape(tx) == migrate.intended(LEVEL)
        assert tx.value("pragma integrity_check") == "ok"
        assert tx.value("select count(*) from event") == events


def test_enospc_on_the_way_back(tmp_path: Path, disk: Callable[[int], Path]) -> None:
    source = draw.laid(LEVEL, tmp_path / "data")
    grown(source, 3000)
    db = Db(source)
    migrating.bring_up(db, migrating.Way(data_dir=source.parent, program="9.9.9", now=lambda: 1_772_500_000_000))
    db.stop()
    total = sum(file.stat().st_size for file in source.parent.rglob("*") if file.is_file())
    was = copies.verified(source).rows
    refused = 0
    for percent in (110, 150, 190, 250, 400):
        data_dir = disk(total * percent // 100) / "data"
        shutil.copytree(source.parent, data_dir)
        chosen = returning.plan(data_dir, None)
        try:
            returning.go_back(data_dir, chosen, program="9.9.9", now_ms=1_772_500_000_001, carry=True, free=lots)
            assert copies.verified(data_dir / "signalcraft.db").schema == LEVEL
        except Fault:
            refused += 1
            assert copies.verified(data_dir / "signalcraft.db").rows == was
    assert 1 <= refused < 5
