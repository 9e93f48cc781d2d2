"""The page of the stand-in: live, guarded against other sites, and without anything a strict policy forbids."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from signalcraft.demo.slack import StandInThread
from signalcraft.demo.threads import LoopThread
from tests.demo.conftest import App, WebClient, buttons


@pytest.fixture
def browser(slack: StandInThread) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=slack.it.origin, timeout=30, headers={"Origin": slack.it.origin}) as client:
        yield client


def _updates(client: httpx.Client, headers: dict[str, str] | None = None) -> Generator[tuple[str, Any], None, None]:
    """(id, data) of each event of the stream."""
    with client.stream("GET", "/page/stream", headers=headers) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        last = ""
        for line in response.iter_lines():
            if line.startswith("id: "):
                last = line[4:]
            elif line.startswith("data: "):
                yield last, msgspec.json.decode(line[6:])


def test_the_page_and_its_files_are_served_under_a_strict_policy(browser: httpx.Client) -> None:
    page = browser.get("/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert linked
    assert all(link.startswith("/page/") for link in linked)  # nothing from elsewhere
    assert not re.search(r"<script(?![^>]*src=)|<style| style=| on\w+=", page.text)  # nothing inline
    for link in [*linked, "/page/blocks.js", "/page/mrkdwn.js"]:
        response = browser.get(link)
        assert response.status_code == 200, link
        assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", response.content), link
    assert browser.get("/page/nothing.js").status_code == 404
    assert browser.get("/page/../app.js").status_code == 404


def test_text_never_becomes_markup(browser: httpx.Client) -> None:
    for name in ("app.js", "blocks.js", "mrkdwn.js"):
        source = re.sub(r"^\s*//.*$", "", browser.get(f"/page/{name}").text, flags=re.MULTILINE)
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", source), name


def test_the_stream_tells_what_is_there_and_what_changes(
    slack: StandInThread, web: WebClient, browser: httpx.Client
) -> None:
    ts = web.post(text="one", blocks=buttons("ack"))
    stream = _updates(browser)
    _, first = next(stream)
    assert [c["name"] for c in first["channels"]] == ["oncall", "team-leads"]
    assert [p["name"] for p in first["people"]] == ["Sam", "Kim"]
    assert [(m["ts"], m["text"], m["edits"]) for m in first["messages"]] == [(ts, "one", 0)]
    web("chat.update", channel="C0ONCALL", ts=ts, text="two")
    seen, second = next(stream)
    assert [(m["text"], m["edits"]) for m in second["messages"]] == [("two", 1)]
    stream.close()
    web.post(text="three")
    _, later = next(_updates(browser, {"Last-Event-ID": seen}))  # the browser comes back: only what it missed
    assert [m["text"] for m in later["messages"]] == ["three"]
    _, stranger = next(_updates(browser, {"Last-Event-ID": "another-run.999"}))
    assert [m["text"] for m in stranger["messages"]] == ["two", "three"]


def test_a_button_on_the_page_is_a_press_by_the_chosen_person(
    slack: StandInThread, web: WebClient, browser: httpx.Client, app: LoopThread[App]
) -> None:
    ts = web.post(blocks=buttons("ack"))
    press = {"channel": "C0ONCALL", "ts": ts, "action_id": "ack", "block_id": "acts", "user": "U0KIM"}
    assert browser.post("/page/press", json=press).json()["status"] == 200
    assert app.it.payload["user"]["id"] == "U0KIM"
    gone = browser.post("/page/press", json=press | {"action_id": "nothing"})
    assert gone.status_code == 409
    assert "no 'nothing' to press" in gone.json()["error"]
    assert browser.post("/page/press", json={"channel": 5}).status_code == 400


def test_another_sites_page_cannot_press_or_take_slack_down(
    slack: StandInThread, web: WebClient, browser: httpx.Client, app: LoopThread[App]
) -> None:
    ts = web.post(blocks=buttons("ack"))
    press = {"channel": "C0ONCALL", "ts": ts, "action_id": "ack", "user": "U0KIM"}
    for origin in ("http://evil.example", "null", ""):
        assert browser.post("/page/press", json=press, headers={"Origin": origin}).status_code == 403
        assert browser.post("/page/outage", json={"on": True}, headers={"Origin": origin}).status_code == 403
    body = msgspec.json.encode(press)  # what a form of another site could send
    assert browser.post("/page/press", content=body, headers={"Content-Type": "text/plain"}).status_code == 403
    assert app.it.heard == []
    assert not slack.it.is_unavailable


def test_the_page_can_take_slack_down_and_bring_it_back(
    slack: StandInThread, web: WebClient, browser: httpx.Client
) -> None:
    assert browser.post("/page/outage", json={"on": True}).json() == {"on": True}
    assert web.raw("auth.test").status_code == 503
    assert browser.get("/").status_code == 200  # the page stays
    assert browser.post("/page/outage", json={"on": False}).json() == {"on": False}
    assert web("auth.test")["ok"]
