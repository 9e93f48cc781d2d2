"""Answers of the API that are kept: right after every verb, never another's, not sent twice, and small on the way."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import zstandard

from signalcraft.http.packing import SECRET, packed
from tests.http.asking import Other, asking, key_of
from tests.http.browsing import browser
from tests.world import World

OVERVIEW, GROUPS, FACETS = "/api/dashboard/overview", "/api/alert-groups", "/api/alert-groups/facets"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("caching") / "data") as it:
        it.rule(channel="#oncall")
        for number in range(40):
            it.receives("sentry", "event_alert", title=f"number {number}", issue=str(number), settle=False)
        it.settled()
        yield it


def misses(world: World) -> int:
    return sum(n for (_, result), n in world.house.cache.asked.items() if result == "miss")


def reads(world: World) -> int:
    """How often the database was read so far."""
    return int(world.house.db.read_took.count)


VERBS: dict[str, Callable[[World, str], object]] = {
    "ack": lambda world, number: world.post(f"{GROUPS}/{number}/ack", {}),
    "snooze": lambda world, number: world.post(f"{GROUPS}/{number}/snooze", {"minutes": 30}),
    "unsnooze": lambda world, number: world.post(f"{GROUPS}/{number}/unsnooze", {}),
    "assign": lambda world, number: world.post(f"{GROUPS}/{number}/assign", {"assignee": "Sam"}),
    "resolve": lambda world, number: world.post(f"{GROUPS}/{number}/resolve", {}),
    "reopen": lambda world, number: world.post(f"{GROUPS}/{number}/reopen", {}),
    "bulk": lambda world, number: world.post(f"{GROUPS}/bulk", {"ids": [number], "verb": "ack"}),
    "webhook": lambda world, number: world.receives("sentry", "event_alert", title="one more", issue="0"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_after_each_verb_the_list_is_as_it_is(world: World, verb: str) -> None:
    """Asked just before, so that an answer is kept; the group is the same one, from verb to verb."""
    number = world.get(GROUPS, q="number 7")["items"][0]["id"]

    def seen() -> Any:
        return world.get(GROUPS, limit=100), world.get(OVERVIEW), world.get(FACETS)

    before = seen()
    assert seen() == before
    VERBS[verb](world, number)
    after = seen()
    shown = {one["id"]: one for one in after[0]["items"]}
    assert shown[number]["status"] == world.get(f"{GROUPS}/{number}")["status"]
    assert after[1]["by_status"] == world._call(
        world.house.db.read(lambda tx: dict(sorted(tx.all("select status, count(*) from alert_group group by status"))))
    )
    assert after[0] != before[0]
    if verb == "assign":
        assert [one["count"] for one in after[2]["assignees"] if one["assignee"]["name"] == "Sam"] == [1]
    if verb == "webhook":
        assert after[1]["events"] == before[1]["events"] + 1


CONTENT = {"Cache-Control": "no-transform, Max-Stale=3"}


def test_a_first_look_may_be_answered_a_moment_late_and_says_so(world: World) -> None:
    """What senders did shows after three seconds at most; what people did at once, to everybody."""
    world.after(minutes=2)  # everything that is owed is told
    paths = (OVERVIEW, GROUPS, "/api/deliveries")
    group = world.get(GROUPS, q="number 8")["items"][0]["id"]
    early = {path: world.api.get(path) for path in paths}
    told = len(world.told)
    world.receives("sentry", "event_alert", title="one that is told", issue="8888")
    assert len(world.told) > told, "what became of the message is no reason either"
    for path in paths:
        again = world.api.get(path, headers=CONTENT)
        assert (again.content, again.headers["x-newer-in-ms"]) == (early[path].content, "3000"), path
        known = {**CONTENT, "If-None-Match": early[path].headers["etag"]}
        assert world.api.get(path, headers=known).headers["x-newer-in-ms"] == "3000"
    assert world.api.get(GROUPS, headers={"Cache-Control": "max-stale=0"}).content != early[GROUPS].content
    newest = world.api.get(OVERVIEW)
    assert newest.json()["events"] == early[OVERVIEW].json()["events"] + 1
    assert "x-newer-in-ms" not in newest.headers
    assert world.api.get(OVERVIEW, headers=CONTENT).content == newest.content
    world.post(f"{GROUPS}/{group}/assign", {"assignee": "Kit"})
    shown = world.api.get(GROUPS, headers=CONTENT).json()["items"]
    assert {one["id"]: one["assignee"] for one in shown}[group]["name"] == "Kit"
    world.receives("sentry", "event_alert", title="number 8", issue="8")
    world.clock.at_ms += 3_000
    assert "x-newer-in-ms" not in world.api.get(GROUPS, headers=CONTENT).headers
    world.receives("sentry", "event_alert", title="number 8", issue="8")
    world.clock.at_ms += 5_000
    assert "x-newer-in-ms" not in world.api.get(GROUPS, headers={"Cache-Control": "max-stale=60"}).headers


def test_settings_show_at_once_in_what_is_kept(world: World) -> None:
    before = world.get(OVERVIEW)
    made = world.post("/api/integrations", {"name": "fresh", "kind": "generic"})
    assert {one["name"] for one in world.get(OVERVIEW)["integrations"]} >= {"fresh"}
    assert len(before["integrations"]) + 1 == len(world.get(OVERVIEW)["integrations"])
    assert world.api.delete(f"/api/integrations/{made['id']}").status_code in (200, 204)
    assert world.get(OVERVIEW)["integrations"] == before["integrations"]
    with browser(world, "kim@example.com") as kim:
        made = kim.post("/api/views", {"name": "mine", "search": "severity:high"})
        assert [one["name"] for one in kim.get("/api/views")["items"]] == ["mine"]
        assert kim.ask("DELETE", f"/api/views/{made['id']}").status_code in (200, 204)
        assert kim.get("/api/views")["items"] == []


def test_nobody_gets_what_only_others_may_see(world: World) -> None:
    """People of the workspace are among the facets for whoever may see them; `me` and views are each one's own."""
    with browser(world, "olga@example.com", "owner") as owner, browser(world, "vic@example.com", "viewer") as viewer:
        names = {one["assignee"]["name"] for one in owner.get(FACETS)["assignees"]}
        assert "olga" in names
        by_key = asking(world, key_of(world, "alerts:read")).get(FACETS).json()["assignees"]
        assert "olga" not in {one["assignee"]["name"] for one in by_key}
        mine = f"{GROUPS}?search=assignee:me"
        number = world.get(GROUPS, q="number 9")["items"][0]["id"]
        me = owner.get("/api/auth/me")["person"]["id"]
        owner.post(f"{GROUPS}/{number}/assign", {"assignee": {"kind": "user", "id": me}})
        assert len(owner.get(mine)["items"]) == 1
        assert viewer.get(mine)["items"] == []
        owner.post("/api/views", {"name": "the owner's", "search": "a"})
        assert [one["name"] for one in owner.get("/api/views")["items"]] == ["the owner's"]
        assert viewer.get("/api/views")["items"] == []
    with Other(world) as other:
        assert other.api.get(OVERVIEW).json()["events"] == 0
        assert other.api.get(GROUPS).json()["items"] == []


