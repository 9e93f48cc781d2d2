"""What every page stands in: one stream for all tabs, keys, themes, and what is said when something is not well."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit, announce
from tests.e2e.place import Place


def streams(*pages: Page) -> list[list[str]]:
    """The streams that each page opens from now on."""
    opened: list[list[str]] = [[] for _ in pages]
    for page, mine in zip(pages, opened, strict=True):
        page.on("request", lambda asked, mine=mine: mine.append(asked.url) if "/api/live" in asked.url else None)
    return opened


@pytest.mark.whole
def test_tabs_of_one_browser_share_a_stream_and_the_last_one_keeps_it(world: Place, page: Page) -> None:
    world.rule(channel="#shell")
    other, third = page.context.new_page(), page.context.new_page()
    first, second, last = streams(page, other, third)
    for tab in (page, other, third):
        tab.goto("/")
        expect(tab.get_by_role("status").filter(has_text="Live").first).to_be_visible()
    assert (len(first), second, last) == (1, [], [])
    for tab in (page, other, third):
        tab.goto("/alert-groups")
    world.receives("sentry", "event_alert", title="Seen in every tab", issue="8001")
    for tab in (page, other, third):
        expect(tab.get_by_text("Seen in every tab").first).to_be_visible()
    assert world.get("/api/system")["streams_open"] == 1
    page.close()
    other.close()
    world.receives("sentry", "event_alert", title="Seen by who stayed", issue="8002")
    third.get_by_role("button", name="1 new").click()
    expect(third.get_by_text("Seen by who stayed").first).to_be_visible()
    assert world.get("/api/system")["streams_open"] == 1


METERS = {
    f"/{path}"
    for path in (
        "health",
        "api/system",
        "api/system/watch",
        "api/admin/warnings",
        "api/backups",
        "api/drill",
        "api/replica",
    )
}
"""What Settings → System asks for by the clock: figures that no event tells (docs/explanation/performance.md)."""
LONG_MS = 38_000
"""Longer than lists wait without a stream (web/src/api/queries.ts), shorter than a stream may be silent."""


@pytest.mark.whole
def test_nothing_is_asked_by_the_clock_while_the_stream_lives(world: Place, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda one: asked.append(urlsplit(one.url).path))
    page.clock.install()

    def in_a_long_while() -> set[str]:
        """What an open page asks for while nothing happens, once it stands."""
        expect(page.locator("nav .live")).to_have_text("Live")
        for _ in range(20):
            asked.clear()
            page.wait_for_timeout(1_300)
            if not asked:
                break
        page.clock.fast_forward(LONG_MS)
        page.wait_for_timeout(300)
        return set(asked)

    page.goto("/settings/system")
    meters = in_a_long_while()
    assert "/api/replica" in meters
    assert meters <= METERS
    for path in ("/", "/alert-groups"):
        page.goto(path)
        assert in_a_long_while() == set()
    world.receives("sentry", "event_alert", title="At last", issue="8010")
    expect(page.get_by_text("At last").or_(page.get_by_role("button", name="1 new")).first).to_be_visible()
    assert "/api/alert-groups" in asked


def test_keys_lead_to_pages_and_are_listed(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    for key, path in (("r", "/rules"), ("d", "/deliveries"), ("i", "/alert-groups"), ("o", "/")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"**{path}")
    page.keyboard.press("?")
    listed = page.get_by_role("dialog", name="Keyboard")
    expect(listed.get_by_text("Go to Routing rules")).to_be_visible()
    page.keyboard.press("Escape")
    expect(listed).to_be_hidden()
    page.goto("/deliveries")
    expect(page.get_by_role("heading", level=1)).to_have_text("Deliveries")
    page.keyboard.press("/")
    page.wait_for_url("**/alert-groups*")


def test_keys_do_nothing_while_somebody_writes(page: Page) -> None:
    page.goto("/deliveries")
    page.get_by_label("Search in errors").fill("")
    page.keyboard.type("g i ? timeout")
    expect(page.get_by_label("Search in errors")).to_have_value("g i ? timeout")
    assert page.url.partition("?")[0].endswith("/deliveries")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_chosen_theme_stays(page: Page) -> None:
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name=re.compile("^Account")).click()
    page.get_by_role("menuitem", name="Theme: Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_who_hears_the_page_begins_at_its_heading(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.get_by_role("link", name="Channels", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="Channels")).to_be_focused()
    expect(page).to_have_title(re.compile("^Channels"))


def test_an_address_that_is_no_page_says_so(page: Page) -> None:
    announce(page, "404")
    page.goto("/no-such-page")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    page.get_by_role("link", name="To the overview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_links_with_a_key_held_are_the_browsers(page: Page) -> None:
    page.goto("/")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Deliveries", exact=True).first.click(modifiers=["ControlOrMeta"])
    opened.value.wait_for_url("**/deliveries")
    assert not page.url.endswith("/deliveries")


def test_without_a_network_the_page_says_since_when_and_comes_back(world: Place, page: Page) -> None:
    announce(page, "ERR_INTERNET_DISCONNECTED", "Failed to load resource")
    page.goto("/alert-groups")
    expect(page.get_by_role("status").filter(has_text="Live").first).to_be_visible()
    page.context.set_offline(True)
    world.killed().restarted()
    expect(page.get_by_text(re.compile("No connection to SignalCraft since"))).to_be_visible()
    world.receives("sentry", "event_alert", title="Came meanwhile", issue="8003")
    page.context.set_offline(False)
    page.get_by_role("button", name="1 new").or_(page.get_by_text("Came meanwhile")).first.click(timeout=20_000)
    expect(page.get_by_text("Came meanwhile").first).to_be_visible()
    expect(page.get_by_text(re.compile("No connection to SignalCraft since"))).to_be_hidden()


@pytest.mark.whole
def test_another_build_in_use_is_told_and_loaded_on_a_word(fresh: Place, visit: Visit) -> None:
    """As after an upgrade: the appliance comes back and serves other files."""
    page = visit(fresh)
    announce(page, "ERR_|Failed to load")
    page.goto("/")
    expect(page.get_by_role("status").filter(has_text="Live").first).to_be_visible()
    expect(page.get_by_text("A newer version of this page is in use.")).to_be_hidden()
    page.route(
        lambda url: url == f"{fresh.url}/",
        lambda route: route.fulfill(
            body='<script type="module" crossorigin src="/assets/index-other.js"></script>', content_type="text/html"
        ),
        times=1,
    )
    fresh.killed().restarted()
    expect(page.get_by_text("A newer version of this page is in use.")).to_be_visible(timeout=20_000)
    with page.expect_navigation():
        page.get_by_role("button", name="Load it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_a_box_that_does_not_answer_is_not_a_blank_page(fresh: Place, visit: Visit) -> None:
    page = visit(fresh)
    announce(page, "503", "Failed to load")
    page.route("**/api/auth/me", lambda route: route.abort())
    announce(page, "ERR_FAILED")
    page.goto("/")
    expect(page.get_by_text("SignalCraft does not answer")).to_be_visible()
    page.unroute("**/api/auth/me")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
