"""Pages of other sites: none may look in, unless the settings name their site."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.http.asking import asking, problem
from tests.http.browsing import PASSWORD, QUIET, Browser, person
from tests.world import World

FRIEND = "https://status.example.com"
OTHER = "https://evil.example.com"


@pytest.fixture(scope="module")
def friendly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("friendly") / "data", **QUIET, **{"http.cors_origins": FRIEND}) as it:
        yield it


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = {"http.cors_origins": FRIEND, "http.cors_credentials": "true"}
    with World(tmp_path_factory.mktemp("trusting") / "data", **QUIET, **settings) as it:
        person(it, "sam@example.com", "owner")
        yield it


def preflight(world: World, origin: str, method: str = "POST", path: str = "/api/api-keys") -> httpx.Response:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization",
    }
    return asking(world).options(path, headers=asked)


def lets_in(answer: httpx.Response) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


def test_closed_unless_a_site_is_named(world: World) -> None:
    for answer in (preflight(world, FRIEND), world.api.get("/api/people", headers={"Origin": FRIEND})):
        assert lets_in(answer) == []


@pytest.mark.parametrize(
    "origin", [OTHER, "null", FRIEND + ".evil.example.com", "http://status.example.com", FRIEND + ":8443"]
)
def test_a_site_that_is_not_named_is_not_let_in(friendly: World, origin: str) -> None:
    for answer in (preflight(friendly, origin), friendly.api.get("/api/people", headers={"Origin": origin})):
        assert lets_in(answer) == []
        assert "Origin" in answer.headers["vary"].split(", ")


def test_a_named_site_gets_its_own_name_back(friendly: World) -> None:
    for answer in (
        friendly.api.get("/api/people", headers={"Origin": FRIEND}),
        asking(friendly).get("/api/people", headers={"Origin": FRIEND}),  # a refusal can be read too
        friendly.api.get("/api/nowhere", headers={"Origin": FRIEND}),
    ):
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
        assert "Origin" in answer.headers["vary"].split(", ")
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/api-keys"), ("DELETE", "/api/api-keys/x"), ("GET", "/health")]
)
def test_a_preflight(friendly: World, method: str, path: str) -> None:
    answer = preflight(friendly, FRIEND, method, path)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert method in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-max-age"] == "600"


def test_any_site_with_keys_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    with World(tmp_path_factory.mktemp("open") / "data", **{"http.cors_origins": "*"}) as it:
        answer = it.api.get("/api/people", headers={"Origin": OTHER})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_a_named_site_acts_with_cookies_only_where_that_is_set(trusting: World, friendly: World) -> None:
    person(friendly, "sam@example.com", "owner")
    for world, allowed in ((trusting, True), (friendly, False)):
        with Browser(world) as sam:
            assert sam.signs_in("sam@example.com", PASSWORD).status_code == 200
            answer = sam.ask("PATCH", "/api/auth/me", {"name": "Sam"}, Origin=FRIEND)
            if allowed:
                assert answer.status_code == 200
                assert answer.headers["access-control-allow-credentials"] == "true"
                # The session's token is asked for all the same.
                problem(
                    sam.ask("PATCH", "/api/auth/me", {"name": "S"}, Origin=FRIEND, **{"X-CSRF-Token": ""}), 403, "csrf"
                )
            else:
                problem(answer, 403, "csrf")
            problem(sam.ask("PATCH", "/api/auth/me", {"name": "Sam"}, Origin=OTHER), 403, "csrf")
