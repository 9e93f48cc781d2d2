"""How long things are kept, what would go, and the archive, on one page."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import announce
from tests.e2e.looking import axe
from tests.e2e.place import Place


def test_days_are_changed_and_what_would_go_is_said(world: Place, page: Page) -> None:
    page.goto("/settings/retention")
    groups = page.get_by_label("Resolved alert groups, with events and history")
    expect(groups).to_have_attribute("placeholder", "90")
    groups.fill("45")
    page.get_by_role("button", name="What would go?").click()
    expect(page.get_by_text("With these days a run would delete now: nothing.")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved")).to_be_visible()
    assert world.get("/api/retention")["own"]["group_days"] == 45
    announce(page, r"422")
    groups.fill("0")
    page.get_by_role("button", name="Save").click()
    expect(groups).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Nothing was archived yet.")).to_be_visible()
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_text("Nothing in the archive fits.")).to_be_visible()
    axe(page)
