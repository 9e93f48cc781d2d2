"""What a page of an integration or a channel needs: forms, setup steps, health, payloads, the vendor's answer."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from signalcraft.sources import SOURCES
from tests import bodies
from tests.http.asking import Other, asking, key_of, problem
from tests.http.test_live import listening
from tests.world import World


def health(world: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = world.get(f"/api/integrations/{world.integrations[name]['id']}")
    return dict(found["health"])


def test_every_kind_says_what_its_form_asks_and_what_to_do_at_the_vendor(world: World) -> None:
    kinds = world.get("/api/kinds")
    for kind in (*kinds["integrations"], *kinds["channels"]):
        assert kind["setup"], kind["kind"]
        schema = kind["config_schema"]
        assert {f["name"] for f in kind["fields"]} == set(schema["properties"])
        assert {f["name"] for f in kind["fields"] if f["required"]} == set(schema.get("required", []))
        for field in kind["fields"]:
            assert field["label"]
            assert field["help"]
            assert (field["type"] == "secret") == bool(schema["properties"][field["name"]].get("writeOnly"))
        for step in kind["setup"]:
            assert "{" not in step["text"]
            assert "{webhook_url}" not in step["copy"]
            assert not step["field"] or step["field"] in schema["properties"]
    assert {k["kind"] for k in kinds["integrations"]} == set(SOURCES)
    fields = {k["kind"]: {f["name"]: f for f in k["fields"]} for k in kinds["channels"]}
    assert fields["email"]["security"]["choices"] == ["none", "starttls", "tls"]
    assert (fields["email"]["port"]["least"], fields["email"]["port"]["most"]) == (1, 65535)
    assert fields["slack"]["bot_token"]["type"] == "secret"
    assert fields["webhook"]["headers"]["type"] == "map"
    assert "api_url" not in fields["slack"]


def test_the_setup_of_a_new_integration_has_its_own_address_and_secret_in(world: World) -> None:
    made = world.post("/api/integrations", {"name": "it's new", "kind": "sentry", "config": {}})
    texts = [step["copy"] for step in made["setup"]]
    assert made["webhook_url"] in texts
    assert any("--integration 'it'\\''s new'" in text for text in texts)
    assert [step["field"] for step in made["setup"] if step["field"]] == ["secret"]
    body = {"name": "by curl", "kind": "generic", "config": {"secret": "a-secret-of-ours"}}
    curl = world.post("/api/integrations", body)["setup"][0]["copy"]
    assert "a-secret-of-ours" not in curl
    token = curl.split("/webhooks/generic/")[1].split()[0]
    assert world.post(f"/api/integrations/{made['id']}/rotate", {"what": "token"})["setup"][1]["copy"] not in texts
    assert len(token) > 20


def test_health_says_what_came_what_was_refused_and_what_waits(world: World) -> None:
    made = world.integration("sentry", "watched")
    empty = made["health"]
    assert (empty["last_webhook_at"], empty["last_refused_at"], empty["events_24h"]) == (None, None, 0)
    raw = bodies.body("event_alert", issue="7100")
    for _ in range(2):
        assert world.sends("watched", raw, bodies.signed(raw, "event_alert")).status_code == 202
    assert world.sends("watched", raw, {"sentry-hook-resource": "event_alert"}).status_code == 401
    assert world.sends("watched", raw, bodies.signed(raw, "event_alert", "wrong")).status_code == 401
    broken = b'{"action": "exploded"}'
    assert world.sends("watched", broken, bodies.signed(broken, "event_alert")).status_code == 422
    now = health(world, "watched")
    assert now["last_webhook_at"] is not None
    assert now["last_refused_at"] is not None
    assert "does not match" in now["last_refused_why"]
    assert (now["events_24h"], now["duplicates_24h"], now["refused_signature_24h"]) == (1, 1, 2)
    assert (now["quarantined"], now["refused_limit_24h"]) == (1, 0)
    listed = {i["name"]: i["health"] for i in world.get("/api/integrations", limit=100)["items"]}
    assert listed["watched"] == now
    world.after(hours=25)
    later = health(world, "watched")
    assert (later["events_24h"], later["refused_signature_24h"], later["quarantined"]) == (0, 0, 1)
    assert later["last_webhook_at"] == now["last_webhook_at"]


def test_health_is_known_to_the_minute_after_a_restart(world: World) -> None:
    world.integration("sentry", "remembered")
    raw = bodies.body("event_alert", issue="7101")
    assert world.sends("remembered", raw, bodies.signed(raw, "event_alert")).status_code == 202
    assert world.sends("remembered", raw, {"sentry-hook-resource": "event_alert"}).status_code == 401
    world.settled()
    before = health(world, "remembered")
    world.stopped().restarted()
    after = health(world, "remembered")
    assert after["last_webhook_at"][:16] == before["last_webhook_at"][:16]
    assert after["last_refused_at"][:16] == before["last_refused_at"][:16]
    assert after["last_refused_why"]
    silent = world.integration("generic", "never heard")
    assert silent["health"]["last_webhook_at"] is None


def test_the_last_payloads_are_shown_as_they_came(world: World, other: Other) -> None:
    made = world.integration("generic", "payloads")
    path = f"/api/integrations/{made['id']}/payloads"
    assert world.get(path) == {"items": []}
    sent = [json.dumps({"title": f"payload {n}", "pad": "ü" * 6000 * (n == 2)}).encode() for n in range(4)]
    for raw in sent:
        world.sends("payloads", raw, {"content-type": "application/json", "authorization": "Bearer secret-word"})
        world.after(minutes=2)
    world.sends("payloads", b"\xff\xfe no text", {"content-type": "application/json"})
    world.integration("generic", "its neighbour")
    world.sends("its neighbour", b'{"title": "of somebody else"}', {"content-type": "application/json"})
    items = world.get(path)["items"]
    assert [item["bytes"] for item in items] == [len(b"\xff\xfe no text"), *(len(raw) for raw in reversed(sent))]
    assert [item["state"] for item in items] == ["quarantined", "read", "read", "read", "read"]
    assert items[0]["head"] is None
    assert items[0]["why"]
    assert items[1]["head"] == sent[3].decode()
    assert sent[2].decode().startswith(items[2]["head"])
    assert 4000 < len(items[2]["head"]) < len(sent[2])
    assert "secret-word" not in json.dumps(items)
    assert world.api.get(f"/api/events/{items[2]['event_id']}/payload").content == sent[2]
    assert [i["id"] for i in world.get(path, limit=2)["items"]] == [i["id"] for i in items[:2]]
    problem(other.api.get(path), 404, "not_found")
    problem(asking(world, key_of(world, "config:read")).get(path), 403)


@pytest.mark.parametrize(("mode", "socket"), [("", True), ("socket", True), ("http", False)])
def test_the_manifest_of_slacks_app_suits_the_box(world: World, mode: str, socket: bool) -> None:
    found = world.get("/api/channels/slack/manifest", **({"mode": mode} if mode else {}))
    assert (found["suits"], found["mode"]) == ("socket", mode or "socket")
    assert "not HTTPS" in found["why"]
    assert ("socket_mode_enabled: true" in found["manifest"]) == socket
    assert ("request_url" in found["manifest"]) != socket
    assert found["create_url"].startswith("https://api.slack.com/apps?new_app=1&manifest_yaml=display_information")
    problem(world.api.get("/api/channels/slack/manifest?mode=smoke"), 422, "invalid", "mode")


def test_a_test_tells_what_the_vendor_said(world: World) -> None:
    made = world.channel("#test-answer")
    world.slack.expel("test-answer")
    answers: list[Any] = []
    path = f"/api/channels/{made['id']}/test?wait_seconds=10"
    asking_it = threading.Thread(target=lambda: answers.append(world.post(path)))
    asking_it.start()
    while asking_it.is_alive():
        world.settled()
    assert answers[0]["state"] == "failed"
    assert "invite the bot" in answers[0]["said"]
    assert "(not_in_channel)" in answers[0]["said"]
    world.slack.expel("test-answer", member=True)
    health = world.get(f"/api/channels/{made['id']}")
    assert (health["state"], health["health"]["failures_24h"]) == ("broken", 1)
    world.after(seconds=2)  # Slack takes a message a second
    asking_it = threading.Thread(target=lambda: answers.append(world.post(path)))
    asking_it.start()
    while asking_it.is_alive():
        world.settled()
    assert (answers[1]["state"], answers[1]["said"]) == ("sent", "Slack took it")
    assert world.get(f"/api/channels/{made['id']}")["health"]["owed"] == 0


def test_who_listens_hears_of_an_integration_that_spoke_or_was_sent_away(world: World) -> None:
    made = world.integration("sentry", "heard live")
    raw = bodies.body("event_alert", issue="7102")
    with listening(world, key_of(world, "alerts:read", "config:read")) as stream:
        stream.wait(lambda e: e["event"] == "health")
        assert world.sends("heard live", raw, {"sentry-hook-resource": "event_alert"}).status_code == 401
        heard = stream.wait(lambda e: e["event"] == "integration" and e["data"]["id"] == made["id"])["data"]["health"]
        assert "no Sentry-Hook-Signature" in heard["last_refused_why"]
        assert heard["last_webhook_at"] is None
        assert world.sends("heard live", raw, bodies.signed(raw, "event_alert")).status_code == 202
        heard = stream.wait(lambda e: e["event"] == "integration" and e["data"]["health"]["last_webhook_at"])["data"]
        assert (heard["id"], heard["health"]["events_24h"]) == (made["id"], 1)


def test_a_key_that_may_not_look_at_integrations_hears_nothing_of_them(world: World) -> None:
    world.integration("sentry", "unheard")
    raw = bodies.body("event_alert", issue="7103")
    with listening(world, key_of(world, "alerts:read")) as stream:
        stream.wait(lambda e: e["event"] == "health")
        sent = world.sends("unheard", raw, bodies.signed(raw, "event_alert"))
        group = sent.json()["events"][0]["group_id"]
        stream.wait(lambda e: e["event"] == "group" and e["data"]["group"]["id"] == group)
        world.after(seconds=5)
        time.sleep(1.5)  # the stream tells of integrations once a second
        assert [e for e in stream.events if e["event"] == "integration"] == []
