"""The same checks at each front door: HTTPS of our own, Caddy and nginx with the samples in config/."""

from __future__ import annotations

import json
import re
import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import cast

import httpx
import pytest

from tests import bodies
from tests.http.browsing import PASSWORD, person
from tests.http.test_live import Listener, group_event
from tests.packaging.doors import KINDS, ROOT, Door

LIAR = "203.0.113.9"
"""What a client outside claims to be."""


@pytest.fixture(scope="module", params=list(KINDS))
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    folder.chmod(0o755)
    with cast("AbstractContextManager[Door]", KINDS[request.param](folder)) as it:
        it.world.rule(channel="#oncall")
        yield it


def test_a_webhook_comes_in_as_it_was_signed(door: Door) -> None:
    """The signature covers each byte: nothing on the way may change one."""
    with door.client("127.0.2.1") as sender:
        group = door.tells(sender, title="Ünïcödé  in\tcheckout", issue="1")
        assert door.world.get(f"/api/alert-groups/{group}")["title"].startswith("Ünïcödé")
        raw = bodies.body("event_alert", issue="2")
        forged = {**bodies.signed(raw, "event_alert"), "Sentry-Hook-Signature": "0" * 64}
        assert door.posts(sender, raw, forged).status_code == 401
    door.world.settled()
    assert ("#oncall", "Ünïcödé") in door.world.told


def test_the_dashboard_and_its_assets(door: Door) -> None:
    with door.client("127.0.2.2") as browser:
        page = browser.get("/")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assets = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css))"', page.text)
        assert assets
        asset = browser.get(assets[0], headers={"Accept-Encoding": "gzip"})
        assert asset.status_code == 200
        assert asset.headers["content-encoding"] == "gzip"
        assert "immutable" in asset.headers["cache-control"]


def test_each_line_for_browsers_is_said_once(door: Door) -> None:
    with door.client("127.0.2.3") as browser:
        for path in ("/", "/health", "/api/alert-groups"):
            headers = browser.get(path).headers
            assert headers.get_list("strict-transport-security") == ["max-age=31536000"], path
            for name in ("content-security-policy", "x-content-type-options", "x-frame-options", "cache-control"):
                assert len(headers.get_list(name)) == 1, (path, name)


