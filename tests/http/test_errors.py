"""What an unexpected error leaves: a bare answer, a line with who and how long, one row, and nothing of its cause."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalcraft import logs
from signalcraft.errors import Fault
from signalcraft.http import asked, problems
from signalcraft.logs import JsonLines
from tests.http.asking import Other, key_of, problem
from tests.http.browsing import browser
from tests.world import World

CAUSE = "the-cause-with-its-secret-plans"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "data") as it:
        yield it


class Lines(logging.Handler):
    """What the log says, as the program would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.said: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(json.loads(self.format(record)))


@pytest.fixture
def lines() -> Iterator[Lines]:
    it = Lines()
    root = logging.getLogger()
    level = root.level
    root.addHandler(it)
    root.setLevel(logging.INFO)
    yield it
    root.removeHandler(it)
    root.setLevel(level)


def broken(world: World, monkeypatch: pytest.MonkeyPatch, cause: str = CAUSE) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError(cause)

    monkeypatch.setattr(world.house.accounts, "list_keys", fails)


def test_an_answer_tells_nothing_of_the_cause_and_the_appliance_keeps_it(
    world: World, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(world, monkeypatch)
    answers = [world.api.get("/api/api-keys", headers={"X-Request-ID": f"asked-{n}"}) for n in range(3)]
    for answer in answers:
        said = problem(answer, 500, "internal")
        assert CAUSE not in answer.text
        assert "RuntimeError" not in answer.text
        assert "Traceback" not in answer.text
        assert ".py" not in answer.text
        assert set(said) == {"type", "title", "status", "detail", "code", "request_id", "errors", "docs"}
    (kept,) = world.get("/api/admin/errors")["items"]
    assert (kept["kind"], kept["times"], kept["request_id"]) == ("RuntimeError", 3, "asked-2")
    assert CAUSE in kept["message"]
    assert kept["release"]
    assert "list_keys" in kept["place"]
    assert "Traceback" in kept["trace"]
    traced = [line for line in lines.said if "exception" in line]
    assert [line["request_id"] for line in traced] == ["asked-0", "asked-1", "asked-2"]
    whole = world.api.get("/health").json()
    assert whole["components"]["errors"]["status"] == "degraded"
    assert CAUSE not in str(whole)


def test_developers_are_told_the_cause_without_its_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with World(tmp_path / "data", profile="development") as world:
        logs.redact.add("hunter-of-causes")
        broken(world, monkeypatch, f"{CAUSE} hunter-of-causes")
        said = problem(world.api.get("/api/api-keys"), 500, "internal")
        assert said["detail"] == f"RuntimeError: {CAUSE} •••"


def test_an_error_is_kept_within_a_second_by_itself_and_survives_a_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(world, monkeypatch)
    world.api.get("/api/api-keys", headers={"X-Request-ID": "asked-once"})
    world._call(world.program._second())  # type: ignore[union-attr]
    world.killed().restarted()
    kept = world.get("/api/admin/errors")["items"]  # what other worlds of this process left may complain too
    assert [(one["kind"], one["times"]) for one in kept if one["request_id"] == "asked-once"] == [("RuntimeError", 1)]


def test_errors_are_read_in_pages_by_the_boxs_own_admins(world: World) -> None:
    for number in range(3):
        logging.getLogger(f"signalcraft.page{number}").error("x%s", number)
        world._call(world.house.faults.flush())
        world.clock.at_ms += 1
    page = world.get("/api/admin/errors", limit=2)
    last = world.get("/api/admin/errors", limit=2, cursor=page["next"])
    assert [one["message"] for one in page["items"] + last["items"]] == ["x2", "x1", "x0"]
    assert last["next"] is None
    problem(world.api.get("/api/admin/errors?cursor=nonsense"), 422, path="cursor")
    with browser(world, "m@example.com", "member") as member:
        problem(member.ask("GET", "/api/admin/errors"), 403)
    with Other(world) as other:
        problem(other.api.get("/api/admin/errors"), 403, "forbidden")


@pytest.mark.parametrize("kind", sorted(problems._faults(Fault), key=lambda one: one.__qualname__))
def test_every_fault_that_is_raised_maps_to_its_own_code_and_status(kind: type[Fault]) -> None:
    """The document of a fault is made of the fault alone."""
    fault = kind.__new__(kind)
    Fault.__init__(fault, "said to people")
    said = problems.problem_of(fault, "r1")
    assert (said.code, said.status, said.detail) == (kind.code, kind.status, "said to people")
    assert 400 <= said.status < 600
    assert said.code in {code for code, _, _ in problems.codes()} | {"bad_setting"}


# -- lines ------------------------------------------------------------------------------------------------------------


def test_the_line_of_a_refused_request_says_who_where_and_how_long(world: World, lines: Lines) -> None:
    with browser(world, "vic@example.com", "viewer") as vic:
        answer = vic.ask("POST", "/api/channels", {})
    only = next(line for line in lines.said if line["message"] == "answered" and line.get("status") == 403)
    assert only["user"] == f"user:{vic.who['person']['id']}"
    assert only["workspace"] == 1
    assert only["request_id"] == answer.headers["x-request-id"]
    assert only["duration_ms"] > 0
    assert (only["method"], only["route"], only["address"]) == ("POST", "/api/channels", "127.0.0.1")
    assert only["bytes"] == len(answer.content)
    assert not [name for name in only if name in ("headers", "body", "cookie")]


def test_every_request_has_a_line_where_that_is_asked_for_but_webhooks_and_health(tmp_path: Path, lines: Lines) -> None:
    with World(tmp_path / "data", **{"log.requests": "all"}) as world:
        world.receives("sentry", "event_alert")
        lines.said.clear()
        world.receives("sentry", "event_alert")
        world.get("/health/live")
        assert not [line for line in lines.said if line["message"] == "answered"]
        world.get("/api/channels")
        (only,) = [line for line in lines.said if line["message"] == "answered"]
        assert (only["route"], only["status"], only["workspace"]) == ("/api/channels", 200, 1)


def test_who_asks_does_not_leak_into_lines_of_others(world: World, lines: Lines) -> None:
    """A hundred requests at once, half of them nobody's."""
    key = key_of(world, "alerts:read")

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        headers = {"Authorization": f"Bearer {key}"} if number % 2 else {}
        await client.get("/api/people", headers={**headers, "X-Request-ID": f"n-{number}"})

    async def run() -> None:
        async with httpx.AsyncClient(base_url=world.api.base_url, trust_env=False, timeout=30) as client:
            await asyncio.gather(*(ask(client, number) for number in range(100)))

    asyncio.run(run())
    found = {line["request_id"]: line for line in lines.said if line["message"] == "answered"}
    for number in range(100):
        line = found[f"n-{number}"]
        assert line["status"] == (403 if number % 2 else 401)
        assert ("user" in line) is bool(number % 2), line


def test_a_slow_request_is_told_once_with_its_hash(world: World, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dawdles(*_: object) -> list[object]:
        await asyncio.sleep(0.06)
        return []

    monkeypatch.setattr(asked, "SLOW_S", 0.05)
    monkeypatch.setattr(world.house.accounts, "list_keys", dawdles)
    for _ in range(3):
        assert world.api.get("/api/api-keys").status_code == 200
    slow = [line for line in lines.said if line["message"] == "a slow request"]
    assert len(slow) == 1
    assert slow[0]["what"] == "GET /api/api-keys"
    assert len(slow[0]["hash"]) == 12
    assert slow[0]["duration_ms"] >= 50
    assert slow[0]["user"].startswith("api_key:")


def test_a_request_is_slow_from_a_second_on(world: World, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 0.5

    async def dawdles(*_: object) -> list[object]:
        await asyncio.sleep(seconds)
        return []

    def slow() -> list[dict[str, Any]]:
        return [line for line in lines.said if line["message"] == "a slow request"]

    monkeypatch.setattr(world.house.accounts, "list_keys", dawdles)
    assert world.api.get("/api/api-keys").status_code == 200
    assert not slow()
    seconds = 1.05
    assert world.api.get("/api/api-keys").status_code == 200
    assert len(slow()) == 1


def test_errors_are_counted_by_class(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted() -> dict[str, float]:
        found = {}
        for line in world.api.get("/metrics").text.splitlines():
            if line.startswith("signalcraft_errors_total{"):
                name, _, value = line.partition("} ")
                found[name.partition('"')[2].rstrip('"')] = float(value)
        return found

    assert counted() == dict.fromkeys(
        ("access", "external", "internal", "limit", "other", "state", "unavailable", "validation"), 0.0
    )
    broken(world, monkeypatch)
    problem(world.api.get("/api/api-keys"), 500)
    problem(world.api.post("/api/channels", json={}), 422)
    problem(world.api.get("/api/channels/0000000000000"), 404)
    problem(world.api.get("/api/channels", headers={"Authorization": ""}), 401)
    problem(world.api.post("/webhooks/sentry/nobody", content=b"{}"), 404)
    found = counted()
    assert {name: n for name, n in found.items() if n} == {"internal": 1, "validation": 1, "state": 2, "access": 1}
