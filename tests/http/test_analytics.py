"""/api/analytics, /api/query and the long-range numbers behind them, in a whole house."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from signalcraft.errors import Invalid
from signalcraft.services.care import rollups as service
from signalcraft.storage import journal, rolled
from signalcraft.storage.rollups import querying
from tests.http.asking import Other, problem
from tests.http.browsing import QUIET, browser
from tests.world import START_MS, World

ASK = querying.ask


def at_once(question: querying.Question) -> querying.Table:
    """A question answered in this process; one test asks the process that answers them."""
    table = querying.answered(question)
    if table.wrong:
        raise Invalid(table.wrong, path="sql")
    return table


@pytest.fixture(autouse=True)
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querying, "ask", at_once)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two days: a loud group that Ada acknowledges after five minutes and resolves after ten, and a quiet one."""
    with World(tmp_path_factory.mktemp("lived") / "data", **QUIET) as world:
        world.rule(channel="#oncall", name="everything")
        with browser(world, "ada@example.com", "member") as ada:
            one = world.receives("sentry", "event_alert", issue="1", title="loud", level="fatal")["group_id"]
            for _ in range(9):
                world.receives("sentry", "event_alert", issue="1", title="loud", level="fatal")
            world.after(minutes=5)
            ada.post(f"/api/alert-groups/{one}/ack", {})
            world.after(minutes=5)
            ada.post(f"/api/alert-groups/{one}/resolve", {})
        world.after(hours=30)
        world.sends("generic", b'{"title": "quiet", "severity": "low"}', {"content-type": "application/json"})
        world.after(minutes=2)
        yield world


def test_a_long_range_is_what_happened(lived: World) -> None:
    seen = lived.get("/api/analytics", range="30d", by="integration")
    whole = seen["whole"]
    overview = lived.get("/api/dashboard/overview", range="30d")
    assert (whole["events"], whole["groups"]) == (11, 2)
    for name in ("events", "notifications", "edits", "failures", "mtta_seconds", "mttr_seconds"):
        assert whole[name] == overview[name], name
    assert (whole["mtta_seconds"], whole["mttr_seconds"]) == (300.0, 600.0)
    assert whole["median_ack_seconds"] == pytest.approx(300, rel=0.025)
    assert whole["median_resolve_seconds"] == pytest.approx(600, rel=0.025)
    assert whole["delivered_percent"] == 100.0
    assert whole["dedup_percent"] == round(100 * (11 - whole["notifications"]) / 11, 1)
    assert [point["events"] for point in seen["series"]] == [10, 1]
    assert seen["series"][0]["at"] == "2026-03-02T00:00:00.000Z"
    assert seen["step_seconds"] == 86_400
    assert {one["name"]: one["events"] for one in seen["leaders"]} == {"sentry": 10, "generic": 1}


def test_what_leads_in_each_dimension_has_its_name(lived: World) -> None:
    def leaders(by: str) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in lived.get("/api/analytics", range="7d", by=by)["leaders"]}

    told = lived.get("/api/analytics", range="7d")["whole"]["notifications"]
    assert leaders("channel")["#oncall"]["notifications"] == told > 0
    assert leaders("rule")["everything"]["notifications"] > 0
    assert leaders("severity")["critical"]["events"] == 10
    people = leaders("user")
    (ada,) = [one for name, one in people.items() if name.startswith("ada")]
    assert (ada["acknowledgements"], ada["resolved"]) == (1, 1)
    assert ada["id"] in {one["id"] for one in lived.get("/api/people")["items"]}


def test_people_are_active_on_the_day_they_did_something(lived: World) -> None:
    seen = lived.get("/api/analytics", range="7d")
    assert seen["people_of_last_week"] >= seen["people_of_last_day"]
    assert seen["people_of_last_week"] >= 1  # Ada signed in and answered two days ago
    daily = lived.get("/api/analytics", range="30d")["series"]
    assert daily[0]["active_people"] >= 1


@pytest.mark.parametrize("wrong", [{"range": "5d"}, {"by": "colour"}, {"range": ""}])
def test_a_wrong_range_or_dimension_is_named(lived: World, wrong: dict[str, str]) -> None:
    problem(lived.api.get("/api/analytics", params=wrong), 422, "invalid", next(iter(wrong)))


def test_another_workspace_sees_its_own(world: World, other: Other) -> None:
    world.receives("sentry", "event_alert")
    assert world.get("/api/analytics")["whole"]["events"] == 1
    assert other.api.get("/api/analytics").json()["whole"]["events"] == 0
    asked = {"sql": "select coalesce(sum(n), 0) from days where what = 'events'"}
    assert world.post("/api/query", asked)["rows"] == [[4]]  # in each of four dimensions
    assert other.api.post("/api/query", json=asked).json()["rows"] == [[0]]
    names = {"sql": "select label from label"}
    assert ["sentry"] in world.post("/api/query", names)["rows"]
    assert ["sentry"] not in other.api.post("/api/query", json=names).json()["rows"]


def test_numbers_that_are_spoilt_come_back_by_themselves(lived: World) -> None:
    before = lived.get("/api/analytics", range="30d")["whole"]
    path = lived.house.data_dir / "metrics.duckdb"
    path.write_bytes(b"spoilt")
    lived.house.rollups.counted_ms = 0  # as if the last count was long ago
    assert lived.get("/api/analytics", range="30d")["whole"] == before
    state = lived.get("/api/metrics/rollups")
    assert (state["there"], state["bytes"]) == (True, path.stat().st_size)
    assert path.stat().st_mode & 0o077 == 0