def test_whoever_has_an_answer_already_gets_none_and_the_database_is_not_read(world: World) -> None:
    for path in (OVERVIEW, GROUPS, FACETS):
        first = world.api.get(path)
        etag = first.headers["etag"]
        assert etag.startswith('W/"')
        unread = False
        for _ in range(5):  # what runs by itself each second reads too
            before = reads(world)
            again = world.api.get(path, headers={"If-None-Match": etag})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
            assert "content-type" not in again.headers
            unread |= reads(world) == before
        assert unread, path
    world.receives("sentry", "event_alert", title="number 3", issue="3")
    assert world.api.get(GROUPS, headers={"If-None-Match": etag}).status_code == 200
    assert (
        world.api.get(
            "/api/routing-rules", headers={"If-None-Match": world.api.get("/api/routing-rules").headers["etag"]}
        ).status_code
        == 304
    )


def test_a_validator_opens_nothing(world: World) -> None:
    etag = world.api.get(GROUPS).headers["etag"]
    assert asking(world).get(GROUPS, headers={"If-None-Match": etag}).status_code == 401
    assert world.api.get(GROUPS).headers["cache-control"] == "no-store"
    assert world.api.get(GROUPS, headers={"If-None-Match": etag}).headers["cache-control"] == "no-store"
    # What was changed is answered, whatever is known.
    assert (
        world.api.post(f"{GROUPS}/bulk", json={"ids": ["x"], "verb": "ack"}, headers={"If-None-Match": "*"}).status_code
        == 422
    )


