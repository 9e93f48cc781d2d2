"""The page about the appliance itself: the same as the API's, live, and nothing of it for who may not see it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from signalcraft import __version__
from tests.e2e.conftest import Visit
from tests.e2e.looking import axe, too_wide
from tests.e2e.place import Place

PATH = "/settings/system"


def test_it_says_what_the_api_says(world: Place, page: Page) -> None:
    page.goto(PATH)
    said = world.get("/api/system")
    about = page.get_by_role("region", name="About")
    expect(about).to_contain_text(__version__)
    expect(about).to_contain_text(f"Python {said['python']}, SQLite {said['sqlite']}")
    expect(about).to_contain_text(f"level {said['schema_level']}, the newest")
    expect(about).to_contain_text("agrees with this browser")
    storage = page.get_by_role("region", name="Storage", exact=True)
    expect(storage).to_contain_text(said["storage"]["data_dir"])
    expect(storage.get_by_role("progressbar")).to_be_visible()
    jobs = page.get_by_role("region", name="Jobs", exact=True)
    for job in said["jobs"]:
        expect(jobs.locator(f'[data-job="{job["name"]}"]')).to_contain_text(job["what"])
    axe(page)


@pytest.mark.whole
def test_health_changes_as_it_happens(world: Place, page: Page) -> None:
    page.goto(PATH)
    health = page.get_by_role("region", name="Health")
    channels = health.locator('[data-part="channels"]')
    expect(channels).to_contain_text("Ok")
    world.rule(channel="#gone")
    world.slack.archive("gone")
    world.receives("sentry", "event_alert", title="For nobody", level="fatal")
    expect(channels).to_contain_text("is_archived", timeout=15_000)
    expect(health.get_by_role("status")).to_have_text("Something does not work")
    # What went wrong is in the log too, and among the program's own errors.
    warnings = page.get_by_role("region", name="Log of warnings")
    expect(warnings).to_contain_text("the channel cannot deliver until somebody mends it", timeout=15_000)
    expect(warnings).to_contain_text("channel=#gone")
    page.get_by_role("button", name="Read again").click()
    errors = page.get_by_role("region", name="Errors of the program itself")
    expect(errors).to_contain_text("the channel cannot deliver until somebody mends it")
    axe(page)


def test_who_may_not_see_it_is_told_so(world: Place, visit: Visit) -> None:
    page = visit(world, person=world.person("mia@example.com", "member"))
    page.goto(PATH)
    expect(page.get_by_role("heading", name="System")).to_be_visible()
    expect(page.get_by_text("You may not see this")).to_be_visible()
    expect(page.get_by_role("region", name="Storage")).to_have_count(0)
    expect(page.get_by_role("region", name="Log of warnings")).to_have_count(0)


def test_it_fits_a_narrow_phone_by_night(world: Place, visit: Visit) -> None:
    page = visit(world, theme="dark", width=320, height=640, has_touch=True, is_mobile=True)
    page.goto(PATH)
    expect(page.get_by_role("region", name="About")).to_be_visible()
    assert too_wide(page) == []
    axe(page)


@pytest.mark.whole
def test_the_watch_over_itself_shows_what_is_wrong_and_the_last_test_alert(fresh: Place, visit: Visit) -> None:
    """The same as GET /api/system/watch: nothing, then a broken channel, with where its runbook is."""
    page = visit(fresh)
    page.goto(PATH)
    watch = page.get_by_role("region", name="Self-watch")
    expect(watch).to_contain_text("Nothing: ")
    expect(watch).to_contain_text("Off: no address is set")
    fresh.rule(channel="#gone-too")
    fresh.slack.archive("gone-too")
    fresh.receives("sentry", "event_alert", title="For nobody either", level="fatal")
    wrong = watch.locator('[data-condition="delivery_failing"]')
    expect(wrong).to_contain_text("#gone-too is broken", timeout=45_000)
    expect(wrong.get_by_role("link", name="What to do")).to_have_attribute("href", re.compile("delivery.md$"))
    expect(watch).to_contain_text("through the whole pipeline in", timeout=45_000)
    axe(page)
