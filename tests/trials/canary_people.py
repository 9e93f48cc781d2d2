"""People at a box that is scanned for secrets: the first owner, an invitation, a lost password, a second factor, all of
it wrongly too, and a way out. What is told once (codes, links, tokens) joins the secrets; every other answer is kept.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from typing import Any

import httpx

from signalcraft.domain import totp
from tests.trials.canaries import Run


def _made_up(name: str) -> str:
    return f"Canary-{hashlib.sha256(f'canary {name}'.encode()).hexdigest()[:28]}"


OWNER, GUEST = "owner@example.com", "guest@example.com"
PASSWORDS = {
    name: _made_up(name)
    for name in (
        "owner's password", "owner's new password", "guest's password", "guest's reset password", "wrong password"
    )
}  # fmt: skip
"""What people type."""


class Person:
    """Somebody with a browser of their own."""

    def __init__(self, run: Run, name: str) -> None:
        self.run, self.name = run, name
        self.client = httpx.Client(base_url=run.box.url, timeout=30, trust_env=False)
        self.csrf = ""

    def ask(self, method: str, path: str, status: int, body: Any = None, once: tuple[str, ...] = ()) -> dict[str, Any]:
        """One request. `once`: fields that are told this once; they join the secrets and leave the answer."""
        headers = {"X-CSRF-Token": self.csrf} if self.csrf else {}
        answer = self.client.request(method, path, json=body, headers=headers)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        said: dict[str, Any] = answer.json() if answer.content else {}
        for field in once:
            told = said.pop(field)
            for number, one in enumerate(told if isinstance(told, list) else [told]):
                self.run.secrets[f"{self.name}: {field} of {method} {path} {number}"] = str(one).rpartition("#")[2]
        if csrf := said.pop("csrf_token", ""):
            self.csrf = csrf
            self.run.secrets[f"{self.name}: CSRF token {len(self.run.secrets)}"] = csrf
        for cookie in self.client.cookies.jar:
            if cookie.value and cookie.value not in self.run.secrets.values():
                self.run.secrets[f"{self.name}: {cookie.name} {len(self.run.secrets)}"] = cookie.value
        place = re.sub("[0-9a-z]{13}", "{id}", path)
        self.run.keep(f"answer {method} {place} {status}", said)
        told_headers = {
            k: v for k, v in answer.headers.items() if k != "set-cookie"
        }  # the one place of a session's token
        self.run.keep(f"answer {method} {place} {status} headers", told_headers)
        return said


def people(run: Run) -> None:
    """All of it."""
    run.secrets |= PASSWORDS
    owner = _first_owner(run)
    guest = _guest(run, owner)
    _wrong(run)
    _second_factor(run, guest)
    owner.ask("POST", "/api/auth/password", 204, {
        "current": PASSWORDS["owner's password"], "new": PASSWORDS["owner's new password"],
    })  # fmt: skip
    made = owner.ask("POST", "/api/api-keys", 201, {"name": "by a person", "scopes": ["alerts:read"]}, once=("key",))
    owner.ask("DELETE", f"/api/api-keys/{made['id']}", 204)
    for path in (
        "/api/auth/me", "/api/sessions", "/api/auth/passkeys", "/api/auth/identities", "/api/people",
        "/api/invitations", "/api/audit?limit=100", "/api/admin/security/audit", "/api/auth/state", "/api/admin/errors",
    ):  # fmt: skip
        owner.ask("GET", path, 200)
    kept = owner.client.get("/api/audit/export?format=csv")
    assert kept.status_code == 200
    run.keep("answer GET /api/audit/export as CSV", kept)
    run.keep("answer GET /api/audit/export", owner.client.get("/api/audit/export"))
    guest.ask("POST", "/api/auth/sign-out", 204)
    for one in (owner, guest):
        one.client.close()


def _first_owner(run: Run) -> Person:
    found = re.search(r"code[^\n]*?\b([0-9a-z]{4}(?:-[0-9a-z]{4})+)\b", run.log.read_text("utf-8"))
    assert found, "the setup code is printed when the box starts"
    run.secrets["setup code"] = found[1]
    owner = Person(run, "owner")
    body = {"code": "2345-6789-abcd", "email": OWNER, "name": "Owner", "password": PASSWORDS["wrong password"]}
    owner.ask("POST", "/api/auth/setup", 401, body)
    body |= {"code": found[1], "password": PASSWORDS["owner's password"]}
    owner.ask("POST", "/api/auth/setup", 201, body)
    owner.ask("POST", "/api/auth/setup", 409, body)
    return owner


def _guest(run: Run, owner: Person) -> Person:
    owner.ask("POST", "/api/invitations", 201, {"email": "nobody@example.com", "role": "viewer"}, once=("url",))
    owner.ask("POST", "/api/invitations", 201, {"email": GUEST, "role": "member"}, once=("url",))
    token = list(run.secrets.values())[-1]
    guest = Person(run, "guest")
    guest.ask("POST", "/api/invitations/preview", 200, {"token": token})
    guest.ask("POST", "/api/invitations/preview", 404, {"token": token[:-2]})
    said = {"token": token, "email": GUEST, "name": "Guest", "password": PASSWORDS["guest's password"]}
    guest.ask("POST", "/api/invitations/accept", 201, said)
    guest.ask("POST", "/api/invitations/accept", 410, said)
    (number,) = (one["id"] for one in owner.ask("GET", "/api/people", 200)["items"] if one["email"] == GUEST)
    owner.ask("POST", f"/api/people/{number}/reset-link", 201, {}, once=("url",))
    reset = {"token": list(run.secrets.values())[-1], "password": PASSWORDS["guest's reset password"]}
    guest.ask("POST", "/api/auth/reset", 204, reset)
    guest.csrf = ""
    guest.client.cookies.clear()
    guest.ask("POST", "/api/auth/sign-in", 200, {"email": GUEST, "password": PASSWORDS["guest's reset password"]})
    return guest


def _second_factor(run: Run, guest: Person) -> None:
    guest.ask("POST", "/api/auth/totp/enrol", 200, {}, once=("secret", "uri"))
    uri = run.secrets.pop(next(name for name in run.secrets if "uri of" in name))  # it holds the secret, and no other
    secret = next(value for name, value in run.secrets.items() if "secret of POST /api/auth/totp" in name)
    assert secret in uri
    code = totp.code_at(base64.b32decode(secret), int(time.time() * 1000) // totp.STEP_MS)
    guest.ask("POST", "/api/auth/totp/confirm", 200, {"code": code}, once=("recovery_codes",))
    recovery, another, *_ = (value for name, value in run.secrets.items() if "recovery_codes" in name)
    other = Person(run, "guest elsewhere")
    said = {"email": GUEST, "password": PASSWORDS["guest's reset password"]}
    other.ask("POST", "/api/auth/sign-in", 401, said)
    other.ask("POST", "/api/auth/sign-in", 200, {**said, "code": recovery})
    other.client.close()
    guest.ask("POST", "/api/auth/step-up", 200, {"password": said["password"], "code": another})


def _wrong(run: Run) -> None:
    """Wrong passwords, tokens in wrong places, single sign-on with a provider that nobody hears from."""
    stranger = Person(run, "stranger")
    body = {"email": OWNER, "password": PASSWORDS["wrong password"]}
    stranger.ask("POST", "/api/auth/sign-in", 401, body)
    stranger.ask("POST", "/api/auth/sign-in", 422, {**body, "passwort": PASSWORDS["wrong password"]})
    for name in ("owner's password", "setup code"):
        stranger.ask("GET", f"/api/auth/me?token={run.secrets[name]}", 401)
    session = next(value for name, value in run.secrets.items() if name.startswith("owner: signalcraft"))
    for headers in ({"Cookie": f"signalcraft={session}x"}, {"Authorization": f"Bearer {session}"}):
        answer = stranger.client.get("/api/auth/me", headers=headers)
        assert answer.status_code == 401
        run.keep("answer to a session in a wrong place", answer)
    answer = stranger.client.get("/api/auth/oidc/start")
    assert answer.status_code == 502, answer.text
    run.keep("answer GET /api/auth/oidc/start 502", answer)
    stranger.client.close()
