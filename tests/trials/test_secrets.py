"""No secret is kept in the clear, written to a log, answered, counted or sent in a message: a scan of everything.

The same scan is shown, in the same run, to find planted texts in every sort of place it looks at; test_scan.py shows
that it finds what is packed or spelt otherwise.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import zstandard

from tests import bodies
from tests.trials.box import SERVE
from tests.trials.canaries import CHANNEL, EXPLODES, PLANTED, SECRETS, TITLE, VENDOR_KEY, Run
from tests.trials.canary_people import people
from tests.trials.scan import Permit, Scan

pytestmark = pytest.mark.whole

PERMITS = (
    Permit(
        "installation code",
        r"signalcraft\.db inbox\.body|file signalcraft\.db(-wal)?|answer GET /api/events/\{id\}/payload"
        r"|answer GET /api/integrations/\{id\}/payloads",
        "the raw body of a webhook is kept as it came; everything that is made of it leaves the code out",
    ),
    Permit("acknowledge link", "mail|webhook note|webhook note headers", "the link is for whoever reads the message"),
    Permit("API key", "an answer that quotes its question", "whoever asked for an event by that name hears the name"),
    Permit("setup code", "log", "it is printed for whoever started the box, and works once"),
    Permit("webhook authorization", "webhook note headers", "the header that the receiver asked for"),
)

BROWSERS = (
    "/api/live", "/answer/{token}", "/share/{token}", "/api/auth/oidc/start", "/api/auth/oidc/callback",
    "/api/drill/reports/{name}",
)  # fmt: skip
"""Not read in passing: a stream, what steps of their own ask, and a report that this box has not written yet."""
KEYED = {
    "/health", "/health/live", "/health/ready", "/health/startup", "/live", "/ready", "/metrics", "/metrics/prometheus",
    "/api/alert-groups", "/api/alert-groups/{id}", "/api/alert-groups/{id}/deliveries", "/api/alert-groups/{id}/events",
    "/api/alert-groups/{id}/timeline", "/api/alert-groups/{id}/why", "/api/api-keys", "/api/channels",
    "/api/channels/{id}", "/api/config/export", "/api/dashboard/overview", "/api/deliveries", "/api/deliveries/{id}",
    "/api/errors", "/api/events", "/api/events/{id}", "/api/events/{id}/payload", "/api/integrations",
    "/api/integrations/{id}", "/api/kinds", "/api/live", "/api/openapi.json", "/api/quarantine", "/api/quarantine/{id}",
    "/api/quarantine/{id}/payload", "/api/routing-rules", "/api/routing-rules/{id}", "/api/workspace", "/api/people",
    "/api/people/{id}", "/api/invitations", "/api/audit", "/api/audit/export", "/api/audit/verification",
    "/api/admin/security/audit", "/api/admin/errors", "/api/docs", "/api/docs/page.js",
}  # fmt: skip
"""What a key may read: none of these may be answered by a refusal here."""


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scan]:
    """One box is led through everything; then all of it is scanned."""
    folder = tmp_path_factory.mktemp("secrets")
    with Run(folder) as run:
        for step in (configure, tell, answer_links, people, provoke, break_channels, commands, read_everything):
            step(run)
        live = folder / "while it runs"
        shutil.copytree(run.data, live, ignore=lambda _, names: [n for n in names if n == "control.sock"])
        run.box.kill()
        killed = folder / "after a kill"
        shutil.copytree(run.data, killed, ignore=lambda _, names: [n for n in names if n == "control.sock"])
        run.box.start()
        assert run.box.stop() == 0
        scan = Scan({**run.secrets, **PLANTED}, PERMITS)
        for directory in (live, killed, run.data):
            scan.folder(directory)
        lines = scan.log(run.log)
        told = [line for line in lines if isinstance(line, str)]
        assert all("owner" in line for line in told), "only how to begin is said beside the log, which is JSON"
        assert {"debug", "info", "warning", "error"} <= {line["level"] for line in lines if isinstance(line, dict)}
        messages(run, scan)
        for place, what in run.said:
            scan.look(place, what)
        print(scan.summary())
        yield scan


def configure(run: Run) -> None:
    run.make(
        "integrations",
        {"name": "sentry", "kind": "sentry", "token": SECRETS["integration token"],
         "secret": SECRETS["sentry client secret"]},
    )  # fmt: skip
    run.make("integrations", {"name": "own", "kind": "generic", "config": {"require_signature": True}})
    run.make(
        "channels",
        {"name": CHANNEL, "kind": "slack", "bot_token": SECRETS["slack bot token"], "channel": "#oncall",
         "signing_secret": SECRETS["slack signing secret"], "app_token": SECRETS["slack app token"]},
    )  # fmt: skip
    run.make(
        "channels",
        {"name": "mail", "kind": "email", "host": "127.0.0.1", "port": run.smtp.port, "sender": "box@example.com",
         "recipients": ["kim@example.com"], "username": "postbox", "password": SECRETS["smtp password"]},
    )  # fmt: skip
    run.make(
        "channels",
        {"name": "hook", "kind": "webhook", "url": run.hook.url, "secret": SECRETS["webhook secret"],
         "authorization": SECRETS["webhook authorization"]},
    )  # fmt: skip
    run.make("channels", {"name": "made", "kind": "webhook", "url": run.hook.url})
    defaults = {"default_channels": [CHANNEL, "mail", "hook"], "fallback_channel": "hook"}
    run.ask("PATCH", "/api/workspace", 200, json=defaults)
    rule = {"name": "nothing", "when": {"all": [{"field": "title", "operator": "equals", "value": "x"}]}}
    run.ids["rule"] = run.ask("POST", "/api/routing-rules", 201, json={**rule, "channels": ["hook"]}).json()["id"]


def tell(run: Run) -> None:
    """One alert through Slack, mail and the webhook; an installation that brings its one-time code."""
    event = run.alert(title=TITLE).json()["events"][0]
    run.ids["group"], run.ids["event"] = event["group_id"], event["event_id"]
    run.until(lambda: run.slack.everything() and run.smtp.mails and run.hook.bodies, "the alert is told three times")
    body = json.dumps(
        {"action": "created", "actor": {"type": "user", "id": 7, "name": "Kim"}, "installation": {"uuid": "u-1"},
         "data": {"installation": {"uuid": "u-1", "status": "installed", "code": SECRETS["installation code"],
                                   "app": {"slug": "signalcraft", "uuid": "a-1"}, "organization": {"slug": "acme"}}}}
    ).encode()  # fmt: skip
    headers = bodies.signed(body, "installation", SECRETS["sentry client secret"])
    made = run.sends(run.address, body, headers, 202).json()["events"][0]
    run.ids["installation"] = made["event_id"]


def answer_links(run: Run) -> None:
    """A press in Slack through its socket and a forged one; the link of the mail opened, cut off, used."""
    said = run.smtp.mails[0].text()
    link = next(word for word in said.split() if "/answer/" in word)
    token = link.rsplit("/", 1)[1]
    run.secrets["acknowledge link"] = token
    run.ask("GET", f"/answer/{token}", 200, place="page of an answer link")
    run.ask("GET", f"/answer/{token[:-3]}", 404, place="page of a broken link")
    run.ask("GET", f"/answer/{token}/more", 404, place="page of a wrong link")
    run.ask("PUT", f"/answer/{token}", 405, place="page of a wrong method")
    run.until(lambda: run.slack.sockets == 1, "Socket Mode is connected")
    message = run.slack.everything()[0]
    slack = run._threads[0]
    slack.press(message.channel, message.ts, "ack", "Sam")  # type: ignore[attr-defined]
    forged = {"X-Slack-Request-Timestamp": "1", "X-Slack-Signature": "v0=" + "0" * 64}
    run.ask("POST", "/webhooks/slack/actions", 401, content=b"payload=%7B%7D", headers=forged)
    run.ask("POST", f"/answer/{token}", 200, place="page of an answer link")
    group = run.api.get("/api/alert-groups").json()["items"][0]["id"]
    shared = run.api.post(f"/api/alert-groups/{group}/share", json={"hours": 1}).json()
    run.ask("GET", "/share/" + shared["url"].rpartition("/")[2], 200, place="page of a shared group")
    assert run.api.post("/api/views", json={"name": "all of it", "search": "", "shared": True}).status_code == 201


def provoke(run: Run) -> None:
    """Everything that a sender or a client can do wrong, with real secrets in the wrong place."""
    body = bodies.body("event_alert")
    good = bodies.signed(body, "event_alert", SECRETS["sentry client secret"])
    run.sends(run.address, body, {**good, "Sentry-Hook-Signature": "0" * 64}, 401)
    run.sends(run.address.replace("/sentry/", "/generic/"), body, good, 404)
    run.sends(run.address + "x", body, good, 404)
    run.sends(run.address, b"x" * 100_001, good, 413)
    run.sends(run.address, body, {**good, "Content-Type": "image/png"}, 415)
    run.ask("GET", run.address, 405, place="webhook answer 405")
    unreadable = b'{"half": '
    asked = f"{run.address}?token={SECRETS[VENDOR_KEY]}&kind=x"
    run.sends(asked, unreadable, bodies.signed(unreadable, "event_alert", SECRETS["sentry client secret"]), 422)
    url = httpx.URL(run.box.url)
    with socket.create_connection((url.host, url.port or 80), 10) as slow:
        slow.sendall(f"POST {run.address} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nabc".encode())
        run.keep("webhook answer 408", slow.recv(4096))
    run.alert(422, title=f"{EXPLODES} reading", issue="66")
    run.alert(title=f"{EXPLODES} composing", issue="67")
    key = run.secrets["API key"]
    for wrong in (f"Bearer {key}x", f"Basic {key}", key, f"bearer  {key[:-1]}"):
        run.ask("GET", "/api/alert-groups", 401, headers={"Authorization": wrong})
    run.ask("GET", f"/api/alert-groups?cursor={key}", 422)
    run.ask("GET", f"/api/alert-groups?status={key}", 422, place="an answer that quotes its question")
    run.ask("GET", f"/api/events/{key}", 404, place="an answer that quotes its question")
    refused = {"bot_token": SECRETS["refused bot token"], "channel": "#oncall"}
    for config in ({**refused, "bogus": 1}, {**refused, "channel": 3}, {**refused, "signing_secret": "xoxb-x" * 3}):
        run.ask("POST", "/api/channels", 422, json={"name": "x", "kind": "slack", "config": config})
    mail = {"host": "mail.example.com", "sender": "a@example.com", "recipients": ["b@example.com"], "username": "u"}
    for more in ({"security": "none"}, {"port": "587"}, {"password": [SECRETS["refused password"]]}):
        config = {**mail, "password": SECRETS["refused password"], **more}
        run.ask("POST", "/api/channels", 422, json={"name": "x", "kind": "email", "config": config})
    bad_secret = {"url": run.hook.url, "secret": SECRETS["refused password"]}
    run.ask("POST", "/api/channels", 422, json={"name": "x", "kind": "webhook", "config": bad_secret})
    run.ask("POST", "/api/channels", 400, content=b'{"bot_token": "' + SECRETS["refused bot token"].encode())
    taken = {"name": "again", "kind": "sentry", "token": SECRETS["integration token"]}
    run.ask("POST", "/api/integrations", 409, json=taken)


def break_channels(run: Run) -> None:
    """A wrong SMTP password, which the server quotes, a revoked token, a receiver that fails; then all is mended."""
    mail, slack, hook = (f"/api/channels/{run.ids[name]}" for name in ("mail", CHANNEL, "hook"))
    wrong = SECRETS["smtp password, wrong"]
    coded = base64.b64encode(f"\0postbox\0{wrong}".encode()).decode()
    run.smtp.answer(f"535 5.7.8 no such user with {wrong} or {coded}", at="auth", times=1)
    run.ask("PATCH", mail, 200, json={"config": {"password": wrong}})
    run.slack.revoke(SECRETS["slack bot token"])
    run.hook.fail(500, times=1)
    run.alert(title="told while things break", issue="68")
    run.until(lambda: broken(run) == {"mail", CHANNEL}, "mail and Slack are found broken")
    for page in ("/health", "/api/channels", "/api/deliveries?limit=100"):
        run.ask("GET", page, 200)
    run.ask("PATCH", slack, 200, json={"config": {"bot_token": SECRETS["slack bot token, new"]}})
    run.ask("PATCH", mail, 200, json={"config": {"password": SECRETS["smtp password"]}})
    run.ask("POST", hook + "/test", 202)
    run.until(lambda: broken(run) == set(), "everything is mended")
    made = run.rotate(f"/api/integrations/{run.ids['own']}/rotate", "/api/integrations/{id}/rotate")
    assert made["previous_until"] is not None
    run.rotate(f"/api/channels/{run.ids['made']}/rotate", "/api/channels/{id}/rotate")
    fresh = run.api.post("/api/api-keys", json={"name": "second", "scopes": ["alerts:read"]}).json()
    run.secrets["API key, second"] = fresh.pop("key")
    run.keep("answer POST /api/api-keys", fresh)
    run.ask("DELETE", f"/api/api-keys/{fresh['id']}", 204)
    run.ask("GET", "/api/alert-groups", 401, headers={"Authorization": f"Bearer {run.secrets['API key, second']}"})


def broken(run: Run) -> set[str]:
    return {c["name"] for c in run.api.get("/api/channels").json()["items"] if c["state"] == "broken"}


def commands(run: Run) -> None:
    """What the commands print beside the running box."""
    exported = run.command("export")
    file = run.folder / "apply.toml"
    file.write_text(exported.replace('bot_token = "kept"', f'bot_token = "{SECRETS["slack bot token"]}"'))
    run.command("apply", str(file), "--dry-run")
    run.command("status", "--json", code=1)
    run.command("apikey", "list", "--json")
    run.command("check-config", "--all", "--json")
    run.command("send", "sentry", "--integration", "sentry", "--title", "a test")
    # The file itself lies in the data directory, which is scanned: all that can be read of it is its header.
    made = run.command("backup", "--json")
    assert Path(json.loads(made)["path"]).is_relative_to(run.data)
    for verb in (("list", "--json"), ("verify", "--json"), ("sheet",), ("prune", "--dry-run")):
        run.command("backup", *verb)
    for page in ("/api/config/export", "/api/workspace", "/api/kinds"):
        run.ask("GET", page, 200)


def read_everything(run: Run) -> None:
    """Every GET of the OpenAPI document: none is left out, and each is answered."""
    document = run.ask("GET", "/api/openapi.json", 200).json()
    for path, verbs in document["paths"].items():
        if "get" not in verbs or path in BROWSERS:
            continue
        path = path.replace("{name}", "page.js")
        collection, _, rest = path.partition("/{id}")
        numbers = [""]
        if rest or path != collection:
            items = run.api.get(collection, params={"limit": 100}).json()["items"]
            assert items, f"{collection} holds nothing: make something there, so that this scan can read {path}"
            numbers = [item.get("id") or item["event_id"] for item in items]
        query = "?limit=100" if any(p["name"] == "limit" for p in verbs["get"].get("parameters", ())) else ""
        for number in numbers:
            address = path.replace("{id}", number) + query
            assert "{" not in address, f"what is to stand in {path}?"
            answer = run.api.get(address)
            # What is for people who signed in refuses even an admin's key: that answer is looked at, too.
            assert answer.status_code in (200, 401, 403), f"{address}: {answer.status_code} {answer.text}"
            run.keep(f"answer GET {path}" + ("" if answer.status_code == 200 else " refused"), answer)
    headers = {"Last-Event-ID": "0" * 13}
    with run.api.stream("GET", "/api/live", headers=headers) as stream:
        assert stream.status_code == 200
        read = b""
        for piece in stream.iter_raw():
            read += piece
            if b"event: health" in read:
                break
    run.keep("answer GET /api/live", read)


def messages(run: Run, scan: Scan) -> None:
    """What people and receivers were sent, every edit of it."""
    for message in run.slack.everything():
        for version in message.history:
            scan.look("slack message", [version.text, version.blocks, version.attachments, message.metadata])
    for mail in run.smtp.mails:
        scan.look("mail", mail.raw)
        scan.look("mail", mail.text() + mail.text("html"))
    for request in run.hook.requests:
        scan.look("webhook note headers", request.headers)
        scan.look("webhook note", request.body)


def test_the_scan_saw_the_planted_texts_in_every_place(scanned: Scan) -> None:
    """Otherwise "nothing found" would mean nothing."""
    expected = {
        "signalcraft.db event.title", "signalcraft.db alert_group.title", "signalcraft.db inbox.body",
        "file signalcraft.db", "file signalcraft.db-wal", "slack message", "mail", "webhook note",
        "answer GET /api/alert-groups", "answer GET /api/alert-groups/{id}", "answer GET /api/events",
        "answer GET /api/events/{id}", "answer GET /api/events/{id}/payload", "answer GET /api/live",
    }  # fmt: skip
    assert expected - scanned.places("planted title") == set()
    assert {"log", "webhook answer 202 headers"} - scanned.places("planted request id") == set()
    said = {
        "signalcraft.db channel.name", "signalcraft.db journal.data", "answer GET /api/channels",
        "answer GET /health 200", "answer GET /api/deliveries", "answer GET /api/config/export",
        "command export", "log",
    }  # fmt: skip
    assert said - scanned.places("planted channel") == set()


def test_every_sort_of_place_was_looked_at(scanned: Scan) -> None:
    looked = set(scanned.looked)
    tables = {
        "workspace", "integration", "channel", "rule", "api_key", "inbox", "delivered_statement", "event",
        "alert_group", "group_minute", "minute_count", "conversation", "delivery", "escalation", "journal", "gap",
        "fact", "vault_key", "person", "session", "invitation", "membership", "recovery_code",
    }  # fmt: skip
    assert {f"signalcraft.db {table}" for table in tables} - looked == set()
    assert any(where.startswith("huey.db ") for where in looked)
    assert {"file signalcraft.db", "file signalcraft.db-wal", "file huey.db", "file huey.db-wal"} - looked == set()
    answered = {where.removeprefix("answer GET ") for where in looked if where.startswith("answer GET ")}
    assert KEYED - answered == set()
    assert {"log", "mail", "slack message", "webhook note", "command export"} - looked == set()


def test_no_secret_is_found_anywhere(scanned: Scan) -> None:
    leaks = [leak for leak in scanned.leaks if leak.secret not in PLANTED]
    assert leaks == [], "\n" + "\n".join(" | ".join(leak) for leak in leaks)


def test_every_sort_of_secret_was_there_and_would_be_found(scanned: Scan) -> None:
    """In the clear, within JSON within zstd, in base64, and half of it: what the box itself made, too."""
    sorts = (
        "setup code", "owner's password", "session", "CSRF token", "url of POST /api/invitations", "reset-link",
        "secret of POST /api/auth/totp/enrol", "recovery_codes", "key of POST /api/api-keys", "OIDC client secret",
        "master key", "slack bot token", "webhook secret", "acknowledge link", "integration token",
    )  # fmt: skip
    names = {
        "session" if name.endswith(tuple("0123456789")) and ": signalcraft " in name else name
        for name in scanned.secrets
    }
    for sort in sorts:
        assert any(sort in name for name in names), f"no {sort} was used"
    for name, text in scanned.secrets.items():
        packed = zstandard.ZstdCompressor().compress(json.dumps({"a": [f"x{text}y"]}).encode())
        for what in (
            f"at {text}!",
            packed,
            base64.b64encode(f"..{text}..".encode()),
            text if len(text) < 24 else text[:20],
        ):
            scan = Scan({name: text})
            scan.look("planted", what)
            assert [leak.secret for leak in scan.leaks] == [name]


def test_every_permit_was_needed(scanned: Scan) -> None:
    """The secret was really there: the box was given it, and it went where it may."""
    assert scanned.unused == []


def test_a_wrong_master_key_is_not_quoted(tmp_path: Path) -> None:
    """One that is none stops the start in one line, without it."""
    wrong = "canary-of-a-wrong-master-key-0123456789"
    env = {**os.environ, "SIGNALCRAFT_DATA__DIR": str(tmp_path / "data"), "SIGNALCRAFT_SECURITY__MASTER_KEY": wrong}
    done = subprocess.run([*SERVE], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "master_key" in done.stderr
    scan = Scan({"wrong key": wrong})
    scan.look("standard error", done.stderr)
    assert scan.leaks == []
