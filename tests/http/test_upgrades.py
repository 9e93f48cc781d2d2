"""What the appliance says of its versions and schemas: runs, backups from before, alarms about a migration."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalcraft.errors import Fault
from signalcraft.services.care import upgrades
from signalcraft.storage import facts, installed, migrate, migrating, runs
from signalcraft.storage.db import Db, Tx
from tests.http.asking import asking, key_of
from tests.storage.schemas import draw
from tests.world import World

LEVEL = 9


@pytest.fixture
def old(tmp_path: Path) -> World:
    """A box that an earlier release served half an hour ago; not started."""
    draw.laid(LEVEL, tmp_path / "data")
    world = World(tmp_path / "data")
    world.clock.at_ms += 3_600_000
    return world


def test_a_start_on_an_earlier_schema_is_shown_with_its_backup(old: World) -> None:
    with old as world:
        said = world.get("/api/system/upgrades")
        assert said["schema_level"] == said["schema_newest"] == migrate.newest()
        (run,) = said["runs"]
        assert (run["kind"], run["state"], run["from_schema"], run["to_schema"]) == (
            "migration", "ok", LEVEL, migrate.newest(),
        )  # fmt: skip
        (kept,) = said["kept"]
        assert kept["file"] in run["said"]
        assert (kept["schema"], kept["newer"]) == (LEVEL, False)
        assert (said["prefix"], said["versions"]) == ("", [])
        assert upgrades.CONDITION not in world.house.alarms.wrong


def test_another_version_than_before_is_on_record(tmp_path: Path) -> None:
    with World(tmp_path / "data") as world:
        assert world.get("/api/system/upgrades")["runs"] == []
        world._call(world.house.db.write(lambda tx: facts.put(tx, migrating.PROGRAM, "0.0.9")))
        world.killed().restarted()
        (run,) = world.get("/api/system/upgrades")["runs"]
        assert (run["kind"], run["state"]) == ("upgrade", "ok")
        assert run["said"].startswith("SignalCraft 0.0.9 became ")
        world.killed().restarted()
        assert len(world.get("/api/system/upgrades")["runs"]) == 1


def test_a_migration_that_failed_is_told_by_the_version_that_goes_on(tmp_path: Path) -> None:
    """The new program could not; the old one starts again, and says so for a day."""
    with World(tmp_path / "data") as world:
        world.stopped()
        failing(world)
        world.restarted()
        wrong = world.house.alarms.wrong[upgrades.CONDITION]
        assert "the upgrade to SignalCraft 9.9.9 was undone" in wrong.said
        assert "no such table: nowhere" in wrong.said
        (run,) = world.get("/api/system/upgrades")["runs"]
        assert (run["state"], run["to_schema"]) == ("failed", 9001)
        world.killed().restarted()
        assert len(world.get("/api/system/upgrades")["runs"]) == 1, "it is written down once"
        world.clock.at_ms += upgrades.TOLD_MS
        world._call(world.house.upgrades.tend())
        assert upgrades.CONDITION not in world.house.alarms.wrong


def failing(world: World) -> None:
    """A newer program tries, and cannot."""
    known = migrate.steps()
    db = Db(world.data_dir / "signalcraft.db")
    way = migrating.Way(data_dir=world.data_dir, program="9.9.9", now=world.clock)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Fault):  # noqa: PT012  # what is patched is part of it
        patch.setattr(migrate, "steps", lambda: [*known, (9001, "bad", "alter table nowhere add column x integer;")])
        migrating.bring_up(db, way)
    db.stop()


def test_a_migration_that_took_long_is_told_for_a_day(tmp_path: Path) -> None:
    """MIG-6: above 60 s."""
    with World(tmp_path / "data") as world:
        now_ms = world.clock.at_ms

        def long(took_ms: int) -> None:
            def write(tx: Tx) -> None:
                number = runs.begin(tx, migrating.KIND, now_ms - took_ms)
                runs.end(tx, number, "ok", "schema 9 became 10", {}, now_ms)

            world._call(world.house.db.write(write))
            world._call(world.house.upgrades.tend())

        long(59_000)
        assert upgrades.CONDITION not in world.house.alarms.wrong
        long(61_000)
        assert "took 61 s" in world.house.alarms.wrong[upgrades.CONDITION].said


def test_installed_versions_are_shown_where_the_program_is_one_of_them(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = installed.Place(tmp_path / "prefix")
    for n, version in enumerate(("1.0.0", "1.1.0")):
        draft = place.incoming()
        draft.write_bytes(b"")
        place.add(draft, version, "00", world.clock.at_ms + n)
        place.switch(version)
    monkeypatch.setattr(installed, "present", lambda: place)
    said = world.get("/api/system/upgrades")
    assert said["prefix"] == str(tmp_path / "prefix")
    assert [(one["version"], one["current"]) for one in said["versions"]] == [("1.1.0", True), ("1.0.0", False)]
    assert asking(world).get("/api/system/upgrades").status_code == 401
    assert asking(world, key_of(world, "alerts:read")).get("/api/system/upgrades").status_code == 403
