"""/api/system and the log of warnings: what the appliance says of itself."""

from __future__ import annotations

import logging
import platform
from pathlib import Path
from typing import Any

from signalcraft import __version__
from signalcraft.services.house import House
from signalcraft.services.system import JOBS
from signalcraft.storage import migrate
from tests.http.asking import Other, asking, key_of, problem
from tests.world import BOT_TOKEN, SIGNING_SECRET, START_MS, World


def test_it_says_what_it_is_and_what_it_takes_up(world: World) -> None:
    world.rule(channel="#oncall")
    world.receives("sentry", "event_alert")
    said = world.get("/api/system")
    assert (said["version"], said["python"]) == (__version__, platform.python_version())
    assert said["schema_level"] == said["schema_newest"] == migrate.newest()
    assert said["public_url"] == str(world.api.base_url).rstrip("/")
    disk = said["storage"]
    database = world.data_dir / "signalcraft.db"
    assert disk["data_dir"] == str(world.data_dir)
    assert disk["directory_bytes"] >= disk["wal_bytes"] + database.stat().st_size > 0
    assert disk["database_bytes"] >= 4096
    assert 0 < disk["disk_free_bytes"] < disk["disk_total_bytes"]
    assert said["memory"]["peak_bytes"] >= said["memory"]["resident_bytes"] * 0.5 > 10_000_000
    assert said["writer"]["queue_max"] == world.house.db.queue_max
    assert said["writer"]["commits"] > 0
    assert said["clock_at"] == "2026-03-02T09:00:00.000Z"
    assert said["started_at"] == "2026-03-02T09:00:00.000Z"
    world.after(minutes=90)
    assert world.get("/api/system")["uptime_seconds"] == 5400


def test_an_open_stream_is_counted(world: World) -> None:
    assert world.get("/api/system")["streams_open"] == 0
    with world.api.stream("GET", "/api/live") as stream:
        lines = stream.iter_lines()
        while not next(lines).startswith("event: health"):
            pass
        assert world.get("/api/system")["streams_open"] == 1


def test_every_job_tells_its_last_run_and_its_next(tmp_path: Path) -> None:
    with World(tmp_path / "data") as world:

        def jobs() -> dict[str, dict[str, Any]]:
            said = world.get("/api/system")["jobs"]
            assert [job["name"] for job in said][: len(JOBS)] == [job.name for job in JOBS]
            return {job["name"]: job for job in said}

        first = jobs()["purge"]
        assert (first["last_run_at"], first["result"], first["schedule"]) == (None, None, "daily at 02:00 UTC")
        assert first["next_run_at"] == "2026-03-03T02:00:00.000Z"
        assert jobs()["encryption keys"]["next_run_at"] == "2026-03-02T09:01:00.000Z"
        night(world)
        after = jobs()["purge"]
        assert (after["result"], after["last_run_at"]) == ("ok", "2026-03-03T02:00:00.000Z")
        assert after["next_run_at"] == "2026-03-04T02:00:00.000Z"
        # What runs at night is not forgotten by a restart; what fails says so.
        world.stopped().restarted()
        assert jobs()["purge"]["result"] == "ok"

        async def fails() -> None:
            raise OSError("no")

        world.house.retention.prunes["sessions"] = fails
        night(world)
        failed = jobs()["purge"]
        assert (failed["result"], failed["error"]) == ("failed", "sessions: OSError")
        assert "sessions" in world.house.alarms.wrong["retention_failed"].said


def night(world: World) -> None:
    """The clock goes on to the next 02:00, and what is due then is done."""
    world._call(world.house.nightly.tick())  # it knows of the day before
    world.clock.at_ms += 17 * 3_600_000 if world.clock.at_ms == START_MS else 24 * 3_600_000

    async def care() -> None:
        await world.house.nightly.tick()
        await world.house.nightly.settled()

    world._call(care(), 60)


def test_what_a_night_clears_away_is_everything_that_runs_out(world: World) -> None:
    """One clean-up a night, and one record of it."""
    assert set(world.house.retention.prunes) == {"statements", "sessions", "audit_ends", "security", "own_errors"}
    done: list[str] = []
    for name in world.house.retention.prunes:

        async def does(name: str = name) -> None:
            done.append(name)

        world.house.retention.prunes[name] = does
    world._call(world.house.nightly.tick())
    night(world)
    assert set(done) == set(world.house.retention.prunes)


def test_each_job_is_one_that_the_jobs_call(world: World) -> None:
    """If it fails: services/system.JOBS lacks what jobs.py calls, or names what it does not."""
    house: House = world.house
    at_work = world.program._jobs  # type: ignore[union-attr]
    assert at_work is not None
    house.system._runs.clear()
    at_work._each_minute()
    assert house.system._runs.keys() == {job.call for job in JOBS}


def test_no_secret_is_in_it_and_who_may_not_does_not_see_it(world: World, other: Other) -> None:
    text = world.api.get("/api/system").text
    assert BOT_TOKEN not in text
    assert SIGNING_SECRET not in text
    problem(asking(world, key_of(world, "alerts:read")).get("/api/system"), 403, "forbidden")
    problem(asking(world).get("/api/system"), 401)
    assert other.api.get("/api/system").status_code == 200


def test_the_latest_warnings_are_told_without_secrets(world: World, other: Other) -> None:
    log = logging.getLogger("signalcraft.test")
    log.warning("first", extra={"channel": "#oncall", "bot_token": BOT_TOKEN})
    log.error("the token is %s", BOT_TOKEN)
    log.info("not this")
    said = world.get("/api/admin/warnings")
    latest, before = said["items"][:2]
    assert (latest["level"], before["level"]) == ("error", "warning")
    assert (before["message"], before["logger"], before["fields"]["channel"]) == (
        "first", "signalcraft.test", "#oncall",
    )  # fmt: skip
    assert BOT_TOKEN not in str(said)
    for n in range(said["kept"] + 20):
        log.warning("line %d", n)
    items = world.get("/api/admin/warnings")["items"]
    assert len(items) == said["kept"]
    assert items[0]["message"] == f"line {said['kept'] + 19}"
    problem(asking(world, key_of(world, "config:read")).get("/api/admin/warnings"), 403, "forbidden")
    problem(other.api.get("/api/admin/warnings"), 403, "forbidden")
