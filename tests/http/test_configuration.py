"""/api/integrations, /api/channels, /api/workspace, /api/kinds and /api/config over HTTP."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.domain import ids
from tests.http.front import Front
from tests.services.desk import SLACK

SENTRY = {"name": "sentry-prod", "kind": "sentry", "config": {"secret": "canary-client-secret"}}


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    with Front(tmp_path) as it:
        yield it


# -- integrations -----------------------------------------------------------------------------------------------------


def test_an_integration_is_made_and_its_address_is_told_once(front: Front) -> None:
    answer = front.ask("POST", "/api/integrations", SENTRY)
    assert answer.status_code == 201
    made = answer.json()
    assert made["webhook_url"] == f"https://alerts.example.com/webhooks/sentry/{made['token']}"
    assert made["secret"] is None
    path = f"/api/integrations/{made['id']}"
    shown = front.get(path)
    assert shown == {k: v for k, v in made.items() if k not in ("token", "webhook_url", "secret", "setup")}
    assert shown["config"] == {"require_signature": None, "default_severity": ""}
    assert shown["secrets"] == ["secret"]
    assert shown["token_hint"] == made["token"][-4:]
    assert front.get("/api/integrations") == {"items": [shown], "next": None}
    assert "canary" not in answer.text


def test_a_secret_that_is_left_out_is_told_once(front: Front) -> None:
    made = front.post("/api/integrations", {"name": "s", "kind": "sentry"})
    live = front.by_token(made["token"])
    assert live is not None
    assert live.config.secret == made["secret"]


def test_what_a_kind_needs_may_stand_beside_the_name(front: Front) -> None:
    """As in the file of apply."""
    body = {"name": "s", "kind": "sentry", "token": "a-token-of-ours", "secret": "x1", "require_signature": True}
    made = front.post("/api/integrations", body)
    assert made["token"] == "a-token-of-ours"
    live = front.by_token("a-token-of-ours")
    assert live is not None
    assert live.config.secret == "x1"
    problem = front.refused(422, "POST", "/api/integrations", {"name": "t", "kind": "sentry", "secrt": "x"})
    assert problem["errors"] == [{"path": "secrt", "message": 'no such setting: "secrt"; did you mean secret?'}]
    problem = front.refused(422, "POST", "/api/integrations", {**SENTRY, "config": {"secrt": "x"}})
    assert problem["errors"][0]["path"] == "config.secrt"


def test_an_integration_is_changed_and_deleted(front: Front) -> None:
    made = front.post("/api/integrations", SENTRY)
    path = f"/api/integrations/{made['id']}"
    changed = front.patch(path, {"config": {"default_severity": "low"}, "enabled": False})
    assert (changed["config"]["default_severity"], changed["enabled"]) == ("low", False)
    # What was shown can be sent back whole.
    assert front.put(path, {**changed, "enabled": True})["enabled"] is True
    assert front.put(path, {"name": "sentry-prod", "config": {}})["config"]["default_severity"] == ""
    live = front.by_token(made["token"])
    assert live is not None
    assert live.config.secret == "canary-client-secret"
    assert front.ask("DELETE", path).status_code == 204
    assert front.by_token(made["token"]) is None
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("POST", "/rotate", {}),
        ("POST", "/test", {}),
    ):
        assert front.refused(404, method, path + rest, body)["code"] == "not_found"


def test_an_integration_is_rotated_with_an_overlap(front: Front) -> None:
    old = front.post("/api/integrations", SENTRY)
    path = f"/api/integrations/{old['id']}/rotate"
    new = front.post(path, {"overlap_minutes": 5})
    assert new["token"] not in (None, old["token"])
    assert new["webhook_url"].endswith(new["token"])
    assert new["previous_until"] == "2026-03-02T09:05:00.000Z"
    assert front.by_token(old["token"]) is not None
    front.now_ms += 300_000
    assert front.by_token(old["token"]) is None
    assert front.by_token(new["token"]) is not None
    assert front.ask("POST", path).status_code == 200  # no body: an hour
    problem = front.refused(422, "POST", path, {"overlap_minutes": -1})
    assert problem["errors"][0]["path"] == "overlap_minutes"


def test_a_test_of_an_integration_is_an_event_of_its_own_kind(front: Front) -> None:
    made = front.post("/api/integrations", SENTRY)
    answer = front.ask("POST", f"/api/integrations/{made['id']}/test")
    assert answer.status_code == 202
    event_id = ids.parse(answer.json()["event_id"])
    row = front.look(lambda reader: reader.one("select kind, source, group_id from event where id = ?", (event_id,)))
    assert row == ("test", "sentry", None)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"kind": "sentry"}, "name"),
        ({"name": "x"}, "kind"),
        ({"name": "x", "kind": "sentri"}, "kind"),
        ({"name": 5, "kind": "sentry"}, "name"),
        ({"name": "x", "kind": "sentry", "config": []}, "config"),
        ({"name": "x", "kind": "sentry", "config": {"secret": 5}}, "config.secret"),
        ({"name": "x", "kind": "sentry", "secret_file": "/etc/shadow"}, "secret_file"),
        ({"name": "x", "kind": "sentry", "token": "a/b"}, "token"),
    ],
)
def test_what_no_integration_can_be(front: Front, body: Any, path: str) -> None:
    problem = front.refused(422, "POST", "/api/integrations", body)
    assert path in [error["path"] for error in problem["errors"]]
    assert front.get("/api/integrations")["items"] == []


# -- channels ---------------------------------------------------------------------------------------------------------


def test_a_channel_is_made_shown_changed_and_deleted(front: Front) -> None:
    answer = front.ask("POST", "/api/channels", {"name": "#oncall", "kind": "slack", "config": SLACK})
    assert answer.status_code == 201
    assert "xoxb-1" not in answer.text
    made = answer.json()
    path = f"/api/channels/{made['id']}"
    shown = front.get(path)
    assert (shown["state"], shown["config"], shown["secrets"]) == ("ok", {"channel": "C0ONCALL"}, ["bot_token"])
    assert front.get("/api/channels") == {"items": [shown], "next": None}
    assert front.patch(path, {"config": {"channel": "C0OTHER"}})["config"] == {"channel": "C0OTHER"}
    assert front.put(path, {**shown, "enabled": False})["enabled"] is False
    assert front.snapshot.channels[ids.parse(made["id"])].config.bot_token == SLACK["bot_token"]
    front.patch(path, {"enabled": True})
    tested = front.ask("POST", f"{path}/test")
    assert tested.status_code == 202
    delivery_id = ids.parse(tested.json()["delivery_id"])
    owed = front.look(lambda reader: reader.one("select kind, state from delivery where id = ?", (delivery_id,)))
    assert owed == ("test", "owed")
    assert front.ask("DELETE", path).status_code == 204
    assert front.get("/api/channels")["items"] == []


def test_a_channel_in_use_is_a_conflict(front: Front) -> None:
    made = front.post("/api/channels", {"name": "oncall", "kind": "slack", **SLACK})
    front.post("/api/routing-rules", {"name": "the loud rule", "channels": ["oncall"]})
    problem = front.refused(409, "DELETE", f"/api/channels/{made['id']}")
    assert "the loud rule" in problem["detail"]


def test_a_webhook_channel_signs_with_both_secrets_while_it_is_rotated(front: Front) -> None:
    made = front.post("/api/channels", {"name": "hook", "kind": "webhook", "url": "https://example.com/"})
    assert made["secret"].startswith("whsec_")
    rotated = front.post(f"/api/channels/{made['id']}/rotate", {"overlap_minutes": 5})
    held = front.snapshot.channels[ids.parse(made["id"])].config.secret
    assert held == f"{rotated['secret']} {made['secret']}"
    slack = front.post("/api/channels", {"name": "oncall", "kind": "slack", **SLACK})
    assert front.refused(409, "POST", f"/api/channels/{slack['id']}/rotate", {})["code"] == "conflict"


def test_a_faulty_channel_is_refused_with_every_place(front: Front) -> None:
    body = {"name": "mail", "kind": "email", "config": {"host": "a b", "sender": "nobody", "recipients": []}}
    problem = front.refused(422, "POST", "/api/channels", body)
    assert [error["path"] for error in problem["errors"]] == ["config.host", "config.sender", "config.recipients"]
    problem = front.refused(422, "POST", "/api/channels", {"name": "x", "kind": "slack", "token": "xoxb-1", **SLACK})
    assert [error["path"] for error in problem["errors"]] == ["token"]


# -- workspace and kinds ----------------------------------------------------------------------------------------------


def test_the_workspace_has_its_channels(front: Front) -> None:
    front.channel()
    assert front.get("/api/workspace") == {
        "id": ids.show(1),
        "name": "default",
        "default_channels": ["oncall"],  # the oldest channel, until somebody chooses
        "fallback_channel": None,
    }
    changed = front.patch("/api/workspace", {"default_channels": ["oncall"], "fallback_channel": "oncall"})
    assert (changed["default_channels"], changed["fallback_channel"]) == (["oncall"], "oncall")
    assert front.patch("/api/workspace", {"fallback_channel": None})["fallback_channel"] is None
    assert front.get("/api/workspace")["default_channels"] == ["oncall"]
    problem = front.refused(422, "PATCH", "/api/workspace", {"default_channels": ["oncall", "nope"]})
    assert problem["errors"][0]["path"] == "default_channels[1]"
    assert front.refused(422, "PATCH", "/api/workspace", {"name": "x"})["errors"][0]["path"] == "name"


def test_each_kind_says_what_it_needs(front: Front) -> None:
    said = front.get("/api/kinds")
    assert {"sentry", "generic"} <= {kind["kind"] for kind in said["integrations"]}
    slack = next(kind for kind in said["channels"] if kind["kind"] == "slack")["config_schema"]
    assert slack["properties"]["bot_token"]["writeOnly"] is True
    assert "api_url" not in slack["properties"]
    assert set(slack["required"]) == {"bot_token", "channel"}
    assert "users_affected" in said["conditions"]["fields"]
    assert "regex" in said["conditions"]["operators"]


# -- the file ---------------------------------------------------------------------------------------------------------

FILE = f"""
[[integrations]]
name = "sentry-prod"
kind = "sentry"
secret = "canary-client-secret"

