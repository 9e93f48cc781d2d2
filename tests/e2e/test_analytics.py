"""Long ranges in the dashboard, questions about them in SQL, and the card that says how they are."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe
from tests.e2e.place import Place


def test_long_ranges_are_shown_asked_and_made_anew(fresh: Place, visit: Visit) -> None:
    fresh.rule(channel="#oncall", name="everything")
    for _ in range(5):
        fresh.receives("sentry", "event_alert", issue="1", title="Loud", level="fatal")
    page = visit(fresh)
    page.goto("/analytics")
    expect(page.get_by_role("heading", name="Analytics")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Events")
    leaders = page.get_by_role("region", name="Who and what leads")
    expect(leaders.get_by_role("row", name="sentry 5 1")).to_be_visible(timeout=20_000)
    leaders.get_by_role("link", name="Rules").click()
    expect(leaders.get_by_role("row", name="everything 1")).to_be_visible()
    page.get_by_role("navigation", name="Range").get_by_role("link", name="1 year").click()
    expect(page).to_have_url(re.compile("range=1y&by=rule"))
    axe(page)

    page.goto("/settings/query")
    sql = page.get_by_label("SQL (DuckDB)")
    sql.fill("select sum(n) as events from days where what = 'events' and dimension = 'all'")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("cell", name="5", exact=True)).to_be_visible(timeout=20_000)
    sql.fill("select * from read_csv('/etc/passwd')")
    announce(page, r"422 .*/api/query")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_text("file system operations are disabled")).to_be_visible(timeout=20_000)
    axe(page)

    page.goto("/settings/system")
    card = page.get_by_role("region", name="Long-range numbers")
    expect(card).to_contain_text("of hours (400 days)", timeout=20_000)
    card.get_by_role("button", name="Count everything anew").click()
    expect(page.get_by_text("5 events counted in")).to_be_visible(timeout=20_000)
    axe(page)
