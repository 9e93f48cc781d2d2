"""Every route × everybody: who gets through is what the table says, both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler

from signalcraft.domain import ids, roles
from signalcraft.domain.roles import Access
from signalcraft.http.app import routes
from signalcraft.http.auth import OPEN, access_of, asks_step_up
from tests.http.asking import Other, asking, key_of, problem
from tests.http.browsing import QUIET, Browser, browser, person
from tests.world import World

NOBODY = "0000000000000"
ALL = [
    (method, path, route)
    for route in routes()
    if isinstance(route, HTTPRouteHandler)
    for path in sorted(route.paths)
    for method in sorted(route.http_methods - {"OPTIONS"})
    if not path.startswith("/control/") and path not in ("/api/live", "/api/auth/sign-out")
]
NAMES = [f"{method} {path}" for method, path, _ in ALL]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world") / "data", **QUIET) as it:
        yield it


class Crowd:
    """One of each: people by role, keys by scope, and those who are nobody (any more)."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.people = {role: stack.enter_context(browser(world, f"{role}@example.com", role)) for role in roles.ROLES}
        self.keys = {scope: key_of(world, scope) for scope in roles.SCOPES}
        revoked = world.post("/api/api-keys", {"name": "gone", "scopes": ["admin"]})
        world.api.delete(f"/api/api-keys/{revoked['id']}").raise_for_status()
        out = stack.enter_context(browser(world, "out@example.com", "admin"))
        world.api.delete(f"/api/people/{out.who['person']['id']}").raise_for_status()
        old = stack.enter_context(browser(world, "old@example.com", "admin"))
        number = ids.parse(old.who["session"]["id"])
        ends = world.clock.at_ms
        sql = "update session set expires_ms = ? where id = ?"
        world._call(world.house.db.write(lambda tx: tx.run(sql, (ends, number))))
        world.house.signin.sessions.forget()
        expired = key_of(world, "admin", expires_ms=world.clock.at_ms + 1)
        world.clock.at_ms += 1
        self.nobodies = [
            {"Cookie": f"signalcraft={old.client.cookies['signalcraft']}", "X-CSRF-Token": old.who["csrf_token"]},
            {"Authorization": f"Bearer {expired}"},
            {},
            {"Authorization": f"Bearer {revoked['key']}"},
            {"Authorization": "Bearer sc_" + "x" * 43},
            {"Authorization": "Basic c2FtOnB3"},
            {"Cookie": f"signalcraft={out.client.cookies['signalcraft']}", "X-CSRF-Token": out.who["csrf_token"]},
            {"Cookie": "signalcraft=" + "x" * 43, "X-CSRF-Token": "x"},
        ]


@pytest.fixture(scope="module")
def crowd(world: World) -> Iterator[Crowd]:
    with ExitStack() as stack:
        yield Crowd(world, stack)


