"""The careful way to a newer schema: a copy, a backup, one transaction, a look, and back where it fails."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from signalcraft.errors import BadSetting, Conflict, Damaged, DiskFull, Fault
from signalcraft.storage import before, copies, migrate, migrating, rehearsal, runs
from signalcraft.storage.db import Db
from tests.storage.schemas import draw

NEXT = 9001
GOOD = "create table after_it (id integer primary key) strict;\ninsert into after_it values (1);"
NOW_MS = 1_772_500_000_000


class Old:
    """A data directory as an earlier release left it, and the program that finds it."""

    def __init__(self, data_dir: Path, level: int) -> None:
        self.data_dir = data_dir
        self.file = draw.laid(level, data_dir)
        self.level = level
        self.said: list[str] = []

    def up(self, **more: object) -> list[str]:
        """Migrates as a start does."""
        db = Db(self.file)
        try:
            return migrating.bring_up(db, self.way(**more))
        finally:
            db.stop()

    def way(self, **more: object) -> migrating.Way:
        options = {"now": lambda: NOW_MS, "say": self.said.append, "program": "9.9.9", **more}
        return migrating.Way(data_dir=self.data_dir, **options)  # type: ignore[arg-type]

    def digest(self) -> str:
        """Of everything in the database file; nobody has it open."""
        wal = self.file.with_name(self.file.name + "-wal")
        assert not wal.exists() or wal.stat().st_size == 0
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def left(self) -> list[str]:
        """What lies in the folder of backups."""
        there = self.data_dir / before.FOLDER
        return sorted(file.name for file in there.iterdir()) if there.is_dir() else []

    def run(self) -> runs.Run:
        """The last run on record."""
        db = Db(self.file)
        with db.direct() as tx:
            found = runs.last(tx, migrating.KIND)
        db.stop()
        assert found is not None
        return found


@pytest.fixture
def old(tmp_path: Path) -> Old:
    """One step behind the newest fixture that has runs on record."""
    return Old(tmp_path / "data", 10)


@pytest.fixture(autouse=True)
def more(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """The program has one migration more than this one; called, it becomes another."""
    known = migrate.steps()

    def add(sql: str) -> None:
        monkeypatch.setattr(migrate, "steps", lambda: [*known, (NEXT, "next", sql)])

    add(GOOD)
    return add


def test_a_migration_is_checked_backed_up_applied_and_on_record(old: Old, more: Callable[[str], None]) -> None:
    more(GOOD)
    was = copies.verified(old.file).rows
    done = old.up()
    assert done == [f"{n:04d}_{name}" for n, name, _ in migrate.steps() if n > old.level]
    assert rehearsal.level_of(old.file) == NEXT
    (kept,) = before.kept(old.data_dir)
    assert (kept.schema, kept.to, kept.rows) == (old.level, NEXT, was)
    assert before.sound(old.data_dir, kept).name.startswith("0010-")
    assert (old.data_dir / "before" / kept.file).stat().st_mode & 0o077 == 0
    assert old.left() == [kept.file, f"{kept.file}.json"]
    run = old.run()
    assert (run.state, run.figures["from"], run.figures["to"]) == ("ok", old.level, NEXT)
    assert run.figures["backup"] == kept.file
    assert {f"{NEXT:04d}_next_ms", "rehearsal_ms", "before_ms"} <= run.figures.keys()
    assert "checked on a copy" in old.said[0]


def test_up_to_date_and_new_databases_are_copied_nowhere(tmp_path: Path, old: Old) -> None:
    old.up()
    (old.data_dir / "before").rename(tmp_path / "away")
    old.said.clear()
    assert old.up() == []
    assert (old.said, old.left()) == ([], [])
    fresh = Db(tmp_path / "fresh.db")
    way = migrating.Way(data_dir=tmp_path, program="9.9.9", now=lambda: NOW_MS)
    assert len(migrating.bring_up(fresh, way)) == len(migrate.steps())
    fresh.stop()
    assert not (tmp_path / "before").exists()


def test_a_newer_database_is_refused_untouched(old: Old) -> None:
    connection = apsw.Connection(str(old.file))
    connection.execute("pragma user_version = 9999").fetchall()
    connection.close()
    was = old.digest()
    with pytest.raises(BadSetting, match="newer than this program's"):
        old.up()
    assert (old.digest(), old.left()) == (was, [])


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("create unique index one_title on event (workspace_id);", "9001_next cannot be applied.*UNIQUE"),
        ("alter table nowhere add column x integer;", "9001_next cannot be applied.*no such table"),
        (
            "insert into membership select 1, 77777, 'viewer', 1;",
            "belong to no row of person|FOREIGN KEY",
        ),
    ],
)
def test_a_conflict_is_met_on_the_copy_and_nothing_is_touched(
    old: Old, more: Callable[[str], None], sql: str, said: str
) -> None:
    more(f"{GOOD}\n{sql}")
    was = old.digest()
    with pytest.raises(Fault, match=said) as fault:
        old.up()
    assert "nothing was changed" in fault.value.detail
    assert (old.digest(), old.left()) == (was, ["failed.json"])


def test_a_damaged_database_is_not_migrated(old: Old) -> None:
    raw = bytearray(old.file.read_bytes())
    page = 4096 * (len(raw) // 4096 // 2)
    raw[page : page + 200] = b"\xff" * 200
    old.file.write_bytes(raw)
    was = old.digest()
    with pytest.raises(Damaged, match="no sound database"):
        old.up()
    assert old.digest() == was


def test_too_little_disk_is_said_before_anything_is_written(old: Old) -> None:
    was = old.digest()
    with pytest.raises(DiskFull, match=r"\d+ MB of free disk are needed to check on a copy and .* has 1 MB"):
        old.up(free=lambda _: 1_000_000)
    assert (old.digest(), old.left()) == (was, ["failed.json"])
    seen = iter((10**9, 1_000_000))
    with pytest.raises(DiskFull, match="for the backup and the migration"):
        old.up(free=lambda _: next(seen), insist=True)
    assert (old.digest(), old.left()) == (was, ["failed.json"])


def test_a_backup_that_is_not_sound_stops_the_migration(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    was, real = old.digest(), copies.verified

    def verified(path: Path) -> copies.Verified:
        if not path.name.startswith(".scratch"):
            raise Damaged("the disk lies")
        return real(path)

    monkeypatch.setattr(copies, "verified", verified)
    with pytest.raises(Damaged, match="the backup before the migration failed: the disk lies; nothing was changed"):
        old.up()
    assert (old.digest(), old.left()) == (was, ["failed.json"])


def test_what_the_program_cannot_use_afterwards_is_undone(old: Old) -> None:
    was = copies.verified(old.file)

    def works(_: Db) -> None:
        raise ValueError("no such column")

    with pytest.raises(Fault, match=r"was undone.*ValueError: no such column"):
        old.up(works=works)
    now = copies.verified(old.file)
    assert (now.schema, now.rows) == (was.schema, was.rows)
    assert any("is put back" in line for line in old.said)
    last = migrating.failed(old.data_dir)
    assert last is not None
    assert (last.schema, last.to, last.program) == (old.level, migrate.newest(), "9.9.9")


def test_what_does_not_hold_in_the_transaction_is_rolled_back(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy was well, the database itself is not: nothing of the migration is left."""
    real, calls = migrate.check, []

    def check(tx: object) -> None:
        calls.append(tx)
        if len(calls) == 2:
            raise Conflict("it does not hold")
        real(tx)  # type: ignore[arg-type]

    monkeypatch.setattr(migrate, "check", check)
    was = copies.verified(old.file)
    with pytest.raises(Conflict, match="does not hold; the database has its old schema"):
        old.up()
    assert copies.verified(old.file).rows == was.rows
    assert rehearsal.level_of(old.file) == old.level


