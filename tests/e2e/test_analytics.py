"""Long ranges in the dashboard, questions about them in SQL, and the card that says how they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe
from tests.e2e.place import Place


@pytest.mark.whole
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
    sql.fill("select 'a,b' as word, '=1+1' as formula, 7 as n")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("cell", name="=1+1")).to_be_visible(timeout=20_000)
    with page.expect_download() as kept:
        page.get_by_role("button", name="Download as CSV").click()
    assert kept.value.suggested_filename == "signalcraft-query.csv"
    assert Path(kept.value.path()).read_bytes() == b'word,formula,n\r\n"a,b",\'=1+1,7\r\n'
    sql.fill("select * from range(1001) t(n)")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_text("There are more rows; the first ones are shown.")).to_be_visible(timeout=20_000)
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


@pytest.fixture(scope="module")
def lived(world: Place) -> Place:
    """Six events in two groups, one acknowledged and resolved; all of it told to one channel."""
    world.rule(channel="#oncall", name="everything")
    for _ in range(5):
        world.receives("sentry", "event_alert", issue="1", title="Loud", level="fatal", project="shop")
    world.receives("sentry", "event_alert", issue="2", title="Quiet", level="warning", project="api")
    quiet = world.group("Quiet")
    world.act(quiet, "ack")
    world.act(quiet, "resolve")
    world.settled()
    return world


def figure(page: Page, name: str) -> Locator:
    """One of the numbers at the top, with what stands below it."""
    return page.locator("dl.figures .card").filter(has=page.get_by_text(name, exact=True))


@pytest.mark.whole
def test_every_figure_is_the_apis(lived: Place, page: Page) -> None:
    page.goto("/analytics?range=7d")
    expect(figure(page, "Events")).to_be_visible(timeout=20_000)
    said = lived.get("/api/analytics", range="7d")
    whole = said["whole"]
    assert (whole["events"], whole["groups"], whole["acknowledged"]) == (6, 2, 1)
    expect(figure(page, "Events").locator("dd").first).to_have_text(str(whole["events"]))
    expect(figure(page, "Events")).to_contain_text(re.compile(f"{whole['duplicates']} exact repeat"))
    expect(figure(page, "New alert groups").locator("dd").first).to_have_text("2")
    expect(figure(page, "New alert groups")).to_contain_text("0 closed by themselves")
    expect(figure(page, "Notifications").locator("dd").first).to_have_text(str(whole["notifications"]))
    expect(figure(page, "Notifications")).to_contain_text(f"{whole['edits']} silent edit")
    expect(figure(page, "Events without a sound")).to_contain_text(f"{whole['dedup_percent']:g} %")
    expect(figure(page, "Taken by channels")).to_contain_text("100 %")
    expect(figure(page, "Taken by channels")).to_contain_text("0 given up")
    for name, mean in (("acknowledge", whole["mtta_seconds"]), ("resolve", whole["mttr_seconds"])):
        expect(figure(page, f"Time to {name}").locator("dd").first).to_have_text(
            re.compile(f"^(< 1 s|{round(mean)} s)$")
        )
        expect(figure(page, f"Time to {name}")).to_contain_text("half of them within")
    expect(figure(page, "People").locator("dd").first).to_have_text(str(whole["active_people"]))
    expect(figure(page, "People")).to_contain_text(f"{said['people_of_last_week']} in the last week")
    expect(page.get_by_text(re.compile("^Long ranges, counted until "))).to_be_visible()
    charts = page.locator("figure")
    expect(charts).to_have_count(2)
    expect(charts.first.locator("canvas")).to_be_visible()
    expect(charts.first).to_contain_text(re.compile("6 events and [0-9]+ notifications over time"))
    expect(charts.last).to_contain_text("Mean minutes to acknowledge and to resolve over time")
    height = charts.first.evaluate("it => it.offsetHeight")
    charts.first.locator(".u-over").hover()
    expect(charts.first.locator(".u-value").last).to_be_visible()
    assert charts.first.evaluate("it => it.offsetHeight") == height, "nothing moves under who points at a chart"


@pytest.mark.whole
def test_what_leads_is_told_in_each_dimension(lived: Place, page: Page) -> None:
    page.goto("/analytics")
    leaders = page.get_by_role("region", name="Who and what leads")
    for dimension, row in (
        ("Projects", "shop 5 1 "),
        ("Severities", "critical 5 1 "),
        ("Rules", "everything [1-9]"),
        ("Channels", "#oncall [1-9].* 0 100 %"),
        ("People", r"Olga [1-9]\d* 0 0"),
    ):
        leaders.get_by_role("link", name=dimension).click()
        expect(leaders.get_by_role("row", name=re.compile(f"^{row}"))).to_be_visible()


@pytest.mark.whole
def test_numbers_that_cannot_be_read_are_said_and_what_was_not_measured_is_no_number(lived: Place, page: Page) -> None:
    announce(page, "503|Failed to load")
    busy = {"status": 503, "title": "Busy", "code": "busy", "detail": "the long-range numbers are being counted anew"}
    page.route("**/api/analytics*", lambda route: route.fulfill(status=503, json=busy))
    page.goto("/analytics")
    alert = page.get_by_role("alert").filter(has_text="The long-range numbers could not be read")
    expect(alert).to_contain_text("being counted anew")
    expect(page.locator("dl.figures")).to_have_count(0)
    said = lived.get("/api/analytics", range="30d")
    said["whole"].update(mtta_seconds=None, delivered_percent=None)
    page.unroute("**/api/analytics*")
    page.route("**/api/analytics*", lambda route: route.fulfill(json=said))
    alert.get_by_role("button", name="Try again").click()
    expect(figure(page, "Events").locator("dd").first).to_have_text("6")
    for name in ("Time to acknowledge", "Taken by channels"):
        expect(figure(page, name).locator("dd").first).to_have_text("none")
