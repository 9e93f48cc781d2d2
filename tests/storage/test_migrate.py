"""Migrations: forward, whole, and never onto a newer database."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalcraft.errors import BadSetting
from signalcraft.storage import migrate
from signalcraft.storage.db import Db, Tx


def shape(tx: Tx) -> list[object]:
    return tx.all("select type, name, sql from sqlite_master order by name")


def test_an_empty_file_gets_the_newest_schema_once(tmp_path: Path) -> None:
    db = Db(tmp_path / "it.db")
    assert migrate.up(db) == [f"{n:04d}_{name}" for n, name, _ in migrate.steps()]
    assert migrate.version(db) == migrate.newest()
    assert migrate.up(db) == []
    db.stop()


def test_a_newer_database_is_refused_untouched(tmp_path: Path) -> None:
    db = Db(tmp_path / "it.db")
    migrate.up(db)
    with db.direct() as tx:
        tx.run("pragma user_version = 9999")
        before = shape(tx)
    with pytest.raises(BadSetting, match="newer than this program"):
        migrate.up(db)
    with db.direct() as tx:
        assert shape(tx) == before
    db.stop()


def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = Db(tmp_path / "it.db")
    broken = [*migrate.steps(), (9998, "broken", "create table good (id integer); create table bad (id nonsense(;")]
    monkeypatch.setattr(migrate, "steps", lambda: broken)
    with pytest.raises(Exception, match=r"near|syntax|incomplete"):
        migrate.up(db)
    with db.direct() as tx:
        assert tx.value("select count(*) from sqlite_master where name = 'good'") == 0
    assert migrate.version(db) == 0, "what came before it in the same run is undone too"
    db.stop()


def test_numbers_have_no_hole_and_statements_can_be_split() -> None:
    steps = migrate.steps()
    assert [n for n, _, _ in steps] == list(range(1, len(steps) + 1))
    for _, name, sql in steps:
        bare = "\n".join(line.split("--")[0] for line in sql.splitlines())
        for line in bare.splitlines():
            inner = line.strip().removesuffix(";")
            trigger = inner.startswith("begin ") and inner.endswith("; end")
            assert ";" not in inner or trigger, f"{name}: two statements on one line: {line}"
        for quoted in bare.split("'")[1::2]:
            assert ";" not in quoted, f"{name}: a semicolon inside a literal"


def test_the_schema_that_is_written_down_is_what_the_migrations_add_up_to(tmp_path: Path) -> None:
    db = Db(tmp_path / "it.db")
    migrate.up(db)
    written = Path(migrate.__file__).with_name("schema.sql").read_text(encoding="utf-8")
    assert migrate.schema(db) == written, "make gen"
    db.stop()
