"""The inbox in a browser: what comes is seen, what is answered is answered everywhere, and keys do it all."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe, picture, rests, too_wide
from tests.e2e.place import Place


@pytest.fixture(scope="module", autouse=True)
def _told(world: Place) -> None:
    world.rule(channel="#oncall")


def comes(world: Place, title: str, project: str, **say: Any) -> str:
    """An alert with a project of its own, so that tests do not see each other's; its group's id."""
    say = {"issue": f"{project} {title}", "environment": "production", "level": "error", **say}
    number: str = world.receives("sentry", "event_alert", title=title, project=project, **say)["group_id"]
    return number


def some(world: Place, project: str, count: int) -> list[str]:
    return [comes(world, f"{project} number {n}", project) for n in range(count)]


def goes(page: Page, search: str, **more: str) -> None:
    page.goto(f"/alert-groups?{urlencode({'search': search, **more})}")


def rows(page: Page) -> Locator:
    return page.locator('[role="row"][data-id]')


def row(page: Page, text: str) -> Locator:
    return rows(page).filter(has_text=text)


def test_what_arrives_is_seen_without_a_reload_and_moves_nothing(world: Place, page: Page) -> None:
    comes(world, "the first of all", "arrivals")
    goes(page, "project:arrivals")
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    before = rows(page).first.bounding_box()
    comes(world, "the second of all", "arrivals")
    began_s = time.monotonic()
    pill = page.get_by_role("button", name="1 new")
    expect(pill).to_be_visible()
    print(f"\nseen {time.monotonic() - began_s:.2f} s after it was accepted")
    assert pill.evaluate("(it) => it.parentElement.getAttribute('aria-live')") == "polite"
    assert rows(page).first.bounding_box() == before
    pill.click()
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("the second of all")
    expect(pill).to_be_hidden()


def test_a_list_that_is_opened_is_looked_at_once_more_where_something_newer_is_there(world: Place, page: Page) -> None:
    """Its first answer may be one of a moment ago (made one here), and says so; no other is asked for like that."""
    comes(world, "came a moment ago", "opened")
    asked = []

    def answer(route: Route) -> None:
        asked.append(route.request.headers.get("cache-control"))
        got = route.fetch()
        late: dict[str, Any] = {"json": {**got.json(), "items": []}, "headers": {**got.headers, "x-newer-in-ms": "300"}}
        route.fulfill(response=got, **(late if len(asked) == 1 else {}))

    page.route("**/api/alert-groups?*opened*", answer)
    goes(page, "project:opened")
    expect(row(page, "came a moment ago")).to_be_visible()
    assert asked == ["max-stale=3", None]


def test_what_arrives_on_an_empty_list_is_shown_by_itself(world: Place, page: Page) -> None:
    goes(page, "project:nothing-yet")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    comes(world, "out of nothing", "nothing-yet")
    expect(row(page, "out of nothing")).to_be_visible()


def test_a_row_changes_where_it_stands(world: Place, page: Page) -> None:
    one, _ = some(world, "in-place", 2)
    goes(page, "project:in-place -status:resolved")
    expect(rows(page)).to_have_count(2)
    order = rows(page).evaluate_all("(all) => all.map((it) => it.dataset.id)")
    comes(world, "in-place number 0", "in-place")
    expect(page.locator(f'[data-id="{one}"] .count')).to_have_text("2")
    world.post(f"/api/alert-groups/{one}/resolve", {})
    expect(page.locator(f'[data-id="{one}"]')).to_contain_text("Resolved")
    assert rows(page).evaluate_all("(all) => all.map((it) => it.dataset.id)") == order
    page.get_by_role("button", name="Read the list anew").click()
    expect(rows(page)).to_have_count(1)


def test_many_are_snoozed_by_keyboard(world: Place, page: Page) -> None:
    some(world, "keyboard", 4)
    goes(page, "project:keyboard", sort="title", order="asc")
    expect(rows(page)).to_have_count(4)
    for key in ("j", "x", "j", "j"):
        page.keyboard.press(key)
        rests(page)
    expect(row(page, "number 2").locator(".title a")).to_be_focused()
    page.keyboard.press("X")  # from the first one chosen to here
    expect(page.get_by_role("toolbar")).to_contain_text("3 selected")
    page.keyboard.press("s")
    dialog = page.get_by_role("dialog", name="Snooze 3 alert groups")
    expect(dialog.get_by_role("button", name="15 minutes")).to_be_focused()
    axe(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("3 alert groups snoozed")).to_be_visible()
    expect(rows(page).filter(has_text="Snoozed")).to_have_count(3)
    statuses = {group["title"][-1]: group["status"] for group in world.groups(project="keyboard")}
    assert statuses == {"0": "snoozed", "1": "snoozed", "2": "snoozed", "3": "open"}
    minutes = [g["snoozed_until"] for g in world.groups(project="keyboard", status="snoozed")]
    assert len(minutes) == 3
    expect(row(page, "number 2").locator(".title a")).to_be_focused()
    page.get_by_role("button", name="Undo").click()
    expect(rows(page).filter(has_text="Open")).to_have_count(4)


@pytest.mark.whole
def test_everything_else_is_done_by_keyboard_too(world: Place, page: Page) -> None:
    some(world, "keys", 3)
    goes(page, "project:keys", sort="title", order="asc")
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(row(page, "number 0")).to_contain_text("Acknowledged")
    page.keyboard.press("j")
    page.keyboard.press("r")
    note = page.get_by_role("textbox", name="How was it resolved?")
    expect(note).to_be_focused()
    page.keyboard.type("it was DNS")
    page.keyboard.press("Control+Enter")
    expect(row(page, "number 1")).to_contain_text("Resolved")
    assert world.get(f"/api/alert-groups/{world.groups(q='keys number 1')[0]['id']}")["resolution_note"] == "it was DNS"
    page.keyboard.press("j")
    page.keyboard.press("A")
    expect(page.get_by_role("textbox", name="To whom")).to_be_focused()
    page.get_by_role("button", name="Me", exact=True).click()
    expect(row(page, "number 2").locator(".assignee")).to_have_text("Olga")
    page.keyboard.press("x")
    expect(page.get_by_role("toolbar")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("toolbar")).to_be_hidden()
    page.keyboard.press("k")
    page.keyboard.press("k")
    expect(row(page, "number 0").locator(".title a")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Resolve, with a note")
    page.keyboard.press("Escape")
    page.keyboard.press("o")
    page.wait_for_url("**/alert-groups/0*")
    page.go_back()
    expect(rows(page)).to_have_count(3)


def test_an_answer_here_edits_the_message_in_slack_and_one_there_changes_the_row(world: Place, page: Page) -> None:
    comes(world, "both ways", "slack")
    comes(world, "the other way", "slack")
    world.settled()
    goes(page, "project:slack")
    row(page, "both ways").hover()
    row(page, "both ways").get_by_role("button", name="Acknowledge: both ways").click()
    expect(row(page, "both ways")).to_contain_text("Acknowledged")
    told = next(one for one in world.told if "both ways" in one.text)
    until = time.monotonic() + 30
    while "cknowledged by Olga" not in told.now and time.monotonic() < until:
        time.sleep(0.1)
        told = next(one for one in world.told if "both ways" in one.text)
    assert "cknowledged by Olga" in told.now
    other = next(one for one in world.told if "the other way" in one.text)
    world.standin.press(other.message.channel, other.message.ts, "ack", "Sam")
    expect(row(page, "the other way")).to_contain_text("Acknowledged")
    expect(row(page, "the other way")).to_contain_text("by sam")


@pytest.mark.whole
def test_the_address_holds_the_whole_state(world: Place, page: Page, visit: Visit) -> None:
    some(world, "address", 2)
    goes(page, "project:address")
    expect(rows(page)).to_have_count(2)
    box = page.get_by_role("combobox", name="Search alert groups")
    box.fill("severity>=high")
    box.press("Enter")
    expect(page.get_by_role("button", name="Remove severity>=high")).to_be_visible()
    page.get_by_role("columnheader", name="Events").get_by_role("button").click()
    page.get_by_role("columnheader", name="Events").get_by_role("button").click()
    page.get_by_label("Group by").select_option("Project")
    expect(page.get_by_role("row", name=re.compile("^address ?2$"))).to_be_visible()
    page.wait_for_url("**group=project*")
    there = visit()
    there.goto(page.url)
    expect(there.get_by_role("button", name="Change severity>=high")).to_be_visible()
    expect(there.get_by_role("columnheader", name="Events")).to_have_attribute("aria-sort", "ascending")
    expect(there.get_by_label("Group by")).to_have_value("project")
    expect(rows(there)).to_have_count(2)
    page.go_back()
    expect(page.get_by_label("Group by")).to_have_value("")
    page.go_back()
    expect(page.get_by_role("columnheader", name="Events")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("link", name="Inbox").click()
    expect(page.get_by_role("button", name="Change -status:resolved")).to_be_visible()
    expect(page.get_by_role("button", name="Change project:address")).to_be_hidden()


def test_a_search_is_completed_and_its_words_are_chips(world: Place, page: Page) -> None:
    comes(world, "completed", "web shop", tags={"release": "4.5.6"})
    page.goto("/alert-groups")
    expect(rows(page).first).to_be_visible()
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Search alert groups")
    expect(box).to_be_focused()
    page.keyboard.type("proj")
    expect(page.get_by_role("option", name="project:")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value("project:")
    page.keyboard.type("web")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", name="web shop")).to_have_attribute("aria-selected", "true")
    axe(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name='Change project:"web shop"')).to_be_visible()
    expect(rows(page)).to_have_count(1)
    page.keyboard.type("tag.rel")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("option", name="4.5.6")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.get_by_role("button", name='Remove project:"web shop"').click()
    expect(page.get_by_role("button", name='Change project:"web shop"')).to_be_hidden()
    announce(page, "422 .*/api/alert-groups")
    box.fill("severity>=urgent")
    box.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("'urgent' is not one of info, low, medium, high, critical")
    page.get_by_role("button", name="Change severity>=urgent").click()
    expect(box).to_have_value("severity>=urgent")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_view_is_saved_shared_and_removed(world: Place, page: Page, visit: Visit) -> None:
    some(world, "views", 2)
    goes(page, "project:views", sort="count")
    page.get_by_role("button", name="Save view").click()
    dialog = page.get_by_role("dialog", name="Save this view")
    dialog.get_by_label("Name").fill("Views of views")
    dialog.get_by_label("Everybody here sees it").click()
    axe(page)
    dialog.get_by_role("button", name="Save view").click()
    expect(dialog).to_be_hidden()
    here = page.get_by_role("navigation", name="Views").get_by_role("link", name="Views of views")
    expect(here).to_have_attribute("aria-current", "true")
    page.wait_for_url("**view=0*")
    kim = visit(person=world.person("kim@example.com"))
    kim.goto("/alert-groups")
    kim.get_by_role("link", name="Views of views").click()
    expect(rows(kim)).to_have_count(2)
    expect(kim.get_by_role("columnheader", name="Events")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Change the view Views of views").click()
    page.get_by_role("menuitem", name="Remove").click()
    expect(here).to_be_hidden()
    assert world.get("/api/views")["items"] == []


def test_a_shift_click_selects_what_lies_between(world: Place, page: Page) -> None:
    some(world, "range", 5)
    goes(page, "project:range", sort="title", order="asc")
    page.get_by_role("checkbox", name="Select range number 1").click()
    page.get_by_role("checkbox", name="Select range number 3").click(modifiers=["Shift"])
    expect(page.get_by_role("toolbar")).to_contain_text("3 selected")
    page.get_by_role("checkbox", name="Select everything that is loaded").click()
    expect(page.get_by_role("toolbar")).to_contain_text("5 selected")
    page.get_by_role("toolbar").get_by_role("button", name="Acknowledge").click()
    expect(rows(page).filter(has_text="Acknowledged")).to_have_count(5)
    expect(page.get_by_role("toolbar")).to_be_hidden()


@pytest.mark.whole
def test_at_night_on_a_phone_it_is_acknowledged(world: Place, narrow: Page) -> None:
    comes(world, "a very long title of something that broke at night and wakes somebody up", "phone", level="fatal")
    goes(narrow, "project:phone")
    button = narrow.get_by_role("button", name="Acknowledge: a very long")
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert too_wide(narrow) == []
    button.tap()
    expect(row(narrow, "a very long title")).to_contain_text("Acknowledged")
    narrow.get_by_role("button", name="Snooze: a very long").tap()
    expect(narrow.get_by_role("dialog")).to_be_visible()
    axe(narrow)
    narrow.get_by_role("button", name="1 hour").tap()
    expect(row(narrow, "a very long title")).to_contain_text("Snoozed")
    axe(narrow)


def test_nothing_ever_came(fresh: Place, visit: Visit) -> None:
    page = visit(fresh)
    page.goto("/alert-groups")
    expect(page.get_by_role("heading", name="No alert has come yet")).to_be_visible()
    expect(page.get_by_role("link", name="Connect a source")).to_have_attribute("href", "/integrations/new")
    axe(page)
    comes(fresh, "the very first", "p")
    expect(row(page, "the very first")).to_be_visible()
    page.goto("/alert-groups?search=nothing-like-this")
    page.get_by_role("button", name="Clear filters").click()
    expect(row(page, "the very first")).to_be_visible()


def test_somebody_who_only_looks_can_answer_nothing(world: Place, visit: Visit) -> None:
    some(world, "viewer", 1)
    page = visit(person=world.person("vic@example.com", "viewer"))
    goes(page, "project:viewer")
    expect(rows(page)).to_have_count(1)
    rows(page).first.hover()
    expect(page.get_by_role("button", name="Acknowledge: viewer number 0")).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("a")
    expect(page.get_by_role("toolbar")).to_be_hidden()
    assert world.groups(project="viewer")[0]["status"] == "open"


def test_it_says_what_fails_and_comes_back(world: Place, page: Page) -> None:
    some(world, "failing", 1)
    announce(page, "500|503|Failed to load")
    page.route(
        "**/api/alert-groups?*",
        lambda route: route.fulfill(
            status=503,
            content_type="application/problem+json",
            body=json.dumps({"code": "busy", "title": "Busy", "detail": "too much to do", "request_id": "r-17"}),
        ),
    )
    goes(page, "project:failing")
    expect(page.get_by_role("alert")).to_contain_text("too much to do")
    expect(page.get_by_role("alert")).to_contain_text("r-17")
    page.unroute("**/api/alert-groups?*")
    page.get_by_role("button", name="Try again").click()
    expect(rows(page)).to_have_count(1)


@pytest.mark.whole
def test_it_looks_right(world: Place, themed: Page) -> None:
    some(world, "looks", 3)
    goes(themed, "project:looks")
    expect(rows(themed)).to_have_count(3)
    expect(themed.get_by_role("img", name=re.compile("events? in the last 24 hours"))).to_have_count(3)
    axe(themed)
    themed.keyboard.press("j")
    themed.keyboard.press("x")
    axe(themed)
    picture(themed, f"inbox-{themed.evaluate('document.documentElement.dataset.theme')}")


LONG_TASKS = """() => { window.long = []; new PerformanceObserver((list) => {
  for (const one of list.getEntries()) window.long.push(Math.round(one.duration)); }).observe({type: 'longtask'}); }"""


@pytest.mark.whole
def test_very_many_rows_are_scrolled_page_by_page_and_few_are_in_the_document(fresh: Place, visit: Visit) -> None:
    fresh.integration("generic")
    for start in range(0, 450, 50):
        for n in range(start, start + 50):
            body = json.dumps({"title": f"alert {n:04}", "fingerprint": str(n), "severity": "low"}).encode()
            assert fresh.sends("generic", body, {"content-type": "application/json"}, settle=False).status_code == 202
    page = visit(fresh)
    page.goto("/alert-groups?sort=title&order=asc")
    expect(row(page, "alert 0000")).to_be_visible()
    # One leaves: those behind move up, which is nothing new.
    page.keyboard.press("j")
    page.keyboard.press("r")
    expect(page.get_by_role("textbox", name="How was it resolved?")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("449 alert groups")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^[0-9]+ new"))).to_be_hidden()
    page.evaluate(LONG_TASKS)
    for _ in range(60):
        page.mouse.wheel(0, 500)
        page.wait_for_timeout(40)
        assert rows(page).count() < 60
    expect(row(page, "alert 0449")).to_be_visible()
    row(page, "alert 0449").locator(".title a").click()
    page.wait_for_url("**/alert-groups/0*")
    page.go_back()
    expect(row(page, "alert 0449")).to_be_visible()
    print("long tasks:", page.evaluate("window.long"))
