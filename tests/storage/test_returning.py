"""The way back: the older copy comes, what was written since is told and stays aside, nobody is told twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from signalcraft.errors import Conflict, Damaged, DiskFull
from signalcraft.storage import before, copies, migrate, migrating, rehearsal, returning, runs
from signalcraft.storage.db import Db, Tx
from tests.storage.schemas import draw
from tests.storage.test_migrating import GOOD, NEXT, NOW_MS, Old

LEVEL = 10


@contextmanager
def writing(file: Path) -> Iterator[Tx]:
    db = Db(file)
    try:
        with db.direct() as tx:
            yield tx
    finally:
        db.stop()


def clone(tx: Tx, table: str, **change: object) -> None:
    """One more row, like the first one."""
    names = draw.columns(tx, table)
    row = dict(zip(names, tx.all(f'select {", ".join(names)} from "{table}" limit 1')[0], strict=True)) | change
    listed = ", ".join(row)
    tx.run(f'insert into "{table}" ({listed}) values ({", ".join("?" * len(row))})', list(row.values()))


@pytest.fixture(autouse=True)
def newer_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has one migration more than this one."""
    known = migrate.steps()
    monkeypatch.setattr(migrate, "steps", lambda: [*known, (NEXT, "next", GOOD)])


@pytest.fixture
def old(tmp_path: Path) -> Old:
    """Migrated from schema 10, and used since."""
    it = Old(tmp_path / "data", LEVEL)
    it.up()
    with writing(it.file) as tx:
        top = tx.value("select max(id) from event") + 10
        group = top + 1
        clone(tx, "alert_group", id=group, group_key="since", scope="since", identity=5)
        for n in range(3):
            clone(tx, "event", id=top + 2 + n, group_id=group, title="written since")
        clone(tx, "delivery", id=top + 9, group_id=group, state="sent", kind="first")
        actor = '{"kind": "user", "id": "1", "name": "Olga"}'
        clone(tx, "journal", id=top + 12, group_id=group, verb="acknowledged", actor=actor)
        clone(tx, "journal", id=top + 13, group_id=group, verb="opened",
              actor='{"kind": "system", "id": "signalcraft", "name": "SignalCraft"}')  # fmt: skip
    return it


def back(old: Old, *, carry: bool = False, **more: object) -> returning.Returned:
    chosen = returning.plan(old.data_dir, None)
    return returning.go_back(old.data_dir, chosen, program="9.9.9", now_ms=NOW_MS + 1, carry=carry, **more)  # type: ignore[arg-type]


def test_what_was_written_since_is_told_by_row(old: Old) -> None:
    chosen = returning.plan(old.data_dir, LEVEL)
    since = chosen.since
    assert (since.events, since.groups, since.deliveries, since.acts) == (3, 1, 1, 1)
    assert since.rows["journal"] == 2
    assert chosen.schema == migrate.newest()


def test_the_copy_comes_back_and_the_newer_one_stays_aside(old: Old) -> None:
    newer_rows = copies.verified(old.file).rows
    (kept,) = before.kept(old.data_dir)
    done = back(old)
    now = copies.verified(old.file)
    assert now.schema == LEVEL
    for table in kept.rows.keys() - {"maintenance_run", "fact"}:
        assert now.rows[table] == kept.rows[table], table
    with writing(old.file) as tx:
        assert migrate.shape(tx) == migrate.intended(LEVEL)
        run = runs.last(tx, migrating.KIND)
    assert run is not None
    assert (run.figures["from"], run.figures["to"], run.figures["since_event"]) == (migrate.newest(), LEVEL, 3)
    (aside,) = [one for one in before.kept(old.data_dir) if one.newer]
    assert (aside.file, aside.since["event"]) == (done.newer, 3)
    assert copies.verified(old.data_dir / "before" / aside.file).rows == newer_rows


def test_what_was_written_since_can_be_exported(old: Old) -> None:
    back(old)
    rows = list(returning.written(old.data_dir, None))
    titles = [row["row"]["title"] for row in rows if row["table"] == "event"]
    assert titles == ["written since"] * 3
    assert len([row for row in rows if row["table"] == "journal"]) == 2
    with pytest.raises(Conflict, match=r"no database called other\.db was put aside"):
        list(returning.written(old.data_dir, "other.db"))


def test_what_was_sent_since_is_not_owed_again(tmp_path: Path) -> None:
    """The copy from before still owes it; people were told by the newer program."""
    old = Old(tmp_path / "data", LEVEL)
    with writing(old.file) as tx:
        number = tx.value("select id from delivery where group_id is not null order by id limit 1")
        tx.run("update delivery set state = 'owed', sent_ms = null where id = ?", (number,))
        tx.run("update conversation set receipt = '{}', posted_ms = null")
    old.up()
    with writing(old.file) as tx:
        tx.run("update delivery set state = 'sent', sent_ms = 5 where id = ?", (number,))
        tx.run('update conversation set receipt = \'{"ts": "1.2"}\', posted_ms = 5')
    back(old)
    with writing(old.file) as tx:
        assert tx.one("select state, sent_ms from delivery where id = ?", (number,)) == ("sent", 5)
        assert tx.all("select distinct receipt from conversation") == [('{"ts": "1.2"}',)]


def test_with_carry_everything_that_fits_is_taken_along(old: Old) -> None:
    newer = copies.verified(old.file).rows
    done = back(old, carry=True)
    now = copies.verified(old.file)
    assert (now.schema, done.carried) == (LEVEL, True)
    for table in ("event", "alert_group", "delivery", "journal", "person", "audit"):
        assert now.rows[table] == newer[table], table
    with writing(old.file) as tx:
        assert migrate.shape(tx) == migrate.intended(LEVEL)
    assert old.up(insist=True), "and it can be upgraded again"
    assert copies.verified(old.file).rows["event"] == newer["event"]


def test_a_way_back_that_is_not_there_is_one_sentence(old: Old) -> None:
    with pytest.raises(Conflict, match=r"no copy of schema 3 is kept in .* \(of schema: 10\)"):
        returning.plan(old.data_dir, 3)
    with pytest.raises(Conflict, match="there is no way back to 9900"):
        returning.plan(old.data_dir, 9900)
    (kept,) = before.kept(old.data_dir)
    with (old.data_dir / "before" / kept.file).open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(Damaged):
        returning.plan(old.data_dir, None)


def test_without_room_nothing_is_changed(old: Old) -> None:
    was, left = old.digest(), old.left()
    with pytest.raises(DiskFull, match="to go back"):
        back(old, free=lambda _: 1)
    assert (old.digest(), old.left()) == (was, left)


def test_a_way_back_that_fails_leaves_the_newer_one(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    was, left = copies.verified(old.file).rows, old.left()

    def give_back(source: Path, target: Path) -> None:
        raise DiskFull("the disk is full")

    monkeypatch.setattr(before, "give_back", give_back)
    with pytest.raises(DiskFull):
        back(old)
    assert rehearsal.level_of(old.file) == migrate.newest()
    assert (copies.verified(old.file).rows, old.left()) == (was, left)
