"""How much one request asks of the database, and how much it answers: no list asks once for each of its rows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from signalcraft.storage.db import Reader
from tests.stillness import without
from tests.world import World

ROWS = 60
STATEMENTS_MAX = 10
ANSWER_MAX = 50 * 1024
ROUTES = (
    "/api/alert-groups?limit=100", "/api/alert-groups/facets", "/api/alert-groups/{id}",
    "/api/alert-groups/{id}/events", "/api/alert-groups/{id}/timeline", "/api/alert-groups/{id}/deliveries",
    "/api/alert-groups/{id}/why", "/api/deliveries?limit=100", "/api/integrations", "/api/channels",
    "/api/routing-rules", "/api/audit?limit=100", "/api/people", "/api/quarantine", "/api/events/{event}",
)  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("few") / "data") as it:
        it.rule(channel="#oncall", escalate_after=5, escalate_to="#leads")
        for n in range(ROWS):
            it.receives("sentry", "event_alert", issue=str(n), title=f"number {n}", level="fatal", settle=False)
        it.settled()
        it._call(without(it.program, "deliver", "watch", "selfwatch", "heartbeat", "replica"))  # they read too
        yield it


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that readers run from now on."""
    found: list[str] = []
    real = Reader.all

    def noting(self: Reader, sql: str, args: object = ()) -> object:
        found.append(sql)
        return real(self, sql, args)  # type: ignore[arg-type]

    monkeypatch.setattr(Reader, "all", noting)
    return found


@pytest.mark.parametrize("route", ROUTES)
def test_a_request_asks_at_most_ten_questions(world: World, asked: list[str], route: str) -> None:
    """PERF-12: whatever the number of rows; the least of four tries, since what runs by itself reads too."""
    group = world.group("number 59")["id"]
    event = world.get(f"/api/alert-groups/{group}/events")["items"][0]["event_id"]
    path = route.format(id=group, event=event)
    counts = []
    for n in range(4):
        world.clock.at_ms += 7_200_000 if "facets" in path else 60_000  # past what is kept, and past what may be stale
        world.settled()
        asked.clear()
        answer = world.api.get(path + ("&" if "?" in path else "?") + f"x={n}")
        assert answer.status_code in (200, 422), answer.text
        if answer.status_code == 422:  # a route that takes no other parameter
            asked.clear()
            assert world.api.get(path).status_code == 200
        counts.append(len(asked))
    assert 0 < min(counts) <= STATEMENTS_MAX, f"{min(counts)} questions: {sorted(set(asked))}"


def test_a_list_of_many_asks_no_more_than_a_list_of_one(world: World, asked: list[str]) -> None:
    counts = {}
    for limit in (1, 50):
        tries = []
        for _ in range(8):
            world.clock.at_ms += 60_000
            world.settled()
            asked.clear()
            assert len(world.get("/api/alert-groups", limit=limit)["items"]) == limit
            tries.append(len(asked))
        counts[limit] = min(tries)
    assert counts[50] == counts[1], sorted(set(asked))


def test_a_detail_is_small_and_what_is_large_is_asked_for_apart(world: World) -> None:
    """PERF-15: an alert of a hundred kilobytes; its bytes, events and timeline have addresses of their own."""
    world.integration("generic")
    raw = json.dumps({"title": "a large one", "severity": "high", "message": "m" * 100_000, "stack": ["x" * 50] * 2000})
    sent = world.sends("generic", raw.encode(), {"content-type": "application/json"})
    assert sent.status_code == 202, sent.text
    world.settled()
    event = sent.json()["events"][0]
    group = world.api.get(f"/api/alert-groups/{event['group_id']}")
    assert len(group.content) < ANSWER_MAX
    assert not {"events", "timeline", "payload", "deliveries"} & set(group.json())
    assert len(world.api.get(f"/api/events/{event['event_id']}").content) < ANSWER_MAX
    assert world.api.get(f"/api/events/{event['event_id']}/payload").content == raw.encode()
