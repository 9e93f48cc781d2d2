"""The program ends while a page of it is open: the page says so, comes back by itself, and has missed nothing."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit, announce
from tests.e2e.place import OWNER, Place


@pytest.fixture
def page(fresh: Place, visit: Visit) -> Page:
    """The owner's window on a box of this test alone."""
    opened = visit(fresh)
    announce(opened, r"Failed to load resource", r"ERR_")
    return opened


def live(page: Page) -> None:
    """Waits until the page follows what happens."""
    expect(page.locator("nav .live")).to_have_text("Live")


def shown(page: Page, title: str) -> None:
    """The list says that something is new, and shows it where one wants to see it."""
    page.get_by_role("button", name=re.compile(r"^\d+ new")).click()
    expect(page.get_by_text(title).first).to_be_visible()


def test_a_restart_is_seen_survived_and_nothing_is_missed(fresh: Place, page: Page) -> None:
    fresh.rule(channel="#oncall")
    fresh.receives("sentry", "event_alert", title="Before the restart", issue="1")
    page.goto("/alert-groups")
    expect(page.get_by_text("Before the restart").first).to_be_visible()
    live(page)
    page.evaluate("window.here = 'the same page'")

    fresh.killed()
    expect(page.get_by_text(re.compile(r"No connection to SignalCraft since \d\d:\d\d"))).to_be_visible()
    expect(page.locator("nav .live")).to_have_text("Not live")
    expect(page.get_by_text("Before the restart").first).to_be_visible()

    fresh.restarted()
    # The page is not connected yet: whatever it shows of this, it was told afterwards.
    fresh.receives("sentry", "event_alert", title="While nobody listened", issue="2")
    live(page)
    shown(page, "While nobody listened")
    expect(page.get_by_text("No connection to SignalCraft")).to_have_count(0)
    fresh.receives("sentry", "event_alert", title="After the restart", issue="3")
    shown(page, "After the restart")
    assert page.evaluate("window.here") == "the same page"


@pytest.mark.whole
def test_what_is_done_while_the_program_is_away_fails_aloud(fresh: Place, page: Page) -> None:
    """And can be done again when it is back."""
    fresh.rule(channel="#oncall")
    fresh.receives("sentry", "event_alert", title="Somebody has to look", issue="1")
    page.goto(f"/alert-groups/{fresh.group()['id']}")
    live(page)
    acknowledge = page.get_by_role("button", name=re.compile("^Acknowledge")).first
    expect(acknowledge).to_be_enabled()
    fresh.killed()
    acknowledge.click()
    expect(page.get_by_text("SignalCraft cannot be reached").first).to_be_visible()
    fresh.restarted()
    assert fresh.group()["status"] == "open"
    live(page)
    acknowledge.click()
    expect(page.get_by_text(re.compile("^Acknowledged")).first).to_be_visible()
    assert fresh.group()["status"] == "acknowledged"


@pytest.mark.whole
def test_a_page_that_was_not_loaded_yet_says_that_it_cannot_be(fresh: Place, page: Page) -> None:
    """Its code comes from the program too."""
    page.goto("/")
    live(page)
    announce(page, r"dynamically imported module|Unable to preload")
    fresh.killed()
    page.get_by_role("navigation").get_by_role("link", name="Routing rules").click()
    expect(page.get_by_text("That page could not be loaded")).to_be_visible()
    fresh.restarted()
    live(page)
    page.get_by_role("button", name="Load it again").click()
    expect(page.get_by_role("heading", level=1, name="Routing rules")).to_be_visible()
    assert page.url.endswith("/rules")


def test_a_session_that_is_revoked_ends_at_the_sign_in_page(fresh: Place, page: Page) -> None:
    """Within moments, without a click; whoever signs in again is where they were."""
    page.goto("/alert-groups")
    live(page)
    cookies = {one["name"]: one["value"] for one in page.context.cookies()}
    with httpx.Client(base_url=fresh.url, cookies=cookies, trust_env=False) as client:
        token = client.get("/api/auth/me").json()["csrf_token"]
        ended = client.post("/api/auth/sign-out", headers={"X-CSRF-Token": token})
        assert ended.status_code in (200, 204), ended.text
    page.wait_for_url("**/sign-in?next=%2Falert-groups*")
    expect(page.get_by_role("main").or_(page.get_by_role("alert")).first).to_contain_text(
        re.compile("session|sign", re.IGNORECASE)
    )
    page.get_by_label(re.compile("mail", re.IGNORECASE)).fill(OWNER)
    page.get_by_label("Password", exact=True).fill("tractor-lunar-vivid")
    page.get_by_role("button", name=re.compile("^Sign in$")).click()
    page.wait_for_url("**/alert-groups")
    live(page)
