"""Rubbish in: a clear answer, no 5xx, nothing lost, what cannot be read is kept and can be read again."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import bodies
from tests.world import World


def refused(world: World, body: bytes, resource: str = "event_alert", **headers: str) -> httpx.Response:
    return world.sends("sentry", body, {**bodies.signed(body, resource), **headers})


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    said: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code", "request_id", "errors", "docs"} <= said.keys()
    return said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json at all",
        b"\xff\xfe\x00bad utf-8",
        b"[1, 2, 3]",
        b"42",
        b'"text"',
        b"null",
        b'{"action": NaN}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"action":"triggered","data":{"event":"a string"}}',
        b'{"action":"triggered"}',
    ],
    ids=range(13),
)
def test_an_unreadable_body_is_kept_in_quarantine_and_the_sender_is_told(world: World, body: bytes) -> None:
    said = problem(refused(world, body), 422)
    waiting = world.get("/api/quarantine")["items"]
    assert [q["id"] for q in waiting] == [said["quarantine_id"]]
    assert world.groups() == []


@pytest.mark.parametrize("resource", ["nonsense", "event_alert.unheard", ""])
def test_an_unknown_resource_is_kept_in_quarantine(world: World, resource: str) -> None:
    body = b'{"action":"exploded","data":{"thing":{}}}'
    problem(refused(world, body, resource), 422)
    assert len(world.get("/api/quarantine")["items"]) == 1


ODD_VALUES = (None, [], {}, 3, "x", True, 1e308, -1, "1970-01-01T00:00:00Z", "2999-12-31T23:59:59Z", [[["deep"]]])
FIELDS = (
    "event_id",
    "title",
    "message",
    "level",
    "tags",
    "datetime",
    "timestamp",
    "issue_id",
    "project",
    "environment",
)


def test_a_wrong_type_in_any_field_is_taken_or_quarantined(world: World) -> None:
    for field in FIELDS:
        for value in ODD_VALUES:
            said = bodies.event_alert()
            said["data"]["event"][field] = value
            answer = refused(world, json.dumps(said).encode())
            assert answer.status_code in (202, 422), f"{field}={value!r}: {answer.text}"


def test_five_thousand_tags_and_a_title_of_a_hundred_kilobytes_are_cut_visibly(world: World) -> None:
    world.rule("")
    body = bodies.body("event_alert", title="T" * 100_000, tags={f"k{n}": "v" * 2000 for n in range(5000)})
    answer = refused(world, body)
    if len(body) > world.house.settings.http.body_bytes_max:
        body = bodies.body("event_alert", title="T" * 100_000, tags={f"k{n}": "v" * 100 for n in range(5000)})
        answer = refused(world, body)
    assert answer.status_code == 202
    event = world.get(f"/api/events/{answer.json()['events'][0]['event_id']}")
    assert event["title"].endswith("…")
    assert len(event["title"]) <= 300
    assert len(event["tags"]) <= 100
    world.after(seconds=5)
    assert len(world.told) == 1
    raw = world.api.get(f"/api/events/{event['event_id']}/payload").content
    assert raw == body, "the bytes are kept whole"


def test_ten_megabytes_are_too_large_and_the_box_lives(world: World) -> None:
    body = b'{"action":"triggered","pad":"' + b"x" * 10_000_000 + b'"}'
    try:
        problem(refused(world, body), 413)
    except httpx.WriteError:
        pass  # the connection may be closed while we still send
    assert world.receives("sentry", "event_alert")["event_id"]


def test_duplicated_keys_and_odd_numbers_are_no_trouble(world: World) -> None:
    body = bodies.body("event_alert").replace(b'"action":"triggered"', b'"action":"x","action":"triggered"')
    assert refused(world, body).status_code == 202


def test_signatures(world: World) -> None:
    """Missing, wrong, of another body, non-ASCII: 401 and nothing kept but a count."""
    body = bodies.body("event_alert")
    good = bodies.signed(body, "event_alert")
    world.integration()
    for name, value in (
        ("Sentry-Hook-Signature", "0" * 64),
        ("Sentry-Hook-Signature", ""),
        ("Sentry-Hook-Signature", good["Sentry-Hook-Signature"].upper()[:10]),
        ("Sentry-Hook-Signature", "é" * 64),
        ("Sentry-Hook-Signature", bodies.signed(body + b" ", "event_alert")["Sentry-Hook-Signature"]),
    ):
        headers = {**good, name: value}
        answer = world.sends("sentry", body, {k: v.encode("latin-1") for k, v in headers.items()})  # type: ignore[misc]
        problem(answer, 401)
    unsigned = {k: v for k, v in good.items() if k != "Sentry-Hook-Signature"}
    problem(world.sends("sentry", body, unsigned), 401)
    assert world.groups() == []
    assert world.get("/api/quarantine")["items"] == []
    assert world.sends("sentry", body, good).status_code == 202


def test_the_unsigned_legacy_plugin_needs_an_integration_of_its_own(world: World) -> None:
    legacy = json.dumps(
        {
            "id": "1972208801", "project": "shop", "project_name": "Shop", "project_slug": "shop", "logger": None,
            "level": "error", "culprit": "shop.views", "message": "TypeError in checkout",
            "url": "https://sentry.example/organizations/acme/issues/1972208801/?referrer=webhooks_plugin",
            "triggering_rules": [], "event": {"event_id": "c" * 32, "title": "TypeError", "tags": [["level", "error"]]},
        }
    ).encode()  # fmt: skip
    headers = {"Content-Type": "application/json"}
    world.integration(name="signed")
    world.integration(name="legacy", secret="", require_signature=False)
    problem(world.sends("signed", legacy, headers), 401)
    assert world.sends("legacy", legacy, headers).status_code == 202


def test_unknown_addresses_methods_and_types(world: World) -> None:
    world.integration()
    path = httpx.URL(world.integrations["sentry"]["webhook_url"]).path
    body = bodies.body("event_alert")
    problem(world.api.post("/webhooks/sentry/nosuchtoken", content=body), 404)
    problem(world.api.post(path.replace("/sentry/", "/grafana/"), content=body), 404)
    problem(world.api.get(path), 405)
    problem(world.sends("sentry", body, {"Content-Type": "image/png"}), 415)
    problem(world.sends("sentry", body, {**bodies.signed(body, "event_alert"), "Content-Encoding": "gzip"}), 415)


def test_a_body_that_never_ends_is_let_go(tmp_path: Path) -> None:
    with World(tmp_path / "data", **{"http.request_seconds": "1"}) as world:
        world.integration()
        url = httpx.URL(world.integrations["sentry"]["webhook_url"])
        with socket.create_connection((url.host, url.port or 80)) as sock:
            sock.settimeout(10)
            sock.sendall(f"POST {url.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc".encode())
            assert b" 408 " in sock.recv(4096).split(b"\r\n")[0] + b" "


def test_what_was_quarantined_can_be_replayed_after_a_fix(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from signalcraft.errors import Unreadable
    from signalcraft.sources import sentry

    world.rule("")
    real = sentry.read

    def broken(config: Any, inbound: Any, now_ms: int) -> Any:
        raise Unreadable("a shape of the future")

    body = bodies.body("event_alert")
    monkeypatch.setattr(sentry, "read", broken)
    said = problem(refused(world, body), 422)
    assert world.api.post(f"/api/quarantine/{said['quarantine_id']}/replay").status_code == 422
    monkeypatch.setattr(sentry, "read", real)
    world.post(f"/api/quarantine/{said['quarantine_id']}/replay")
    world.settled()
    assert world.told == [("#oncall", "TypeError in checkout")]
    assert world.get("/api/quarantine", state="quarantined")["items"] == []
    assert world.api.post(f"/api/quarantine/{said['quarantine_id']}/replay").status_code == 409


def test_a_rule_with_a_hostile_pattern_cannot_hang_the_writer(world: World) -> None:
    world.channel("#oncall")
    leaf = {"field": "message", "operator": "regex", "value": "(a+)+$"}
    world.post("/api/routing-rules", {"name": "hostile", "when": {"all": [leaf]}, "channels": ["#oncall"]})
    body = bodies.body("event_alert", message="a" * 3_000 + "!")
    assert refused(world, body).status_code == 202
    assert refused(world, bodies.body("event_alert", message="a" * 100_000 + "!")).status_code == 202
    bad = world.api.post(
        "/api/routing-rules",
        json={"name": "bad", "when": {"all": [{**leaf, "value": "(unclosed"}]}, "channels": ["#oncall"]},
    )
    assert problem(bad, 422)["errors"][0]["path"].startswith("when.all[0]")


def test_above_the_limit_nothing_is_lost_but_the_bytes_of_repeats(tmp_path: Path) -> None:
    """overflow = aggregate: every event counts, a new problem, a rise and a resolve act; only payloads are dropped."""
    with World(tmp_path / "data", **{"limits.webhooks_per_minute": "10"}) as world:
        world.rule("")
        got = [world.receives("sentry", "event_alert", settle=False) for _ in range(40)]
        assert world.group()["count"] == 40
        assert all(r["event_id"] for r in got)
        assert sum(r["sampled"] for r in got) >= 25
        assert not got[0]["sampled"]
        new = world.receives("sentry", "event_alert", issue="2", title="a new problem")
        worse = world.receives("sentry", "event_alert", level="fatal")
        over = world.receives("sentry", "issue", action="resolved")
        assert [r["sampled"] for r in (new, worse, over)] == [False, False, False]
        sampled = next(r for r in got if r["sampled"])
        assert world.api.get(f"/api/events/{sampled['event_id']}").status_code == 200
        assert world.api.get(f"/api/events/{sampled['event_id']}/payload").status_code == 404


def test_overflow_reject_says_when_to_come_back(tmp_path: Path) -> None:
    with World(tmp_path / "data", **{"limits.webhooks_per_minute": "5", "limits.overflow": "reject"}) as world:
        world.rule("")
        body = bodies.body("event_alert")
        statuses = []
        for _ in range(8):
            body = bodies.body("event_alert")
            answer = refused(world, body)
            statuses.append(answer.status_code)
        assert statuses == [202] * 5 + [429] * 3
        assert int(answer.headers["retry-after"]) > 0


def test_stored_text_is_never_changed_on_the_way_in(world: World) -> None:
    title = "connection=lost <script>alert(1)</script> & onerror=x \u202e"
    answer = refused(world, bodies.body("event_alert", title=title))
    assert world.get(f"/api/events/{answer.json()['events'][0]['event_id']}")["title"] == title
