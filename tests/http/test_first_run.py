"""How far the first steps are is measured; a test alert goes the whole way of a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.http.firstrun import reach
from tests import bodies
from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A box of its own for each test: an empty one is what this is about."""
    with World(tmp_path / "data") as it:
        yield it


def first_run(world: World) -> Any:
    return world.get("/api/first-run")


def test_an_empty_box_has_every_step_before_it(world: World) -> None:
    said = first_run(world)
    assert said["done"] is False
    assert [said[step]["done"] for step in ("channel", "integration", "alert")] == [False, False, False]
    assert [said[step] for step in ("channel", "alert")] == [
        {"done": False, "id": None, "name": None, "kind": None, "broken_why": None, "last_sent_at": None},
        {"done": False, "group_id": None, "channel": None, "sent_at": None},
    ]
    assert said["address"] == {"url": str(world.api.base_url).rstrip("/"), "reach": "loopback", "configured": True}


def test_a_channel_counts_when_it_took_a_message_and_not_before(world: World) -> None:
    made = world.channel("#oncall")
    step = first_run(world)["channel"]
    assert (step["done"], step["id"], step["name"], step["kind"]) == (False, made["id"], "#oncall", "slack")
    world.post(f"/api/channels/{made['id']}/test")
    world.settled()
    step = first_run(world)["channel"]
    assert step["done"] is True
    assert step["last_sent_at"] is not None


def test_a_channel_that_slack_refuses_says_why(world: World) -> None:
    made = world.channel("#oncall", bot_token="xoxb-of-somebody-else")
    world.post(f"/api/channels/{made['id']}/test")
    world.settled()
    step = first_run(world)["channel"]
    assert step["done"] is False
    assert "invalid_auth" in step["broken_why"]


def test_an_integration_counts_when_a_webhook_came(world: World) -> None:
    world.channel("#oncall")
    made = world.integration("sentry")
    step = first_run(world)["integration"]
    assert (step["done"], step["id"], step["first_webhook_at"]) == (False, made["id"], None)
    world.post(f"/api/integrations/{made['id']}/test")
    world.post(f"/api/integrations/{made['id']}/test", {"as_alert": True})
    assert first_run(world)["integration"]["done"] is False, "a test of ours is no webhook of theirs"
    world.receives("sentry", "event_alert")
    step = first_run(world)["integration"]
    assert step["done"] is True
    assert step["first_webhook_at"] == "2026-03-02T09:00:00.000Z"


def test_a_wrong_secret_shows_as_refused_webhooks(world: World) -> None:
    world.integration("sentry")
    raw = bodies.body("event_alert")
    for _ in range(2):
        answer = world.sends("sentry", raw, bodies.signed(raw, "event_alert", "another secret"))
        assert answer.status_code == 401
    world.sends("sentry", b"{}", bodies.signed(b"{}", "event_alert"))
    step = first_run(world)["integration"]
    assert (step["done"], step["quarantined"]) == (False, 1)
    assert step["refused_at"] == "2026-03-02T09:00:00.000Z"
    assert "Sentry-Hook-Signature" in step["refused_why"]
    world.after(minutes=1)
    path = f"/api/integrations/{step['id']}"
    world.api.patch(path, json={"config": {"secret": "the right one"}}).raise_for_status()
    step = first_run(world)["integration"]
    assert (step["refused_at"], step["refused_why"]) == (None, None), "that was before the change"
    world.after(hours=2)
    assert first_run(world)["integration"]["quarantined"] == 0, "that is over"


def test_a_test_alert_is_told_like_a_real_one(world: World) -> None:
    world.channel("#oncall")
    made = world.integration("sentry")
    sent = world.post(f"/api/integrations/{made['id']}/test", {"as_alert": True})
    world.settled()
    assert world.told == [("#oncall", "Test alert of sentry")]
    group = world.get(f"/api/alert-groups/{sent['group_id']}")
    assert (group["severity"], group["environment"], group["status"]) == ("low", "test", "open")
    [delivery] = world.get("/api/deliveries", group=sent["group_id"])["items"]
    assert (delivery["kind"], delivery["state"], delivery["channel"]) == ("first", "sent", "#oncall")
    said = first_run(world)["alert"]
    assert (said["done"], said["group_id"], said["channel"]) == (True, sent["group_id"], "#oncall")
    again = world.post(f"/api/integrations/{made['id']}/test", {"as_alert": True})
    world.after(seconds=5)
    assert again["group_id"] != sent["group_id"]
    assert len(world.told) == 2, "each test is told"


def test_a_test_alert_follows_the_rules(world: World) -> None:
    world.channel("#oncall")
    world.rule("environment == test", "#trials")
    made = world.integration("sentry")
    world.post(f"/api/integrations/{made['id']}/test", {"as_alert": True})
    world.settled()
    assert [told.channel for told in world.told] == ["#trials"]


def test_a_test_that_is_no_alert_tells_nobody(world: World) -> None:
    world.channel("#oncall")
    made = world.integration("sentry")
    for body in ({}, {"as_alert": False}):
        assert world.post(f"/api/integrations/{made['id']}/test", body)["group_id"] is None
    world.settled()
    assert world.told == []


def test_what_is_switched_off_or_unknown_sends_no_test_alert(world: World) -> None:
    made = world.integration("sentry")
    world.api.patch(f"/api/integrations/{made['id']}", json={"enabled": False}).raise_for_status()
    answer = world.api.post(f"/api/integrations/{made['id']}/test", json={"as_alert": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    answer = world.api.post("/api/integrations/0000000000000/test", json={"as_alert": True})
    assert answer.status_code == 404


def test_the_whole_first_run_is_done_when_every_step_is(world: World) -> None:
    world.channel("#oncall")
    world.receives("sentry", "event_alert")
    said = first_run(world)
    assert [said[step]["done"] for step in ("channel", "integration", "alert")] == [True, True, True]
    assert said["done"] is True


@pytest.mark.parametrize(
    ("url", "whom"),
    [
        ("http://127.0.0.1:8080", "loopback"),
        ("http://localhost:8080", "loopback"),
        ("https://[::1]:8080", "loopback"),
        ("https://alerts.example.com", "internet"),
        ("https://8.8.8.8", "internet"),
        ("http://alerts.example.com", "network"),
        ("https://10.0.0.5", "network"),
        ("https://alerts", "network"),
        ("https://alerts.corp", "network"),
        ("https://box.lan", "network"),
    ],
)
def test_an_address_tells_whom_it_can_serve(url: str, whom: str) -> None:
    assert reach(url) == whom
