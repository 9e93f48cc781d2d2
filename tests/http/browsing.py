"""People with browsers, in tests: a cookie jar, the token against forged requests, and a password nobody guesses."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx

from signalcraft.domain import totp
from signalcraft.domain.group import SYSTEM
from signalcraft.domain.roles import Role
from signalcraft.services.people import By
from tests.world import World

PASSWORD = "tractor-lunar-vivid"
OTHER_PASSWORD = "quilted-Fjord-otter-8"
QUIET = {"limits.sign_in_per_minute": "0", "limits.sign_in_failures_per_15_minutes": "0"}
"""Settings of a world whose tests sign in all the time."""
BOX = By(SYSTEM, "owner", None, box=True)


class Browser:
    """One browser. `who`: the answer of the sign-in, {} before."""

    def __init__(self, world: World, **headers: str) -> None:
        self.world = world
        self.client = httpx.Client(base_url=world.api.base_url, headers=headers, timeout=60, trust_env=False)
        self.who: dict[str, Any] = {}

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """One request with what the page would send along."""
        if self.who and "X-CSRF-Token" not in headers:
            headers["X-CSRF-Token"] = self.who["csrf_token"]
        headers = {name: value for name, value in headers.items() if value}
        return self.client.request(method, path, json=body, headers=headers)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: Any = None, status: int = 0) -> Any:
        answer = self.ask("POST", path, body)
        expected = (status,) if status else (200, 201, 204)
        assert answer.status_code in expected, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def signs_in(self, email: str, password: str = PASSWORD, code: str = "") -> httpx.Response:
        """Tries to."""
        body = {"email": email, "password": password, **({"code": code} if code else {})}
        return self._began(self.ask("POST", "/api/auth/sign-in", body))

    def accepts(self, url: str, email: str, **more: str) -> httpx.Response:
        """Opens the link of an invitation and accepts."""
        body = {"token": token_of(url), "email": email, "name": "New", "password": PASSWORD, **more}
        return self._began(self.ask("POST", "/api/invitations/accept", body))

    def _began(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code in (200, 201):
            self.who = answer.json()
        return answer

    @property
    def signed_in(self) -> bool:
        """Whether the session still opens something."""
        return self.ask("GET", "/api/auth/me").status_code == 200

    def enrols(self) -> tuple[bytes, list[str]]:
        """Turns a second factor on: its secret and the recovery codes."""
        import base64

        secret = base64.b32decode(self.post("/api/auth/totp/enrol")["secret"])
        codes: list[str] = self.post("/api/auth/totp/confirm", {"code": self.code(secret)})["recovery_codes"]
        return secret, codes

    def code(self, secret: bytes, steps: int = 0) -> str:
        """What the app shows now, or so many steps from now."""
        return totp.code_at(secret, self.world.clock.at_ms // totp.STEP_MS + steps)


def token_of(url: str) -> str:
    """What stands behind the # of a link."""
    return url.partition("#")[2]


def person(world: World, email: str, role: Role = "member", workspace_id: int = 1) -> str:
    """Somebody who is there already; their id."""
    from signalcraft.domain import ids

    made: int = world._call(world.house.people.add(workspace_id, BOX, email, email.partition("@")[0], role, PASSWORD))
    return ids.show(made)


def browser(world: World, email: str, role: Role = "member", workspace_id: int = 1) -> Browser:
    """Somebody who is there and signed in."""
    person(world, email, role, workspace_id)
    it = Browser(world)
    answer = it.signs_in(email)
    assert answer.status_code == 200, answer.text
    return it


def journal(world: World, workspace_id: int = 1) -> list[tuple[str, dict[str, Any]]]:
    """Every line of a workspace's journal: what happened, and its data."""
    from signalcraft.storage import journal as lines

    entries = world._call(world.house.db.read(lambda tx: lines.since(tx, workspace_id, 0, 10_000)))
    return [(entry.verb, {**entry.data, "by": entry.actor}) for entry in entries]
