"""/api/quarantine: what could not be read is kept whole, shown, read again after a fix, or given up."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from signalcraft.errors import Unreadable
from signalcraft.sources import sentry
from tests import bodies
from tests.http.asking import Other, problem
from tests.world import World

RAW = b'{"action":"exploded","data":{"thing":\xff\x00"}}'


def put_in(world: World, raw: bytes = RAW) -> str:
    answer = world.sends("sentry", raw, bodies.signed(raw, "event_alert"))
    return str(problem(answer, 422, "unreadable")["quarantine_id"])


def test_a_webhook_in_quarantine_is_listed_and_shown_whole(world: World) -> None:
    number = put_in(world)
    (item,) = [i for i in world.get("/api/quarantine")["items"] if i["id"] == number]
    assert item.keys() == {"id", "integration", "integration_id", "received_at", "state", "why", "stored_bytes"}
    assert item["integration_id"] == world.integrations["sentry"]["id"]
    assert (item["integration"], item["state"]) == ("sentry", "quarantined")
    assert item["why"]
    shown = world.get(f"/api/quarantine/{number}")
    assert base64.b64decode(shown["raw_base64"]) == RAW
    assert shown["raw"] is None  # it is no UTF-8
    assert shown["headers"]["sentry-hook-resource"] == "event_alert"
    assert world.api.get(f"/api/quarantine/{number}/payload").content == RAW


def test_text_is_shown_as_text(world: World) -> None:
    raw = '{"ünïcödë": tru'.encode()
    number = put_in(world, raw)
    assert world.get(f"/api/quarantine/{number}")["raw"] == raw.decode()


def test_a_credential_in_a_header_is_not_kept(world: World) -> None:
    raw = b"{"
    headers = bodies.signed(raw, "event_alert") | {"Authorization": "Bearer a-secret-word", "Cookie": "a=secret-word"}
    answer = world.sends("sentry", raw, headers)
    number = problem(answer, 422)["quarantine_id"]
    assert "secret-word" not in world.api.get(f"/api/quarantine/{number}").text


def test_it_is_read_again_after_a_fix(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    body = bodies.body("event_alert", issue="9009", title="read at last")
    read = sentry.read

    def broken(*_: Any) -> Any:
        raise Unreadable("not today")

    monkeypatch.setattr(sentry, "read", broken)
    number = put_in(world, body)
    still = problem(world.api.post(f"/api/quarantine/{number}/replay"), 422, "unreadable")
    assert "not today" in still["detail"]
    assert world.get(f"/api/quarantine/{number}")["state"] == "quarantined"
    monkeypatch.setattr(sentry, "read", read)
    done = world.post(f"/api/quarantine/{number}/replay")
    assert (done["id"], done["state"]) == (number, "replayed")
    (event,) = done["events"]
    assert world.get(f"/api/events/{event['event_id']}")["title"] == "read at last"
    assert world.api.get(f"/api/events/{event['event_id']}/payload").content == body
    assert event["group_id"] in [g["id"] for g in world.groups()]
    assert world.get(f"/api/quarantine/{number}")["state"] == "replayed"
    for verb in ("replay", "drop"):
        said = problem(world.api.post(f"/api/quarantine/{number}/{verb}"), 409, "conflict")
        assert "replayed" in said["detail"]


def test_it_is_given_up(world: World) -> None:
    number = put_in(world)
    assert world.post(f"/api/quarantine/{number}/drop") == {"id": number, "state": "dropped"}
    assert number not in [i["id"] for i in world.get("/api/quarantine", state="quarantined")["items"]]
    assert number in [i["id"] for i in world.get("/api/quarantine", state="dropped,replayed")["items"]]
    assert number in [i["id"] for i in world.get("/api/quarantine", limit=100)["items"]]
    problem(world.api.post(f"/api/quarantine/{number}/replay"), 409)


def test_what_was_read_when_it_came_is_not_in_quarantine(world: World) -> None:
    receipt = world.receives("sentry", "event_alert", issue="9010")
    with world.house.db.reading() as reader:
        inbox_ids = [row[0] for row in reader.all("select id from inbox where state = 'read'")]
    assert receipt["event_id"]
    from signalcraft.domain import ids

    listed = [i["id"] for i in world.get("/api/quarantine", limit=100)["items"]]
    for inbox_id in inbox_ids:
        assert ids.show(inbox_id) not in listed
        for rest in ("", "/payload"):
            problem(world.api.get(f"/api/quarantine/{ids.show(inbox_id)}{rest}"), 404)
        for verb in ("replay", "drop"):
            problem(world.api.post(f"/api/quarantine/{ids.show(inbox_id)}/{verb}"), 404)


NESTED = b"""{"incident": {"text": "Disk of db-1 is full", "sev": "SEV1", "state": "done"}, "where": {"env": "prod"}}"""
MAPPING = {"title": "incident.text", "severity": "incident.sev", "environment": "where.env", "tags.team": "=storage"}


def mapped(world: World, name: str = "nested") -> tuple[str, str]:
    """An integration whose bodies have their fields elsewhere, and one of them in quarantine."""
    made = world.integration("generic", name)
    answer = world.sends(name, NESTED, {"content-type": "application/json"})
    return str(made["id"]), str(problem(answer, 422, "unreadable")["quarantine_id"])


def test_a_reading_is_tried_before_anything_changes(world: World) -> None:
    integration, number = mapped(world, "tried first")
    before = world.post(f"/api/quarantine/{number}/try")
    assert (before["readable"], before["events"]) == (False, [])
    assert "no title" in before["why"]
    config = {"mapping": MAPPING, "words": {"sev1": "critical"}}
    after = world.post(f"/api/quarantine/{number}/try", {"config": config})
    assert (after["readable"], after["why"], after["path"]) == (True, None, None)
    (event,) = after["events"]
    assert (event["title"], event["severity"], event["environment"]) == ("Disk of db-1 is full", "critical", "prod")
    assert event["tags"] == {"team": "storage"}
    assert world.get(f"/api/quarantine/{number}")["state"] == "quarantined"
    assert world.get(f"/api/integrations/{integration}")["config"]["mapping"] == {}
    wrong = {"config": {"mapping": {"titel": "incident.text"}}}
    answer = world.api.post(f"/api/quarantine/{number}/try", json=wrong)
    problem(answer, 422, "invalid", "config.mapping.titel")
    problem(world.api.post(f"/api/quarantine/{number}/try", json={"config": {"maping": {}}}), 422, "invalid")


def test_all_of_an_integration_are_read_again(world: World) -> None:
    integration, first = mapped(world, "again")
    hopeless = problem(world.sends("again", b"not json", {"content-type": "application/json"}), 422)["quarantine_id"]
    elsewhere = put_in(world)
    changed = world.api.patch(f"/api/integrations/{integration}", json={"config": {"mapping": MAPPING}})
    assert changed.status_code == 200, changed.text
    done = world.post("/api/quarantine/replay", {"integration": "again"})
    assert (done["replayed"], done["left"]) == (1, 1)
    assert [one["id"] for one in done["failed"]] == [hopeless]
    assert world.get(f"/api/quarantine/{first}")["state"] == "replayed"
    assert world.get(f"/api/quarantine/{elsewhere}")["state"] == "quarantined"
    assert "Disk of db-1 is full" in [g["title"] for g in world.groups()]
    problem(world.api.post("/api/quarantine/replay", json={"integration": "nobody"}), 422, "invalid", "integration")


def test_pages_and_wrong_parameters(world: World) -> None:
    for _ in range(3):
        put_in(world)
    whole = [i["id"] for i in world.get("/api/quarantine", limit=100)["items"]]
    assert whole == sorted(whole, reverse=True)
    first = world.get("/api/quarantine", limit=2)
    second = world.get("/api/quarantine", limit=100, cursor=first["next"])
    assert [i["id"] for i in first["items"] + second["items"]] == whole
    problem(world.api.get("/api/quarantine?state=read"), 422, "invalid", "state")


def test_it_is_asked_for_by_integration(world: World) -> None:
    integration, number = mapped(world, "asked for")
    put_in(world)
    for name in ("asked for", integration):
        assert [i["id"] for i in world.get("/api/quarantine", integration=name)["items"]] == [number]
    assert world.get("/api/quarantine", integration="nobody")["items"] == []


def test_another_workspace_sees_none_of_it(world: World, other: Other) -> None:
    number = put_in(world)
    assert other.api.get("/api/quarantine").json()["items"] == []
    for rest in ("", "/payload"):
        problem(other.api.get(f"/api/quarantine/{number}{rest}"), 404, "not_found")
    for verb in ("replay", "drop", "try"):
        problem(other.api.post(f"/api/quarantine/{number}/{verb}"), 404, "not_found")
    problem(other.api.post("/api/quarantine/replay", json={"integration": "sentry"}), 422, "invalid", "integration")
    assert world.get(f"/api/quarantine/{number}")["state"] == "quarantined"
