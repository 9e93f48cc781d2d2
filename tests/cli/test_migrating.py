"""`migrate` on the databases that earlier releases left: status, check, up, down, export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signalcraft.storage import before, migrate
from signalcraft.storage.db import connect
from signalcraft.storage.rehearsal import level_of
from tests.cli.conftest import Box
from tests.storage.schemas import draw

LEVEL = 9


@pytest.fixture
def old(box: Box) -> Box:
    """A box whose database is of an earlier release."""
    draw.laid(LEVEL, box.data)
    return box


def add_event(file: Path) -> None:
    connection = connect(file)
    names = ", ".join(name for (name,) in connection.execute("select name from pragma_table_info('event')"))
    wanted = names.replace("id,", "(select max(id) + 7 from event),", 1)
    connection.execute(f"insert into event ({names}) select {wanted} from event limit 1").fetchall()
    connection.close()


def test_check_tries_on_a_copy_and_changes_nothing(old: Box) -> None:
    said = json.loads(old.run("migrate", "check", "--json", code=1).stdout)
    assert (said["schema"], said["newest"], said["ok"], said["problem"]) == (LEVEL, migrate.newest(), True, "")
    assert [step["name"] for step in said["rehearsal"]["steps"]] == said["pending"]
    assert said["rehearsal"]["free"] > said["rehearsal"]["needed"] > said["rehearsal"]["size"] > 0
    assert "On a copy of" in old.run("migrate", "check", code=1).stdout
    assert level_of(old.data / "signalcraft.db") == LEVEL
    assert list((old.data / "before").iterdir()) == []


def test_check_names_what_stands_in_the_way(old: Box) -> None:
    connection = connect(old.data / "signalcraft.db")
    connection.execute("create table maintenance_run (id integer) strict").fetchall()
    connection.close()
    said = json.loads(old.run("migrate", "check", "--json", code=1).stdout)
    assert said["ok"] is False
    assert "0010_care cannot be applied to this database" in said["problem"]
    assert "0010_care cannot be applied" in old.run("migrate", "check", code=1).stderr
    assert "nothing was changed" in old.run("serve", code=1).stderr
    assert "tried" in old.run("serve", code=1).stderr, "a second start says the same without a second copy"


def test_migrate_alone_goes_up_and_says_what_it_does(old: Box) -> None:
    done = old.run("migrate")
    assert done.stdout.count("applied") == migrate.newest() - LEVEL
    assert "checked on a copy first" in done.stderr
    status = old.run("migrate", "status").stdout
    assert "from before schema" in status
    assert f"{LEVEL:04d}-unknown-" in status


def test_serve_migrates_and_says_so_in_its_log(old: Box) -> None:
    process = old.serving()
    assert level_of(old.data / "signalcraft.db") == migrate.newest()
    said = json.loads(old.run("migrate", "status", "--json").stdout)
    assert [one["schema"] for one in said["kept"]] == [LEVEL]
    _, _, log = old.ended(process)
    lines = [json.loads(line)["message"] for line in log.splitlines()]
    assert any("it is checked on a copy first" in line for line in lines)
    assert any(line.startswith(f"the backup is before/{LEVEL:04d}-") for line in lines)


def test_down_tells_what_was_written_since_and_asks(old: Box) -> None:
    old.run("migrate", "up")
    add_event(old.data / "signalcraft.db")
    refused = old.run("migrate", "down", code=2)
    assert "Written since: 1 events, 0 alert groups, 0 deliveries, 0 acts of people." in refused.stdout
    assert "--yes, nothing was changed" in refused.stderr
    assert level_of(old.data / "signalcraft.db") == migrate.newest()
    done = json.loads(old.run("migrate", "down", "--to", str(LEVEL), "--yes", "--json").stdout)
    assert (done["schema"], done["was"], done["since"]["events"]) == (LEVEL, migrate.newest(), 1)
    assert level_of(old.data / "signalcraft.db") == LEVEL
    lines = [json.loads(line) for line in old.run("migrate", "export").stdout.splitlines()]
    assert [line["table"] for line in lines].count("event") == 1
    (newer,) = [one for one in before.kept(old.data) if one.newer]
    assert newer.file == done["newer"]
    old.run("migrate", "export", "--from", newer.file)
    assert "no copy of schema 3" in old.refused("migrate", "down", "--to", "3", "--yes", code=1)


def test_down_with_carry_loses_no_event(old: Box) -> None:
    old.run("migrate", "up")
    add_event(old.data / "signalcraft.db")
    assert "is taken along" in old.run("migrate", "down", "--yes", "--carry").stdout
    connection = connect(old.data / "signalcraft.db", read_only=True)
    carried = connection.execute("select count(*) from event").fetchall()
    connection.close()
    assert carried == [(sum(one.startswith('insert into "event"') for one in draw.inserts(LEVEL)) + 1,)]


@pytest.mark.whole
def test_what_serves_is_not_migrated_beside_it(old: Box) -> None:
    process = old.serving()
    assert "stop it first" in old.refused("migrate", "down", "--yes", code=1)
    assert "up to date" in old.run("migrate", "up").stdout
    old.ended(process)
