"""VAL-3: what has to be tried of the protection before a deployment, one test for each of its nine points.

Each is tried elsewhere with every case; here they stand together, against one box, in the order of the list.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalcraft.logs import JsonLines
from tests.http.asking import asking, key_of, problem
from tests.http.browsing import Browser, browser
from tests.world import BOT_TOKEN, SIGNING_SECRET, World

HOUR_MS = 3_600_000
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("nine") / "data", **{"http.trusted_proxies": "127.0.0.1"}) as it:
        it.rule(channel="#oncall")
        it.receives("sentry", "event_alert", title=f"{SCRIPT} & <b>bold</b>")
        yield it


def test_1_headers(world: World) -> None:
    for path in ("/", "/api/alert-groups", "/api/nowhere", "/health", "/assets/none.js"):
        headers = world.api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe-inline" not in headers["content-security-policy"], path
        assert "strict-transport-security" not in headers, f"{path}: not in the clear"
    over_tls = world.api.get("/", headers={"X-Forwarded-Proto": "https"})
    assert int(over_tls.headers["strict-transport-security"].split("max-age=")[1].split(";")[0]) >= 31_536_000


def test_2_cors(world: World) -> None:
    for method in ("GET", "OPTIONS"):
        asked = {"Origin": "https://evil.example.com", "Access-Control-Request-Method": "POST"}
        headers = world.api.request(method, "/api/alert-groups", headers=asked).headers
        assert [name for name in headers if name.startswith("access-control-")] == []


def test_3_limits(tmp_path: Path) -> None:
    settings = {"limits.global_per_15_minutes": "30", "http.trusted_proxies": "127.0.0.1"}
    with World(tmp_path / "data", **settings) as limited:
        client = asking(limited, **{"X-Forwarded-For": "203.0.113.77"})
        assert [client.get("/api/errors").status_code for _ in range(31)] == [200] * 30 + [429]
        refused = client.get("/api/errors")
        problem(refused, 429, "too_many")
        assert int(refused.headers["retry-after"]) == 30
        assert refused.headers["ratelimit-limit"] == "30"
        other = asking(limited, **{"X-Forwarded-For": "203.0.113.78"})
        assert other.get("/api/errors").status_code == 200
        limited.clock.at_ms += 31_000
        assert client.get("/api/errors").status_code == 200


@pytest.mark.parametrize("text", ["' or 1=1 --", "'; drop table event; --", '" union select key from api_key --'])
def test_4_sql_injection(world: World, text: str) -> None:
    for name in ("q", "project", "environment", "assignee"):
        answer = world.api.get("/api/alert-groups", params={name: text})
        assert answer.status_code in (200, 422), answer.text
        if answer.status_code == 200:
            assert answer.json()["items"] == [], f"{name}: it is a value, not a condition"
    assert len(world.get("/api/alert-groups")["items"]) == 1


def test_5_cross_site_scripting(world: World) -> None:
    """Kept as it came, told as JSON that no browser takes for a page, escaped where it becomes a message."""
    answer = world.api.get("/api/alert-groups")
    assert answer.json()["items"][0]["title"].startswith(SCRIPT)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"
    (told,) = world.told
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;bold&lt;/b&gt;" in told.text
    assert "<script>" not in told.now


def test_6_what_expires(world: World) -> None:
    with browser(world, "late@example.com") as it:
        world.clock.at_ms += 12 * HOUR_MS - 1
        assert it.signed_in
        world.clock.at_ms += 12 * HOUR_MS
        problem(it.ask("GET", "/api/auth/me"), 401, "not_signed_in")
    soon = asking(world, key_of(world, "alerts:read", expires_ms=world.clock.at_ms + HOUR_MS))
    assert soon.get("/api/alert-groups").status_code == 200
    world.clock.at_ms += HOUR_MS + 1
    problem(soon.get("/api/alert-groups"), 401)


def test_7_invalid_credentials(world: World) -> None:
    good = key_of(world, "alerts:read")
    unsigned = (
        ".".join(base64.urlsafe_b64encode(part).decode() for part in (b'{"alg":"none"}', b'{"sub":"owner"}')) + "."
    )
    for bad in (good[:-1], good + "x", good.upper(), good[::-1], "x", unsigned, "null"):
        problem(asking(world, bad).get("/api/alert-groups"), 401)
    for forged in (unsigned, "x" * 43, "0"):
        answer = asking(world, Cookie=f"signalcraft={forged}").get("/api/auth/me")
        problem(answer, 401)
    with Browser(world) as eve:
        assert eve.signs_in("late@example.com", "not-the-password-at-all").status_code == 401


def test_8_no_secret_in_the_log(world: World) -> None:
    said: list[str] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    heard = Heard()
    heard.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    try:
        key, password = key_of(world, "alerts:read"), "Quilted-canary-7-meadow"
        asking(world, key).get("/api/people")
        with Browser(world) as eve:
            eve.signs_in("late@example.com", password)
        token = world.integrations["sentry"]["webhook_url"].rsplit("/", 1)[1]
        world.api.post(f"/webhooks/sentry/{token}", content=b"{", headers={"Sentry-Hook-Resource": "event_alert"})
        world.receives("sentry", "event_alert", issue="9", title="told while the log is read")
        logging.getLogger("signalcraft.test").warning("%s and %s", BOT_TOKEN, key)
    finally:
        root.removeHandler(heard)
        root.setLevel(level)
    whole = "\n".join(said)
    assert "answered" in whole
    assert "•••" in whole
    for secret in (key, password, token, BOT_TOKEN, SIGNING_SECRET, world.integrations["sentry"]["secret"]):
        assert secret not in whole


def test_9_no_leak_in_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError(f"cannot open {world.data_dir} with {SIGNING_SECRET}")

    monkeypatch.setattr(world.house.accounts, "list_keys", fails)
    answer = world.api.get("/api/api-keys")
    said = problem(answer, 500, "internal")
    for inside in ("RuntimeError", "Traceback", ".py", str(world.data_dir), SIGNING_SECRET, "cannot open", "sqlite"):
        assert inside not in json.dumps(said)
    assert said["request_id"]


def test_the_list_has_nine_points(request: pytest.FixtureRequest) -> None:
    names = Path(__file__).read_text("utf-8")
    assert [n for n in range(1, 12) if f"\ndef test_{n}_" in names] == list(range(1, 10))
