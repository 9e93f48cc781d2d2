"""A box that holds one secret of every sort and uses each: told through Slack, mail and a webhook, refused, revoked,
rotated, tripped over. What it answered, printed and sent is collected for the scan.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from signalcraft.demo.slack import SlackStandIn, StandInThread
from signalcraft.main import system_now
from tests import bodies
from tests.standins import LOCALHOST_PEM, LoopThread, Receiver, SmtpStandIn
from tests.trials.box import Box


def _hex(name: str, length: int = 64) -> str:
    return hashlib.sha256(f"canary {name}".encode()).hexdigest()[:length]


def _b64(name: str) -> str:
    return base64.b64encode(hashlib.sha256(f"canary {name}".encode()).digest()).decode()


VENDOR_KEY = "sender's key"
SECRETS = {
    "master key": _b64("master"),
    "sentry client secret": _hex("sentry"),
    "integration token": "canary-" + _hex("token", 32),
    "slack bot token": "xoxb-77-" + _hex("bot", 24),
    "slack bot token, new": "xoxb-78-" + _hex("bot 2", 24),
    "slack signing secret": _hex("signing", 32),
    "slack app token": "xapp-1-" + _hex("app", 24),
    "smtp password": 'c4n"ary\\p&ss <w/rd>+=%41 ' + _hex("smtp", 8),
    "smtp password, wrong": "wr0ng'" + _hex("smtp wrong", 16),
    "webhook secret": "whsec_" + _b64("webhook"),
    "webhook authorization": "Canary " + _hex("authorization", 40),
    "sender's authorization": "Bearer " + _hex("sender", 40),
    "sender's cookie": "session=" + _hex("cookie", 40),
    VENDOR_KEY: _hex("vendor key", 40),
    "installation code": _hex("code", 32),
    "refused bot token": "xoxb-79-" + _hex("refused", 24),
    "refused password": "never-" + _hex("refused password", 24),
    "OIDC client secret": "canary-" + _hex("oidc", 40),
}
"""What the box is given. What it makes itself (keys, tokens, links) joins these while it runs."""

TITLE = "planted-title-" + _hex("title", 20)
CHANNEL = "planted-channel-" + _hex("channel", 20)
REQUEST = "planted-request-" + _hex("request", 20)
PLANTED = {"planted title": TITLE, "planted channel": CHANNEL, "planted request id": REQUEST}
"""No secrets, but texts that must turn up wherever the box keeps or says such things: so the scan is seen to look."""

EXPLODES = "explodes"
# A fault of ours in the middle of the work, whose text quotes what it worked on: as bad as a traceback can be.
_FAULTY = f"""
from signalcraft.channels import email
from signalcraft.sources import sentry

_read, _compose = sentry.read, email.compose

def read(config, inbound, now_ms):
    if b"{EXPLODES} reading" in inbound.body:
        raise RuntimeError(f"cannot read {{config!r}} {{inbound!r}}")
    return _read(config, inbound, now_ms)

def compose(config, note, receipt):
    if "{EXPLODES} composing" in note.group.title:
        raise RuntimeError(f"cannot compose {{config!r}} {{note!r}}")
    return _compose(config, note, receipt)