def asked(client: httpx.Client, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    url = re.sub(r"\{\w+:str\}", NOBODY, path)
    body = None if method in ("GET", "DELETE") else {}
    return client.request(method, url, json=body, headers=headers)


def through(answer: httpx.Response) -> bool:
    """Whether the guard let it in; what came of it then is another matter, but never our fault."""
    assert answer.status_code < 500, answer.text
    return answer.status_code not in (401, 403)


@pytest.mark.parametrize(("method", "path", "route"), ALL, ids=NAMES)
def test_every_route_lets_in_whom_it_says_and_nobody_else(
    world: World, crowd: Crowd, method: str, path: str, route: HTTPRouteHandler
) -> None:
    access = access_of(route)
    client = asking(world)
    if access.resource == "public":
        return  # each has its own proof; the test below holds the list of them
    for nobody in crowd.nobodies:
        problem(asked(client, method, path, nobody), 401)
    for role, it in crowd.people.items():
        answer = asked(it.client, method, path, {"X-CSRF-Token": it.who["csrf_token"]})
        assert through(answer) == (access in roles.of_role(role)), f"{role}: {answer.status_code} {answer.text}"
        if method != "GET":
            problem(asked(it.client, method, path, {}), 403, "csrf")
    for scope, key in crowd.keys.items():
        answer = asked(client, method, path, {"Authorization": f"Bearer {key}"})
        assert through(answer) == (access in roles.SCOPES[scope]), f"{scope}: {answer.status_code} {answer.text}"


def test_the_routes_that_are_open_to_everybody_are_these() -> None:
    """A new one without a guard is a hole: it must be named here to be open."""
    public = {path for route in routes() if access_of(route).resource == "public" for path in route.paths}
    assert public - OPEN == {
        "/api/auth/state",
        "/api/auth/setup",
        "/api/auth/sign-in",
        "/api/auth/reset",
        "/api/auth/oidc/start",
        "/api/auth/oidc/callback",
        "/api/auth/sign-in/passkey/options",
        "/api/auth/sign-in/passkey",
        "/api/invitations/preview",
        "/api/invitations/accept",
    }
    assert public >= OPEN


def test_a_route_that_declares_nothing_is_found() -> None:
    from litestar import get

    @get("/api/forgotten")
    async def forgotten() -> None:
        """Nothing."""

    with pytest.raises(LookupError, match="/api/forgotten"):
        access_of(forgotten)


def test_the_dangerous_actions_are_these() -> None:
    dangerous = {f"{method} {path}" for method, path, route in ALL if asks_step_up(route)}
    assert dangerous == {
        "POST /api/api-keys",
        "POST /api/integrations/{id:str}/rotate",
        "POST /api/channels/{id:str}/rotate",
        "GET /api/config/export",
        "PATCH /api/people/{id:str}",
        "DELETE /api/people/{id:str}",
        "POST /api/people/{id:str}/reset-link",
        "POST /api/people/{id:str}/export",
        "POST /api/people/{id:str}/erase",
        "POST /api/invitations",
        "POST /api/auth/totp/enrol",
        "POST /api/auth/totp/confirm",
        "DELETE /api/auth/totp",
        "POST /api/auth/recovery-codes",
        "POST /api/auth/passkeys/options",
        "POST /api/auth/passkeys",
        "DELETE /api/auth/passkeys/{id:str}",
        "DELETE /api/auth/identities/{id:str}",
    }


def test_what_a_dangerous_action_needs_of_people_it_does_not_need_of_keys(world: World, crowd: Crowd) -> None:
    world.clock.at_ms += 11 * 60_000
    it, client = crowd.people["owner"], asking(world)
    for method, path, route in ALL:
        if asks_step_up(route):
            said = {"X-CSRF-Token": it.who["csrf_token"]}
            problem(asked(it.client, method, path, said), 403, "step_up_needed")
            if access_of(route).resource != "account":
                answer = asked(client, method, path, {"Authorization": f"Bearer {crowd.keys['admin']}"})
                assert answer.json().get("code") != "step_up_needed" if answer.content else True


def test_every_resource_and_verb_of_the_table_is_used_by_some_route_or_said_to_be_for_later() -> None:
    used = {access_of(route) for route in routes()}
    unused = {access for role in roles.ROLES for access in roles.of_role(role)} - used
    assert unused <= {Access("audit", "read"), Access("audit", "write")}


# -- workspaces -------------------------------------------------------------------------------------------------------


def test_a_person_acts_in_the_workspaces_they_belong_to_and_in_no_other(world: World) -> None:
    from signalcraft.storage import people

    with Other(world) as other, browser(world, "both@example.com", "viewer") as both:
        theirs = person(world, "theirs@example.com", "owner", workspace_id=other.workspace_id)
        named = {"X-SignalCraft-Workspace": "other"}
        problem(both.client.get("/api/people", headers=named), 404, "not_found")
        problem(both.ask("GET", f"/api/people/{theirs}"), 404, "not_found")
        number = ids.parse(both.who["person"]["id"])

        def join(tx: object) -> None:
            people.join(tx, other.workspace_id, number, "admin", world.clock.at_ms)  # type: ignore[arg-type]

        world._call(world.house.db.write(join))
        world.house.signin.sessions.forget()
        assert both.get("/api/auth/me")["workspace"] == "default"
        there = both.client.get("/api/auth/me", headers=named).json()
        assert (there["workspace"], there["role"]) == ("other", "admin")
        assert [one["workspace"] for one in there["roles"]] == ["default", "other"]
        assert both.client.get("/api/api-keys", headers=named).status_code == 200
        problem(both.client.get("/api/api-keys"), 403, "forbidden")
        emails = {one["email"] for one in both.client.get("/api/people", headers=named).json()["items"]}
        assert emails == {"theirs@example.com", "both@example.com"}


def test_what_a_person_does_bears_their_name(world: World, tmp_path: Path) -> None:
    """An acknowledgement by a person assigns them."""
    world.receives("sentry", "event_alert")
    with browser(world, "acks@example.com", "member") as it:
        group = world.groups()[0]
        done = it.post(f"/api/alert-groups/{group['id']}/ack", {})
        assert done["acknowledged_by"] == "acks"
        assert done["assignee"] == {"kind": "user", "id": it.who["person"]["id"], "name": "acks"}


def test_the_rate_limit_counts_each_person(tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = stack.enter_context(World(tmp_path / "data", **{**QUIET, "limits.api_per_minute": "60"}))
        one = stack.enter_context(browser(world, "a@example.com"))
        two = stack.enter_context(browser(world, "b@example.com"))
        one_more = stack.enter_context(Browser(world))
        for _ in range(300):
            last = one.ask("GET", "/api/auth/me")
        assert last.headers["ratelimit-remaining"] == "0"
        one_more.signs_in("a@example.com")
        problem(one_more.ask("GET", "/api/auth/me"), 429, "too_many")
        assert two.ask("GET", "/api/auth/me").status_code == 200