def test_signing_in_over_the_door_is_as_strict_as_over_tls(door: Door) -> None:
    """__Host- cookies need that SignalCraft knows that the browser speaks HTTPS."""
    person(door.world, "sam@example.com", "owner")
    with door.client("127.0.2.4") as browser:
        answer = browser.post("/api/auth/sign-in", json={"email": "sam@example.com", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        cookies = answer.headers.get_list("set-cookie")
        assert len(cookies) == 2
        assert all(cookie.startswith("__Host-") and "Secure" in cookie for cookie in cookies)
        assert browser.get("/api/auth/state").json()["transport"] == "tls"


def test_the_event_stream_is_not_held_back(door: Door) -> None:
    """Each event comes when it happens, also the first bytes of a stream on which nothing happens yet."""
    key = door.world._call(door.world._key())
    with door.client("127.0.2.5", Authorization=f"Bearer {key}") as dashboard, door.client("127.0.2.6") as sender:
        live = Listener(dashboard, {"Accept-Encoding": "gzip"}, {})
        try:
            assert live.response.status_code == 200
            assert "content-encoding" not in live.response.headers
            live.wait(lambda e: e["event"] == "health")
            for issue in ("10", "11", "12"):
                live.wait(group_event("opened", door.tells(sender, issue=issue)))
        finally:
            live.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_nearly_the_limit_comes_through(door: Door, chunked: bool) -> None:
    message = "x" * 900_000
    raw = bodies.body("event_alert", issue=f"2{chunked:d}", message=message)
    headers = bodies.signed(raw, "event_alert", at_s=door.world.clock.at_ms // 1000)
    door.world.integrations or door.world.integration("sentry")
    path = httpx.URL(door.world.integrations["sentry"]["webhook_url"]).path
    pieces = (raw[i : i + 65_536] for i in range(0, len(raw), 65_536))
    with door.client("127.0.2.7") as sender:
        answer = sender.post(path, content=pieces if chunked else raw, headers=headers)
    assert answer.status_code == 202, answer.text


def test_a_body_above_the_limit_is_refused_by_signalcraft_itself(door: Door) -> None:
    raw = b"x" * 1_200_000
    with door.client("127.0.2.8") as sender:
        answer = door.posts(sender, raw, bodies.signed(raw, "event_alert"))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "too_large"


def test_a_long_head_is_no_matter_of_the_proxy(door: Door) -> None:
    """What SignalCraft takes, comes through; what it refuses, it refuses itself."""
    with door.client("127.0.2.13") as client:
        assert client.get("/live", headers={"X-Long": "x" * 12_000}).status_code == 200
        assert client.get("/live?" + "x" * 7_000).status_code == 200
        answer = client.get("/live?" + "x" * 9_000)
        assert (answer.status_code, answer.json()["code"]) == (414, "address_too_long")


def test_the_clients_own_address_stands_in_the_audit_log(door: Door) -> None:
    """Not the proxy's, and not the one that the client claims."""
    person(door.world, "kim@example.com", "owner")
    claims = {"X-Forwarded-For": LIAR, "X-Real-IP": LIAR, "Forwarded": f"for={LIAR}"}
    with door.client("127.0.2.9", **claims) as browser:
        answer = browser.post("/api/auth/sign-in", json={"email": "kim@example.com", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        csrf = answer.json()["csrf_token"]
        made = browser.post(
            "/api/views", json={"name": "mine", "search": "status:open", "shared": True}, headers={"X-CSRF-Token": csrf}
        )
        assert made.status_code in (200, 201), made.text
        assert browser.post("/api/auth/sign-in", json={"email": "kim@example.com", "password": "no"}).status_code == 401
    rows = [row for row in door.world.get("/api/audit", limit=100)["items"] if "kim" in json.dumps(row["actor"])]
    assert rows
    addresses = {row["address"] for row in rows}
    assert addresses <= {"127.0.2.9"}
    assert addresses
    refused = door.world.get("/api/admin/security/audit")
    assert "127.0.2.9" in json.dumps(refused)
    assert LIAR not in json.dumps([rows, refused])


def test_a_limit_counts_each_client_apart(door: Door) -> None:
    """One that asks too much is refused, whatever it claims to be; its neighbour behind the same door is not."""
    with door.client("127.0.2.10") as greedy, door.client("127.0.2.11") as modest:
        codes = [
            greedy.get("/api/auth/state", headers={"X-Forwarded-For": f"198.51.100.{n}"}).status_code for n in range(30)
        ]
        assert codes[:20] == [200] * 20
        assert codes[-1] == 429
        assert modest.get("/api/auth/state").status_code == 200


@pytest.mark.parametrize("path", ["/", "/webhooks/sentry/abc?x=1&y=%20", "/a%2fb"])
def test_plain_http_is_sent_to_https(door: Door, path: str) -> None:
    """With 308, which keeps method and body, and to our own name."""
    for method, host in (("GET", "localhost"), ("POST", "localhost"), ("POST", "evil.example.com")):
        answer = _plain(door, method, path, host)
        assert answer.status_code == 308
        assert answer.headers["location"] == door.where + path
        assert "strict-transport-security" not in answer.headers


def _plain(door: Door, method: str, path: str, host: str) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=10, verify=False) as client:  # in the clear
        request = httpx.Request(method, f"http://127.0.0.1:{door.plain}", headers={"Host": host})
        request.url = request.url.copy_with(raw_path=path.encode())
        return client.send(request)


def test_nothing_older_than_tls_1_2(door: Door) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")  # or this side would be the one that refuses
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", door.port), 5) as raw, pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(raw, server_hostname="localhost")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        fresh = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        fresh.check_hostname, fresh.verify_mode = False, ssl.CERT_NONE
        fresh.minimum_version = fresh.maximum_version = version
        with (
            socket.create_connection(("127.0.0.1", door.port), 5) as raw,
            fresh.wrap_socket(raw, server_hostname="localhost") as sock,
        ):
            assert sock.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]


@pytest.mark.parametrize("path", ["/", "/api/live", "/webhooks/sentry/abc"])
def test_nobody_speaks_websocket(door: Door, path: str) -> None:
    asks = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    with door.client("127.0.2.12") as client, client.stream("GET", path, headers=asks) as answer:
        assert answer.status_code in (200, 400, 401, 404, 405, 426)
        assert "upgrade" not in answer.headers


def test_the_samples_let_go_of_silent_connections_before_signalcraft_does() -> None:
    """Else a webhook is sent into a connection that is just being closed, and is lost for a sender that tries once."""
    from signalcraft.config import load

    http = load(overrides={}, environ={"HOME": "/nonexistent"}).settings.http
    (ours,) = re.findall(r"keepalive (\d+)s", (ROOT / "config/Caddyfile").read_text("utf-8"))
    assert int(ours) <= http.header_seconds - 5
    nginx = (ROOT / "config/nginx.conf").read_text("utf-8")
    (theirs,) = re.findall(r"keepalive_timeout (\d+)s;", nginx)
    assert int(theirs) <= http.header_seconds - 5
    (largest,) = re.findall(r"client_max_body_size (\d+)m;", nginx)
    assert int(largest) * 1024 * 1024 > http.body_bytes_max


def test_the_nginx_sample_says_what_is_not_seen_on_every_machine() -> None:
    """Most systems' own OpenSSL refuses older versions anyway, and SignalCraft the addresses that a client makes up."""
    nginx = (ROOT / "config/nginx.conf").read_text("utf-8")
    assert re.findall(r"ssl_protocols (.*);", nginx) == ["TLSv1.2 TLSv1.3"]
    assert set(re.findall(r"X-Forwarded-For (.*);", nginx)) == {"$remote_addr"}
