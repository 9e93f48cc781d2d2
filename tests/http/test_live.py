"""/api/live: what happens, as it happens; what was missed; and an end that no open stream holds up."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalcraft.http.feed import Feed
from signalcraft.http.live import _without_figures
from signalcraft.services.health import Report
from tests.http.asking import Other, asking, key_of, problem
from tests.http.browsing import QUIET, browser
from tests.world import World


class Listener:
    """One open stream, read by a thread. `events` in the order in which they came."""

    def __init__(self, client: httpx.Client, headers: dict[str, str], query: dict[str, str]) -> None:
        self.events: list[dict[str, Any]] = []
        self.ended = threading.Event()
        self._fresh: queue.Queue[None] = queue.Queue()
        self._stream = client.stream("GET", "/api/live", headers=headers, params=query, timeout=httpx.Timeout(20))
        self.response = self._stream.__enter__()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        event: dict[str, Any] = {}
        try:
            for line in self.response.iter_lines():
                name, _, value = line.partition(": ")
                if not line and "event" in event:
                    self.events.append(event)
                    event = {}
                    self._fresh.put(None)
                elif name == "data":
                    event["data"] = json.loads(value)
                elif name in ("id", "event"):
                    event[name] = value
        except (httpx.HTTPError, httpx.StreamError):
            pass  # closed by the test, or cut off
        finally:
            self.ended.set()

    def wait(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 30) -> dict[str, Any]:
        """The first event that is wanted."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for event in self.events:
                if wanted(event):
                    return event
            try:
                self._fresh.get(timeout=0.1)
            except queue.Empty:
                continue
        raise AssertionError(f"it did not come; there were {[(e['event'], e.get('id')) for e in self.events]}")

    def close(self) -> None:
        # A thread that reads does not notice that its socket is closed, only that it is shut down.
        sock = self.response.extensions["network_stream"].get_extra_info("socket")
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster
        self._thread.join(5)
        self._stream.__exit__(None, None, None)


@contextmanager
def listening(world: World, key: str = "", last: str = "", query: str = "") -> Iterator[Listener]:
    client = asking(world, key or key_of(world, "alerts:read"))
    headers = {"Last-Event-ID": last} if last else {}
    it = Listener(client, headers, {"last_event_id": query} if query else {})
    try:
        assert it.response.status_code == 200
        assert it.response.headers["content-type"].startswith("text/event-stream")
        yield it
    finally:
        it.close()


def group_event(verb: str, group: str) -> Callable[[dict[str, Any]], bool]:
    return lambda e: e["event"] == "group" and e["data"]["verb"] == verb and e["data"]["group"]["id"] == group


@pytest.fixture(scope="module", autouse=True)
def _route(world: World) -> None:
    world.rule(channel="#oncall")


def test_a_stream_begins_with_health_and_an_id(world: World) -> None:
    with listening(world) as live:
        hello = live.wait(lambda e: e["event"] == "health")
        assert hello["data"]["status"] in ("ok", "degraded")
        assert len(hello["id"]) == 13


def test_what_happens_is_told_as_it_happens(world: World) -> None:
    with listening(world) as live:
        live.wait(lambda e: e["event"] == "health")
        group = world.receives("sentry", "event_alert", issue="1")["group_id"]
        opened = live.wait(group_event("opened", group))
        assert opened["id"]
        assert opened["data"]["group"]["status"] == "open"
        sent = live.wait(lambda e: e["event"] == "delivery" and e["data"]["delivery"]["state"] == "sent")
        assert sent["data"]["delivery"]["channel"] == "#oncall"
        world.act({"id": group}, "ack")
        acked = live.wait(group_event("acknowledged", group))
        assert acked["data"]["actor"]["kind"] == "api_key"
        assert acked["data"]["group"]["status"] == "acknowledged"
        assert acked["id"] > opened["id"]


def test_a_count_that_rises_is_told_without_an_id(world: World) -> None:
    group = world.receives("sentry", "event_alert", issue="2")["group_id"]
    with listening(world) as live:
        live.wait(lambda e: e["event"] == "health")
        world.after(seconds=5)
        for _ in range(3):
            world.receives("sentry", "event_alert", issue="2")
        world.after(seconds=5)
        world.receives("sentry", "event_alert", issue="2")
        counted = live.wait(lambda e: group_event("counted", group)(e) and e["data"]["group"]["count"] == 5)
        assert "id" not in counted


