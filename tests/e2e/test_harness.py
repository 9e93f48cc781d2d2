"""The journeys' own ground: that a page which complains fails its test, and that nobody is signed in by accident."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import COMPLAINTS, Visit, announce
from tests.e2e.looking import violations
from tests.e2e.place import Place


@pytest.mark.whole
def test_the_owner_is_signed_in_and_a_stranger_is_not(page: Page, stranger: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("navigation").first).to_be_visible()
    assert page.evaluate("fetch('/api/auth/me').then((r) => r.status)") == 200
    stranger.goto("/")
    stranger.wait_for_url("**/sign-in*")
    assert stranger.evaluate("fetch('/api/auth/me').then((r) => r.status)") == 401


@pytest.mark.whole
def test_what_a_page_complains_of_is_heard(page: Page) -> None:
    """Its code, its console, its policy, and requests that fail."""
    page.goto("/")
    announce(page, "made up", "policy: style-src-attr", "inline style", "503")
    page.evaluate("setTimeout(() => { throw new Error('made up') })")
    page.evaluate("console.error('made up')")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">red</p>')")
    page.route("**/api/made-up", lambda route: route.fulfill(status=503))
    page.evaluate("fetch('/api/made-up')")
    page.wait_for_timeout(300)
    said = "\n".join(COMPLAINTS[page].said)
    for wanted in ("uncaught: made up", "policy: style-src-attr inline", "status of 503"):
        assert wanted in said
    assert COMPLAINTS[page].left() == []


@pytest.mark.whole
def test_axe_looks(page: Page) -> None:
    page.goto("/")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"/icon.svg\"><button></button>')")
    found = "\n".join(violations(page))
    assert "image-alt" in found
    assert "button-name" in found


@pytest.mark.whole
def test_a_killed_box_comes_back_at_the_same_address(fresh: Place, visit: Visit) -> None:
    page = visit(fresh)
    announce(page, "ERR_|Failed to load|dynamically imported")  # its page may be on the way still
    page.goto("/")
    fresh.killed()
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        page.goto("/")
    fresh.restarted()
    page.goto("/")
    assert page.evaluate("fetch('/api/auth/me').then((r) => r.status)") == 200


def test_a_webhook_is_told_in_slack(world: Place) -> None:
    world.rule(channel="#journeys")
    world.receives("sentry", "event_alert", title="A journey begins")
    assert ("#journeys", "A journey begins") in world.told
