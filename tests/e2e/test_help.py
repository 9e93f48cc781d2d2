"""Help for a page is one click away, on the box itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.place import Place


@pytest.mark.whole
def test_help_for_a_page_opens_beside_it(world: Place, page: Page) -> None:
    said: list[str] = []
    for path, heading in (
        ("/rules", "Route alerts"),
        ("/settings/retention", "Keep things"),
        ("/alert-groups", "Work"),
    ):
        page.goto(path)
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Help for this page").click()
        help_page = opened.value
        help_page.on("console", lambda message: said.append(message.text))
        expect(help_page.get_by_role("heading", level=1)).to_contain_text(heading)
        help_page.get_by_role("searchbox").fill("passkey")
        help_page.get_by_role("button", name="Search").click()
        expect(help_page.get_by_role("link", name="Sign in with a passkey").first).to_be_visible()
        help_page.close()
    assert said == []


@pytest.mark.whole
def test_it_is_there_before_one_is_signed_in(stranger: Page) -> None:
    stranger.goto("/sign-in")
    expect(stranger.get_by_role("link", name="Help for this page")).to_have_attribute("href", "/docs/how-to/people.md")