def test_a_rebuild_counts_the_same_and_is_on_record(lived: World) -> None:
    before = lived.get("/api/analytics", range="1y")["whole"]
    said = lived.post("/api/metrics/rebuild")
    assert (said["done"], said["events"], said["filled_days"]) == (True, 11, 0)
    assert lived.get("/api/analytics", range="1y")["whole"] == before
    run = lived._call(lived.house.runs.last("rollup"))
    assert run is not None
    assert (run.state, run.figures["events"]) == ("ok", 11)
    lines = lived._call(lived.house.db.read(lambda tx: journal.since(tx, 1, 0, 5_000)))
    assert "metrics.rebuilt" in {line.verb for line in lines}


def test_what_was_asked_in_sql_is_answered_and_in_the_audit_log(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querying, "ask", ASK)
    lived.get("/api/analytics")  # the numbers are there
    sql = "select what, sum(n) from days where dimension = 'all' and what in ('events', 'groups') group by 1 order by 1"
    said = lived.post("/api/query", {"sql": sql})
    assert said["rows"] == [["events", 11], ["groups", 2]]
    assert [one["name"] for one in said["columns"]] == ["what", "sum(n)"]
    assert said["truncated"] is False
    entries = lived.get("/api/audit", verb="query.asked")["items"]
    assert entries[0]["what"]["sql"] == sql if "what" in entries[0] else sql in str(entries[0])
    monkeypatch.setattr(querying, "ask", at_once)
    cut = lived.post("/api/query", {"sql": "select * from range(100)", "limit": 7})
    assert (len(cut["rows"]), cut["truncated"]) == (7, True)
    problem(lived.api.post("/api/query", json={"sql": "select nonsense"}), 422, "invalid", "sql")


def test_the_night_counts_forgets_and_is_on_record(lived: World) -> None:
    house = lived.house
    (planned,) = [one for one in house.nightly.planned if one.kind == "rollup"]
    assert lived._call(house.nightly.due()) is not None
    minute = START_MS // 60_000
    lived.clock.at_ms += 20 * service.DAY_MS
    try:
        lived._call(_night(house, planned))
        kept = lived._call(house.db.read(lambda tx: tx.value("select min(minute) from minute_count")))
        assert kept is None or kept > minute
        run = lived._call(house.runs.last("rollup"))
        assert run is not None
        assert run.state == "ok"
        assert run.figures["forgotten"] > 0
        assert lived._call(house.rollups.health()).status == "ok"
        assert lived.get("/api/analytics", range="30d")["whole"]["events"] == 11
    finally:
        lived.clock.at_ms -= 20 * service.DAY_MS


async def _night(house: Any, planned: Any) -> None:
    async with house.runs.recorded(planned.kind) as running:
        await planned.do(running)


def test_each_minute_folds_and_each_hour_counts(lived: World) -> None:
    rollups = lived.house.rollups
    lived.clock.at_ms += 25 * service.DAY_MS
    try:
        before = rollups.counted_ms
        lived._call(rollups.minute())
        lived._call(rollups.settled())
        mark = lived._call(lived.house.db.read(rolled.mark))
        assert mark.minute == lived.clock.at_ms // 60_000
        assert rollups.counted_ms > before
        names = {figure.name: figure.value for figure in rollups.figures()}
        assert names["signalcraft_rollup_behind_seconds"] == 0
        assert names["signalcraft_rollup_last_success_timestamp_seconds"] == rollups.counted_ms / 1000
        assert "signalcraft_rollup_behind_seconds" in lived.api.get("/metrics").text
    finally:
        lived.clock.at_ms -= 25 * service.DAY_MS


def test_a_failure_is_an_alarm_and_stands_in_health(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rollups = lived.house.rollups
    monkeypatch.setattr(rollups._hand, "_argv", ["/bin/false"])
    lived._call(_ended(rollups))
    rollups.counted_ms = 0
    assert lived.api.get("/api/analytics").status_code == 500
    assert "rollup_failed" in lived.house.alarms.wrong
    assert lived._call(rollups.health()).status == "degraded"
    monkeypatch.undo()
    lived.get("/api/analytics")
    assert "rollup_failed" not in lived.house.alarms.wrong
    assert lived._call(rollups.health()).status == "ok"


async def _ended(rollups: Any) -> None:
    await rollups.end()


def test_who_is_erased_is_gone_from_the_numbers(lived: World) -> None:
    """The journal says so; the next count starts anew from what the journal holds then."""
    with browser(lived, "eve@example.com", "member"):
        pass
    lived.house.rollups.counted_ms = 0
    lived.get("/api/analytics")
    (eve,) = [one for one in lived.get("/api/people")["items"] if one["email"] == "eve@example.com"]
    asked = {"sql": f"select count(*) from days where name like '%{eve['id']}%'"}
    assert lived.post("/api/query", asked)["rows"][0][0] > 0
    lived.post(f"/api/people/{eve['id']}/erase", {})
    lived.house.rollups.counted_ms = 0
    lived.get("/api/analytics")
    assert lived.post("/api/query", asked)["rows"] == [[0]]
