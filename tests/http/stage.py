"""A world with one of everything that a route may be about, and somebody who asks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx

from signalcraft.domain import ids
from tests import bodies
from tests.http.asking import key_of
from tests.http.browsing import Browser, browser, person, token_of
from tests.world import World

AGENT = "the-tests/1"


class Stage:
    """A world with one of everything that a route may be about. Asks as an owner with an API key, or as people."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.world = world
        self.stack = stack
        self.n = 0
        headers = {"User-Agent": AGENT, "Authorization": f"Bearer {key_of(world, 'admin')}"}
        self.api = stack.enter_context(
            httpx.Client(base_url=world.api.base_url, headers=headers, timeout=60, trust_env=False)
        )

    def name(self) -> str:
        self.n += 1
        return f"thing-{self.n}"

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.api.request(method, path, json=body)

    def made(self, path: str, body: dict[str, Any]) -> str:
        """Makes a thing; its id."""
        answer = self.ask("POST", path, {"name": self.name(), **body})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def channel(self) -> str:
        return self.made("/api/channels", {"kind": "webhook", "config": {"url": "https://example.com/hook"}})

    def integration(self) -> str:
        return self.made("/api/integrations", {"kind": "sentry", "config": {"secret": bodies.SECRET}})

    def rule(self) -> str:
        name = self.ask("GET", f"/api/channels/{self.channel()}").json()["name"]
        return self.made("/api/routing-rules", {"channels": [name]})

    def view(self) -> str:
        return self.made("/api/views", {"shared": True})

    def group(self, status: str = "open") -> str:
        self.world.receives("sentry", "event_alert", project=self.name(), title=self.name())
        group = self.world.groups(limit=1)[0]["id"]
        if status == "resolved":
            self.ask("POST", f"/api/alert-groups/{group}/resolve", {})
        if status == "snoozed":
            self.ask("POST", f"/api/alert-groups/{group}/snooze", {"minutes": 5})
        return str(group)

    def held(self) -> str:
        self.world.sends("generic", b'{"nothing": "to read"}', {"content-type": "application/json"})
        found = self.world.get("/api/quarantine", state="quarantined")["items"]
        return str(found[0]["id"])

    def delivery(self, state: str) -> str:
        channel = self.channel()
        self.ask("POST", f"/api/channels/{channel}/test")
        delivery = self.world.get("/api/deliveries", limit=1)["items"][0]["id"]
        number = ids.parse(delivery)
        self.write(lambda tx: tx.run("update delivery set state = ? where id = ?", (state, number)))
        return str(delivery)

    def write(self, work: Callable[[Any], Any]) -> Any:
        return self.world._call(self.world.house.db.write(work))

    def somebody(self, role: Any = "member") -> str:
        return person(self.world, f"{self.name()}@example.com", role)

    def browser(self, role: Any = "member") -> Browser:
        it = browser(self.world, f"{self.name()}@example.com", role)
        it.client.headers["User-Agent"] = AGENT
        return self.stack.enter_context(it)

    def invitation(self) -> tuple[str, str, str]:
        email = f"{self.name()}@example.com"
        made = self.ask("POST", "/api/invitations", {"email": email, "role": "member"}).json()
        return str(made["id"]), email, token_of(made["url"])
