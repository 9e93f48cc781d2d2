"""/api/retention and /api/archive: who may say how long, what would go, and a month that comes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from signalcraft.domain.group import SYSTEM
from signalcraft.services.people import By
from signalcraft.storage import audit
from tests.http.asking import asking, key_of, problem
from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One of its own: what a night takes away would be missing in the others' tests."""
    with World(tmp_path / "data") as it:
        yield it


def night(world: World) -> dict[str, Any]:
    """The run of the next 02:00; what the API says of it."""
    world._call(world.house.nightly.tick())
    world.clock.at_ms += 86_400_000

    async def care() -> None:
        await world.house.nightly.tick()
        await world.house.nightly.settled()

    world._call(care(), 60)
    last: dict[str, Any] = world.get("/api/retention")["last_run"]
    return last


def verbs(world: World) -> list[str]:
    with world.house.db.reading() as tx:
        return [row.verb for row in audit.every(tx, 1)]


def test_how_long_is_said_changed_and_on_record(world: World) -> None:
    said = world.get("/api/retention")
    assert said["policy"] == said["settings"] == {
        "group_days": 90, "delivery_days": 30, "escalation_days": 7, "payload_days": 30, "audit_days": 365,
        "archive": True,
    }  # fmt: skip
    assert set(said["own"].values()) == {None}
    assert (said["next_run_at"], said["last_run"]) == ("2026-03-03T02:00:00.000Z", None)
    answer = world.api.patch("/api/retention", json={"group_days": 120, "archive": False})
    assert answer.status_code == 200
    assert answer.json()["policy"]["group_days"] == 120
    assert answer.json()["own"] == {**dict.fromkeys(said["own"]), "group_days": 120, "archive": False}
    assert verbs(world).count("workspace.retention") == 1
    assert world.api.patch("/api/retention", json={"group_days": 120}).status_code == 200
    assert verbs(world).count("workspace.retention") == 1, "what changes nothing is no change"
    assert world.api.patch("/api/retention", json={"group_days": None}).json()["policy"]["group_days"] == 90
    assert world.api.patch("/api/retention", json={"archive": None}).json()["policy"]["archive"] is True
    for wrong in ({"group_days": 0}, {"audit_days": 29}, {"group_days": 40_000}, {"days": 3}, {"archive": 1}):
        problem(world.api.patch("/api/retention", json=wrong), 422)
    problem(asking(world, key_of(world, "config:read")).patch("/api/retention", json={}), 403, "forbidden")
    assert asking(world, key_of(world, "config:read")).get("/api/retention").status_code == 200


@pytest.mark.whole
def test_a_resolved_group_goes_is_found_in_the_archive_and_comes_back(world: World) -> None:
    world.rule("")
    event = world.receives("sentry", "event_alert", title="the old trouble")
    group = world.act(world.group(), "resolve")
    young = world.post("/api/retention/preview", {})
    assert (young["groups"], young["payloads"]) == (0, 0)
    world.after(days=91)
    preview = world.post("/api/retention/preview", {})
    assert (preview["groups"], preview["events"], preview["deliveries"] > 0) == (1, 1, True)
    assert world.post("/api/retention/preview", {"group_days": 200})["groups"] == 0
    run = night(world)
    assert (run["state"], run["figures"]["errors"], run["figures"]["alert_group_archived"]) == ("ok", 0, 1)
    assert run["figures"]["longest_ms"] < 50
    prunes = ("statements", "sessions", "audit_ends", "security", "own_errors", "vacuum")
    assert {f"{name}_ms" for name in prunes} <= run["figures"].keys()
    assert world.api.get(f"/api/alert-groups/{group['id']}").status_code == 404
    assert world.api.get(f"/api/events/{event['event_id']}").status_code == 404
    assert world.groups() == []
    (month,) = [one for one in world.get("/api/archive")["months"] if "alert_group" in one["rows"]]
    assert month["month"] == "2026-03"
    assert month["complete"]
    (found,) = world.get("/api/archive/search", text="OLD TROUBLE")["items"]
    assert (found["id"], found["title"], found["severity"]) == (group["id"], group["title"], group["severity"])
    assert (
        world.get("/api/archive/search", what="event", since="2026-03-01T00:00:00Z")["items"][0]["id"]
        == (event["event_id"])
    )
    assert world.get("/api/archive/search", until="2026-03-01T00:00:00Z")["items"] == []
    problem(world.api.get("/api/archive/search?what=person"), 422)
    problem(world.api.get("/api/archive/search?since=yesterday"), 422)
    done = world.post("/api/archive/restore", {"month": "2026-03"})
    assert done["done"]
    assert done["rows"]["alert_group"] == 1
    kept_until = datetime.fromisoformat(done["kept_until"]).timestamp() * 1000
    assert kept_until == world.clock.at_ms + 30 * 86_400_000
    back = world.get(f"/api/alert-groups/{group['id']}")
    assert (back["title"], back["status"], back["count"]) == (group["title"], "resolved", 1)
    assert world.api.get(f"/api/events/{event['event_id']}/payload").status_code == 200
    assert [one["verb"] for one in world.get(f"/api/alert-groups/{group['id']}/timeline")["items"]]
    assert verbs(world).count("retention.restored") == 1
    assert verbs(world).count("retention.purged") == 1
    night(world)
    assert world.api.get(f"/api/alert-groups/{group['id']}").status_code == 200, "it is left alone for a while"
    problem(world.api.post("/api/archive/restore", json={"month": "2026-03"}), 404)
    problem(world.api.post("/api/archive/restore", json={"month": "March"}), 422)


def test_the_same_report_after_its_group_was_purged_opens_a_new_one(world: World) -> None:
    world.rule("")
    first = world.receives("sentry", "event_alert")
    world.act(world.group(), "resolve")
    world.after(days=91)
    night(world)
    again = world.receives("sentry", "event_alert", message="again, much later")
    assert again["group_id"] != first["group_id"]
    assert len(world.groups()) == 1


def test_the_clean_up_is_counted_for_prometheus(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    world.act(world.group(), "resolve")
    world.after(days=91)
    night(world)
    text = world.api.get("/metrics").text
    assert 'signalcraft_retention_rows_deleted_total{table="alert_group"}' in text
    assert 'signalcraft_retention_rows_archived_total{table="event"}' in text
    assert "signalcraft_retention_step_seconds_max" in text


@pytest.mark.whole
def test_an_erased_person_is_in_no_archive(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert", title="no mail to sam@example.com")
    world.act(world.group(), "resolve")
    world.after(days=91)
    night(world)
    assert "sam@example.com" in world.get("/api/archive/search")["items"][0]["title"]
    by = By(SYSTEM, "owner", None, box=True)
    told = world._call(world.house.erasure.export(1, by, "sam@example.com"), 60)
    assert {row["table"] for row in told["archive"]} >= {"alert_group", "event", "inbox"}
    done = world._call(world.house.erasure.erase(1, by, "sam@example.com"), 60)
    assert done.rows["archive"] >= 3
    assert "sam@example.com" not in world.get("/api/archive/search")["items"][0]["title"]
