"""How people answer from outside: Slack's buttons with Slack's signature, and signed links."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from signalcraft.domain import ids, links
from signalcraft.services.deliver import LINK_PURPOSE
from tests.http.asking import Other, asking, problem
from tests.world import SIGNING_SECRET, World

SLACK = "/webhooks/slack/actions"


@pytest.fixture
def group(world: World) -> str:
    """An open group that #oncall was told of."""
    if not world.get("/api/routing-rules")["items"]:
        world.rule(channel="#oncall")
    number = getattr(world, "answered_groups", 0) + 1
    world.answered_groups = number  # type: ignore[attr-defined]
    say = {"issue": f"3{number:03d}", "title": f"<b>Failure</b> & {number}", "level": "error"}
    made = world.receives("sentry", "event_alert", **say)["group_id"]
    world.after(seconds=5)
    return str(made)


def status(world: World, group: str) -> str:
    return str(world.get(f"/api/alert-groups/{group}")["status"])


# -- Slack ------------------------------------------------------------------------------------------------------------


def payload(group: str, action: str = "ack", **more: Any) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "user": {"id": "U024BE7LH", "username": "sam", "team_id": "T1"},
        "team": {"id": "T1"},
        "actions": [{"action_id": action, "block_id": "b", "type": "button", "value": group}],
        **more,
    }


def form(said: Any) -> bytes:
    return b"payload=" + quote(json.dumps(said)).encode()


def press(world: World, body: bytes, *, secret: str = SIGNING_SECRET, age_s: int = 0, **headers: str) -> httpx.Response:
    stamp = str(world.clock.at_ms // 1000 - age_s)
    proof = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    signed = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={proof}",
        **headers,
    }
    return asking(world).post(SLACK, content=body, headers={k: v for k, v in signed.items() if v})


def test_a_press_acts_and_is_answered_with_an_empty_200(world: World, group: str) -> None:
    answer = press(world, form(payload(group)))
    assert (answer.status_code, answer.content) == (200, b"")
    now = world.get(f"/api/alert-groups/{group}")
    assert (now["status"], now["acknowledged_by"]) == ("acknowledged", "sam")
    assert now["assignee"] == {"kind": "slack", "id": "U024BE7LH", "name": "sam"}
    (line,) = [m for m in world.get(f"/api/alert-groups/{group}/timeline")["items"] if m["verb"] == "acknowledged"]
    assert line["actor"] == {"kind": "slack", "id": "U024BE7LH", "name": "sam"}


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"secret": "another secret"}, "wrong"),
        ({"age_s": 301}, "five minutes"),
        ({"age_s": -301}, "five minutes"),
        ({"X-Slack-Signature": ""}, "no Slack signature"),
        ({"X-Slack-Signature": "v0="}, "wrong"),
        ({"X-Slack-Signature": "v1=00"}, "wrong"),
        ({"X-Slack-Request-Timestamp": ""}, "no Slack signature"),
        ({"X-Slack-Request-Timestamp": "NaN"}, "no Slack signature"),
    ],
    ids=str,
)
def test_a_press_that_slack_did_not_sign_does_nothing(world: World, group: str, how: Any, why: str) -> None:
    said = problem(press(world, form(payload(group)), **how), 401, "bad_signature")
    assert why in said["detail"]
    assert status(world, group) == "open"


def test_the_signature_is_over_the_raw_form(world: World, group: str) -> None:
    body = form(payload(group))
    stamp = str(world.clock.at_ms // 1000)
    decoded = json.dumps(payload(group)).encode()
    proof = hmac.new(SIGNING_SECRET.encode(), b"v0:" + stamp.encode() + b":" + decoded, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={proof}"}
    problem(asking(world).post(SLACK, content=body, headers=headers), 401)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"payload=",
        b"payload=%7B",
        b"payload=%5B%5D",
        b"payload=null&payload=null",
        b"payload=%ff%fe",
        form(payload("x") | {"actions": "none"}),
        form(payload("x") | {"user": None}),
        form(payload("x") | {"actions": [7]}),
        form(payload("x") | {"actions": [{"action_id": "ack"}]}),
        form({"type": "block_actions"}),
        b"payload=" + quote("[" * 100_000).encode(),
    ],
    ids=range(13),
)
def test_a_signed_body_that_is_none_of_slacks_is_4xx(world: World, body: bytes) -> None:
    problem(press(world, body), 422, "unreadable")


