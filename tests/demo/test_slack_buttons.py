"""Buttons: the genuine signed form, the three seconds, response_url, Socket Mode."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from signalcraft.demo.slack import APP_TOKEN, SIGNING_SECRET, StandInThread, sign
from signalcraft.demo.threads import LoopThread
from tests.demo.conftest import App, Clock, WebClient, buttons

OVERFLOW = {
    "type": "overflow",
    "action_id": "snooze",
    "options": [{"text": {"type": "plain_text", "text": "1 hour"}, "value": "60"}],
}


def test_the_signature_is_slacks() -> None:
    """The example of Slack's own documentation."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert sign("8f742231b10e8888abcd99yyyzzz85a5", 1531420618, body) == signature


def test_a_press_is_a_signed_form_with_slacks_payload(
    slack: StandInThread, web: WebClient, app: LoopThread[App], clock: Clock
) -> None:
    ts = web.post(text="broken", blocks=buttons("ack", style="primary"))
    pressed = slack.press("#oncall", ts, "ack", "Sam")
    assert (pressed.status, pressed.in_time, pressed.via) == (200, True, "http")
    [request] = app.it.heard
    assert request.path == "/webhooks/slack/actions"
    stamp = request.headers["x-slack-request-timestamp"]
    assert int(stamp) == clock.ms // 1000
    assert request.headers["x-slack-signature"] == sign(SIGNING_SECRET, stamp, request.body)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    payload = app.it.payload
    assert payload["type"] == "block_actions"
    assert payload["user"] == {"id": "U0SAM", "username": "sam", "name": "sam", "team_id": "T0DEMO"}
    assert (payload["channel"]["id"], payload["message"]["ts"], payload["message"]["text"]) == (
        "C0ONCALL",
        ts,
        "broken",
    )
    assert payload["container"]["message_ts"] == ts
    [action] = payload["actions"]
    assert (action["action_id"], action["block_id"], action["value"]) == ("ack", "acts", "g1")


def test_a_choice_carries_the_selected_option(slack: StandInThread, web: WebClient, app: LoopThread[App]) -> None:
    ts = web.post(blocks=[{"type": "actions", "elements": [OVERFLOW]}])
    slack.press("oncall", ts, "snooze", "kim@example.com", "1 hour")
    [action] = app.it.payload["actions"]
    assert (action["type"], action["selected_option"]["value"]) == ("overflow", "60")
    assert "value" not in action
    with pytest.raises(LookupError, match="no option"):
        slack.press("oncall", ts, "snooze", "Kim", "2 hours")


def test_only_what_is_there_can_be_pressed(slack: StandInThread, web: WebClient, app: LoopThread[App]) -> None:
    ts = web.post(blocks=buttons("ack"))
    web("chat.update", channel="C0ONCALL", ts=ts, text="done", blocks=[])
    with pytest.raises(LookupError, match="no 'ack' to press"):
        slack.press("#oncall", ts, "ack", "Sam")
    assert app.it.heard == []


def test_buttons_in_attachments_work_too(slack: StandInThread, web: WebClient, app: LoopThread[App]) -> None:
    ts = web.post(attachments=[{"color": "#ff0000", "blocks": buttons("ack")}])
    assert slack.press("#oncall", ts, "ack", "Sam").status == 200


def test_forged_signatures_can_be_sent(
    slack: StandInThread, web: WebClient, app: LoopThread[App], clock: Clock
) -> None:
    ts = web.post(blocks=buttons("ack"))
    slack.press("#oncall", ts, "ack", "Sam", signed_with="wrong", signed_at_ms=clock.ms - 600_000)
    request = app.it.heard[0]
    stamp = request.headers["x-slack-request-timestamp"]
    assert int(stamp) == clock.ms // 1000 - 600
    assert request.headers["x-slack-signature"] == sign("wrong", stamp, request.body)


def test_three_seconds_without_an_answer_are_noted(slack: StandInThread, web: WebClient, app: LoopThread[App]) -> None:
    ts = web.post(blocks=buttons("ack"))
    app.it.delay_s = 3.6
    pressed = slack.press("#oncall", ts, "ack", "Sam")
    assert (pressed.status, pressed.in_time, slack.it.unanswered) == (0, False, 1)
    assert 2900 <= pressed.took_ms < 3550


def test_nobody_listens(slack: StandInThread, web: WebClient) -> None:
    ts = web.post(blocks=buttons("ack"))
    slack.it.interactivity_url = "http://127.0.0.1:9/nobody"
    assert slack.press("#oncall", ts, "ack", "Sam").in_time is False
    slack.it.interactivity_url = ""
    with pytest.raises(LookupError, match="no interactivity URL"):
        slack.press("#oncall", ts, "ack", "Sam")


# -------------------------------------------------------------------------------------------------------- response_url


