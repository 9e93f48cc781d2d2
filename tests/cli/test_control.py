"""The owner's door: a private socket, a mark that only it sets, replaced when a killed process left one."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalcraft.cli.client import Client, Refusal, answers, beside
from signalcraft.http.control_socket import ControlServer
from signalcraft.http.owner import SOCKET, controlled, is_control

Seen = list[dict[str, Any]]


def app_that_notes(seen: Seen) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append({**scope, "state": dict(scope["state"])})
        scope["state"]["left behind"] = True
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


async def ask(data: Path) -> None:
    def asking() -> None:
        with beside(data) as client:
            assert client.get("/anything") == {}

    await asyncio.to_thread(asking)


@pytest.mark.parametrize("name", ["data", "a long name " * 15], ids=["short", "long"])
def test_the_socket_is_private_marked_and_gone_after(tmp_path: Path, name: str) -> None:
    data, seen = tmp_path / name, Seen()
    data.mkdir()

    async def life() -> None:
        server = ControlServer(app_that_notes(seen), data)
        await server.start()
        assert (data / SOCKET).stat().st_mode & 0o777 == 0o600
        assert [p.name for p in data.iterdir()] == [SOCKET]
        assert answers(data)
        await ask(data)
        await ask(data)
        await server.stop()
        assert list(data.iterdir()) == []

    asyncio.run(life())
    assert [is_control(scope) for scope in seen] == [True, True]
    assert "left behind" not in seen[1]["state"]
    assert not answers(data)


def test_a_socket_that_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET))
    seen = Seen()

    async def life() -> None:
        server = ControlServer(app_that_notes(seen), tmp_path)
        assert not answers(tmp_path)
        await server.start()
        await ask(tmp_path)
        await server.stop()

    asyncio.run(life())
    assert len(seen) == 1


def test_nobody_else_can_open_it_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it has its mode, the socket lies in a directory that only its owner can enter."""
    bound: list[tuple[int, int]] = []
    replace = Path.replace

    def look(self: Path, target: Path) -> Path:
        bound.append((self.parent.stat().st_mode & 0o777, self.stat().st_mode & 0o777))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", look)
    before = os.umask(0)
    try:

        async def life() -> None:
            server = ControlServer(app_that_notes(Seen()), tmp_path)
            await server.start()
            await server.stop()

        asyncio.run(life())
    finally:
        os.umask(before)
    assert bound == [(0o700, 0o600)]


def test_the_mark_is_a_state_of_its_own_for_each_request() -> None:
    shared: dict[str, Any] = {"from": "the server"}
    seen = Seen()

    async def once(app: Any) -> None:
        async def send(_: Any) -> None: ...

        await app({"type": "http", "state": shared}, None, send)

    asyncio.run(once(controlled(app_that_notes(seen))))
    assert is_control(seen[0])
    assert seen[0]["state"]["from"] == "the server"
    assert shared == {"from": "the server"}
    assert not is_control({"state": {"control": "yes"}})
    assert not is_control({})


def test_a_refusal_keeps_the_words_of_the_problem() -> None:
    problem = (
        b'{"title":"Invalid","detail":"no such scope","code":"invalid","errors":[{"path":"scopes[0]","message":"x"}]}'
    )

    class Door:
        def send(self, request: httpx.Request) -> httpx.Response:
            status, body = (422, problem) if request.url.path == "/problem" else (502, b"<html>")
            return httpx.Response(status, content=body, request=request)

    client = Client(Door(), live=True)
    with pytest.raises(Refusal) as refused:
        client.get("/problem")
    assert (refused.value.status, refused.value.code, refused.value.detail) == (422, "invalid", "no such scope")
    assert refused.value.errors == (("scopes[0]", "x"),)
    with pytest.raises(Refusal, match="HTTP 502"):
        client.get("/html")