def test_a_start_that_failed_is_refused_with_the_same_words_for_ten_minutes(
    old: Old, more: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that restarts each second does not copy the database each second."""
    more("alter table nowhere add column x integer;")
    with pytest.raises(Conflict, match="no such table"):
        old.up()
    more(GOOD)
    with pytest.raises(Conflict, match=r"no such table.*tried 60 s ago"):
        old.up(now=lambda: NOW_MS + 60_000)
    assert old.up(now=lambda: NOW_MS + 60_000, insist=True)
    assert migrating.failed(old.data_dir) is None


@pytest.mark.parametrize("other", [{"now": lambda: NOW_MS + 600_000}, {"program": "9.9.10"}])
def test_after_ten_minutes_and_by_another_program_it_is_tried_again(
    old: Old, more: Callable[[str], None], other: dict[str, object]
) -> None:
    more("alter table nowhere add column x integer;")
    with pytest.raises(Conflict, match="no such table"):
        old.up()
    more(GOOD)
    with pytest.raises(Conflict, match="tried 599 s ago"):
        old.up(now=lambda: NOW_MS + 599_999)
    assert old.up(**other)


def test_the_steps_come_in_order(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is checked, migrated, checked again; then the backup is checked; then the database is migrated."""
    order: list[str] = []

    def noted(where: object, name: str, what: Callable[..., str]) -> None:
        real = getattr(where, name)

        def noting(*args: object, **more: object) -> object:
            order.append(what(*args))
            return real(*args, **more)

        monkeypatch.setattr(where, name, noting)

    noted(copies, "verified", lambda path: "copy read" if path.name.startswith(".scratch") else "backup read")
    noted(rehearsal, "_applied", lambda *_: "copy migrated")
    noted(migrating, "_applied", lambda *_: "migrated")
    noted(migrating, "sound_after", lambda *_: "read")
    old.up(works=lambda _: order.append("used"))
    assert order == ["copy read", "copy migrated", "copy read", "backup read", "migrated", "read", "used"]


def test_a_database_that_is_not_sound_afterwards_is_put_back(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(database: Path, to: int) -> None:
        raise Damaged("a page is missing")

    monkeypatch.setattr(migrating, "sound_after", damaged)
    with pytest.raises(Fault, match=r"was undone, the database is as before/.* has it: a page is missing"):
        old.up()
    assert rehearsal.level_of(old.file) == old.level


def test_a_way_back_that_fails_says_what_to_restore(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    def works(_: Db) -> None:
        raise ValueError("no such column")

    monkeypatch.setattr(before, "give_back", lambda source, target: None)
    with pytest.raises(Fault, match=r"and so did the way back: restore before/0010-"):
        old.up(works=works)


def test_another_shape_than_the_programs_is_refused(old: Old) -> None:
    connection = apsw.Connection(str(old.file))
    connection.execute("create table of_somebody_else (id integer primary key)").fetchall()
    connection.close()
    was = old.digest()
    with pytest.raises(Conflict, match="table of_somebody_else is not as this program makes it"):
        old.up()
    assert old.digest() == was


def test_a_loose_row_and_a_number_that_did_not_move_are_refused(tmp_path: Path) -> None:
    db = Db(tmp_path / "it.db")
    migrate.up(db)
    with db.direct() as tx:
        migrate.check(tx)
        tx.run("pragma defer_foreign_keys = on")  # as a migration may say that moves rows about
        tx.run("insert into membership select 1, 77777, 'viewer', 1")
        with pytest.raises(Conflict, match="1 rows of membership belong to no row of"):
            migrate.check(tx)
        tx.run("delete from membership")
        tx.run("pragma user_version = 3")
        with pytest.raises(Conflict, match=f"says schema 3, not {NEXT}"):
            migrate.check(tx)
    db.stop()


def test_a_backup_is_of_the_schema_that_it_says_and_names_who_served_it(old: Old) -> None:
    connection = apsw.Connection(str(old.file))
    connection.execute("insert or replace into fact values (?, '1.2.3')", (migrating.PROGRAM,)).fetchall()
    connection.close()
    with pytest.raises(Damaged, match="says schema 10, not 9"):
        before.keep(old.file, old.data_dir, schema=9, program="", to=11, now_ms=NOW_MS)
    assert old.left() == []
    old.up()
    (kept,) = before.kept(old.data_dir)
    assert (kept.program, kept.file.startswith("0010-1.2.3-")) == ("1.2.3", True)


def test_what_root_makes_belongs_to_whom_the_data_belong(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sudo signalcraft migrate up` must leave a service that may use what it made."""
    given: list[str] = []
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.chown", lambda path, uid, gid: given.append(Path(path).name))
    old.up()
    (kept,) = before.kept(old.data_dir)
    assert {"before", kept.file, f"{kept.file}.json{copies.PART}"} <= set(given)


def test_a_long_migration_says_so(old: Old) -> None:
    times = iter(range(NOW_MS, NOW_MS + 10**9, 61_000))
    old.up(now=lambda: next(times))
    assert "longer than 60" in old.run().said


def test_the_last_three_backups_are_kept_and_leavings_go(old: Old) -> None:
    for n in range(5):
        before.keep(old.file, old.data_dir, schema=10, program="0.1.0", to=11, now_ms=NOW_MS - 10**7 + n)
    aside = before.keep(old.file, old.data_dir, schema=10, program="", to=9, now_ms=1, newer=True)
    for name in (".scratch-rehearsal-999999999.db", ".scratch-rehearsal-999999999.db-wal", "0010-x.db.part", "bare.db"):
        (old.data_dir / "before" / name).write_bytes(b"")
    old.up()
    found = before.kept(old.data_dir)
    assert [one.made_ms for one in found] == [NOW_MS, NOW_MS - 10**7 + 4, NOW_MS - 10**7 + 3, 1]
    assert found[-1].file == aside.file
    assert len(old.left()) == 8
    assert found[1].file.startswith("0010-0.1.0-2026")


def test_a_kept_backup_that_changed_is_not_given_back(old: Old) -> None:
    old.up()
    (kept,) = before.kept(old.data_dir)
    file = old.data_dir / "before" / kept.file
    connection = apsw.Connection(str(file))
    connection.execute("delete from fact").fetchall()
    connection.close()
    with pytest.raises(Damaged, match="its checksum has changed"):
        before.sound(old.data_dir, kept)


def test_a_folder_that_cannot_be_made_is_one_sentence(old: Old) -> None:
    (old.data_dir / "before").write_text("in the way")
    was = old.digest()
    with pytest.raises(Fault, match=r"before cannot be made: .*; nothing was changed"):
        old.up()
    assert old.digest() == was
