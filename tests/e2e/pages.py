"""Every address of the dashboard, out of web/src/routes.ts, and a box in which each of them has something to show."""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import Page, expect

from tests import bodies
from tests.conftest import ROOT
from tests.e2e.place import Place

OPEN: Final = ("/sign-in", "/setup", "/join", "/reset")
"""Addresses for those who are not signed in."""


def addresses() -> list[str]:
    """As routes.ts spells them (`/alert-groups/:id`), in its order; `/nowhere` stands for those that are none."""
    text = (ROOT / "web/src/routes.ts").read_text("utf-8")
    table = text[text.index("createRouter({") : text.index("});")]
    found: list[str] = []
    above: list[tuple[int, str]] = []
    for line in table.splitlines():
        match = re.match(r"( +)'(/[^']*)': ?(\{?)", line)
        if match is None:
            continue
        depth = len(match[1])
        above = [one for one in above if one[0] < depth]
        address = ("".join(part for _, part in above) + match[2]).rstrip("/") or "/"
        if match[3]:
            above.append((depth, match[2].rstrip("/")))
        else:
            found.append(address)
    return [*found, "/nowhere"]


INSIDE: Final = [address for address in addresses() if address not in OPEN]
"""Addresses for those who are signed in."""


class Lived:
    """A box that has been in use: `at(address)` puts the number of something into an address."""

    def __init__(self, world: Place) -> None:
        self.world = world
        rule = world.rule("severity >= high", "#oncall", name="serious", escalate_after=15, escalate_to="#leads")
        world.rule("", "#noise", name="everything else")
        channel = world.get("/api/channels")["items"][0]
        world.integration("sentry", "sentry-prod")
        world.integrations["sentry"] = world.integrations["sentry-prod"]
        world.integration("generic", "cron")
        for number, (title, level) in enumerate(TITLES):
            for _ in range(1 + number % 3):
                issue = str(2000 + number)
                project = "api" if number % 2 else "shop"
                world.receives(
                    "sentry", "event_alert", title=title, level=level, issue=issue, project=project,
                    tags={"release": f"1.{number}", "server_name": f"web-{number}"}, settle=False,
                )  # fmt: skip
        world.settled(30)
        groups = {group["title"]: group for group in world.groups()}
        self.group = groups[TITLES[0][0]]
        world.act(groups[TITLES[1][0]], "ack", note="Looking at it")
        world.act(groups[TITLES[2][0]], "snooze", minutes=60)
        world.act(groups[TITLES[3][0]], "resolve", note="Rolled back")
        world.slack.archive("noise")
        world.receives("sentry", "event_alert", title="Nobody hears of this", level="info", issue="2100")
        raw = b'{"action": "triggered", "data": []}'
        headers = bodies.signed(raw, "event_alert", at_s=world.clock.at_ms // 1000)
        assert world.sends("sentry", raw, headers).status_code == 422
        world.person("kim@example.com", "member")
        kept = world.get("/api/quarantine")["items"][0]
        integration = world.integrations["sentry-prod"]
        self.ids = {
            "alert-groups": self.group["id"], "rules": rule["id"], "channels": channel["id"],
            "integrations": integration["id"], "quarantine": kept["id"],
        }  # fmt: skip

    def at(self, address: str) -> str:
        """The address of something that is there."""
        return re.sub(r":\w+", lambda _: self.ids[address.split("/")[1]], address)


TITLES: Final = (
    ("TimeoutError: payments did not answer in 30 s", "fatal"),
    ("IntegrityError: duplicate key value in orders_pkey", "error"),
    ("Disk of db-1 is 91 % full", "warning"),
    ("TypeError: cannot read properties of undefined (reading 'total')", "error"),
    ("A very long title, because somebody put a whole sentence into it, " + "and another, " * 9 + "at night", "fatal"),
    ("UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff", "info"),
)  # fmt: skip


def settled(page: Page) -> None:
    """Waits until a page has its heading and nothing on it is on its way."""
    expect(page.locator("h1").first).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0, timeout=15_000)
