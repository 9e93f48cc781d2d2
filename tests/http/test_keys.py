"""API keys: who gets in, to what, and for how long."""

from __future__ import annotations

import re

import httpx
import pytest

from signalcraft.http.app import routes
from signalcraft.http.auth import access_of
from signalcraft.services.accounts import SCOPES, key_hash
from tests.http.asking import Other, asking, key_of, problem
from tests.world import World

OPEN = {
    "/health", "/health/live", "/health/ready", "/health/startup", "/live", "/ready", "/api/openapi.json",
    "/api/errors", "/api/docs", "/api/docs/{name:str}", "/webhooks/slack/actions", "/answer/{token:str}", "/",
    "/share/{token:str}", "/docs", "/docs/{name:path}",
}  # fmt: skip


def test_every_route_is_guarded_but_for_those_that_need_no_key(world: World) -> None:
    """A new route without a guard is a hole: it must be named here to be open."""
    unguarded = set()
    for route in routes():
        access_of(route)  # raises for a route that declares nothing
        if not route.resolve_guards():
            unguarded |= route.paths
    assert {path for path in unguarded if not path.startswith("/control/")} == OPEN


def test_a_key_is_made_once_shown_and_never_again(world: World) -> None:
    made = world.post("/api/api-keys", {"name": "ci", "scopes": ["alerts:read", "alerts:read", "config:read"]})
    assert made.keys() == {"id", "name", "prefix", "key", "scopes", "expires_at"}
    assert re.fullmatch(r"sc_[A-Za-z0-9_-]{43}", made["key"])
    assert made["prefix"] == made["key"][:8]
    assert made["scopes"] == ["alerts:read", "config:read"]
    assert made["expires_at"] is None
    listed = world.get("/api/api-keys", limit=100)["items"]
    (shown,) = [key for key in listed if key["id"] == made["id"]]
    assert shown.keys() == {
        "id", "name", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at", "account",
    }  # fmt: skip
    assert made["key"] not in world.api.get("/api/api-keys?limit=100").text


def test_only_a_hash_of_a_key_is_on_disk(world: World) -> None:
    key = key_of(world, "alerts:read")
    assert asking(world, key).get("/api/alert-groups").status_code == 200
    with world.house.db.reading() as reader:
        hashes = [row[0] for row in reader.all("select key_hash from api_key")]
    assert key_hash(key) in hashes
    on_disk = b"".join(p.read_bytes() for p in world.data_dir.rglob("*") if p.is_file())
    assert key_hash(key) in on_disk  # the file that is looked at holds what was just written
    assert key.encode() not in on_disk


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer sc_wrong",
        "Bearer " + "sc_" + "A" * 43,
        "Basic c2M6eA==",
        "sc_" + "A" * 43,
        "Bearer " + "x" * 5000,
        "Bearer sc_ü" + "A" * 42,
    ],
)
def test_without_a_good_key_it_is_401_with_a_challenge(world: World, header: str) -> None:
    with httpx.Client(base_url=world.api.base_url, trust_env=False) as client:
        answer = client.get("/api/alert-groups", headers={"Authorization": header.encode()} if header else {})  # type: ignore[dict-item]
    problem(answer, 401, "not_signed_in")
    assert answer.headers["www-authenticate"].startswith("Bearer realm=")


