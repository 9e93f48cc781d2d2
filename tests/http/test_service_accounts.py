"""API keys of service accounts (SEC-16, item 3): named, replaced without a gap, limited each, told before the end."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.http.asking import asking, problem
from tests.http.browsing import journal
from tests.world import World

DAY_MS = 86_400_000


def component(world: World) -> dict[str, str]:
    found: dict[str, str] = httpx.get(f"{world.api.base_url}/health", trust_env=False).json()["components"]["api_keys"]
    return found


def test_what_a_key_does_bears_the_name_of_its_service_account(world: World) -> None:
    body = {"name": "deploys, spring", "scopes": ["alerts:write", "config:write"], "account": "deploys"}
    made = world.post("/api/api-keys", body)
    shown = next(key for key in world.get("/api/api-keys", limit=100)["items"] if key["id"] == made["id"])
    assert shown["account"] == "deploys"
    with asking(world, made["key"]) as client:
        answer = client.post(
            "/api/channels", json={"name": "hook", "kind": "webhook", "config": {"url": "https://e.org"}}
        )
        assert answer.status_code == 201, answer.text
    who = [data["by"] for verb, data in journal(world) if verb == "channel.created"][-1]
    assert (who.kind, who.id, who.name) == ("api_key", made["id"], "deploys")


def test_a_key_is_replaced_without_a_gap(world: World) -> None:
    """Two keys of one account work side by side; revoking the first leaves the second."""
    body = {"name": "one", "scopes": ["alerts:read"], "account": "grafana"}
    first, second = world.post("/api/api-keys", body), world.post("/api/api-keys", {**body, "name": "two"})
    with asking(world, first["key"]) as old, asking(world, second["key"]) as new:
        assert [c.get("/api/alert-groups").status_code for c in (old, new)] == [200, 200]
        world.api.delete(f"/api/api-keys/{first['id']}").raise_for_status()
        assert [c.get("/api/alert-groups").status_code for c in (old, new)] == [401, 200]


def test_a_name_that_cannot_be_is_refused(world: World) -> None:
    for account in ("x" * 101, "a\nb"):
        body = {"name": "x", "scopes": ["alerts:read"], "account": account}
        problem(world.api.post("/api/api-keys", json=body), 422, "invalid", "account")


def test_health_tells_of_keys_in_use_a_week_before_they_end(tmp_path: Path) -> None:
    """CFG-2: alerts for what has to be rotated. A key that nobody uses is no news."""
    with World(tmp_path / "data") as world:
        ends = "2026-03-16T09:00:00Z"  # two weeks after the tests' world begins
        body = {"name": "ci", "scopes": ["alerts:read"], "expires_at": ends}
        used, idle = (world.post("/api/api-keys", {**body, "name": name}) for name in ("used", "idle"))
        with asking(world, used["key"]) as client:
            assert client.get("/api/alert-groups").status_code == 200
        world.clock.at_ms += 6 * DAY_MS
        assert component(world)["status"] == "ok"
        world.clock.at_ms += 2 * DAY_MS
        said = component(world)
        assert said["status"] == "degraded"
        assert f"used ({used['prefix']}…) in 6 days" in said["detail"]
        assert "idle" not in said["detail"]
        assert used["key"] not in said["detail"]
        assert idle["key"] not in said["detail"]
        world.api.delete(f"/api/api-keys/{used['id']}").raise_for_status()
        assert component(world)["status"] == "ok"


def test_each_key_has_its_own_limit(tmp_path: Path) -> None:
    """SEC-3: what one key spends, another one keeps."""
    with ExitStack() as stack:
        world = stack.enter_context(World(tmp_path / "data", **{"limits.api_per_minute": "60"}))
        made = [world.post("/api/api-keys", {"name": n, "scopes": ["alerts:read"], "account": "one"}) for n in "ab"]
        spender, other = (stack.enter_context(asking(world, one["key"])) for one in made)
        for _ in range(300):
            last = spender.get("/api/alert-groups", params={"limit": 1})
        assert last.headers["ratelimit-remaining"] == "0"
        refused = spender.get("/api/alert-groups")
        problem(refused, 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert other.get("/api/alert-groups").status_code == 200
