"""Every answer carries the lines that lock a browser down: every route, every kind of refusal, both transports."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler

from signalcraft.http.app import routes
from tests.http.asking import asking, problem
from tests.http.browsing import QUIET
from tests.world import World

NOBODY = "0000000000000"
ALL = [
    (method, path)
    for route in routes()
    if isinstance(route, HTTPRouteHandler)
    for path in sorted(route.paths)
    for method in sorted(route.http_methods)
    if path != "/api/live"  # a stream: it is asked below
]
HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
HSTS = "max-age=31536000"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Behind a proxy that ends TLS for some."""
    settings = {"http.trusted_proxies": "127.0.0.1", "http.request_seconds": "0.5", "http.body_bytes_max": "20000"}
    with World(tmp_path_factory.mktemp("world") / "data", **QUIET, **settings) as it:
        yield it


def locked(answer: httpx.Response, *, https: bool = False) -> None:
    """The answer has every line, once."""
    headers = answer.headers
    where = f"{answer.request.method} {answer.request.url.path} {answer.status_code}"
    assert headers["x-content-type-options"] == "nosniff", where
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy or "default-src 'self'" in policy, where
    assert "frame-ancestors 'none'" in policy, where
    assert "unsafe-" not in policy, where
    assert "*" not in policy, where
    assert headers["x-frame-options"] == "DENY", where
    assert headers["referrer-policy"] == "no-referrer", where
    assert headers["cross-origin-opener-policy"] == "same-origin", where
    assert headers["cross-origin-resource-policy"] == "same-origin", where
    assert "camera=()" in headers["permissions-policy"], where
    assert headers["x-xss-protection"] == "0", where
    assert headers["server"] == "SignalCraft", where
    assert "cache-control" in headers, where
    assert headers.get("strict-transport-security") == (HSTS if https else None), where
    assert headers["x-request-id"], where
    for name in headers:
        assert name == "set-cookie" or len(headers.get_list(name)) == 1, f"{where}: {name} twice"


@pytest.mark.parametrize(("method", "path"), ALL, ids=[f"{m} {p}" for m, p in ALL])
def test_every_route_by_nobody_and_by_an_admin(world: World, method: str, path: str) -> None:
    url = re.sub(r"\{\w+:\w+\}", NOBODY, path)
    body = None if method in ("GET", "DELETE", "OPTIONS") else {}
    for client, https in ((asking(world), False), (world.api, True)):
        locked(client.request(method, url, json=body, headers=HTTPS if https else {}), https=https)


KINDS = {
    "no such path": ("GET", "/nowhere", {}, None, 404),
    "no such static file": ("GET", "/assets/app.js", {}, None, 404),
    "wrong method": ("PUT", "/health", {}, None, 405),
    "unknown method": ("BREW", "/", {}, None, 405),
    "not signed in": ("GET", "/api/people", {}, None, 401),
    "bad key": ("GET", "/api/people", {"Authorization": "Bearer sc_x"}, None, 401),
    "not JSON": ("POST", "/api/api-keys", {}, b"{", 400),
    "too deep": ("POST", "/api/api-keys", {}, b"[" * 80 + b"]" * 80, 400),
    "wrong shape": ("POST", "/api/api-keys", {}, b"[]", 422),
    "not JSON at all": ("POST", "/api/api-keys", {"Content-Type": "text/plain"}, b"x", 415),
    "too large": ("POST", "/api/api-keys", {}, b"x" * 20_001, 413),
    "headers too many": ("GET", "/health", {f"x-{n}": "1" for n in range(81)}, None, 431),
    "headers too large": ("GET", "/health", {"x-long": "x" * 33_000}, None, 431),
    "address too long": ("GET", "/health?q=" + "x" * 8200, {}, None, 414),
    "unknown webhook": ("POST", "/webhooks/sentry/unknown", {}, b"{}", 404),
    "webhook by GET": ("GET", "/webhooks/sentry/unknown", {}, None, 405),
    "webhook of no kind": ("POST", "/webhooks/", {}, b"{}", 404),
    "webhook too large": ("POST", "/webhooks/sentry/unknown", {}, b"x" * 20_001, 413),
    "Slack without a signature": ("POST", "/webhooks/slack/actions", {}, b"payload={}", 401),
    "no such link": ("GET", "/answer/nothing", {}, None, 404),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_every_kind_of_refusal(world: World, kind: str, https: bool) -> None:
    method, path, headers, body, status = KINDS[kind]
    signed = path.startswith("/api/api-keys")
    client = world.api if signed else asking(world)
    answer = client.request(method, path, headers={**headers, **(HTTPS if https else {})}, content=body)
    assert answer.status_code == status, answer.text
    locked(answer, https=https)
    if not path.startswith("/answer"):
        problem(answer, status)


def test_the_event_stream_and_an_accepted_webhook(world: World) -> None:
    with world.api.stream("GET", "/api/live") as answer:
        locked(answer)
    world.integration("generic")
    accepted = world.sends("generic", b'{"title": "disk full"}', {"Content-Type": "application/json", **HTTPS})
    assert accepted.status_code == 202, accepted.text
    locked(accepted, https=True)


def test_a_fault_of_ours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.house, "health", None)
    answer = world.api.get("/health")
    assert answer.status_code == 500
    locked(answer)


def test_a_body_that_never_comes_and_a_limit_that_is_passed(tmp_path_factory: pytest.TempPathFactory) -> None:
    with World(tmp_path_factory.mktemp("small") / "data", **{"limits.global_per_15_minutes": "1"}) as small:
        client = asking(small)
        answers = [client.get("/api/errors") for _ in range(2)]
        assert answers[1].status_code == 429
        assert answers[1].headers["ratelimit-remaining"] == "0"
        locked(answers[1])


def test_nobody_but_our_proxy_says_https(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A line that pins a browser to HTTPS is not given out on a client's word."""
    with World(tmp_path_factory.mktemp("alone") / "data") as alone:
        locked(alone.api.get("/health", headers=HTTPS))


def test_a_webhook_above_the_limit_says_when_to_come_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"limits.webhooks_per_minute": "2", "limits.overflow": "reject"}
    with World(tmp_path_factory.mktemp("reject") / "data", **settings) as it:
        it.integration("generic")
        answers = [it.sends("generic", b'{"title": "disk full"}', settle=False) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 429]
        headers = answers[2].headers
        assert (headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("2", "0")
        assert headers["retry-after"] == headers["ratelimit-reset"] == "30"
        locked(answers[2])
        assert 'signalcraft_limit_exceeded_total{limit="webhooks"} 1.0' in it.api.get("/metrics").text
        it.clock.at_ms += 2_000
        assert it.get("/api/admin/security/audit")["summary"]["limit_violations"] == 1
        it.clock.at_ms += 30_000
        assert it.sends("generic", b'{"title": "disk full"}', settle=False).status_code == 202
