"""What each step of `signalcraft smoke` sees: a SignalCraft of a page's length answers, broken in one way at a time."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from signalcraft.cli import client, smoke
from signalcraft.cli.options import Where
from signalcraft.cli.root import run

KEY = "sc_key"
WELL = {"database": {"status": "ok", "detail": "writes in 1 ms"}, "writer": {"status": "ok", "detail": ""}}


class Box:
    """Answers as SignalCraft does, but for what is broken."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.name = ""
        self.left: list[str] = []
        self.posted: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.look_at: dict[str, Callable[[], tuple[int, Any]]] = {
            "GET /health": self.health,
            "GET /health/ready": lambda: (503 if broken == "ready" else 200, {}),
            "GET /": lambda: (500 if broken == "dashboard" else 200, None if broken == "no page" else "<html>"),
            "GET /api/auth/state": lambda: (500 if broken == "state" else 200, {}),
            "POST /api/integrations": lambda: (201, {"id": "i1", "token": "secret"}),
            "POST /api/channels": lambda: (201, {"id": "c1"}),
            "POST /api/routing-rules": lambda: (201, {"id": "r1"}),
            "GET /api/events/e1": lambda: (200, {"group_id": "g2" if broken == "another group" else "g1"}),
            "GET /api/alert-groups/g1": lambda: (200, {"status": "firing" if self.is_firing() else "resolved"}),
            "GET /api/alert-groups/g1/deliveries": lambda: (200, {"items": self.deliveries()}),
        }

    def health(self) -> tuple[int, Any]:
        parts = dict(WELL)
        if self.broken in WELL:
            parts[self.broken] = {"status": "degraded" if self.broken == "database" else "failing", "detail": "slow"}
        return 200, {"components": parts, "version": "1.0.0", "status": "ok"}

    def is_firing(self) -> bool:
        return self.broken == "deaf" or self.posted[-1].get("status") != "resolved"

    def deliveries(self) -> list[dict[str, Any]]:
        mine = {"channel": self.name, "state": "sending", "attempts": 0}
        if self.broken == "not taken up":
            mine["state"] = "queued"
        return [mine, {**mine, "channel": "oncall"}] if self.broken == "astray" else [mine]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        method, path = request.method, request.url.path
        said = json.loads(request.content) if request.content else {}
        self.asked.append(f"{method} {path}")
        if self.broken == "away":
            raise httpx.ConnectError("connection refused")
        if self.broken == "another program":
            return httpx.Response(200, json=[])
        if method == "DELETE":
            self.left.remove(path)
            return httpx.Response(403 if self.broken == "stays" else 204)
        if path == "/api/alert-groups":
            return self.groups(request)
        if path == "/webhooks/generic/secret":
            self.posted.append(said)
            return httpx.Response(503 if self.broken == "ingest" else 202, json={"events": [{"event_id": "e1"}]})
        code, answer = self.look_at[f"{method} {path}"]()
        if method == "POST":
            self.name = said["name"]
            self.left.append(f"{path}/{answer['id']}")
            code = 403 if self.broken == path else code
        if isinstance(answer, str):
            return httpx.Response(code, html=answer)
        return httpx.Response(code, json=answer)

    def groups(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return httpx.Response(200 if self.broken == "open" else 401, json={})
        if self.broken == "key":
            return httpx.Response(401, json={"detail": "no such key"})
        found = [] if self.broken == "lost" else [{"id": "g1"}]
        return httpx.Response(200, json={"items": found})


def tried(box: Box, seconds: float = 5.0) -> tuple[dict[str, str], list[str]]:
    """What each failed step says, and the steps."""
    with httpx.Client(transport=httpx.MockTransport(box), base_url="http://box") as line:
        done = smoke._Trial(line, KEY, seconds).all_steps()
    return {one["step"]: one["detail"] for one in done if one["failed"]}, [one["step"] for one in done]


STEPS = ["health", "database", "sign-in", "api key", "set up", "alert", "alert group", "queue", "resolved", "clean up"]
SEEN = {
    "writer": ("health", "writer: slow"),
    "ready": ("health", "/health/ready answers HTTP 503"),
    "away": ("health", "no answer: connection refused"),
    "another program": ("health", "this is not how SignalCraft answers"),
    "database": ("database", "slow"),
    "dashboard": ("sign-in", "the dashboard answers HTTP 500"),
    "no page": ("sign-in", "the dashboard answers"),
    "state": ("sign-in", "/api/auth/state answers HTTP 500"),
    "open": ("sign-in", "HTTP 200 rather than 401"),
    "key": ("api key", "no such key"),
    "/api/channels": ("set up", "/api/channels answers HTTP 403"),
    "ingest": ("alert", "POST /webhooks answers HTTP 503"),
    "lost": ("alert group", "the time is up"),
    "another group": ("alert group", "is of alert group g2"),
    "astray": ("queue", "also told to oncall"),
    "not taken up": ("queue", "the time is up"),
    "deaf": ("resolved", "the time is up"),
    "stays": ("clean up", "delete them by hand"),
}
"""How the box is broken: the step that sees it, and its words."""


@pytest.mark.parametrize("broken", SEEN)
def test_what_is_broken_is_seen_by_its_step(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    monkeypatch.setattr(smoke, "_LOOK_S", 0.01)
    step, words = SEEN[broken]
    box = Box(broken)
    failed, steps = tried(box, 0.1 if words == "the time is up" else 5.0)
    assert set(failed) == {step}, failed
    assert words in failed[step]
    # It ends there, and what was made is taken away all the same.
    assert steps == (STEPS if step == "clean up" else [*STEPS[: STEPS.index(step) + 1], "clean up"])
    assert [path for path in box.left if path != f"{broken}/c1"] == []


def test_where_nothing_is_broken_each_thing_is_asked_for() -> None:
    box = Box()
    assert tried(box) == ({}, STEPS)
    assert box.left == []
    assert [one.get("status") for one in box.posted] == [None, "resolved"]
    assert set(box.look_at) <= set(box.asked)


def test_the_key_of_a_smoke_test_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []

    class Client:
        def __init__(self, *_: object) -> None:
            return

        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_: object) -> None:
            return

        def get(self, path: str) -> dict[str, str]:
            return {"public_url": "", "listen": "127.0.0.1:1"}

        def post(self, path: str, body: dict[str, Any]) -> dict[str, str]:
            asked.append((path, body))
            return {"key": KEY, "id": "k1"}

        def delete(self, path: str) -> None:
            asked.append((path, None))

    monkeypatch.setattr(client, "beside", Client)
    with smoke._short_lived(Path("data"), "default") as (key, url):
        assert (key, url) == (KEY, "http://127.0.0.1:1")
    (path, body), revoked = asked
    assert path == "/api/api-keys"
    assert body["scopes"] == list(smoke.SCOPES)
    assert body["expires_at"] <= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 601))
    assert revoked == ("/api/api-keys/k1", None)


def test_the_key_comes_from_a_file_or_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = cast("Where", None)
    (tmp_path / "k").write_text("sc_one\n")
    assert smoke._key_and_url(where, "https://x/", tmp_path / "k", cast("Any", None)) == ("sc_one", "https://x")
    monkeypatch.setattr("sys.stdin", io.StringIO("sc_one"))
    assert smoke._key_and_url(where, "https://x", Path("-"), cast("Any", None)) == ("sc_one", "https://x")
    assert run(["smoke", "https://x", "--key-file", str(tmp_path / "none")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