def test_what_was_missed_is_caught_up_with(world: World) -> None:
    with listening(world) as live:
        last = live.wait(lambda e: e["event"] == "health")["id"]
    group = world.receives("sentry", "event_alert", issue="3")["group_id"]
    world.after(seconds=5)
    world.act({"id": group}, "resolve")
    for how in ({"last": last}, {"query": last}):
        with listening(world, **how) as live:  # type: ignore[arg-type]
            live.wait(group_event("opened", group))
            resolved = live.wait(group_event("resolved", group))
            # Only what is is told, not what was: the state at that time is gone.
            assert resolved["data"]["group"]["status"] == "resolved"
            live.wait(lambda e: e["event"] == "delivery" and e["data"]["delivery"]["group_id"] == group)
            live.wait(lambda e: e["event"] == "health")
            numbers = [e["id"] for e in live.events if "id" in e]
            assert numbers == sorted(numbers)
            assert len([e for e in live.events if group_event("opened", group)(e)]) == 1
            after = numbers[-1]
    with listening(world, last=after) as live:
        live.wait(lambda e: e["event"] == "health")
        assert [e for e in live.events if e["event"] == "group"] == []


@pytest.mark.parametrize("last", ["nonsense", "zzzzzzzzzzzzz", "7zzzzzzzzzzzz"])
def test_a_place_that_is_not_ours_is_reset(world: World, last: str) -> None:
    with listening(world, last=last) as live:
        reset = live.wait(lambda e: e["event"] == "reset")
        assert reset["data"]["why"]
        live.wait(lambda e: e["event"] == "health")


