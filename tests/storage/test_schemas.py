"""Every schema that SignalCraft ever had, as its release left it, becomes today's: nothing is lost, all of it works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from signalcraft.domain.ids import Mint
from signalcraft.storage import before, copies, migrate, migrating
from signalcraft.storage.db import Db, Tx, connect
from tests.storage.schemas import draw
from tests.world import World

MADE = {
    "maintenance_run", "minute_count", "rolled_mark", "rolled_key", "rolled_count", "rolled_total", "group_day", "fact",
}  # fmt: skip
"""Tables to which a migration, or the record of its run, adds rows of its own."""


def content(tx: Tx) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, in the columns that it has now."""
    return {table: draw.rows(tx, table, draw.columns(tx, table)) for table in draw.tables(tx)}


def test_every_schema_up_to_now_is_kept() -> None:
    """`python -m tests.storage.schemas.draw` makes what is missing."""
    assert draw.levels() == list(range(1, draw.levels()[-1] + 1))
    assert draw.levels()[-1] >= 10


@pytest.mark.parametrize("level", draw.levels())
def test_what_is_kept_is_that_schema_with_something_in_every_table(level: int, tmp_path: Path) -> None:
    connection = connect(draw.laid(level, tmp_path))
    tx = Tx(connection, Mint())
    assert migrate.level(tx) == level
    assert migrate.shape(tx) == migrate.intended(level)
    empty = {table for table, rows in content(tx).items() if not rows}
    assert empty <= {"box_secret", "setup_code", "workspace_retention", "restored", "rolled_count", "rolled_total"}
    assert tx.all("pragma foreign_key_check") == []
    connection.close()


@pytest.mark.parametrize("level", draw.levels())
def test_it_is_upgraded_and_every_row_is_as_it_was(level: int, tmp_path: Path) -> None:
    db = Db(draw.laid(level, tmp_path))
    with db.direct() as tx:
        columns = {table: draw.columns(tx, table) for table in draw.tables(tx)}
        was = content(tx)
    way = migrating.Way(data_dir=tmp_path, program="9.9.9", now=lambda: 1_772_500_000_000)
    done = migrating.bring_up(db, way)
    assert len(done) == migrate.newest() - level
    with db.direct() as tx:
        assert migrate.level(tx) == migrate.newest()
        assert migrate.shape(tx) == migrate.intended()
        assert tx.all("pragma foreign_key_check") == []
        assert tx.value("pragma integrity_check") == "ok"
        for table, rows in was.items():
            now = draw.rows(tx, table, columns[table])
            if table in MADE:
                assert set(rows) <= set(now), table
            else:
                assert now == rows, table
    db.stop()
    if done:
        (kept,) = before.kept(tmp_path)
        assert kept.rows == {table: len(rows) for table, rows in was.items()}


@pytest.mark.parametrize("level", draw.levels())
def test_the_program_works_on_it(level: int, tmp_path: Path) -> None:
    """A start on the old data directory, then a person acknowledges what was open, and a new alert is told."""
    draw.laid(level, tmp_path / "data")
    old = World(tmp_path / "data")
    old.clock.at_ms += 3_600_000  # the data are of the first half hour
    with old as world:
        for channel in ("oncall", "leads"):
            world.slack.add_channel(channel)
        group = next(one for one in world.groups() if one["title"] == "cannot reach the database")
        assert (group["status"], group["count"]) == ("open", 2)
        assert world.act(group, "ack")["status"] == "acknowledged"
        assert {one["name"] for one in world.get("/api/routing-rules")["items"]} == {"production"}
        world.integration("generic", name="new one")
        world.integrations["generic"] = world.integrations["new one"]
        body = b'{"title": "after the upgrade", "severity": "critical", "environment": "prod", "dedup_key": "n"}'
        assert world.sends("generic", body, {"content-type": "application/json"}).status_code == 202
        world.after(seconds=10)
        assert ("#oncall", "after the upgrade") in world.told, "the channel's sealed secret is still readable"
        assert world.get("/health")["status"] in ("ok", "degraded")
        world.killed().restarted()
        assert len([one for one in world.groups() if "upgrade" in one["title"]]) == 1


# -- expand, then contract ---------------------------------------------------------------------------------------------


def breaches(sql: str) -> list[str]:
    """What in a migration the release before could not live with, unless it says why that is well by now."""
    found = []
    noted = "-- two-step:" in sql
    every = [" ".join(statement.lower().split()) for statement in migrate.statements(sql)]
    for statement in every:
        if not noted and re.match(r"drop table|drop view|alter table \S+ (drop|rename)", statement):
            found.append(f"{statement[:60]}: what the release before uses goes only after a release without it")
        if re.match(r"alter table \S+ add", statement) and "not null" in statement and "default" not in statement:
            found.append(f"{statement[:60]}: a new column is null, or has a default")
        if re.match(r"create unique index", statement) and not noted and not _new(statement, every):
            found.append(f"{statement[:60]}: rows of the release before may not be unique")
        if re.match(r"(delete from|update) ", statement) and not noted:
            found.append(f"{statement[:60]}: rows are changed or go")
    return found


def _new(statement: str, every: list[str]) -> bool:
    table = re.sub(r".* on (\S+) ?\(.*", r"\1", statement)
    return any(one.startswith(f"create table {table} ") for one in every)


def test_every_migration_adds_and_takes_nothing_away() -> None:
    for number, name, sql in migrate.steps():
        assert breaches(sql) == [], f"{number:04d}_{name}"


@pytest.mark.parametrize(
    "sql",
    [
        "drop table event;", "alter table event drop column title;", "alter table event rename column a to b;",
        "alter table event rename to happening;", "alter table event add column x integer not null;",
        "create unique index one on event (title);", "delete from event where id = 1;", "update event set title = '';",
    ],
)  # fmt: skip
def test_the_policy_finds_what_breaks_the_release_before(sql: str) -> None:
    assert breaches(sql)
    assert breaches("create table new (id integer);\ncreate unique index one on new (id);") == []
    assert breaches("alter table event add column x integer not null default 0;") == []


@pytest.mark.parametrize("level", [n for n in draw.levels() if n < migrate.newest()])
def test_the_release_before_can_write_and_read_on_the_next_schema(level: int, tmp_path: Path) -> None:
    """N and N-1: every row of the earlier schema goes into the next one as that release wrote it."""
    db = Db(tmp_path / "next.db")
    with db.direct() as tx:
        migrate.apply(tx, [step for step in migrate.steps() if step[0] <= level + 1])
        tx.run("pragma defer_foreign_keys = on")
        for statement in draw.inserts(level):
            table = statement.split('"')[1]
            if table == "rolled_mark":
                tx.run("delete from rolled_mark")
            tx.run(statement.replace("insert into", "insert or replace into", 1) if table in MADE else statement)
        connection = connect(draw.laid(level, tmp_path / "old"))
        old = Tx(connection, Mint())
        for table in draw.tables(old):
            names = draw.columns(old, table)
            assert set(names) <= set(draw.columns(tx, table)), f"{table} lost a column"
            if table not in MADE:
                assert draw.rows(tx, table, names) == draw.rows(old, table, names), table
        connection.close()
    db.stop()
    assert copies.verified(tmp_path / "next.db").schema == level + 1
