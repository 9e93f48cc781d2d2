"""The page of one alert group: acting, the timeline, events, the runbook, why, print, a link for others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests import bodies
from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe, too_wide
from tests.e2e.place import Place

RUNBOOK = """# Pool

1. Look at the **pool**
2. [The wiki](https://wiki.example/pool) and [a trap](javascript:alert(1))

<script>window.hurt = 1</script><img src=x onerror="window.hurt = 2"><iframe src="/"></iframe>

`drain` it<br>by ssh <host>, <b onclick="window.hurt = 3">now</b>
"""
SAM = "sam@example.com"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, seeded: tuple[Path, str]) -> Iterator[Place]:
    with Place(tmp_path_factory.mktemp("world"), *seeded) as it:
        it.rule("severity >= high", "#oncall", name="serious", escalate_after=15, escalate_to="#leads", runbook=RUNBOOK)
        it.rule("environment == dev and severity >= low", "#dev", name="dev only")
        it.person(SAM)
        yield it


@pytest.fixture
def group(world: Place, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A critical group of this test alone, that #oncall was told of."""
    title = f"Pool is empty in {request.node.name}"
    say: dict[str, Any] = {"title": title, "issue": title, "level": "fatal", "tags": {"region": "eu"}}
    world.receives("sentry", "event_alert", **say)
    world.settled()
    return next(one for one in world.groups(q=title[:60]) if one["title"] == title)


def opened(page: Page, group: dict[str, Any], tab: str = "") -> Page:
    page.goto(f"/alert-groups/{group['id']}" + (f"?tab={tab}" if tab else ""))
    expect(page.get_by_role("heading", level=1).first).to_have_text(group["title"])  # a runbook has headings too
    return page


def message(world: Place, group: dict[str, Any]) -> Any:
    """The group's message in Slack."""
    return next(told for told in world.told if group["title"] in told.text and not told.in_thread)


def now_in_slack(world: Place, group: dict[str, Any], words: str, page: Page) -> None:
    for _ in range(100):
        if words in message(world, group).now:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{words!r} is not in {message(world, group).now}")


# -- acting -----------------------------------------------------------------------------------------------------------


def test_acknowledging_by_key_edits_the_message_in_slack(world: Place, page: Page, group: dict[str, Any]) -> None:
    opened(page, group)
    page.keyboard.press("a")
    expect(page.get_by_text("Acknowledged by Olga", exact=True)).to_be_visible()
    expect(page.locator("[data-verb=acknowledged]")).to_contain_text("Olga acknowledged")
    now_in_slack(world, group, "Olga", page)
    assert world.group(group["title"])["status"] == "acknowledged"


def test_resolving_with_a_note_and_opening_it_again(world: Place, page: Page, group: dict[str, Any]) -> None:
    opened(page, group)
    page.keyboard.press("r")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("How was it resolved?").fill("restarted the pool")
    dialog.get_by_role("button", name="Resolve").click()
    expect(page.locator("li.good")).to_contain_text("Olga resolved it")
    expect(page.get_by_role("complementary")).to_contain_text("restarted the pool")
    expect(page.locator("[data-next=none]")).to_contain_text("it is resolved by Olga")
    page.get_by_role("button", name="Open again").click()
    expect(page.get_by_role("button", name="Acknowledge")).to_be_visible()
    assert world.group(group["title"])["episode"] == 2


def test_snoozing_waking_and_assigning(world: Place, page: Page, group: dict[str, Any]) -> None:
    opened(page, group)
    page.keyboard.press("s")
    page.get_by_role("menuitem", name="4 hours").click()
    expect(page.locator("[data-next=none]")).to_contain_text("it is snoozed")
    expect(page.locator("[data-next=wake]")).to_be_visible()
    page.get_by_role("button", name="Wake").click()
    expect(page.locator("[data-next=escalation]")).to_contain_text("#leads will be told")
    page.get_by_role("button", name="Assign").click()
    page.get_by_role("menuitem", name="sam").click()
    expect(page.locator("[data-verb=assigned]")).to_contain_text("Olga assigned it to sam")
    assert world.group(group["title"])["assignee"]["name"] == "sam"


@pytest.mark.whole
def test_an_action_that_is_refused_says_why_and_shows_what_is(world: Place, page: Page, group: dict[str, Any]) -> None:
    announce(page, r"409 .*/ack", r"ERR_FAILED .*/api/live")
    page.route("**/api/live*", lambda route: route.abort())  # so that the page does not learn of it by itself
    opened(page, group)
    world.act(group, "ack")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text(re.compile("already acknowledged by journeys"))).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)