sentry.read, email.compose = read, compose
"""


class Run:
    """The box and the stand-ins. `said` holds (place, what) of all that left it; `secrets` grows as it makes some."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "serve.log"
        self.secrets = dict(SECRETS)
        self.said: list[tuple[str, Any]] = []
        self.slack = SlackStandIn(
            system_now,
            signing_secret=SECRETS["slack signing secret"],
            tokens=[SECRETS["slack bot token"], SECRETS["slack bot token, new"], SECRETS["slack app token"]],
            channels=["oncall"],
            burst=0,
        )
        self.smtp = SmtpStandIn(security="starttls", users={"postbox": SECRETS["smtp password"]})
        self.hook = Receiver(SECRETS["webhook secret"])
        self._threads = [StandInThread(self.slack), LoopThread(self.smtp), LoopThread(self.hook)]
        self.box: Box
        self.api: httpx.Client
        self.ids: dict[str, str] = {}

    def __enter__(self) -> Run:
        for thread in self._threads:
            thread.start()
        faulty = self.folder / "faulty"
        faulty.mkdir()
        (faulty / "sitecustomize.py").write_text(_FAULTY)
        self.box = Box(
            self.data, self.slack.base_url, self.log,
            LOG__LEVEL="debug", LOG__FORMAT="json", OUTBOUND__ALLOW="127.0.0.0/8",
            OUTBOUND__CA_FILE=str(LOCALHOST_PEM), SECURITY__MASTER_KEY=SECRETS["master key"],
            DELIVERY__EDIT_DELAY_SECONDS="0.2", HTTP__BODY_BYTES_MAX="100000", HTTP__REQUEST_SECONDS="0.5",
            OIDC__ISSUER="https://127.0.0.1:9", OIDC__CLIENT_ID="signalcraft",
            OIDC__CLIENT_SECRET=SECRETS["OIDC client secret"], LIMITS__SIGN_IN_PER_MINUTE="0",
            LIMITS__SIGN_IN_FAILURES_PER_15_MINUTES="0", LIMITS__SEARCH_PER_MINUTE="0", LIMITS__UPLOAD_PER_MINUTE="0",
        )  # fmt: skip
        self.box.env["PYTHONPATH"] = os.pathsep.join([str(faulty), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.box.start()
        key = json.loads(self.box.run("apikey", "create", "--name", "scan", "--scopes", "admin", "--json"))["key"]
        self.secrets["API key"] = key
        self.api = httpx.Client(
            base_url=self.box.url, headers={"Authorization": f"Bearer {key}"}, timeout=20, trust_env=False
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()
        if self.box.process is not None and self.box.process.poll() is None:
            self.box.kill()
        for thread in self._threads:
            thread.stop()

    # -- words --------------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, status: int, *, place: str = "", **more: Any) -> httpx.Response:
        """One request with the admin key; its answer, headers too, is kept for the scan."""
        answer = self.api.request(method, path, **more)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        self.keep(place or f"answer {method} {re.sub('[0-9a-z]{13}', '{id}', path.split('?')[0])} {status}", answer)
        return answer

    def keep(self, place: str, what: Any) -> None:
        """For the scan: an answer, a text, bytes."""
        if isinstance(what, httpx.Response):
            self.said.append((f"{place} headers", dict(what.headers)))
            what = what.content
        self.said.append((place, what))

    def make(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Creates something. What was made here and is told this once joins the secrets; the rest is kept."""
        made: dict[str, Any] = self.ask("POST", f"/api/{kind}", 201, json=body, place="not kept").json()
        self.said = [(place, what) for place, what in self.said if not place.startswith("not kept")]
        self.ids[body["name"]] = made["id"]
        self._once(f"{body['name']}, made", f"answer POST /api/{kind}", made, given=str(body))
        return made

    def rotate(self, path: str, name: str) -> dict[str, Any]:
        """Rotates something; the new secret joins the others."""
        answer = self.api.post(path, json={"overlap_minutes": 60})
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        self._once(name, f"answer POST {name}", made, given="")
        return made

    def _once(self, name: str, place: str, made: dict[str, Any], given: str) -> None:
        once = {k: made.pop(k, None) for k in ("token", "webhook_url", "secret")}
        for field in ("token", "secret"):
            value = once[field]
            if value and value not in given:
                self.secrets[f"{name}: {field}"] = value
        if once["secret"]:
            assert once["secret"] not in given, "a secret that was given is not told back"
        # The steps of setting it up say the same once more, and nothing else that is secret.
        steps = json.dumps(made.pop("setup", None))
        for value in filter(None, once.values()):
            steps = steps.replace(value, "…").replace(json.dumps(value)[1:-1], "…")
        self.said.append((place, {**made, "setup": steps}))

    def sends(self, path: str, body: bytes, headers: dict[str, str], status: int) -> httpx.Response:
        """A sender posts, with credentials of its own in its headers; the answer is kept."""
        credentials = {
            "Authorization": SECRETS["sender's authorization"],
            "Cookie": SECRETS["sender's cookie"],
            "DD-API-KEY": SECRETS[VENDOR_KEY],
            "X-Gitlab-Token": SECRETS[VENDOR_KEY],
        }
        answer = httpx.post(self.box.url + path, content=body, headers={**credentials, **headers}, trust_env=False)
        assert answer.status_code == status, f"{answer.status_code} {answer.text}"
        self.keep(f"webhook answer {status}", answer)
        return answer

    def alert(self, status: int = 202, **say: Any) -> httpx.Response:
        """A signed Sentry alert."""
        body = bodies.body("event_alert", **say)
        headers = bodies.signed(body, "event_alert", SECRETS["sentry client secret"], int(time.time()))
        return self.sends(self.address, body, {**headers, "X-Request-ID": REQUEST}, status)

    @property
    def address(self) -> str:
        """The path of the Sentry integration."""
        return f"/webhooks/sentry/{SECRETS['integration token']}"

    def command(self, *args: str, code: int = 0) -> str:
        """A command beside the box; what it prints is kept."""
        done = subprocess.run(
            [sys.executable, "-m", "signalcraft", *args],
            env={**self.box.env, "SIGNALCRAFT_DATA__DIR": str(self.data)}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, f"{args}: {done.returncode} {done.stdout} {done.stderr}"
        self.keep(f"command {args[0]}", done.stdout + done.stderr)
        return done.stdout

    @staticmethod
    def until(holds: Callable[[], Any], what: str, seconds: float = 20) -> None:
        """Waits until something is so."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"not in {seconds:g} s: {what}"
            time.sleep(0.05)