def test_an_answer_is_ephemeral_in_the_channel_or_replaces_the_message(
    slack: StandInThread, web: WebClient, app: LoopThread[App]
) -> None:
    ts = web.post(blocks=buttons("ack"))
    slack.press("#oncall", ts, "ack", "Sam")
    url = app.it.payload["response_url"]
    assert httpx.post(url, json={"text": "thank you", "response_type": "ephemeral"}).json() == {"ok": True}
    assert httpx.post(url, json={"text": "everybody", "response_type": "in_channel"}).status_code == 200
    assert httpx.post(url, json={"text": "taken", "replace_original": True}).status_code == 200
    original, whisper, loud = slack.it.messages("oncall")
    assert (original.text, original.edits) == ("taken", 1)
    assert (whisper.text, whisper.visible_to) == ("thank you", "U0SAM")
    assert (loud.text, loud.visible_to) == ("everybody", "")
    assert [c.result for c in slack.it.calls if c.method == "response_url"] == ["ok"] * 3


def test_a_response_url_takes_five_posts_within_half_an_hour(
    slack: StandInThread, web: WebClient, app: LoopThread[App], clock: Clock
) -> None:
    ts = web.post(blocks=buttons("ack"))
    slack.press("#oncall", ts, "ack", "Sam")
    slack.press("#oncall", ts, "ack", "Kim")
    late = app.it.payload["response_url"]
    slack.press("#oncall", ts, "ack", "Sam")
    url = app.it.payload["response_url"]
    assert [httpx.post(url, json={"text": "x"}).status_code for _ in range(6)] == [200] * 5 + [404]
    clock.after(30 * 60 + 1)
    assert httpx.post(late, json={"text": "x"}).json()["error"] == "expired_url"
    assert httpx.post(late + "0", json={"text": "x"}).status_code == 404


def test_a_response_url_can_fail(slack: StandInThread, web: WebClient, app: LoopThread[App]) -> None:
    ts = web.post(blocks=buttons("ack"))
    slack.press("#oncall", ts, "ack", "Sam")
    slack.it.fail(times=1)  # is not used up by a response_url
    slack.it.fail("response_url", 500, times=1)
    url = app.it.payload["response_url"]
    assert httpx.post(url, json={"text": "x"}).status_code == 500
    assert httpx.post(url, json={"text": "x"}).status_code == 200
    assert web("auth.test")["error"] == "internal_error"


# -------------------------------------------------------------------------------------------------------- Socket Mode


@pytest.fixture
def socket(slack: StandInThread, web: WebClient) -> Iterator[ClientConnection]:
    answer = web.http.post("apps.connections.open", headers={"Authorization": f"Bearer {APP_TOKEN}"}).json()
    with connect(answer["url"], proxy=None) as connection:
        hello = msgspec.json.decode(connection.recv(5))
        assert hello["type"] == "hello"
        yield connection


def _answering(connection: ClientConnection, heard: list[Any], *, acknowledge: bool) -> threading.Thread:
    def answer() -> None:
        envelope = msgspec.json.decode(connection.recv(5))
        heard.append(envelope)
        if acknowledge:
            connection.send(msgspec.json.encode({"envelope_id": envelope["envelope_id"]}).decode())

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


def test_a_press_goes_through_the_socket_and_is_acknowledged(
    slack: StandInThread, web: WebClient, app: LoopThread[App], socket: ClientConnection
) -> None:
    ts = web.post(blocks=buttons("ack"))
    heard: list[Any] = []
    thread = _answering(socket, heard, acknowledge=True)
    pressed = slack.press("#oncall", ts, "ack", "Sam")
    thread.join()
    assert (pressed.via, pressed.status, pressed.in_time) == ("socket", 200, True)
    assert heard[0]["type"] == "interactive"
    assert heard[0]["payload"]["actions"][0]["action_id"] == "ack"
    assert app.it.heard == []  # one way or the other, never both


def test_an_envelope_nobody_acknowledges(slack: StandInThread, web: WebClient, socket: ClientConnection) -> None:
    ts = web.post(blocks=buttons("ack"))
    heard: list[Any] = []
    thread = _answering(socket, heard, acknowledge=False)
    pressed = slack.press("#oncall", ts, "ack", "Sam")
    thread.join()
    assert (pressed.in_time, slack.it.unanswered, len(heard)) == (False, 1, 1)


def test_slack_asks_to_come_again(slack: StandInThread, web: WebClient, socket: ClientConnection) -> None:
    slack.disconnect_sockets("refresh_requested")
    goodbye = msgspec.json.decode(socket.recv(5))
    assert (goodbye["type"], goodbye["reason"]) == ("disconnect", "refresh_requested")
    with pytest.raises(ConnectionClosed):
        socket.recv(5)
    assert slack.it.sockets == 0


def test_a_ticket_is_good_once(slack: StandInThread, web: WebClient) -> None:
    url = web.http.post("apps.connections.open", headers={"Authorization": f"Bearer {APP_TOKEN}"}).json()["url"]
    with connect(url, proxy=None) as first:
        first.recv(5)
        with connect(url, proxy=None) as second, pytest.raises(ConnectionClosed):
            second.recv(5)