[[channels]]
name = "hook"
kind = "webhook"
url = "https://example.com/"
secret = "whsec_{base64.b64encode(b"x" * 32).decode()}"

[[rules]]
name = "all"
channels = ["hook"]
"""


def test_a_file_is_planned_applied_and_exported(front: Front) -> None:
    plan = front.post("/api/config/apply", {"toml": FILE, "dry_run": True})
    assert (plan["applied"], plan["made"]) == (False, [])
    assert [step["action"] for step in plan["steps"]] == ["create"] * 3
    assert front.get("/api/integrations")["items"] == []
    done = front.post("/api/config/apply", {"toml": FILE})
    assert done["applied"] is True
    assert done["steps"] == plan["steps"]
    assert front.by_token(done["made"][0]["token"]) is not None
    text = front.get("/api/config/export")["toml"]
    assert "canary" not in text
    again = front.post("/api/config/apply", {"toml": text, "prune": True})
    assert {step["action"] for step in again["steps"]} == {"keep"}


def test_a_file_may_be_sent_as_an_object(front: Front) -> None:
    wanted = {"integrations": [{"name": "a", "kind": "generic", "token": "the-token-given"}]}
    done = front.post("/api/config/apply", {"configuration": wanted})
    assert done["steps"] == [{"action": "create", "what": "integration", "name": "a", "changes": []}]
    gone = front.post("/api/config/apply", {"configuration": {}, "prune": True})
    assert [step["action"] for step in gone["steps"]] == ["delete"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "toml"),
        ({"toml": "", "configuration": {}}, "toml"),
        ({"toml": "= 5"}, "toml"),
        ({"toml": "[[rules]]\nname = 'x'"}, "rules[0].channels"),
        ({"configuration": {"rules": [{"name": "x", "channels": ["nope"]}]}}, "rules[0].channels[0]"),
        ({"configuration": {"rools": []}}, "rools"),
        ({"configuration": [], "dry_run": 5}, "configuration"),
    ],
)
def test_a_faulty_file_is_refused_with_its_place(front: Front, body: Any, path: str) -> None:
    assert front.refused(422, "POST", "/api/config/apply", body)["errors"][0]["path"] == path


def test_only_keys_with_the_scope_may(front: Front) -> None:
    for path in ("/api/integrations", "/api/channels", "/api/workspace", "/api/kinds", "/api/config/export"):
        assert front.ask("GET", path, key="").status_code == 401
        assert front.ask("GET", path, scope="alerts:write").status_code == 403
    for method, path, body in (
        ("POST", "/api/integrations", SENTRY),
        ("POST", "/api/channels", {"name": "x", "kind": "slack", **SLACK}),
        ("PATCH", "/api/workspace", {}),
        ("POST", "/api/config/apply", {"toml": FILE}),
    ):
        assert front.ask(method, path, body, scope="config:read").status_code == 403
    assert front.get("/api/integrations")["items"] == []
