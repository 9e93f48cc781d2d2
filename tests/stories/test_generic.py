"""Any program that can post JSON: one object, a list of them, a long list, signed or not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.world import World

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def post(world: World, body: Any, status: int = 202, **headers: str) -> list[dict[str, Any]]:
    """Posts JSON to the generic integration; its receipts."""
    answer = world.sends("generic", json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    assert answer.status_code == status, answer.text
    return list(answer.json().get("events", []))


def signed(world: World, body: Any, number: str, secret: str = SECRET) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    stamp = str(world.clock.at_ms // 1000)
    raw = json.dumps(body).encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    proof = base64.b64encode(hmac.digest(key, f"{number}.{stamp}.".encode() + raw, hashlib.sha256)).decode()
    return {"webhook-id": number, "webhook-timestamp": stamp, "webhook-signature": f"v1,{proof}"}


def test_one_object_becomes_one_message_and_its_end_closes_it(world: World) -> None:
    world.rule("severity >= high and source == generic")
    alert = {
        "title": "Disk almost full", "message": "91 % of /var", "severity": "critical", "environment": "prod",
        "project": "db-1", "dedup_key": "disk-db-1", "link": "https://grafana.example/d/1", "tags": {"host": "db-1"},
        "users": 12, "occurred_at": "2026-03-02T08:59:00Z",
    }  # fmt: skip
    (receipt,) = post(world, alert)
    assert world.told == [("#oncall", "Disk almost full")]
    group = world.group()
    assert {k: group[k] for k in ("source", "project", "environment", "severity", "users_affected")} == {
        "source": "generic", "project": "db-1", "environment": "prod", "severity": "critical", "users_affected": 12,
    }  # fmt: skip
    event = world.get(f"/api/events/{receipt['event_id']}")
    assert (event["dedup_key"], event["link"]) == ("disk-db-1", "https://grafana.example/d/1")
    assert (event["tags"]["host"], event["occurred_at"]) == ("db-1", "2026-03-02T08:59:00.000Z")
    world.after(minutes=5)
    (over,) = post(world, {"dedup_key": "disk-db-1", "status": "resolved"})
    world.after(seconds=10)
    assert over["group_id"] == receipt["group_id"]
    assert world.group()["status"] == "resolved"
    assert world.told[-1].in_thread


def test_a_list_of_three_is_three_alerts_in_order(world: World) -> None:
    world.rule("")
    three = [{"title": f"check {n}", "dedup_key": f"check-{n}", "environment": "prod"} for n in range(3)]
    receipts = post(world, three)
    assert len({r["event_id"] for r in receipts}) == len({r["group_id"] for r in receipts}) == 3
    told = [world.get(f"/api/events/{r['event_id']}")["title"] for r in receipts]
    assert told == ["check 0", "check 1", "check 2"]
    world.after(seconds=10)
    assert sorted(t.text.split(": ")[1][:7] for t in world.told) == ["check 0", "check 1", "check 2"]
    mixed = [{"dedup_key": "check-1", "status": "ok"}, {"title": "check 0", "dedup_key": "check-0"}, {"title": "new"}]
    again = post(world, mixed)
    assert [r["group_id"] for r in again[:2]] == [receipts[1]["group_id"], receipts[0]["group_id"]]
    statuses = {g["title"]: (g["status"], g["count"]) for g in world.groups()}
    assert statuses["check 1"] == ("resolved", 1)
    assert statuses["check 0"] == ("open", 2)


def test_six_hundred_in_one_post_are_all_answered_and_counted(world: World) -> None:
    """More than one transaction holds: every member has its event; three problems, three messages."""
    world.rule("")
    many = [
        {"title": f"problem {n % 3}", "dedup_key": f"p{n % 3}", "environment": "prod", "source_event_id": str(n)}
        for n in range(600)
    ]
    receipts = post(world, many)
    assert len(receipts) == len({r["event_id"] for r in receipts}) == 600
    assert not any(r["duplicate"] or r["sampled"] for r in receipts)
    assert sorted((g["title"], g["count"]) for g in world.groups()) == [(f"problem {n}", 200) for n in range(3)]
    assert [r["group_id"] for r in receipts[:3]] == [r["group_id"] for r in receipts[597:]]
    world.after(seconds=10)
    assert len(world.told) == 3
    raw = world.api.get(f"/api/events/{receipts[-1]['event_id']}/payload").content
    assert json.loads(raw) == many, "the last member's payload is the post that it came in"


def test_a_signed_post_that_comes_again_is_known_by_its_id_member_for_member(world: World) -> None:
    world.integration("generic", secret=SECRET)
    world.rule("")
    body = [{"title": ("disk is full", "queue is long")[n % 2], "environment": "prod"} for n in range(300)]
    headers = signed(world, body, "msg_1")
    first = post(world, body, **headers)
    again = post(world, body, **headers)
    assert all(r["duplicate"] for r in again)
    assert [r["event_id"] for r in again] == [r["event_id"] for r in first]
    assert sorted(g["count"] for g in world.groups()) == [150, 150]
    post(world, body, 401, **{**headers, "webhook-signature": "v1," + base64.b64encode(b"0" * 32).decode()})
    post(world, body, 401)
    world.after(minutes=6)
    post(world, body, 401, **headers)  # its time is up: five minutes


def test_a_member_that_cannot_be_read_is_named_and_the_whole_post_waits(world: World) -> None:
    world.rule("")
    answer = world.sends("generic", b'[{"title": "fine"}, 7]')
    assert answer.status_code == 422
    assert "a member of the array is not an object" in answer.json()["detail"]
    assert len(world.get("/api/quarantine")["items"]) == 1
    assert world.groups() == []


def test_more_than_the_limit_in_one_post_is_refused_whole(world: World) -> None:
    body = [{"title": "x"}] * (world.house.settings.limits.events_per_post + 1)
    answer = world.sends("generic", json.dumps(body).encode())
    assert answer.status_code == 413
    assert world.groups() == []


def test_two_generic_integrations_do_not_speak_of_one_problem(world: World) -> None:
    """Their keys are their own: "disk" here is not "disk" there."""
    world.integration("generic", name="left")
    world.integration("generic", name="right")
    body = json.dumps({"title": "disk", "dedup_key": "disk", "environment": "prod"}).encode()
    left = world.sends("left", body).json()["events"][0]
    right = world.sends("right", body).json()["events"][0]
    assert left["group_id"] != right["group_id"]


@pytest.mark.parametrize("field", ["status", "state"])
def test_a_trial_of_the_sender_is_told_like_an_alert_and_known_as_a_trial(world: World, field: str) -> None:
    world.rule("")
    (receipt,) = post(world, {"title": "does it arrive?", field: "test", "environment": "prod"})
    assert world.told == [("#oncall", "does it arrive?")]
    assert world.get(f"/api/events/{receipt['event_id']}")["kind"] == "test"
