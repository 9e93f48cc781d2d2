"""A box to attack: everything that a route can be about, made fresh whenever a route is asked about it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from signalcraft.domain import ids, links
from signalcraft.services.deliver import LINK_PURPOSE
from tests.http.browsing import PASSWORD, QUIET, Browser, person, token_of
from tests.world import SIGNING_SECRET, World

UNLIMITED: Final = {**QUIET, "limits.search_per_minute": "0", "limits.upload_per_minute": "0"}
"""Settings of a box that is attacked: no limit stops it."""
NOWHERE: Final = "http://127.0.0.1:9/hook"
"""Nobody listens there: what is sent fails at once."""


class Ground(ExitStack):
    """A world with one of everything. `fresh("/api/channels")` makes another one and tells its id."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.numbers = itertools.count(1)
        self.world = self.enter_context(World(folder / "data", **UNLIMITED))
        self.base = str(self.world.api.base_url).rstrip("/")
        self.key = self.world.api.headers["Authorization"]
        self.makers: dict[str, Callable[[], str]] = {
            "/api/alert-groups": self.group,
            "/api/api-keys": lambda: str(self._made("/api/api-keys", name="a key", scopes=["alerts:read"])["id"]),
            "/api/channels": lambda: str(self._made("/api/channels", kind="webhook", config={"url": NOWHERE})["id"]),
            "/api/deliveries": self.delivery,
            "/api/events": lambda: str(self.event()["event_id"]),
            "/api/integrations": lambda: str(self._made("/api/integrations", kind="generic", config={})["id"]),
            "/api/invitations": lambda: str(self.invitation()["id"]),
            "/api/people": lambda: person(self.world, f"p{next(self.numbers)}@example.com"),
            "/api/quarantine": self.held,
            "/api/routing-rules": lambda: str(self._made("/api/routing-rules", when={}, channels=["ops hook"])["id"]),
            "/api/sessions": self.session,
            "/api/views": lambda: str(self._made("/api/views", shared=True)["id"]),
        }
        self.generic = self.world.integration("generic", name="generic")
        self.world.channel("#ops")
        self.me = self.browser()
        self.mend()

    def mend(self) -> None:
        """What an attack may have taken away is there again."""
        channel = {"name": "ops hook", "kind": "webhook", "config": {"url": NOWHERE}}
        assert self.world.api.post("/api/channels", json=channel).status_code in (201, 409)
        found = self.world.api.get(f"/api/integrations/{self.generic['id']}")
        if found.status_code != 200 or not found.json()["enabled"]:
            self.generic = self.world.integration("generic", name=f"generic {next(self.numbers)}")
        if not self.me.signed_in:
            self.me = self.browser()

    def browser(self) -> Browser:
        """Another owner, signed in."""
        email = f"owner{next(self.numbers)}@example.com"
        person(self.world, email, "owner")
        it = self.enter_context(Browser(self.world))
        assert it.signs_in(email).status_code == 200
        return it

    def _made(self, path: str, **body: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.world.post(
            path, {**body, "name": f"{body.get('name', 'made')} {next(self.numbers)}"}
        )
        return made

    def hook(self, body: bytes) -> httpx.Response:
        """Posted to the generic integration, once more if another attack changed it."""
        self.mend()
        return httpx.post(self.base + httpx.URL(self.generic["webhook_url"]).path, content=body, trust_env=False)

    def event(self) -> dict[str, Any]:
        """A receipt of an alert of its own group."""
        title = f"alert {next(self.numbers)}"
        answer = self.hook(json.dumps({"title": title, "severity": "low", "dedup_key": title}).encode())
        assert answer.status_code == 202, answer.text
        receipt: dict[str, Any] = answer.json()["events"][0]
        return receipt

    def group(self) -> str:
        """An open alert group."""
        return str(self.event()["group_id"])

    def delivery(self) -> str:
        """One that was tried in vain: nobody is at it any more."""
        channel = self.fresh("/api/channels")
        made = str(self.world.post(f"/api/channels/{channel}/test")["delivery_id"])
        self.world.settled()
        return made

    def held(self) -> str:
        """A webhook in quarantine."""
        return str(self.hook(b'{"half": ').json()["quarantine_id"])

    def invitation(self) -> dict[str, Any]:
        """With its link, by a person."""
        email = f"i{next(self.numbers)}@example.com"
        made: dict[str, Any] = self.world.post("/api/invitations", {"email": email, "role": "member"})
        return {**made, "email": email}

    def session(self) -> str:
        """Another session of the person who attacks."""
        other = self.enter_context(Browser(self.world))
        assert other.signs_in(self.me.who["person"]["email"]).status_code == 200
        return str(other.who["session"]["id"])

    def link(self) -> str:
        """The token of an acknowledge link."""
        key = self.world.house.vault.derive(LINK_PURPOSE)
        group, channel = (ids.parse(self.fresh(path)) for path in ("/api/alert-groups", "/api/channels"))
        return links.sign(key, group, channel, "ack", self.world.clock.at_ms + 3_600_000)

    def fresh(self, collection: str) -> str:
        """The id of a new thing of a collection."""
        return self.makers[collection]()


__all__ = ["NOWHERE", "PASSWORD", "SIGNING_SECRET", "Ground", "token_of"]
