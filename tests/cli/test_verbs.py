"""Every verb beside a running `serve` and without one: the same words, the same effect, there for the next request."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import httpx
import pytest

from signalcraft.demo.week import sign
from tests import bodies
from tests.cli.conftest import Box

FILE = """
[[integrations]]
name = "sentry-prod"
kind = "sentry"
token = "a-token-that-we-chose-ourselves"
secret_env = "SENTRY_SECRET"

[[channels]]
name = "oncall"
kind = "slack"
bot_token_file = "bot-token"
channel = "C0ONCALL"

[[rules]]
name = "production and serious"
priority = 10
when = { all = [ { field = "environment", operator = "in", value = ["prod", "production"] },
                 { field = "severity", operator = "gte", value = "high" } ] }
channels = ["oncall"]
escalate_after_minutes = 15
escalate_to = ["oncall"]
"""
SECRET = "the client secret of these tests"


def api(box: Box, key: str, path: str) -> httpx.Response:
    if not box.url:
        box.serving()
    return httpx.get(box.url + path, headers={"Authorization": f"Bearer {key}"}, trust_env=False)


def key(box: Box, *scopes: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(
        box.run("apikey", "create", "--name", "tests", "--scopes", ",".join(scopes or ("admin",)), "--json").stdout
    )
    return made


def applied(box: Box, *options: str, text: str = FILE) -> dict[str, Any]:
    (box.root / "alerts.toml").write_text(text)
    (box.root / "bot-token").write_text("xoxb-of-these-tests\n")
    env = {"SENTRY_SECRET": SECRET}
    done: dict[str, Any] = json.loads(box.run("apply", "alerts.toml", "--json", *options, env=env).stdout)
    return done


def test_an_api_key_works_from_the_next_request_on_until_it_is_revoked(either: Box) -> None:
    made = key(either, "alerts:read")
    assert set(made) == {"id", "name", "prefix", "key", "scopes", "expires_at"}
    assert made["key"].startswith(made["prefix"])
    assert api(either, made["key"], "/api/alert-groups").status_code == 200
    assert api(either, made["key"], "/api/routing-rules").status_code == 403
    listed = json.loads(either.run("apikey", "list", "--json").stdout)["items"]
    assert [(k["id"], k["name"], k["scopes"]) for k in listed] == [(made["id"], "tests", ["alerts:read"])]
    assert made["key"] not in str(listed)
    assert made["id"] in either.run("apikey", "list").stdout
    either.run("apikey", "revoke", made["id"])
    assert api(either, made["key"], "/api/alert-groups").status_code == 401
    assert "revoked" in either.run("apikey", "list").stdout


def test_a_key_alone_is_what_apikey_create_prints(either: Box) -> None:
    done = either.run("apikey", "create", "--name", "me", "--scopes", "admin", "--expires-days", "2")
    assert len(done.stdout.split()) == 1
    assert "not shown again" in done.stderr
    assert api(either, done.stdout.strip(), "/api/api-keys").json()["items"][0]["expires_at"]


@pytest.mark.whole
def test_what_apikey_refuses(either: Box) -> None:
    assert "scopes[0]" in either.refused("apikey", "create", "--name", "x", "--scopes", "alerts:reed")
    assert "no such" in either.refused("apikey", "revoke", "0000000000000", code=1)
    assert "workspace" in either.refused("apikey", "list", "--workspace", "nowhere", code=1)
    assert "'--scopes'" in either.refused("apikey", "create", "--name", "x")


def test_apply_makes_it_so_and_export_says_it_again(either: Box) -> None:
    plan = applied(either, "--dry-run")
    assert sorted((s["action"], s["what"]) for s in plan["steps"]) == [
        ("create", "channel"), ("create", "integration"), ("create", "rule"),
    ]  # fmt: skip
    assert (
        json.loads(either.run("apply", "alerts.toml", "--json", "--dry-run", env={"SENTRY_SECRET": SECRET}).stdout)[
            "steps"
        ]
        == plan["steps"]
    )
    applied(either)
    again = applied(either)
    assert {s["action"] for s in again["steps"]} == {"keep"}
    exported = either.run("export").stdout
    doc = tomllib.loads(exported)
    assert [(i["name"], i["kind"]) for i in doc["integrations"]] == [("sentry-prod", "sentry")]
    assert doc["rules"][0]["channels"] == ["oncall"]
    assert SECRET not in exported
    assert "xoxb-of-these-tests" not in exported
    (either.root / "exported.toml").write_text(exported)
    assert either.run("apply", "exported.toml").stdout == "Nothing to change.\n"
    either.run("export", "--output", "too.toml")
    assert (either.root / "too.toml").read_text().strip() == exported.strip()


@pytest.mark.whole
def test_what_was_applied_is_there_for_the_next_request(either: Box) -> None:
    applied(either)
    full = key(either)["key"]
    assert [r["name"] for r in api(either, full, "/api/routing-rules").json()["items"]] == ["production and serious"]
    body = bodies.body("event_alert")
    url = f"{either.url}/webhooks/sentry/a-token-that-we-chose-ourselves"
    answer = httpx.post(url, content=body, headers=sign(SECRET, body, "event_alert", 0), trust_env=False)
    assert answer.status_code == 202, answer.text


def test_apply_says_what_it_does_and_prunes_only_when_asked(either: Box) -> None:
    (either.root / "new.toml").write_text('[[integrations]]\nname = "made"\nkind = "sentry"\nsecret = "0123456789ab"\n')
    said = either.run("apply", "new.toml").stdout
    assert "+ integration made" in said
    assert "/webhooks/sentry/" in said
    assert said.endswith("1 changed, 0 as they were.\n")
    (either.root / "none.toml").write_text("")
    assert either.run("apply", "none.toml").stdout == "Nothing to change.\n"
    assert "- integration made" in either.run("apply", "-", "--prune", stdin="").stdout
    assert "made" not in either.run("export").stdout


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[integrations]\n", "this is not TOML"),
        ('[[chanels]]\nname = "x"\n', "chanels"),
        ("[[rules]]\npriority = 1\n", "rules[0].name: every entry has a name"),
        ('[[channels]]\nname = "x"\nkind = "pigeon"\n', "channels[0].kind"),
        ('[[integrations]]\nname = "x"\nkind = "sentry"\nsecret_file = "not-there"\n', "not-there cannot be read"),
        ('[[integrations]]\nname = "x"\nkind = "sentry"\nsecret_env = "NOT_SET"\n', "NOT_SET is not set"),
        ('[[rules]]\nname = "x"\nchannels = ["nowhere"]\n', "rules[0].channels"),
    ],
)
def test_a_file_that_is_wrong_is_one_line_and_changes_nothing(box: Box, text: str, line: str) -> None:
    (box.root / "wrong.toml").write_text('[[integrations]]\nname = "good"\nkind = "generic"\n' + text)
    assert line.replace("[0]", "[0]") in box.refused("apply", "wrong.toml")
    assert "good" not in box.run("export").stdout


def test_a_file_that_is_not_there_is_one_line(box: Box) -> None:
    assert "nowhere.toml cannot be read" in box.refused("apply", "nowhere.toml")


def test_send_reaches_an_integration_by_name_signed(either: Box) -> None:
    applied(either)
    first = json.loads(
        either.run("send", "sentry", "--integration", "sentry-prod", "--level", "fatal", "--json").stdout
    )
    (event,) = first["events"]
    assert first["status"] == "accepted"
    said = either.run("send", "sentry", "--integration", "sentry-prod").stdout
    assert f"group {event['group_id']}" in said
    either.run("send", "sentry", "--integration", "sentry-prod", "--resource", "issue", "--action", "resolved")
    group = api(either, key(either)["key"], f"/api/alert-groups/{event['group_id']}").json()
    assert (group["count"], group["status"], group["severity"]) == (2, "resolved", "critical")
    assert (group["environment"], group["project"]) == ("prod", "test")


@pytest.mark.whole
def test_send_posts_to_any_address(box: Box) -> None:
    applied(box)
    box.serving()
    url = f"{box.url}/webhooks/sentry/a-token-that-we-chose-ourselves"
    (box.root / "secret").write_text(SECRET + "\n")
    said = box.run("send", "sentry", "--url", url, "--secret-file", "secret", "--tag", "region=eu").stdout
    assert said.startswith("202 accepted: event ")
    wrong = box.refused("send", "sentry", "--url", url, "--secret", "not it", code=1)
    assert "signature" in wrong.lower()
    assert "a-token-that-we-chose-ourselves" not in wrong
    assert "did not answer" in box.refused("send", "sentry", "--url", "http://127.0.0.1:9/x", code=1)


@pytest.mark.whole
def test_what_send_refuses(either: Box) -> None:
    assert "none yet" in either.refused("send", "sentry", "--integration", "nobody", code=1)
    applied(either)
    assert "there are sentry-prod" in either.refused("send", "sentry", "--integration", "nobody", code=1)
    assert "either --integration or --url" in either.refused("send", "sentry")
    assert "no action explode" in either.refused("send", "sentry", "--url", "http://x", "--action", "explode")
    assert "http://" in either.refused("send", "sentry", "--url", "ftp://x")
    assert "KEY=VALUE" in either.refused("send", "sentry", "--url", "http://x", "--tag", "alone")


def test_status_says_whether_it_runs_and_how_it_is(box: Box) -> None:
    assert "not running" in box.run("status", code=1).stdout
    assert json.loads(box.run("status", "--json", code=1).stdout)["running"] is False
    process = box.serving()
    said = json.loads(box.run("status", "--json").stdout)
    assert (said["running"], said["pid"], said["listen"]) == (True, process.pid, box.url.removeprefix("http://"))
    assert said["health"]["status"] == "ok"
    assert f"process {process.pid}" in box.run("status").stdout


def test_openapi_needs_nothing_and_describes_the_api(box: Box) -> None:
    document = json.loads(box.run("openapi").stdout)
    assert document["openapi"].startswith("3.")
    assert {"/api/alert-groups", "/api/routing-rules", "/api/api-keys"} <= document["paths"].keys()
    assert not [path for path in document["paths"] if path.startswith("/control")]
    assert not box.data.exists()