def raw(world: World, path: str, **headers: str) -> httpx.Response:
    request = world.api.build_request("GET", path, headers={"Accept-Encoding": "", **headers})
    answer = world.api.send(request, stream=True)
    answer.read_raw = b"".join(answer.iter_raw())  # type: ignore[attr-defined]
    answer.close()
    return answer


def test_answers_are_packed_as_the_client_can_unpack_them(world: World) -> None:
    plain = raw(world, GROUPS + "?limit=100")
    assert "content-encoding" not in plain.headers
    body: bytes = plain.read_raw  # type: ignore[attr-defined]
    for accepted, coding in (("gzip", "gzip"), ("gzip, zstd", "zstd"), ("zstd;q=0.1, gzip", "gzip"), ("*", "zstd")):
        answer = raw(world, GROUPS + "?limit=100", **{"Accept-Encoding": accepted})
        sent: bytes = answer.read_raw  # type: ignore[attr-defined]
        assert answer.headers["content-encoding"] == coding, accepted
        assert answer.headers["vary"] == "accept-encoding"
        assert int(answer.headers["content-length"]) == len(sent) < 0.3 * len(body)
        unpacked = (
            gzip.decompress(sent) if coding == "gzip" else zstandard.ZstdDecompressor().decompressobj().decompress(sent)
        )
        assert json.loads(unpacked) == json.loads(body)
        assert answer.headers["etag"] == plain.headers["etag"]
    for refused in ("identity", "br", "gzip;q=0, zstd;q=0"):
        assert "content-encoding" not in raw(world, GROUPS + "?limit=100", **{"Accept-Encoding": refused}).headers


def test_nothing_is_packed_that_is_small_or_is_asked_for_by_another_site(world: World) -> None:
    everything = {"Accept-Encoding": "gzip, zstd"}
    small = raw(world, "/api/views", **everything)
    assert small.status_code == 200
    assert "content-encoding" not in small.headers
    crossing = {**everything, "Sec-Fetch-Site": "cross-site"}
    assert "content-encoding" not in raw(world, GROUPS + "?limit=100", **crossing).headers


@pytest.mark.parametrize(("path", "coding"), [("/api/alert-groups", b"zstd"), *((path + "x", None) for path in SECRET)])
def test_an_answer_with_a_secret_in_it_is_not_packed(path: str, coding: bytes | None) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"5002")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'"%s"' % (b"a" * 5000)})

    async def asked() -> dict[bytes, bytes]:
        said: list[Any] = []

        async def send(message: Any) -> None:
            said.append(message)

        await packed(app, {"method": "GET", "path": path, "headers": [(b"accept-encoding", b"zstd")]}, None, send)
        return dict(said[0]["headers"])

    assert asyncio.run(asked()).get(b"content-encoding") == coding


def test_the_event_stream_is_neither_kept_nor_packed(world: World) -> None:
    with world.api.stream("GET", "/api/live", headers={"Accept-Encoding": "gzip, zstd"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "etag" not in answer.headers
        assert "content-encoding" not in answer.headers
        assert next(answer.iter_lines()).startswith(":")


def test_more_than_four_of_five_questions_of_dashboards_are_answered_from_memory(world: World) -> None:
    """Ten people with the dashboard open while an alert comes each second: what they ask, in the order they ask."""
    people = [asking(world, key_of(world, "alerts:read", "config:read")) for _ in range(10)]
    house = world.house
    before, missed = sum(house.cache.asked.values()), misses(world)
    for second in range(6):
        world.receives("sentry", "event_alert", title=f"storm {second}", issue=f"80{second}", settle=False)
        for one in people:
            for path in (OVERVIEW, FACETS, GROUPS, "/api/views"):
                assert one.get(path).status_code == 200
    asked = sum(house.cache.asked.values()) - before
    ratio = 1 - (misses(world) - missed) / asked
    print(f"{asked} questions, {misses(world) - missed} of them read the database: {ratio:.1%} hits")
    assert asked == 6 * 10 * 4
    assert ratio > 0.8
