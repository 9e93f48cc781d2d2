"""The noisy week: the same each time, bounded, genuine in shape; bodies for load never repeat an id."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter
from typing import Any

import msgspec
import pytest

from signalcraft.demo.problems import METRICS, PROBLEMS
from signalcraft.demo.week import LEGACY, SECONDS, Sending, body_4k, replay, sign, signed_4k, week

START_MS = 1_790_000_000_000
SECRET = "client-secret-of-the-demo"


@pytest.fixture(scope="module")
def sendings() -> list[Sending]:
    return list(week(START_MS))


def _data(sending: Sending) -> Any:
    return msgspec.json.decode(sending.body)


def _problem_id(sending: Sending) -> str:
    body = _data(sending)
    match sending.resource:
        case "legacy":
            return str(body["id"])
        case "issue":
            return str(body["data"]["issue"]["id"])
        case "event_alert":
            return str(body["data"]["event"]["issue_id"])
        case "error":
            return str(body["data"]["error"]["issue_id"])
        case "comment":
            return str(body["data"]["issue_id"])
        case "metric_alert":
            return str(body["data"]["metric_alert"]["id"])
    raise AssertionError(sending.resource)


def test_it_is_the_same_each_time_and_another_with_another_start_or_seed(sendings: list[Sending]) -> None:
    assert list(week(START_MS)) == sendings
    later = list(week(START_MS + 1))
    assert [s.problem for s in later] == [s.problem for s in sendings]
    assert not {s.body for s in later} & {s.body for s in sendings}
    assert list(week(START_MS, seed=8)) != sendings


def test_it_is_bounded(sendings: list[Sending]) -> None:
    assert 600 <= len(sendings) <= 1200
    offsets = [s.at_offset_s for s in sendings]
    assert offsets == sorted(offsets)
    assert 0 <= offsets[0] < 2
    assert SECONDS - 3 < offsets[-1] < SECONDS
    assert max(Counter(int(o) for o in offsets).values()) <= 200  # the worst second
    assert max(len(s.body) for s in sendings) < 6_000


def test_it_has_everything_a_bad_week_has(sendings: list[Sending]) -> None:
    said = Counter((s.resource, _data(s).get("action", "")) for s in sendings)
    expected = {
        ("issue", action) for action in ("created", "resolved", "unresolved", "assigned", "ignored", "archived")
    }
    expected |= {("metric_alert", action) for action in ("critical", "warning", "resolved")}
    expected |= {("event_alert", "triggered"), ("error", "created"), ("comment", "created"), (LEGACY, "")}
    assert set(said) == expected
    assert {s.problem for s in sendings} == {p.label for p in (*PROBLEMS, *METRICS)}
    assert len({p.project.slug for p in PROBLEMS}) == 3
    assert {p.environment for p in PROBLEMS} == {"production", "staging", "development"}


def test_every_problem_has_one_id_and_every_event_its_own(sendings: list[Sending]) -> None:
    ids: dict[str, set[str]] = {}
    events = []
    for sending in sendings:
        ids.setdefault(sending.problem, set()).add(_problem_id(sending))
        data = _data(sending)
        event = data.get("event") or data.get("data", {}).get("event") or data.get("data", {}).get("error")
        if event:
            events.append(event["event_id"])
    assert all(len(found) == 1 for found in ids.values())
    assert len({next(iter(found)) for found in ids.values()}) == len(ids)
    assert len(set(events)) == len(events) > 800


def test_no_two_statements_are_the_same_bytes(sendings: list[Sending]) -> None:
    assert len({(s.resource, s.body) for s in sendings}) == len(sendings)


def test_bodies_are_written_as_sentry_writes_them(sendings: list[Sending]) -> None:
    for sending in sendings:
        assert sending.body.isascii()
        assert b'", "' not in sending.body[:60]
        if sending.resource != LEGACY:
            assert list(_data(sending)) == ["action", "installation", "data", "actor"]
    created = next(s for s in sendings if s.resource == "issue" and _data(s)["action"] == "created")
    assert _data(created)["data"]["issue"]["web_url"].startswith("https://sentry.example.com/")
    resolved = next(s for s in sendings if s.resource == "issue" and _data(s)["action"] == "resolved")
    assert "web_url" not in _data(resolved)["data"]["issue"]


def test_the_count_of_an_issue_grows_with_its_events(sendings: list[Sending]) -> None:
    told = [s for s in sendings if s.problem == "cart-total" and s.resource == "issue"]
    counts = [int(_data(s)["data"]["issue"]["count"]) for s in told]
    assert counts[0] == 1
    assert 20 < counts[1] < counts[2] == 151


def test_sentrys_reader_understands_all_of_it(sendings: list[Sending]) -> None:
    from signalcraft.domain.event import HttpInbound
    from signalcraft.sources import sentry

    kinds: Counter[str] = Counter()
    for n, sending in enumerate(sendings):
        headers = sign(SECRET, sending.body, sending.resource, START_MS // 1000)
        inbound = HttpInbound("POST", "", "", {k.lower(): v for k, v in headers.items()}, sending.body)
        signed = sending.resource != LEGACY
        config = sentry.Config(secret=SECRET) if signed else sentry.Config(require_signature=False)
        sentry.verify(config, inbound, START_MS)
        read = sentry.read(config, inbound, START_MS)
        assert len(read) == 1, n
        [event] = read
        kinds[event.kind] += 1
        if event.kind == "alert":
            assert event.dedup_key == _problem_id(sending)
            assert event.title
            assert event.project
            assert event.status in ("firing", "resolved")
    assert kinds["alert"] > 850
    assert kinds["comment"] == 2
    assert kinds["activity"] >= 2


# ------------------------------------------------------------------------------------------------------------ sending


def test_headers_are_sentrys_and_the_signature_is_over_the_bytes() -> None:
    body = b'{"action":"created"}'
    headers = sign(SECRET, body, "issue", 1_790_000_000)
    assert headers["Sentry-Hook-Resource"] == "issue"
    assert headers["Sentry-Hook-Timestamp"] == "1790000000"
    assert headers["Sentry-Hook-Signature"] == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert len(headers["Request-ID"]) == 32
    assert sign(SECRET, body, LEGACY, 1) == {"Content-Type": "application/json"}


def _replayed(
    sendings: list[Sending], *, speed: float, stop_after: int = 0, status: int = 202
) -> tuple[Any, list[Any]]:
    posted: list[tuple[dict[str, str], bytes]] = []

    async def run() -> Any:
        stop = asyncio.Event()

        async def post(headers: dict[str, str], body: bytes) -> int:
            posted.append((headers, body))
            if len(posted) == stop_after:
                stop.set()
            await asyncio.sleep(0)
            return status

        return await replay(post, sendings, secret=SECRET, now_ms=lambda: START_MS, speed=speed, stop=stop)

    return asyncio.run(run()), posted


def test_a_replay_sends_everything_once_and_counts_the_answers(sendings: list[Sending]) -> None:
    done, posted = _replayed(sendings, speed=500)
    assert (done.sent, done.accepted) == (len(sendings), len(sendings))
    assert Counter(body for _, body in posted) == Counter(s.body for s in sendings)
    unsigned = [headers for headers, _ in posted if "Sentry-Hook-Resource" not in headers]
    assert len(unsigned) == sum(s.resource == LEGACY for s in sendings)
    refused, _ = _replayed(sendings[:5], speed=500, status=503)
    assert (refused.sent, refused.accepted) == (5, 0)


def test_a_replay_keeps_its_times_and_stops_when_told() -> None:
    plan = [Sending(0.0, "issue", b"{}", "a"), Sending(0.4, "issue", b"[]", "b"), Sending(900.0, "issue", b"1", "c")]

    async def run() -> tuple[int, float]:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        begun, times = loop.time(), []

        async def post(headers: dict[str, str], body: bytes) -> int:
            times.append(loop.time() - begun)
            if len(times) == 2:
                stop.set()
            return 202

        done = await replay(post, plan, secret=SECRET, now_ms=lambda: START_MS, speed=2.0, stop=stop)
        return done.sent, times[1]

    sent, second_at = asyncio.run(run())
    assert sent == 2
    assert 0.19 < second_at < 1.5


# ---------------------------------------------------------------------------------------------------------- many bodies


def test_four_kilobytes_each_with_an_event_id_of_its_own() -> None:
    bodies = [body_4k(n) for n in range(3000)] + [body_4k(n, run=1) for n in range(3000)]
    read = [msgspec.json.decode(b) for b in bodies[::7]]
    assert {len(b) for b in bodies} == {4096}
    assert len({b["data"]["event"]["event_id"] for b in read}) == len(read)
    assert len({b["data"]["event"]["issue_id"] for b in read}) == len(read)
    assert len(set(bodies)) == 6000


def test_events_can_be_spread_over_so_many_issues() -> None:
    read = [msgspec.json.decode(body_4k(n, issues=40)) for n in range(400)]
    assert len({b["data"]["event"]["event_id"] for b in read}) == 400
    by_issue = {b["data"]["event"]["issue_id"]: b["data"]["event"]["title"] for b in read}
    assert len(by_issue) == 40
    assert len({(b["data"]["event"]["issue_id"], b["data"]["event"]["title"]) for b in read}) == 40


def test_a_body_of_the_load_is_read_as_an_alert_and_its_signature_is_good() -> None:
    from signalcraft.domain.event import HttpInbound
    from signalcraft.sources import sentry

    headers, body = signed_4k(17, SECRET, START_MS // 1000, issues=3, environment="staging")
    inbound = HttpInbound("POST", "", "", {k.lower(): v for k, v in headers.items()}, body)
    config = sentry.Config(secret=SECRET)
    sentry.verify(config, inbound, START_MS)
    [event] = sentry.read(config, inbound, START_MS)
    assert (event.kind, event.status, event.environment) == ("alert", "firing", "staging")
