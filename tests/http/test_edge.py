"""What every answer carries and every request is held to, whichever route it is for."""

from __future__ import annotations

import io
import json
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from signalcraft.logs import JsonLines
from tests.http.asking import asking, key_of, problem
from tests.world import World

PATHS = (
    ("GET", "/api/alert-groups", 200),
    ("GET", "/api/alert-groups/0000000000000", 404),
    ("GET", "/api/nowhere", 404),
    ("GET", "/", 200),
    ("PUT", "/api/alert-groups", 405),
    ("GET", "/health", 200),
    ("GET", "/api/openapi.json", 200),
    ("GET", "/answer/not-a-token", 404),
    ("POST", "/webhooks/sentry/unknown", 404),
    ("GET", "/webhooks/sentry/unknown", 405),
    ("POST", "/webhooks/slack/actions", 401),
)


@pytest.mark.parametrize(("method", "path", "status"), PATHS, ids=[f"{m} {p}" for m, p, _ in PATHS])
def test_every_answer_has_the_security_headers_and_an_id(world: World, method: str, path: str, status: int) -> None:
    answer = world.api.request(method, path)
    assert answer.status_code == status, answer.text
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe-inline" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-request-id"]
    assert headers["server"] == "SignalCraft"  # neither a version nor what it is built on
    for name in ("x-content-type-options", "content-security-policy", "content-type", "x-request-id"):
        assert len(headers.get_list(name)) <= 1, name


def test_what_was_refused_is_never_cached(world: World) -> None:
    assert world.api.get("/api/alert-groups").headers["cache-control"] == "no-store"
    assert asking(world).get("/api/alert-groups").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("given", ["abc", "0f-1.2_X", "a" * 64])
def test_a_sane_request_id_is_kept(world: World, given: str) -> None:
    answer = world.api.get("/api/nowhere", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "a b", "-x", "a" * 65, "<script>", "ü", "x;y"])
def test_any_other_request_id_is_replaced(world: World, given: str) -> None:
    answers = [world.api.get("/api/nowhere", headers={"X-Request-ID": given.encode()}) for _ in range(2)]  # type: ignore[dict-item]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert given not in ids
    assert ids[0] != ids[1]


