"""The moment between readiness and routes: alerts are taken, who asks for more waits and is answered."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import signalcraft.http.app as app_module
from signalcraft.config import load
from signalcraft.http import entrance
from signalcraft.http.app import create_app, routes
from signalcraft.main import Program
from tests.world import World, free_port

EARLY = ["/health/ready", "/ready", "/health/live", "/live", "/health/startup"]
OWN = {"x-request-id", "date", "content-length"}
"""Headers that no two answers share."""


class Slow:
    """Builds the routes when it is let."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.fault: Exception | None = None

    def __call__(self, house: Any, edge: Any) -> Any:
        assert self.may.wait(30)
        if self.fault:
            raise self.fault
        return create_app(house, edge)


@pytest.fixture
def early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[World, Slow]]:
    """A box that is ready and has no routes yet; it has an integration and a rule from an earlier run."""
    with World(tmp_path / "data") as world:
        world.rule("")
        world.receives("sentry", "event_alert", issue="1", title="before")
        world.stopped()
        it = Slow()
        monkeypatch.setattr(entrance, "_build", it)
        try:
            world.restarted()
            yield world, it
        finally:
            it.may.set()


def test_an_alert_is_taken_and_told_before_the_routes_are_there(early: tuple[World, Slow]) -> None:
    world, slow = early
    assert world.api.get("/health/ready").status_code == 200
    assert world.receives("sentry", "event_alert", issue="2", title="early")["duplicate"] is False
    world.after(seconds=10)
    assert world.told[-1] == ("#oncall", "early")
    assert not slow.may.is_set()


def test_who_asks_for_a_route_waits_for_it_and_is_answered(early: tuple[World, Slow]) -> None:
    world, slow = early
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(world.api.get, "/api/alert-groups"),
            pool.submit(world.api.get, "/health"),
            pool.submit(world.api.get, "/nowhere"),
            pool.submit(world.api.post, "/webhooks/slack/actions", content=b"payload=x"),
        ]
        time.sleep(0.3)
        assert not any(one.done() for one in asked)
        slow.may.set()
        groups, health, nowhere, pressed = (one.result(20) for one in asked)
    assert [group["title"] for group in groups.json()["items"]] == ["before"]
    assert health.json()["components"]["process"]["status"] == "ok"
    assert nowhere.status_code == 404
    assert pressed.status_code == 401, "its own route judged it, not the door for webhooks"


def test_what_is_said_early_is_what_the_route_says_later(early: tuple[World, Slow]) -> None:
    world, slow = early

    def said(method: str, path: str) -> tuple[int, str, dict[str, str]]:
        answer = world.api.request(method, path)
        text = re.sub(r"\d+ ms", "N ms", answer.text)
        return answer.status_code, text, {k: v for k, v in answer.headers.items() if k not in OWN}

    before = [said(method, path) for method in ("GET", "HEAD") for path in EARLY]
    slow.may.set()
    world.api.get("/api/alert-groups").raise_for_status()
    assert [said(method, path) for method in ("GET", "HEAD") for path in EARLY] == before
    counted = world.program.app.state.edge.requests  # type: ignore[union-attr]
    assert counted["/health/ready", "GET", 200] == 2, "both are counted under the route's name"


def test_a_stop_before_the_routes_are_there_is_in_order(early: tuple[World, Slow]) -> None:
    world, slow = early
    threading.Timer(0.3, slow.may.set).start()
    assert world._call(world.program.stop(), 30) is True  # type: ignore[union-attr]
    world.running = False


def test_routes_that_cannot_be_built_end_the_program_loudly(early: tuple[World, Slow]) -> None:
    """A box without its API must not look well: it ends, and is started again."""
    world, slow = early
    slow.fault = ValueError("two routes at one path")
    slow.may.set()
    program = world.program
    assert program is not None
    world._call(program.wait())
    assert program.failed is slow.fault


def test_every_route_below_webhooks_is_known_to_the_entrance() -> None:
    """Before the routes are there, the raw door would take its requests for webhooks."""
    below = {path for route in routes() for path in route.paths if path.startswith("/webhooks/")}
    assert below == set(entrance.ROUTED)


def test_a_start_that_is_asked_to_end_before_it_is_over_ends_in_order(tmp_path: Path) -> None:
    """The signals are heard from the start on."""

    async def run() -> bool:
        overrides = {"data.dir": str(tmp_path / "data"), "http.listen": f"127.0.0.1:{free_port()}"}
        program = Program(load(overrides=overrides, environ={}).settings)
        program.ask_to_stop()
        await program.start()
        await program.wait()
        return await program.stop() and program.failed is None

    assert asyncio.run(run())
    assert list((tmp_path / "data").glob("*.sock")) == []


def test_who_asks_a_little_gets_the_answers_of_the_whole(tmp_path: Path) -> None:
    """And no more routes are built than that needs: a command beside a box that is stopped waits for them."""
    built: list[int] = []

    def counting(handlers: Any, body_bytes_max: int) -> Any:
        built.append(len(handlers))
        return real(handlers, body_bytes_max)

    asked = [
        ("GET", "/api/alert-groups/facets"), ("GET", "/api/alert-groups/1"), ("GET", "/docs/a.md"), ("GET", "/nowhere"),
        ("PUT", "/api/people"), ("GET", "/api/people/"), ("POST", "/webhooks/sentry/x"), ("GET", "/docs/index.md"),
    ]  # fmt: skip
    with World(tmp_path / "data") as world, pytest.MonkeyPatch.context() as patch:

        async def say(app: Any) -> list[tuple[int, str]]:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://box", trust_env=False) as client:
                answers = [await client.request(method, path, headers=world.api.headers) for method, path in asked]
            return [(one.status_code, one.text.split('"request_id"')[0]) for one in answers]

        whole = world._call(say(create_app(world.house)))
        real = app_module.build
        patch.setattr(app_module, "build", counting)
        assert world._call(say(app_module.asked_app(world.house))) == whole
    assert {status for status, _ in whole} >= {200, 404, 405}
    every = len(routes())
    assert [n for n in built if n > 4] == [every], "but for what has no route"


def test_no_route_is_overlooked_for_who_asks_a_little() -> None:
    for template in {template for route in routes() for template in route.paths}:
        for value in ("a", "a.b-c", "0198"):
            assert app_module._may_be_at(template, re.sub(r"\{[^}]*\}", value, template)), template
