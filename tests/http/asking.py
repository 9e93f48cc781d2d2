"""Asking the API in tests: as somebody with few scopes, as another workspace, and what a refusal must look like."""

from __future__ import annotations

from typing import Any

import httpx

from signalcraft.domain.group import SYSTEM
from tests.world import World

OPENED: list[httpx.Client] = []
MEMBERS = {"type", "title", "status", "detail", "code", "request_id", "errors", "docs"}


def problem(answer: httpx.Response, status: int, code: str = "", path: str | None = None) -> dict[str, Any]:
    """The RFC 9457 document of a refusal, checked for its form."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    assert said.keys() >= MEMBERS
    assert said["status"] == status
    assert said["request_id"] == answer.headers["x-request-id"]
    assert said["docs"].endswith(f"#{said['code']}")
    assert said["detail"]
    if code:
        assert said["code"] == code
    if path is not None:
        assert path in [one["path"] for one in said["errors"]], said["errors"]
    return said


def key_of(world: World, *scopes: str, workspace_id: int = 1, expires_ms: int | None = None) -> str:
    """A fresh API key."""
    made = world._call(world.house.accounts.create_key(workspace_id, "a test", list(scopes), expires_ms, SYSTEM))
    return str(made.key)


def asking(world: World, key: str = "", **headers: str) -> httpx.Client:
    """A client with this key, or with none; closed at the end of the test."""
    if key:
        headers["Authorization"] = f"Bearer {key}"
    client = httpx.Client(base_url=world.api.base_url, headers=headers, timeout=60, trust_env=False)
    OPENED.append(client)
    return client


class Other:
    """Another workspace. `api` asks with a key of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.workspace_id = 2

    def __enter__(self) -> Other:
        house = self.world.house

        def work(tx: Any) -> None:
            tx.run("insert into workspace (id, name, created_ms) values (2, 'other', 0) on conflict do nothing")

        self.world._call(house.db.write(work))
        self.world._call(house.db.read(house.registry.reload))
        self.api = asking(self.world, key_of(self.world, "admin", workspace_id=2))
        OPENED.remove(self.api)
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()
