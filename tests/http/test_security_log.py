"""GET /api/admin/security/audit: failed sign-ins, limits, lockouts and what looks suspicious, within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.config import Settings
from signalcraft.services.security import OTHERS, Security
from signalcraft.storage import security as store
from tests.http.asking import asking, key_of, problem
from tests.http.browsing import OTHER_PASSWORD, QUIET, Browser, browser, person
from tests.services.desk import Desk
from tests.world import World

DAY_MS = 86_400_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "data") as it:
        yield it


def events(world: World, **query: Any) -> dict[str, Any]:
    said: dict[str, Any] = world.get("/api/admin/security/audit", **query)
    return said


def refused(world: World) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in events(world)["refused"]:
        found[one["kind"]] = found.get(one["kind"], 0) + one["times"]
    return found


def test_nothing_happened(world: World) -> None:
    said = events(world)
    assert set(said["summary"].values()) == {0}
    assert said["refused"] == []


def test_failed_sign_ins_are_counted_whether_the_account_exists_or_not(world: World) -> None:
    person(world, "sam@example.com")
    with Browser(world) as eve:
        for email in ("sam@example.com", "nobody@example.com", "nobody@example.com"):
            problem(eve.signs_in(email, OTHER_PASSWORD), 401, "wrong_credentials")
    said = events(world)
    assert said["summary"]["failed_sign_ins"] == 3
    only = [one for one in said["refused"] if one["kind"] == "sign_in_failed"]
    assert [(one["times"], one["address"], one["route"]) for one in only] == [
        (3, "127.0.0.1", "POST /api/auth/sign-in")
    ]
    assert "nobody@" not in str(said), "what is typed into the e-mail field may be a password"
    assert "sign_in_failed" in [row["verb"] for row in said["items"]]  # of the account that exists


def test_lockouts_and_limits_are_told_apart(world: World) -> None:
    person(world, "sam@example.com")
    with Browser(world) as eve:
        for _ in range(5):
            eve.signs_in("sam@example.com", OTHER_PASSWORD)
        problem(eve.signs_in("sam@example.com"), 429, "too_many")
    said = events(world)["summary"]
    assert (said["failed_sign_ins"], said["locked_out"], said["limit_violations"]) == (5, 1, 0)


def test_a_limit_violation_bears_the_name_of_who_was_over(tmp_path: Path) -> None:
    with World(tmp_path / "data", **{"limits.api_per_minute": "60"}) as world:
        key = key_of(world, "alerts:read")
        with asking(world, key) as client:
            for _ in range(301):
                last = client.get("/api/alert-groups")
        problem(last, 429, "too_many")
        world.clock.at_ms += 60_000
        assert events(world)["summary"]["limit_violations"] == 1


def test_an_address_above_its_limit_is_counted_and_seen(tmp_path: Path) -> None:
    with World(tmp_path / "data", **{"limits.global_per_15_minutes": "3"}) as world, asking(world) as client:
        assert [client.get("/api/errors").status_code for _ in range(5)] == [200] * 3 + [429] * 2
        assert 'signalcraft_limit_exceeded_total{limit="global"} 2.0' in world.api.get("/metrics").text
        world.clock.at_ms += 900_000
        said = events(world)
        assert said["summary"]["limit_violations"] == 2
        assert [(one["times"], one["address"], one["route"]) for one in said["refused"]] == [(2, "127.0.0.1", "global")]


def test_what_looks_suspicious_is_counted_by_kind(world: World) -> None:
    with browser(world, "vic@example.com", "viewer") as vic, asking(world, "sc_" + "x" * 43) as forger:
        problem(vic.ask("POST", "/api/channels", {}), 403, "forbidden")
        problem(vic.ask("GET", "/api/audit"), 403, "forbidden")
        problem(vic.client.post("/api/auth/sign-out"), 403, "csrf")
        problem(forger.get("/api/channels"), 401)
        problem(asking(world).get("/api/channels"), 401)  # nobody: that is no attack
        said = events(world)
        assert refused(world) == {"denied": 2, "forged_request": 1, "bad_credential": 1}
        assert said["summary"]["suspicious"] == 4
        denied = next(one for one in said["refused"] if one["kind"] == "denied")
        assert denied["actor"] == f"user:{vic.who['person']['id']}"
        assert denied["request_id"]


def test_the_security_rows_leave_the_configuration_out(world: World) -> None:
    world.channel("#oncall")
    with browser(world, "kim@example.com", "admin") as kim:
        kim.post("/api/auth/step-up", {"password": "tractor-lunar-vivid"})
        kim.post("/api/auth/totp/enrol")
        verbs = [row["verb"] for row in events(world)["items"]]
    assert verbs[:3] == ["second_factor_offered", "stepped_up", "signed_in"]
    assert not [verb for verb in verbs if verb.startswith(("channel", "workspace"))]
    page = events(world, limit=1)
    assert events(world, limit=1, cursor=page["next"])["items"][0]["verb"] == "stepped_up"


def test_it_appears_within_a_second_by_itself(world: World) -> None:
    with Browser(world) as eve:
        eve.signs_in("x@example.com", OTHER_PASSWORD)
    world._call(world.program._second())  # type: ignore[union-attr]

    def read(tx: Any) -> dict[str, int]:
        return store.totals(tx, 1, world.clock.at_ms - 1, world.clock.at_ms + 1)

    assert world._call(world.house.db.read(read)) == {"sign_in_failed": 1}


def test_what_was_refused_last_is_written_down_when_the_program_ends(tmp_path: Path) -> None:
    with World(tmp_path / "data", **QUIET) as world:
        world.house.security.saw("bad_credential", "192.0.2.9")
        world.house.ingest.refusals.note(1, 0, "refused_signature", world.clock.at_ms)
        world.house.ingest.refusals.gap(1, "the writer was busy", world.clock.at_ms)
        world.stopped()
        world.restarted()
        with world.house.db.reading() as reader:
            assert reader.value("select n from security_count where address = '192.0.2.9'") == 1
            assert reader.value("select sum(n) from minute_count where what = 'refused_signature'") == 1
            assert reader.value("select refused from gap where why = 'the writer was busy'") == 1


def test_a_flood_from_everywhere_keeps_its_size_and_not_its_addresses(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        log = Security(Settings(), desk.db, lambda: desk.now_ms)
        for number in range(2000):
            log.saw("limit", f"10.0.{number >> 8}.{number & 255}")
        asyncio.run(log.flush())
        seen = desk.look(lambda tx: store.since(tx, 1, 0, desk.now_ms + 1, 5000))
        assert sum(one.n for one in seen) == 2000
        assert len(seen) == 501
        assert {one.n for one in seen if one.address == OTHERS} == {1500}


@pytest.mark.parametrize(("days", "kept"), [(364, True), (366, False)])
def test_counts_are_kept_for_a_year(tmp_path: Path, days: int, kept: bool) -> None:
    with Desk(tmp_path) as desk:
        log = Security(Settings(), desk.db, lambda: desk.now_ms)
        log.saw("limit", "192.0.2.1")
        asyncio.run(log.flush())
        began_ms = desk.now_ms
        desk.now_ms += days * DAY_MS
        asyncio.run(log.tidy())
        assert bool(desk.look(lambda tx: store.totals(tx, 1, began_ms, began_ms + 1))) is kept