def test_a_key_in_the_query_is_no_key(world: World) -> None:
    key = key_of(world, "admin")
    problem(asking(world).get("/api/alert-groups", params={"access_token": key, "token": key}), 401)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_written_in_any_case(world: World, scheme: str) -> None:
    key = key_of(world, "alerts:read")
    assert asking(world, Authorization=f"{scheme} {key}").get("/api/alert-groups").status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("alerts:read", "GET", "/api/alert-groups", 200),
        ("alerts:read", "POST", "/api/alert-groups/0000000000001/ack", 403),
        ("alerts:read", "GET", "/api/routing-rules", 403),
        ("alerts:read", "GET", "/metrics", 403),
        ("alerts:read", "GET", "/api/api-keys", 403),
        ("alerts:write", "GET", "/api/alert-groups", 403),
        ("alerts:write", "POST", "/api/alert-groups/0000000000001/ack", 404),
        ("config:read", "GET", "/api/routing-rules", 200),
        ("config:read", "POST", "/api/routing-rules", 403),
        ("config:read", "GET", "/api/live", 403),
        ("config:write", "GET", "/api/api-keys", 403),
        ("config:write", "POST", "/api/api-keys", 403),
        ("metrics:read", "GET", "/metrics", 200),
        ("metrics:read", "GET", "/api/alert-groups", 403),
        ("admin", "GET", "/api/alert-groups", 200),
        ("admin", "GET", "/api/routing-rules", 200),
        ("admin", "GET", "/metrics", 200),
        ("admin", "GET", "/api/api-keys", 200),
    ],
)
def test_a_scope_opens_what_it_says(world: World, scope: str, method: str, path: str, status: int) -> None:
    answer = asking(world, key_of(world, scope)).request(method, path)
    assert answer.status_code == status, answer.text
    if status == 403:
        problem(answer, 403, "forbidden")
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_a_missing_scope_is_told_before_the_body_is_read(world: World) -> None:
    answer = asking(world, key_of(world, "alerts:read")).post("/api/api-keys", content=b"{not json")
    problem(answer, 403)


def test_a_revoked_key_opens_nothing_from_the_next_request_on(world: World) -> None:
    made = world.post("/api/api-keys", {"name": "gone soon", "scopes": ["alerts:read"]})
    client = asking(world, made["key"])
    assert client.get("/api/alert-groups").status_code == 200
    for _ in range(2):  # twice is no fault
        assert world.api.delete(f"/api/api-keys/{made['id']}").status_code == 204
        problem(client.get("/api/alert-groups"), 401)
    (shown,) = [key for key in world.get("/api/api-keys", limit=100)["items"] if key["id"] == made["id"]]
    assert shown["revoked_at"] is not None


def test_a_key_ends_when_it_expires(world: World) -> None:
    soon = "2026-03-02T10:30:00+01:00"  # half an hour after the tests' world begins
    made = world.post("/api/api-keys", {"name": "for a while", "scopes": ["alerts:read"], "expires_at": soon})
    assert made["expires_at"] == "2026-03-02T09:30:00.000Z"
    client = asking(world, made["key"])
    assert client.get("/api/alert-groups").status_code == 200
    world.clock.at_ms += 30 * 60_000
    said = problem(client.get("/api/alert-groups"), 401)
    assert "expired" in said["detail"]


def test_the_last_use_is_noted_at_most_once_a_minute(world: World) -> None:
    made = world.post("/api/api-keys", {"name": "used", "scopes": ["alerts:read"]})
    client = asking(world, made["key"])

    def last_used() -> str | None:
        world._call(world.house.db.write(lambda tx: None))  # behind whatever was queued before it
        shown = [key for key in world.get("/api/api-keys", limit=100)["items"] if key["id"] == made["id"]]
        return str(shown[0]["last_used_at"]) if shown[0]["last_used_at"] else None

    assert last_used() is None
    client.get("/api/alert-groups")
    first = last_used()
    assert first is not None
    world.clock.at_ms += 59_000
    client.get("/api/alert-groups")
    assert last_used() == first
    world.clock.at_ms += 1_000
    client.get("/api/alert-groups")
    second = last_used()
    assert second is not None
    assert second > first


def test_a_key_belongs_to_one_workspace(world: World, other: Other) -> None:
    mine = world.post("/api/api-keys", {"name": "mine", "scopes": ["alerts:read"]})
    theirs = other.api.post("/api/api-keys", json={"name": "theirs", "scopes": ["admin"]}).json()
    listed = other.api.get("/api/api-keys?limit=100").json()["items"]
    assert mine["id"] not in [key["id"] for key in listed]
    assert theirs["id"] in [key["id"] for key in listed]
    problem(other.api.delete(f"/api/api-keys/{mine['id']}"), 404, "not_found")
    assert asking(world, mine["key"]).get("/api/alert-groups").status_code == 200