@pytest.mark.parametrize(
    "body", [form({"type": "view_submission"}), form(payload("x", "a_link_button")), b"ssl_check=1&token=x"]
)
def test_what_asks_nothing_of_us_is_taken(world: World, body: bytes) -> None:
    assert press(world, body).status_code == 200


def test_a_press_on_what_is_no_more_is_taken_kindly(world: World, group: str) -> None:
    for value in ("0000000000001", "nonsense", "'; drop table alert_group; --"):
        assert press(world, form(payload(value))).status_code == 200
    assert status(world, group) == "open"


def test_a_late_press_is_answered_in_private(world: World, group: str) -> None:
    (told,) = [t for t in world.told if t.message.blocks and group in str(t.message.blocks)]
    world.press(told, "resolve", by="Kim")
    before = len(world.whispered())
    world.press(told, "ack", by="Sam")
    until = time.monotonic() + 30
    while len(world.whispered()) == before and time.monotonic() < until:
        time.sleep(0.02)  # the private answer goes its own way, behind the 200
    assert "already resolved by" in world.whispered()[-1]
    assert status(world, group) == "resolved"


def test_a_private_answer_that_fails_is_in_the_log_and_harms_nothing(
    world: World, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.post(f"/api/alert-groups/{group}/resolve")
    with caplog.at_level(logging.WARNING):
        answer = press(world, form(payload(group, response_url="http://127.0.0.1:9/nobody")))
        assert answer.status_code == 200
        until = time.monotonic() + 30
        while "could not be answered" not in caplog.text and time.monotonic() < until:
            time.sleep(0.02)
    assert "the person who pressed could not be answered" in caplog.text


def test_a_press_that_cannot_be_written_in_time_is_503(
    world: World, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    act = world.house.respond.act

    async def slow(*args: Any) -> str:
        await asyncio.sleep(0.5)
        return str(await act(*args))

    monkeypatch.setattr("signalcraft.http.answers.ACT_S", 0.05)
    monkeypatch.setattr(world.house.respond, "act", slow)
    answer = press(world, form(payload(group)))
    problem(answer, 503, "busy")
    until = time.monotonic() + 30
    while status(world, group) == "open" and time.monotonic() < until:
        time.sleep(0.05)
    assert status(world, group) == "acknowledged"  # late, not lost


def test_each_signing_secret_of_a_slack_channel_is_good(world: World, group: str) -> None:
    second = "1f748d92a29d42cf9ee1d2f2c3b5a3c1"
    world.channel("#second", signing_secret=second)
    assert press(world, form(payload(group)), secret=second).status_code == 200
    assert status(world, group) == "acknowledged"


def test_a_secret_of_another_workspace_opens_nothing_here(world: World, other: Other, group: str) -> None:
    foreign = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"
    config = {"bot_token": "xoxb-2-2-two", "signing_secret": foreign, "channel": "#theirs"}
    made = other.api.post("/api/channels", json={"name": "#theirs", "kind": "slack", "config": config})
    assert made.status_code == 201, made.text
    assert press(world, form(payload(group)), secret=foreign).status_code == 200
    assert status(world, group) == "open"


def test_two_workspaces_with_one_slack_app_each_get_their_own_presses(world: World, other: Other, group: str) -> None:
    config = {"bot_token": "xoxb-3-3-three", "signing_secret": SIGNING_SECRET, "channel": "#shared"}
    made = other.api.post("/api/channels", json={"name": "#shared", "kind": "slack", "config": config})
    assert made.status_code == 201, made.text
    assert press(world, form(payload(group))).status_code == 200
    assert status(world, group) == "acknowledged"


# -- signed links -----------------------------------------------------------------------------------------------------


def link(world: World, group: str, verb: str = "ack", hours: float = 1) -> str:
    channel = next(c["id"] for c in world.get("/api/channels")["items"] if c["name"] == "#oncall")
    key = world.house.vault.derive(LINK_PURPOSE)
    expires_ms = world.clock.at_ms + round(hours * 3_600_000)
    return f"/answer/{links.sign(key, ids.parse(group), ids.parse(channel), verb, expires_ms)}"


def test_looking_at_a_link_shows_the_group_and_changes_nothing(world: World, group: str) -> None:
    path = link(world, group)
    client = asking(world)
    for method in ("GET", "HEAD", "GET", "OPTIONS"):
        assert client.request(method, path).status_code in (200, 204)
    assert status(world, group) == "open"
    page = client.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe-inline" not in policy
    style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert style is not None
    import base64

    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert "<script" not in page.text
    assert "&lt;b&gt;Failure&lt;/b&gt; &amp; " in page.text  # escaped, not trusted
    assert page.text.count("<button") == 1
    assert '<form method="post">' in page.text


@pytest.mark.parametrize(("verb", "is_then"), [("ack", "acknowledged"), ("resolve", "resolved"), ("snooze", "snoozed")])
def test_the_button_of_a_link_acts(world: World, group: str, verb: str, is_then: str) -> None:
    path = link(world, group, verb)
    done = asking(world).post(path)
    assert done.status_code == 200
    assert status(world, group) == is_then
    timeline = world.get(f"/api/alert-groups/{group}/timeline")["items"]
    (line,) = [m for m in timeline if m["kind"] == "journal" and m["verb"] == is_then]
    assert line["actor"]["kind"] == "slack"
    assert "link in #oncall" in line["actor"]["name"]


def test_a_link_that_was_used_says_so_kindly(world: World, group: str) -> None:
    path = link(world, group)
    client = asking(world)
    assert "Acknowledged." in client.post(path).text
    assert "<button" not in client.get(path).text
    again = client.post(path)
    assert again.status_code == 200
    assert "already acknowledged" in again.text


def test_an_expired_link_is_410_and_acts_no_more(world: World, group: str) -> None:
    path = link(world, group, hours=0.01)
    world.after(minutes=1)
    for method in ("GET", "POST"):
        answer = asking(world).request(method, path)
        assert answer.status_code == 410
        assert answer.headers["content-type"].startswith("text/html")
        assert "expired" in answer.text
        assert "Failure" not in answer.text
    assert status(world, group) == "open"


def test_a_link_that_was_changed_is_404_and_shows_nothing(world: World, group: str) -> None:
    token = link(world, group).rpartition("/")[2]
    changed = [token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(0, len(token), 7)]
    for wrong in (*changed, token[:-1], token + "A", "x", "%00", "A" * 56, "a" * 10_000):
        for method in ("GET", "POST"):
            answer = asking(world).request(method, f"/answer/{wrong}")
            assert answer.status_code == (404 if len(wrong) < 5_000 else 414), wrong  # longer than any address of ours
            assert "Failure" not in answer.text
    assert status(world, group) == "open"


def test_a_link_to_a_group_that_is_no_more_is_404(world: World, group: str) -> None:
    assert asking(world).get(link(world, "0000000000001")).status_code == 404


def test_the_token_of_a_link_is_in_no_log_line_and_no_metric(
    world: World, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = link(world, group)
    with caplog.at_level(logging.DEBUG, logger="signalcraft"):
        asking(world).get(path)
        asking(world).post(path)
        asking(world).put(path)
    token = path.rpartition("/")[2]
    ours = [r for r in caplog.records if r.name.startswith("signalcraft")]
    assert ours
    assert not [r for r in ours if token in str(vars(r))]
    assert token not in world.api.get("/metrics").text
