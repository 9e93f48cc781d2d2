"""What another site can make a browser send does nothing; cookies are as strict as the connection allows."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import httpx
import pytest

from signalcraft.config import Settings, load
from signalcraft.http.browser import Door
from signalcraft.http.dashboard import Dashboard
from tests.http.asking import asking, key_of, problem
from tests.http.browsing import PASSWORD, QUIET, Browser, browser, person
from tests.world import World

SAM = "sam@example.com"
PUBLIC = "https://alerts.example.com"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Its public address is the one that a browser on this machine uses."""
    with World(tmp_path_factory.mktemp("world") / "data", **QUIET) as it:
        person(it, SAM, "owner")
        yield it


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Behind a proxy that ends TLS."""
    settings = {"http.trusted_proxies": "127.0.0.1", "http.public_url": PUBLIC, "outbound.allow": ""}
    with World(tmp_path_factory.mktemp("behind") / "data", **QUIET, **settings) as it:
        person(it, SAM, "owner")
        yield it


def cookies(answer: httpx.Response) -> dict[str, Morsel[str]]:
    """What an answer sets, by name."""
    found: dict[str, Morsel[str]] = {}
    for line in answer.headers.get_list("set-cookie"):
        found |= SimpleCookie(line)
    return found


# -- forged requests --------------------------------------------------------------------------------------------------


@pytest.fixture
def sam(world: World) -> Iterator[Browser]:
    with Browser(world) as it:
        it.signs_in(SAM)
        yield it


def rename(it: Browser, **headers: str) -> httpx.Response:
    return it.ask("PATCH", "/api/auth/me", {"name": "Sam"}, **headers)


def test_a_change_by_session_needs_the_sessions_token(world: World, sam: Browser) -> None:
    assert rename(sam).status_code == 200
    with browser(world, "other@example.com", "owner") as other:
        for bad in ("", "x", other.who["csrf_token"], sam.who["csrf_token"][:-1], sam.who["csrf_token"] + "A"):
            problem(rename(sam, **{"X-CSRF-Token": bad}), 403, "csrf")
    assert sam.signed_in, "reading needs none"


def test_the_token_is_told_again_in_a_cookie_that_scripts_can_read(sam: Browser) -> None:
    assert sam.client.cookies["signalcraft-csrf"] == sam.who["csrf_token"] == sam.get("/api/auth/me")["csrf_token"]


def test_a_token_ends_with_its_session(sam: Browser) -> None:
    token = sam.who["csrf_token"]
    sam.signs_in(SAM)
    assert sam.who["csrf_token"] != token
    problem(rename(sam, **{"X-CSRF-Token": token}), 403, "csrf")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "file://"},
        {"Origin": "http://127.0.0.1.evil.example.com"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_another_sites_request_is_refused_even_with_the_token(
    world: World, sam: Browser, headers: dict[str, str]
) -> None:
    problem(rename(sam, **headers), 403, "csrf")
    with Browser(world) as fresh:
        sign_in = fresh.ask("POST", "/api/auth/sign-in", {"email": SAM, "password": PASSWORD}, **headers)
        problem(sign_in, 403, "csrf")
        for path in ("/api/auth/setup", "/api/auth/reset", "/api/invitations/accept", "/api/invitations/preview"):
            problem(fresh.ask("POST", path, {}, **headers), 403, "csrf")


def test_ones_own_pages_may(sam: Browser) -> None:
    origin = str(sam.client.base_url).rstrip("/")
    assert rename(sam, Origin=origin).status_code == 200
    assert rename(sam, Origin=origin, **{"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert rename(sam, **{"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_reading_needs_neither_token_nor_origin(sam: Browser) -> None:
    """A link from elsewhere may lead here; nothing that answers a GET changes anything."""
    answer = sam.ask("GET", "/api/people", **{"X-CSRF-Token": "", "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200


def test_api_keys_need_none_of_it(world: World) -> None:
    client = asking(world, key_of(world, "admin"), Origin="https://elsewhere.example.com")
    made = client.post("/api/api-keys", json={"name": "x", "scopes": ["alerts:read"]})
    assert made.status_code == 201


def test_a_key_beside_a_cookie_counts_alone(world: World, sam: Browser) -> None:
    """The cookie adds nothing to a key: no request has the powers of both."""
    answer = sam.ask("GET", "/api/api-keys", Authorization=f"Bearer {key_of(world, 'alerts:read')}")
    problem(answer, 403, "forbidden")


# -- cookies ----------------------------------------------------------------------------------------------------------


def test_on_loopback_without_tls_the_cookies_are_as_strict_as_they_can_be(world: World) -> None:
    with Browser(world) as it:
        session, token = cookies(it.signs_in(SAM)).values()
        assert (session.key, token.key) == ("signalcraft", "signalcraft-csrf")
        assert (session["httponly"], token["httponly"]) == (True, "")
        assert (session["samesite"].lower(), token["samesite"].lower()) == ("lax", "strict")
        assert (session["path"], session["domain"], session["secure"]) == ("/", "", "")
        assert session["max-age"] == token["max-age"] == str(30 * 86_400)
        gone = cookies(it.ask("POST", "/api/auth/sign-out"))
        assert {name: one["max-age"] for name, one in gone.items()} == {"signalcraft": "0", "signalcraft-csrf": "0"}


TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9", "Host": "alerts.example.com", "Origin": PUBLIC}


def test_over_tls_the_cookies_are_bound_to_this_host(behind: World) -> None:
    with Browser(behind, **TLS) as it:
        answer = it.signs_in(SAM)
        assert answer.status_code == 200, answer.text
        session, token = cookies(answer).values()
        assert (session.key, token.key) == ("__Host-signalcraft", "__Host-signalcraft-csrf")
        for one in (session, token):
            assert (one["secure"], one["path"], one["domain"]) == (True, "/", "")
        assert session["httponly"] is True
        assert (session["samesite"].lower(), token["samesite"].lower()) == ("lax", "strict")
        it.client.headers["Cookie"] = f"__Host-signalcraft={session.value}"
        assert it.get("/api/auth/state")["transport"] == "tls"
        assert it.get("/api/sessions")["items"][0]["address"] == "203.0.113.9"
        assert rename(it).status_code == 200
        problem(rename(it, Origin="http://alerts.example.com"), 403, "csrf")


def test_over_tls_a_cookie_without_the_prefix_is_no_session(behind: World) -> None:
    """Anybody on a sibling host could set one."""
    with Browser(behind, **TLS) as it:
        token = cookies(it.signs_in(SAM))["__Host-signalcraft"].value
        it.client.headers["Cookie"] = f"signalcraft={token}"
        problem(it.ask("GET", "/api/auth/me"), 401, "not_signed_in")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Proto": "http"},
        {"X-Forwarded-Proto": "https, http"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9;proto=https"},
        {"Host": "alerts.example.com"},
        {"Host": "localhost.evil.example.com"},
        {"Host": ""},
        {"Host": "["},
    ],
    ids=str,
)
def test_plain_http_from_elsewhere_takes_no_password_and_says_what_to_do(
    behind: World, headers: dict[str, str]
) -> None:
    with Browser(behind, **headers) as it:
        said = problem(it.ask("POST", "/api/auth/sign-in", {"email": SAM, "password": PASSWORD}), 403, "needs_tls")
        assert "ssh -L" in said["detail"]
        assert "set-cookie" not in it.signs_in(SAM).headers
        state = it.get("/api/auth/state")
        assert (state["transport"], state["hint"]) == ("refused", said["detail"])
        for path in ("/api/auth/setup", "/api/invitations/accept", "/api/auth/reset"):
            body = {"code": "x", "token": "x", "email": SAM, "name": "x", "password": PASSWORD}
            wanted = {"reset": ("token", "password"), "setup": ("code", "email", "name", "password")}
            names = wanted.get(path.rpartition("/")[2], ("token", "email", "name", "password"))
            problem(it.ask("POST", path, {name: body[name] for name in names}), 403, "needs_tls")


def test_a_session_does_not_travel_in_the_clear(behind: World) -> None:
    """A cookie that reaches us over plain HTTP from elsewhere is not taken for a session."""
    with Browser(behind, **TLS) as it:
        token = cookies(it.signs_in(SAM))["__Host-signalcraft"].value
        both = f"signalcraft={token}; __Host-signalcraft={token}"
        answer = it.client.get("/api/auth/me", headers={"X-Forwarded-Proto": "http", "Cookie": both})
        problem(answer, 401, "not_signed_in")


def test_nobody_but_a_trusted_proxy_says_that_it_is_tls(world: World) -> None:
    with Browser(world, **{"X-Forwarded-Proto": "https"}) as it:
        assert it.get("/api/auth/state")["transport"] == "refused"
        problem(it.signs_in(SAM), 403, "needs_tls")


def test_insecure_cookies_are_for_those_who_ask_and_are_warned_about(tmp_path: Path) -> None:
    with World(tmp_path / "data", **QUIET, **{"security.insecure_cookies": "true", "http.public_url": ""}) as world:
        person(world, SAM, "owner")
        with Browser(world, Host="box.lan:8080", Origin="http://box.lan:8080") as it:
            assert it.get("/api/auth/state")["transport"] == "insecure"
            answer = it.signs_in(SAM)
            assert list(cookies(answer)) == ["signalcraft", "signalcraft-csrf"]
        health = world.get("/health")
        assert health["components"]["warnings"]["status"] == "degraded"
        assert "plain HTTP" in health["components"]["warnings"]["detail"]


@pytest.mark.parametrize(
    ("scheme", "peer", "host", "transport"),
    [
        ("https", "203.0.113.9", "alerts.example.com", "tls"),
        ("http", "127.0.0.1", "127.0.0.1:8080", "loopback"),
        ("http", "127.8.8.8", "localhost", "loopback"),
        ("http", "::1", "[::1]:8080", "loopback"),
        ("http", "::ffff:127.0.0.1", "LOCALHOST:8080", "loopback"),
        ("http", "127.0.0.1", "alerts.example.com", "refused"),
        ("http", "192.0.2.7", "127.0.0.1:8080", "refused"),
        ("http", "192.0.2.7", "192.0.2.1:8080", "refused"),
        ("http", None, "localhost", "refused"),
    ],
)
def test_how_a_request_came(scheme: str, peer: str | None, host: str, transport: str) -> None:
    from litestar.connection import ASGIConnection

    settings: Settings = load(
        environ={"HOME": "/nowhere"}, overrides={"http.trusted_proxies": "198.51.100.0/24"}
    ).settings
    scope = {
        "type": "http", "scheme": scheme, "client": (peer, 4711) if peer else None,
        "headers": [(b"host", host.encode())], "method": "GET", "path": "/",
    }  # fmt: skip
    connection: ASGIConnection[object, object, object, object] = ASGIConnection(scope)  # type: ignore[arg-type, type-var]
    assert Door(settings, b"k" * 32).transport(connection) == transport


def test_the_first_page_says_why_nobody_can_sign_in_over_plain_http(
    behind: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing of it over TLS. Where a dashboard was built its sign-in page says so, out of /api/auth/state."""
    missing = Dashboard(tmp_path / "missing")
    monkeypatch.setattr(behind.program.app.state, "dashboard", missing)  # type: ignore[union-attr]
    plain = asking(behind, **{"X-Forwarded-Proto": "http"}).get("/").text
    assert "ssh -L" in plain
    assert "http.tls_certificate" in plain
    assert "ssh -L" not in asking(behind, **TLS).get("/").text