def test_too_far_behind_is_reset(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalcraft.http.feed.REPLAY_MAX", 2)
    with listening(world) as live:
        last = live.wait(lambda e: e["event"] == "health")["id"]
    group = world.receives("sentry", "event_alert", issue="4")["group_id"]
    for _ in range(2):
        world.act({"id": group}, "resolve")
        world.act({"id": group}, "reopen")
    with listening(world, last=last) as live:
        assert "too much" in live.wait(lambda e: e["event"] == "reset")["data"]["why"]
        assert [e for e in live.events if e["event"] == "group"] == []


def test_a_client_that_is_too_slow_is_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    from signalcraft.domain.group import SYSTEM
    from signalcraft.http import live
    from signalcraft.http.auth import Caller

    monkeypatch.setattr(live, "WAITING_MAX", 3)
    caller = Caller(workspace_id=1, actor=SYSTEM, scopes=frozenset(), access=frozenset(), role="viewer")
    slow = live.Subscriber(caller, "")
    slow.put([b"1", b"2", b"3"], 7)
    slow.put([b"4"], 9)
    assert slow.waiting.qsize() == 1
    left = slow.waiting.get_nowait()
    assert left is not None
    assert b"event: reset" in left


def test_what_is_tried_again_and_sent_between_two_looks_is_told(world: World) -> None:
    world.rule("environment == again", "#again", name="again")
    world.slack.fail("chat.postMessage", error="msg_too_long")
    world.receives("sentry", "event_alert", environment="again", title="said twice", issue="4711")
    world.after(minutes=1)
    world.slack.heal()
    (failed,) = world.get("/api/deliveries", state="failed", channel="#again")["items"]
    feed = Feed(1)
    read = world.house.db.read
    world._call(read(feed.begin))

    def told() -> list[tuple[str, str]]:
        events = world._call(read(lambda tx: feed.read(tx, world.clock.at_ms, counts=False)))
        data = [json.loads(one.split(b"data: ")[1]) for one in events if b"event: delivery" in one]
        return [(one["delivery"]["id"], one["delivery"]["state"]) for one in data]

    world.post(f"/api/deliveries/{failed['id']}/retry")
    world.after(seconds=5)
    assert told() == [(failed["id"], "sent")]
    assert told() == []


def test_another_workspace_hears_nothing_of_it(world: World, other: Other) -> None:
    key = key_of(world, "alerts:read", workspace_id=2)
    with listening(world, key) as theirs, listening(world) as ours:
        for one in (theirs, ours):
            one.wait(lambda e: e["event"] == "health")
        group = world.receives("sentry", "event_alert", issue="5")["group_id"]
        ours.wait(group_event("opened", group))
        time.sleep(0.3)
        assert {e["event"] for e in theirs.events} == {"health"}
    with listening(world, key, last="0000000000000") as theirs:
        theirs.wait(lambda e: e["event"] == "health")
        assert {e["event"] for e in theirs.events} == {"health"}


def test_a_revoked_key_closes_its_stream(world: World) -> None:
    made = world.post("/api/api-keys", {"name": "short", "scopes": ["alerts:read"]})
    with listening(world, made["key"]) as live:
        live.wait(lambda e: e["event"] == "health")
        world.api.delete(f"/api/api-keys/{made['id']}")
        assert live.ended.wait(30)


def test_a_key_that_runs_out_closes_its_stream(world: World) -> None:
    key = key_of(world, "alerts:read", expires_ms=world.clock.at_ms + 60_000)
    with listening(world, key) as live:
        live.wait(lambda e: e["event"] == "health")
        world.clock.at_ms += 60_000
        assert live.ended.wait(30)


def test_another_role_closes_the_stream_so_that_the_next_one_hears_what_it_may(tmp_path: Path) -> None:
    with World(tmp_path / "data", **QUIET) as world, browser(world, "kim@example.com", "member") as kim:
        with kim.client.stream("GET", "/api/live", timeout=httpx.Timeout(20)) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith(":")
            world.api.patch(f"/api/people/{kim.who['person']['id']}", json={"role": "admin"}).raise_for_status()
            began_s = time.monotonic()
            for _ in lines:
                assert time.monotonic() - began_s < 10
        assert "audit:read" in kim.get("/api/auth/me")["access"]


def test_a_broken_channel_is_told_as_health(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalcraft.http.live.HEALTH_S", 0.1)
    with listening(world) as live:
        live.wait(lambda e: e["event"] == "health" and e["data"]["components"]["channels"]["status"] == "ok")
        world.slack.archive("oncall")
        world.receives("sentry", "event_alert", issue="6")
        world.after(seconds=30)  # Slack takes about one message a second
        told = live.wait(lambda e: e["event"] == "health" and e["data"]["components"]["channels"]["status"] != "ok")
        assert "#oncall is broken" in told["data"]["components"]["channels"]["detail"]


def test_health_is_told_when_it_turns_and_not_as_its_figures_move(tmp_path: Path) -> None:
    with World(tmp_path / "data") as world:
        house = world.house

        def look() -> Report:
            world._call(house.selfwatch.tick())
            report: Report = world._call(house.health.report(ready=True, stopping=False))
            return report

        house.rollups.counted_ms = world.clock.at_ms  # as if they were counted now
        first = look()
        world.after(minutes=3)
        looks = (first, look())
        well = [name for name in first.components if all(one.components[name].status == "ok" for one in looks)]
        before, now = (Report("ok", one.version, {name: one.components[name] for name in well}) for one in looks)
        assert now.components["rollups"] != before.components["rollups"]
        assert _without_figures(now) == _without_figures(before)


def test_it_needs_a_key_and_its_scope(world: World) -> None:
    problem(asking(world).get("/api/live"), 401)
    problem(asking(world, key_of(world, "config:read")).get("/api/live"), 403)


def test_there_are_only_so_many_streams(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalcraft.http.live.STREAMS_MAX", 0)
    answer = world.api.get("/api/live")
    problem(answer, 503, "busy")
    assert answer.headers["retry-after"]


def test_a_stop_ends_open_streams_at_once(tmp_path: Path) -> None:
    with World(tmp_path / "data") as world, listening(world) as live:
        live.wait(lambda e: e["event"] == "health")
        began = time.monotonic()
        world.stopped()
        assert time.monotonic() - began < 5
        assert live.ended.wait(2)


def test_streams_that_closed_are_forgotten(world: World) -> None:
    with listening(world) as live:
        live.wait(lambda e: e["event"] == "health")
    from signalcraft.main import Program

    program: Program = world.program  # type: ignore[assignment]
    until = time.monotonic() + 30
    streams = program.app.state.live
    while streams._open and time.monotonic() < until:
        time.sleep(0.05)
    assert streams._open == set()