@pytest.mark.whole
def test_a_viewer_is_told_why_there_is_nothing_to_press(world: Place, visit: Visit, group: dict[str, Any]) -> None:
    viewer = visit(person=world.person("viewer@example.com", "viewer"))
    opened(viewer, group)
    expect(viewer.get_by_text("Your role may look at alert groups")).to_be_visible()
    expect(viewer.get_by_role("button", name="Acknowledge")).to_have_count(0)
    expect(viewer.get_by_label("Comment")).to_have_count(0)


# -- the timeline -----------------------------------------------------------------------------------------------------


def test_a_comment_appears_live_in_a_second_browser(page: Page, visit: Visit, group: dict[str, Any]) -> None:
    other = opened(visit(person=SAM), group)
    expect(other.locator(".live:visible", has_text="Live").first).to_be_visible()
    opened(page, group)
    page.keyboard.press("c")
    expect(page.get_by_role("textbox", name="Comment")).to_be_focused()
    page.keyboard.type("The pool is **empty** again")
    page.keyboard.press("Control+Enter")
    for window in (page, other):
        line = window.locator("[data-verb=commented]")
        expect(line).to_contain_text("Olga commented")
        expect(line.locator("strong")).to_have_text("empty")
    expect(other.locator("[data-verb=commented]").get_by_role("button", name="Edit")).to_have_count(0)
    page.locator("[data-verb=commented]").get_by_role("button", name="Edit").click()
    page.locator("[data-verb=commented]").get_by_role("textbox").fill("It is full")
    page.get_by_role("button", name="Save").click()
    expect(other.locator("[data-verb=commented]")).to_contain_text("It is full")
    page.locator("[data-verb=commented]").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(other.locator("[data-verb=commented]")).to_contain_text("the comment was deleted")


@pytest.mark.whole
def test_the_timeline_shows_what_the_provider_answered(world: Place, page: Page) -> None:
    world.rule("project == lost", "#lost", name="lost", stop=True, priority=1)
    world.slack.archive("lost")
    say: dict[str, Any] = {"project": "lost", "title": "Nobody hears this", "issue": "lost", "level": "error"}
    world.receives("sentry", "event_alert", settle=False, **say)
    world.settled()
    opened(page, world.group("Nobody hears this"))
    line = page.locator("[data-verb=first]").first
    expect(line).to_contain_text("First message to #lost")
    expect(line).to_contain_text("by rule “lost”")
    expect(line).to_contain_text("Its answer:")
    expect(line).to_contain_text("archived")


@pytest.mark.whole
def test_events_are_folded_and_what_comes_next_is_told(world: Place, page: Page, group: dict[str, Any]) -> None:
    for _ in range(3):
        say: dict[str, Any] = {"title": group["title"], "issue": group["title"], "level": "fatal"}
        world.receives("sentry", "event_alert", **say)
    opened(page, group)
    expect(page.locator("[data-verb=events]")).to_have_count(1)
    expect(page.locator("[data-verb=events]")).to_contain_text("4 events")
    expect(page.locator("[data-verb=opened]")).to_contain_text("Opened as critical")
    coming = page.locator("[data-next=escalation]")
    expect(coming).to_contain_text("#leads will be told unless somebody acknowledges")
    expect(coming).to_contain_text("After 15 min, by rule “serious”")
    world.receives("sentry", "event_alert", title=group["title"], issue=group["title"], level="fatal")
    expect(page.locator("[data-verb=events]")).to_contain_text("5 events")


@pytest.mark.whole
def test_older_moments_are_loaded(world: Place, page: Page, group: dict[str, Any]) -> None:
    for number in range(60):
        world.post(f"/api/alert-groups/{group['id']}/comments", {"body": f"n {number}"})
    opened(page, group)
    expect(page.locator("[data-verb=commented]")).to_have_count(50)
    page.get_by_role("button", name="Load older").click()
    expect(page.locator("[data-verb=commented]")).to_have_count(60)
    expect(page.get_by_text("This is where it began.")).to_be_visible()


# -- what lies behind -------------------------------------------------------------------------------------------------


