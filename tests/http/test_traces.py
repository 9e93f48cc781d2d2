"""Traces: where the time of one request goes, and the id that it shares with whoever asked and whoever is asked."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.http import asked
from signalcraft.logs import spans
from signalcraft.logs.spans import KEPT_MAX, Trace, read_traceparent, tracing
from tests.http.issuing import START, Issuer, trusting
from tests.http.test_errors import Lines, broken, lines
from tests.world import World

__all__ = ["lines"]
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{CALLER}-01"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("traces") / "data", **{"log.traces": "100"}) as it:
        it.rule(channel="#oncall")
        it.receives("sentry", "event_alert")
        yield it


def written(said: Lines, least: int, **fits: str) -> list[dict[str, Any]]:
    """The lines with these words, once there are as many: they are written after the answer has gone out."""
    until = time.monotonic() + 30
    while True:
        found = [line for line in said.said if all(line.get(name) == word for name, word in fits.items())]
        if len(found) >= least or time.monotonic() > until:
            return found
        time.sleep(0.01)


def traces(said: Lines, least: int = 0) -> list[dict[str, Any]]:
    return written(said, least, message="a trace")


def test_one_request_shows_what_it_read_and_wrote_each_statement_beneath(world: World, lines: Lines) -> None:
    group = world.group()["id"]
    lines.said.clear()
    world.act({"id": group}, "ack")
    (trace,) = written(lines, 1, message="a trace", route="/api/alert-groups/{id}/ack")
    kinds = [one["kind"] for one in trace["spans"]]
    assert {"read", "query", "write"} <= set(kinds)
    assert trace["spans_count"] == len(kinds)
    for one in trace["spans"]:
        assert 0 <= one["at_ms"] <= trace["duration_ms"]
        assert one["at_ms"] + one["took_ms"] <= trace["duration_ms"] + 5
        if one["kind"] == "query":
            assert one["depth"] == 2
            around = [o for o in trace["spans"] if o["depth"] == 1 and o["at_ms"] <= one["at_ms"]]
            assert any(o["at_ms"] + o["took_ms"] >= one["at_ms"] + one["took_ms"] for o in around), one
            assert one["what"].startswith(("select", "with"))
    assert group not in str(trace["spans"]), "statements without their values"
    assert re.fullmatch(r"[0-9a-f]{32}", trace["trace_id"])
    assert trace["request_id"]


def test_without_being_asked_for_only_slow_and_failed_requests_leave_one(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    with World(tmp_path / "data") as world:
        world.get("/api/channels")
        assert traces(lines) == []
        broken(world, monkeypatch)
        assert world.api.get("/api/api-keys").status_code == 500
        assert [one["route"] for one in traces(lines, 1)] == ["/api/api-keys"]
        monkeypatch.setattr(asked, "SLOW_S", 0.0)
        world.get("/api/channels")
        assert [one["route"] for one in traces(lines, 2)] == ["/api/api-keys", "/api/channels"]


def test_the_callers_id_is_taken_told_and_handed_on(tmp_path: Path, lines: Lines) -> None:
    """Over a whole way: somebody's request, our log, and the provider that is asked meanwhile."""
    with Issuer() as issuer, trusting(issuer, tmp_path / "data") as world:
        world.house.settings  # noqa: B018  # the provider's settings are read at the start
        issuer.asked.clear()
        answer = world.api.get(START, headers={"traceparent": GIVEN, "X-Request-ID": "asked-1"})
        assert answer.status_code in (302, 303), answer.text
        headers = [{name.lower(): text for name, text in one[2].items()} for one in issuer.asked]
        assert headers, "nobody was asked"
        for one in headers:
            found = read_traceparent(one["traceparent"])
            assert found is not None
            assert found[0] == TRACE
            assert found[1] != CALLER
        world.api.get("/api/nowhere", headers={"traceparent": GIVEN, "X-Request-ID": "asked-2"})
        (line,) = written(lines, 1, message="answered", request_id="asked-2")
        assert line["trace_id"] == TRACE


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "00-x-y-00", f"ff-{TRACE}-{CALLER}-00", f"00-{'0' * 32}-{CALLER}-00", f"00-{TRACE}-{'0' * 16}-00",
        f"00-{TRACE}-{CALLER}-00-more", f"00-{TRACE.upper()}-{CALLER}-00", f"00-{TRACE}-{CALLER}",
    ],
)  # fmt: skip
def test_a_header_that_is_none_is_passed_over(world: World, text: str) -> None:
    assert read_traceparent(text) is None
    assert Trace(text).parent == ""
    assert world.api.get("/api/channels", headers={"traceparent": text}).status_code == 200


def test_a_later_version_of_the_header_is_read_as_far_as_it_is_known() -> None:
    assert read_traceparent(f"01-{TRACE}-{CALLER}-00-more") == read_traceparent(GIVEN) == (TRACE, CALLER)


def test_a_trace_is_bounded_and_takes_nothing_once_it_is_over() -> None:
    async def left_behind(begun: asyncio.Event) -> None:
        await begun.wait()
        current = spans.current.get()
        assert current is not None
        current.add("call", "late", 0.0)

    async def go() -> Trace:
        begun = asyncio.Event()
        with tracing(Trace()) as trace:
            task = asyncio.create_task(left_behind(begun))
            for n in range(KEPT_MAX + 40):
                trace.add("query", f"select {n}", trace.began_s)
        begun.set()
        await task
        return trace

    told = asyncio.run(go()).told()
    assert (len(told["spans"]), told["spans_count"]) == (KEPT_MAX, KEPT_MAX + 40)
