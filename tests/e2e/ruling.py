"""What journeys through the routing rules have in common: boxes, alerts, questions of the builder."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from tests.e2e.place import Place

PROD = {"field": "environment", "operator": "equals", "value": "production"}


def alert(place: Place, title: str, **said: Any) -> None:
    """One alert of the generic kind comes in."""
    body = {"title": title, "severity": "high", "environment": "production", **said}
    assert place.sends("generic", json.dumps(body).encode()).status_code == 202


def made(place: Place, name: str, **more: Any) -> dict[str, Any]:
    """A stored rule."""
    rule: dict[str, Any] = place.post("/api/routing-rules", {"name": name, "channels": ["#oncall"], **more})
    return rule


def channels_of(place: Place, title: str) -> list[str]:
    """Where an alert was told."""
    place.settled()
    return sorted(told.channel for told in place.told if title in told.text)


def furnished(place: Place) -> Place:
    known = {channel["name"] for channel in place.get("/api/channels")["items"]}
    for name in ("#oncall", "#payments"):
        if name not in known:
            place.channel(name)
    return place


def question(page: Page, n: int = -1) -> Locator:
    """A question of the builder."""
    found = page.get_by_role("combobox", name="Field", exact=True)
    return found.nth(n if n >= 0 else found.count() - 1).locator("../..")


def ask(where: Locator, field: str, operator: str, value: str) -> None:
    """Fills a question in."""
    where.get_by_role("combobox", name="Field", exact=True).select_option(label=field)
    where.get_by_role("combobox", name="Comparison").select_option(label=operator)
    given = where.get_by_label("Value", exact=True)
    if given.evaluate("one => one.tagName") == "SELECT":
        given.select_option(label=value)
    else:
        given.fill(value)


def add_channel(page: Page, name: str, label: str = "Tell these channels") -> None:
    page.get_by_role("button", name=f"Add a channel: {label}").click()
    page.get_by_role("menuitem", name=name).click()


def order(page: Page) -> list[str]:
    """The rules as they are listed."""
    return page.get_by_role("list", name="Routing rules in the order").get_by_role("heading").all_inner_texts()


@pytest.fixture
def box(world: Place) -> Place:
    """A box with two channels and no rules. Alerts of other tests may have come there: whoever counts takes `quiet`."""
    for rule in world.get("/api/routing-rules")["items"]:
        world.api.delete(f"/api/routing-rules/{rule['id']}").raise_for_status()
    return furnished(world)


@pytest.fixture
def quiet(fresh: Place) -> Place:
    """The same where nothing came yet."""
    return furnished(fresh)