def test_keys_come_in_pages(world: World) -> None:
    for i in range(5):
        world.post("/api/api-keys", {"name": f"page {i}", "scopes": ["alerts:read"]})
    whole = [key["id"] for key in world.get("/api/api-keys", limit=100)["items"]]
    assert whole == sorted(whole, reverse=True)
    seen, cursor = [], None
    while True:
        page = world.get("/api/api-keys", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [key["id"] for key in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == whole


@pytest.mark.parametrize(
    ("body", "status", "code", "path"),
    [
        (b"", 422, "invalid", ""),
        (b"{", 400, "malformed", None),
        (b"[" * 5000, 400, "malformed", None),
        (b'{"name":' * 5000, 400, "malformed", None),
        (b'{"name":"x","scopes":["admin"],"expires_at":' + b"[" * 200_000, 400, "malformed", None),
        (b'{"name":"x","scopes":["admin"],"expires_at":' + b"[" * 60, 422, "invalid", "expires_at"),
        (b'{"name":NaN}', 400, "malformed", None),
        (b'{"name":"\xff\xfe"}', 400, "malformed", None),
        (b'{"name":"\\ud800","scopes":["admin"]}', 400, "malformed", None),
        (b"null", 422, "invalid", ""),
        (b"[]", 422, "invalid", ""),
        (b'{"name":1,"scopes":[]}', 422, "invalid", "name"),
        (b'{"name":"x"}', 422, "invalid", "scopes"),
        (b'{"name":"x","scopes":"admin"}', 422, "invalid", "scopes"),
        (b'{"name":"x","scopes":[1]}', 422, "invalid", "scopes[0]"),
        (b'{"name":"x","scopes":[]}', 422, "invalid", "scopes"),
        (b'{"name":"x","scopes":["admin","root"]}', 422, "invalid", "scopes[1]"),
        (b'{"name":"","scopes":["admin"]}', 422, "invalid", "name"),
        (b'{"name":"a\\u0000b","scopes":["admin"]}', 422, "invalid", "name"),
        (b'{"name":"' + b"x" * 101 + b'","scopes":["admin"]}', 422, "invalid", "name"),
        (b'{"name":"x","scopes":["admin"],"surprise":1}', 422, "invalid", "surprise"),
        (b'{"name":"x","scopes":["admin"],"expires_at":"2020-01-01T00:00:00Z"}', 422, "invalid", "expires_at"),
        (b'{"name":"x","scopes":["admin"],"expires_at":"2030-01-01T00:00:00"}', 422, "invalid", "expires_at"),
        (b'{"name":"x","scopes":["admin"],"expires_at":"soon"}', 422, "invalid", "expires_at"),
        (b'{"name":"x","scopes":["admin"],"expires_at":5}', 422, "invalid", "expires_at"),
    ],
)
def test_a_wrong_body_is_told_where_it_is_wrong(
    world: World, body: bytes, status: int, code: str, path: str | None
) -> None:
    before = len(world.get("/api/api-keys", limit=100)["items"])
    problem(world.api.post("/api/api-keys", content=body), status, code, path)
    assert len(world.get("/api/api-keys", limit=100)["items"]) == before


def test_another_content_type_with_no_json_in_it_is_415(world: World) -> None:
    answer = world.api.post("/api/api-keys", content=b"name=x", headers={"Content-Type": "text/csv"})
    problem(answer, 415, "wrong_type")


def test_the_scopes_are_those_of_the_contract() -> None:
    assert set(SCOPES) == {"admin", "alerts:read", "alerts:write", "config:read", "config:write", "metrics:read"}