def test_the_payload_is_shown_as_it_came_and_readably(world: Place, page: Page) -> None:
    raw = bodies.body("event_alert", title="bytes ünïcödë <b>x</b>", issue="bytes").replace(b'"data":', b'"data" :  ')
    world.sends("sentry", raw, bodies.signed(raw, "event_alert"))
    group = world.group("bytes ünïcödë")
    opened(page, group, "events")
    box = page.locator("[data-payload]")
    expect(box).to_contain_text('"title": "bytes ünïcödë <b>x</b>"')
    assert "\n" in (box.text_content() or "")
    page.get_by_role("button", name="As it came").click()
    assert (box.text_content() or "").encode() == raw
    expect(page.get_by_text(f"{len(raw):,} bytes")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes() == raw


@pytest.mark.whole
def test_events_are_gone_through_one_by_one(world: Place, page: Page, group: dict[str, Any]) -> None:
    for number in range(2):
        say: dict[str, Any] = {"title": group["title"], "issue": group["title"], "tags": {"turn": f"t{number}"}}
        world.receives("sentry", "event_alert", **say)
    opened(page, group, "events")
    tags = page.locator("dl.tags")
    expect(page.get_by_text("1 of 3")).to_be_visible()
    expect(tags).to_contain_text("t1")
    page.get_by_role("button", name="Older").click()
    expect(tags).to_contain_text("t0")
    page.keyboard.press("]")
    expect(page.get_by_text("3 of 3")).to_be_visible()
    expect(tags).to_contain_text("region")
    expect(page.get_by_role("button", name="Older")).to_be_disabled()


@pytest.mark.whole
def test_tags_and_occurrences_are_spread(world: Place, page: Page, group: dict[str, Any]) -> None:
    for number in range(3):
        say: dict[str, Any] = {"title": group["title"], "issue": group["title"], "tags": {"half": f"h{number % 2}"}}
        world.receives("sentry", "event_alert", **say)
    opened(page, group, "distribution")
    expect(page.get_by_text("4 events in the last 24 hours").first).to_be_visible()
    expect(page.locator("canvas")).to_be_visible()
    half = page.locator("section", has=page.get_by_role("heading", name="half", exact=True)).last
    expect(half).to_contain_text("67 %")
    expect(half).to_contain_text("1 event without it")
    page.get_by_role("button", name="7 days").click()
    expect(page.get_by_text("4 events in the last 7 days").first).to_be_visible()


def test_a_runbook_with_a_script_in_it_is_harmless(page: Page, group: dict[str, Any]) -> None:
    opened(page, group, "runbook")
    expect(page.get_by_role("heading", name="Pool", exact=True)).to_be_visible()
    wiki = page.get_by_role("link", name="The wiki")
    expect(wiki).to_have_attribute("href", "https://wiki.example/pool")
    expect(wiki).to_have_attribute("rel", "noopener noreferrer nofollow")
    assert page.locator("article script, article img, article iframe").count() == 0
    assert page.locator("article a[href^=javascript]").count() == 0
    assert page.locator("article [onclick], article [onerror]").count() == 0
    # What is no tag of a text is read as it was written: of `ssh <host>` nothing may be lost.
    expect(page.get_by_text("by ssh <host>,")).to_be_visible()
    expect(page.get_by_text('<img src=x onerror="window.hurt = 2">')).to_be_visible()
    assert page.evaluate("window.hurt") is None
    expect(page.get_by_role("link", name="“serious”")).to_be_visible()


@pytest.mark.whole
def test_related_groups_lead_to_each_other(world: Place, page: Page, group: dict[str, Any]) -> None:
    say: dict[str, Any] = {"title": group["title"], "issue": "elsewhere", "environment": "staging", "project": "other"}
    world.receives("sentry", "event_alert", **say)
    opened(page, group, "related")
    row = page.locator("li", has_text="the same title in staging")
    row.get_by_role("link").click()
    expect(page.get_by_text("other / staging / sentry")).to_be_visible()
    other = next(one for one in world.groups(q=group["title"][:60]) if one["id"] != group["id"])
    assert page.url.endswith(f"/alert-groups/{other['id']}")


@pytest.mark.whole
def test_the_history_tells_how_it_was_resolved_before(world: Place, page: Page, group: dict[str, Any]) -> None:
    world.act(group, "resolve", note="added connections")
    world.receives("sentry", "event_alert", title=group["title"], issue=group["title"], level="fatal")
    opened(page, group, "history")
    expect(page.get_by_text("Episode 2")).to_be_visible()
    first = page.locator("li", has_text="Episode 1").last
    expect(first).to_contain_text("resolved by journeys")
    expect(first).to_contain_text("added connections")


def test_why_explains_a_rule_that_did_not_match(page: Page, group: dict[str, Any]) -> None:
    opened(page, group, "why")
    dev = page.locator('[data-rule="dev only"]')
    expect(dev).to_contain_text("Does not hold")
    expect(dev).to_contain_text("environment is “dev” – it is “prod”")
    expect(dev).to_contain_text("severity is at least “low” – it is “critical”")
    expect(page.locator('[data-rule="serious"]')).to_contain_text("Holds")
    expect(page.locator('[data-channel="#oncall"]')).to_contain_text('told 1 time: rule "serious" leads here')
    expect(page.locator('[data-channel="#dev"]')).to_contain_text("no rule that holds leads here")
    expect(page.locator('[data-channel="#leads"]')).to_contain_text("by escalation unless somebody answers")


# -- for others -------------------------------------------------------------------------------------------------------


@pytest.mark.whole
def test_printed_it_holds_the_facts_and_no_buttons(page: Page, group: dict[str, Any]) -> None:
    opened(page, group)
    expect(page.locator("[data-verb=opened]")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Acknowledge")).to_be_hidden()
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(page.get_by_role("tab").first).to_be_hidden()
    expect(page.get_by_role("complementary")).to_be_visible()
    expect(page.locator("[data-verb=opened]")).to_be_visible()


def test_a_shared_link_works_without_a_session_until_it_is_taken_back(
    world: Place, page: Page, stranger: Page, group: dict[str, Any]
) -> None:
    opened(page, group)
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Share").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("For how long?").select_option("1")
    dialog.get_by_role("button", name="Make a link").click()
    url = dialog.locator(".url").text_content() or ""
    assert url.startswith(f"{world.url}/share/")
    stranger.goto(url)
    expect(stranger.get_by_role("heading", level=1)).to_have_text(group["title"])
    expect(stranger.get_by_text("Shared by Olga")).to_be_visible()
    axe(stranger)
    dialog.get_by_role("button", name="Take back").click()
    expect(dialog.get_by_text("taken back")).to_be_visible()
    announce(stranger, r"410 .*/share/")
    stranger.reload()
    expect(stranger.get_by_role("heading", level=1)).to_have_text("This link does not work any more")
    assert httpx.get(url, trust_env=False).headers["x-robots-tag"] == "noindex, nofollow"


# -- every window -----------------------------------------------------------------------------------------------------


@pytest.mark.whole
@pytest.mark.parametrize("tab", ["timeline", "events", "distribution", "runbook", "related", "history", "why"])
def test_axe_finds_nothing_wrong_by_day_and_by_night(themed: Page, group: dict[str, Any], tab: str) -> None:
    opened(themed, group, "" if tab == "timeline" else tab)
    themed.wait_for_timeout(400)
    expect(themed.get_by_role("status").filter(has_text="Loading")).to_have_count(0)
    axe(themed)


@pytest.mark.whole
def test_on_a_phone_the_actions_are_at_the_thumb_and_nothing_is_cut_off(
    world: Place, narrow: Page, group: dict[str, Any]
) -> None:
    opened(narrow, group)
    button = narrow.get_by_role("button", name="Acknowledge")
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["y"] > 500, "at the lower edge"
    assert too_wide(narrow) == []
    for tab in ("Events", "Distribution", "Runbook", "Related", "History", "Why?"):
        narrow.get_by_role("tab", name=tab).click()
        narrow.wait_for_timeout(300)
        assert too_wide(narrow) == [], tab
    button.tap()
    expect(narrow.get_by_text("Acknowledged by Olga", exact=True)).to_be_visible()
    assert world.group(group["title"])["status"] == "acknowledged"


def test_a_group_that_is_not_there_says_so(page: Page) -> None:
    announce(page, r"404 .*/api/alert-groups/")
    page.goto("/alert-groups/0000000000000")
    expect(page.get_by_text("There is no such alert group")).to_be_visible()
    page.get_by_role("link", name="To the inbox").click()
    expect(page).to_have_url(re.compile(r"/alert-groups$"))