def test_a_webhook_that_is_refused_has_the_same_id_inside_and_outside(world: World) -> None:
    answer = world.api.post("/webhooks/sentry/unknown", headers={"X-Request-ID": "from-the-sender"}, content=b"{}")
    said = problem(answer, 404, "not_found")
    assert said["request_id"] == "from-the-sender"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/alert-groups", "GET, HEAD, OPTIONS"),
        ("/api/api-keys", "GET, HEAD, OPTIONS, POST"),
        ("/health", "GET, HEAD, OPTIONS"),
        ("/answer/x", "GET, HEAD, OPTIONS, POST"),
        ("/webhooks/slack/actions", "OPTIONS, POST"),
    ],
)
def test_options_and_405_name_the_methods(world: World, path: str, allowed: str) -> None:
    client = asking(world)
    options = client.options(path)
    assert (options.status_code, options.headers["allow"], options.content) == (204, allowed, b"")
    wrong = client.request("TRACE" if "PUT" in allowed else "PUT", path)
    problem(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == allowed


@pytest.mark.parametrize(
    "path", ["/api/alert-groups", "/health", "/live", "/api/openapi.json", "/api/live", "/metrics"]
)
def test_head_is_get_without_the_body(world: World, path: str) -> None:
    head = world.api.head(path)
    assert (head.status_code, head.content) == (200, b"")
    if path != "/api/live":
        assert head.headers["content-type"] == world.api.get(path).headers["content-type"]


def test_a_body_above_the_limit_is_413_before_it_is_read(world: World) -> None:
    body_max = world.house.settings.http.body_bytes_max
    answer = world.api.post("/api/api-keys", content=b"x" * (body_max + 1))
    problem(answer, 413, "too_large")
    with socket.create_connection((world.api.base_url.host, world.api.base_url.port or 0), 10) as sock:
        head = f"POST /api/api-keys HTTP/1.1\r\nHost: x\r\nContent-Length: {body_max + 1}\r\n"
        sock.sendall(f"{head}Authorization: {world.api.headers['authorization']}\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_path_with_bytes_that_are_no_text_is_404(world: World) -> None:
    for path in (b"/api/events/%ff%fe", b"/api/events/%00", b"/%c0%af", b"/api/alert-groups/..%2f..%2fetc"):
        request = world.api.build_request("GET", "/")
        request.url = request.url.copy_with(raw_path=path)
        problem(world.api.send(request), 404, "not_found")


def test_an_unexpected_fault_is_500_without_its_cause_and_logged_with_the_id(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.house, "health", None)
    written = io.StringIO()
    lines = logging.StreamHandler(written)
    lines.setFormatter(JsonLines())
    logging.getLogger().addHandler(lines)
    try:
        with caplog.at_level(logging.ERROR):
            answer = world.api.get("/health", headers={"X-Request-ID": "the-one"})
    finally:
        logging.getLogger().removeHandler(lines)
    said = problem(answer, 500, "internal")
    assert "NoneType" not in answer.text
    assert "Traceback" not in answer.text
    assert said["request_id"] == "the-one"
    (record,) = [r for r in caplog.records if r.message == "a request failed unexpectedly"]
    assert record.exc_info
    assert "NoneType" in str(record.exc_info[1])
    said_in_log = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["request_id"] for line in said_in_log if line["message"] == record.message] == ["the-one"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A box of its own: its limits are on."""
    settings = {
        "limits.global_per_15_minutes": "5",
        "limits.api_per_minute": "60",
        "http.request_seconds": "0.3",
        "http.body_bytes_max": "20000",
        "http.trusted_proxies": "127.0.0.1",
    }
    with World(tmp_path_factory.mktemp("small") / "data", **settings) as it:
        yield it


def test_too_many_requests_of_one_address_are_429_and_others_are_not(small: World) -> None:
    client = asking(small)
    first = [client.get("/api/errors", headers={"X-Forwarded-For": "203.0.113.7"}) for _ in range(6)]
    assert [a.status_code for a in first] == [200] * 5 + [429]
    said = problem(first[-1], 429, "too_many")
    # 5 in 15 minutes: one token comes back after three of them.
    assert first[-1].headers["retry-after"] == "180"
    assert first[-1].headers["ratelimit-limit"] == "5"
    assert "address" in said["detail"]
    assert client.get("/api/errors", headers={"X-Forwarded-For": "203.0.113.8"}).status_code == 200
    # What the client wrote left of the hop that our proxy saw is not believed.
    forged = client.get("/api/errors", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.7"})
    assert forged.status_code == 429
    small.clock.at_ms += 181_000
    assert client.get("/api/errors", headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 200


def test_webhooks_health_and_metrics_are_not_counted(small: World) -> None:
    client = asking(small, **{"X-Forwarded-For": "203.0.113.9"})
    for _ in range(8):
        for path in ("/health", "/health/live", "/live", "/ready"):
            assert client.get(path).status_code == 200
        assert client.get("/metrics").status_code == 401
        assert client.post("/webhooks/sentry/unknown").status_code == 404


def test_a_key_has_a_burst_and_then_its_rate(small: World) -> None:
    client = asking(small, key_of(small, "alerts:read"))
    statuses = []
    for i in range(301):
        answer = client.get("/api/alert-groups", headers={"X-Forwarded-For": f"192.0.2.{i % 250}"})
        statuses.append(answer.status_code)
        if answer.status_code == 429:
            break
        assert answer.headers["ratelimit-limit"] == "300"
        assert answer.headers["ratelimit-remaining"] == str(299 - i)
    assert statuses == [200] * 300 + [429]
    problem(answer, 429, "too_many")
    assert answer.headers["retry-after"] == "1"
    small.clock.at_ms += 1_000
    assert client.get("/api/alert-groups", headers={"X-Forwarded-For": "192.0.2.251"}).status_code == 200
    assert asking(small, key_of(small, "alerts:read")).get("/api/alert-groups").status_code == 200


def test_a_body_that_does_not_arrive_is_408_and_frees_the_connection(small: World) -> None:
    key = key_of(small, "admin")
    began = time.monotonic()
    with socket.create_connection((small.api.base_url.host, small.api.base_url.port or 0), 10) as sock:
        head = f"POST /api/api-keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 100\r\n\r\n"
        sock.sendall(head.encode() + b'{"na')
        answer = sock.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 0.2 < time.monotonic() - began < 5


@pytest.mark.parametrize("path", ["/webhooks/sentry/unknown", "/api/api-keys"])
def test_a_body_whose_length_is_not_told_is_413_where_it_passes_the_limit(small: World, path: str) -> None:
    def pieces(size: int) -> Iterator[bytes]:
        for _ in range(size // 1000):
            yield b"x" * 1000
        yield b"x" * (size % 1000)

    client = asking(small, key_of(small, "admin"), **{"X-Forwarded-For": "203.0.113.20"})
    problem(client.post(path, content=pieces(20_001)), 413, "too_large")
    assert client.post(path, content=pieces(20_000)).status_code in (400, 404)


def test_a_webhook_that_tells_too_long_a_length_is_413_before_it_is_read(small: World) -> None:
    with socket.create_connection((small.api.base_url.host, small.api.base_url.port or 0), 10) as sock:
        sock.sendall(b"POST /webhooks/sentry/unknown HTTP/1.1\r\nHost: x\r\nContent-Length: 20001\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/webhooks/sentry/unknown", "/api/api-keys"])
def test_who_still_sends_what_is_too_large_hears_so(small: World, path: str) -> None:
    """And is not cut off in the middle of it: a sender would see no answer, and a proxy say 502."""
    where, key = (small.api.base_url.host, small.api.base_url.port or 0), key_of(small, "admin")
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 3000000\r\n\r\n"
    for _ in range(3):
        with socket.create_connection(where, 10) as sock:
            sock.sendall(head.encode())
            for _ in range(30):
                sock.sendall(b"x" * 100_000)
                time.sleep(0.002)
            assert b"".join(iter(lambda: sock.recv(4096), b"")).startswith(b"HTTP/1.1 413 ")


def test_the_limits_are_off_at_zero(world: World) -> None:
    for _ in range(310):
        answer: httpx.Response = world.api.get("/api/api-keys?limit=1")
        assert answer.status_code == 200
        assert "ratelimit-limit" not in answer.headers


def test_a_stop_does_not_wait_for_a_stalled_body(tmp_path: Path) -> None:
    with World(tmp_path / "data", **{"http.request_seconds": "0.5"}) as world:
        sock = socket.create_connection((world.api.base_url.host, world.api.base_url.port or 0), 10)
        head = f"POST /api/api-keys HTTP/1.1\r\nHost: x\r\nAuthorization: {world.api.headers['authorization']}\r\n"
        sock.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        time.sleep(0.1)
        began = time.monotonic()
        world.stopped()
        assert time.monotonic() - began < 5
        sock.close()
