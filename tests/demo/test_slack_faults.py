"""What goes wrong at Slack goes wrong here, when asked, and stops when told to."""

from __future__ import annotations

import socket
import time

import httpx
import msgspec
import pytest

from signalcraft.demo.slack import StandInThread
from tests.demo.conftest import WebClient


def test_an_error_for_a_method_and_so_many_times(slack: StandInThread, web: WebClient) -> None:
    slack.it.fail("chat.postMessage", "internal_error", times=2)
    assert web("auth.test")["ok"]
    for _ in range(2):
        assert web("chat.postMessage", channel="#oncall", text="x")["error"] == "internal_error"
    web.post()
    assert [c.result for c in slack.it.calls] == ["ok", "internal_error", "internal_error", "ok"]


def test_an_http_status_until_it_is_healed(slack: StandInThread, web: WebClient) -> None:
    slack.it.fail(error=500)
    assert web.raw("auth.test").status_code == 500
    slack.it.heal()
    assert web("auth.test")["ok"]


def test_a_429_on_demand_says_when_to_come_back(slack: StandInThread, web: WebClient) -> None:
    slack.it.fail(error="ratelimited", times=1, retry_after_s=7)
    refused = web.raw("chat.postMessage", channel="#oncall", text="x")
    assert (refused.status_code, refused.headers["Retry-After"], slack.it.refused_429) == (429, "7", 1)


def test_missing_scope_says_what_is_needed(slack: StandInThread, web: WebClient) -> None:
    slack.it.fail(error="missing_scope", times=1)
    answer = web("chat.postMessage", channel="#oncall", text="x")
    assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write")


def test_a_lie_is_html_with_status_200_and_nothing_is_accepted(slack: StandInThread, web: WebClient) -> None:
    slack.it.lie(times=1)
    response = web.raw("chat.postMessage", channel="#oncall", text="x")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html")
    assert slack.it.messages("oncall") == []


def test_a_stalled_call_is_done_although_nobody_waits(slack: StandInThread, web: WebClient) -> None:
    slack.it.stall(0.3, times=1)
    with pytest.raises(httpx.ReadTimeout):
        web.http.post(
            "chat.postMessage",
            json={"channel": "#oncall", "text": "x"},
            headers={"Authorization": f"Bearer {web.token}"},
            timeout=0.1,
        )
    assert slack.it.messages("oncall") == []
    deadline = time.monotonic() + 30
    while not slack.it.messages("oncall") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(slack.it.messages("oncall")) == 1


def test_dropped_after_it_was_accepted(slack: StandInThread, web: WebClient) -> None:
    slack.it.drop_after_accept()
    assert web("auth.test")["ok"]  # only what writes is dropped
    with pytest.raises(httpx.RemoteProtocolError):
        web.post()
    assert [c.result for c in slack.it.calls] == ["ok", "dropped"]
    assert len(slack.it.messages("oncall")) == 1
    web.post()
    assert len(slack.it.messages("oncall")) == 2


def test_an_outage_refuses_connections_cuts_open_ones_and_ends_on_the_same_port(
    slack: StandInThread, web: WebClient
) -> None:
    assert web("auth.test")["ok"]
    slack.it.outage()
    with pytest.raises(httpx.ConnectError):
        web("auth.test")
    slack.it.outage(False)
    assert web("auth.test")["ok"]
    assert [c.result for c in slack.it.calls] == ["ok", "ok"]


def test_an_outage_can_answer_503(slack: StandInThread, web: WebClient) -> None:
    slack.it.outage(mode="503")
    assert web.raw("auth.test").status_code == 503
    assert slack.it.is_unavailable
    slack.it.outage(False, mode="503")
    assert web("auth.test")["ok"]


def test_pipelined_calls_are_all_kept_in_order(slack: StandInThread, web: WebClient) -> None:
    """A benchmark keeps one connection busy: nothing that was written to it is lost or mixed up."""
    names = [slack.it.add_channel(f"c{n}").id for n in range(50)]
    calls = []
    for n in range(150):
        body = msgspec.json.encode({"channel": names[n % 50], "text": f"{n}"})
        head = f"POST /api/chat.postMessage HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {web.token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        calls.append(head.encode() + (b"Connection: close\r\n\r\n" if n == 149 else b"\r\n") + body)
    with socket.create_connection(("127.0.0.1", slack.it.port), timeout=10) as raw:
        raw.sendall(b"".join(calls))
        answers = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answers.count(b'{"ok":true,') == 150
    assert [c.args["text"] for c in slack.it.calls] == [f"{n}" for n in range(150)]
