"""The ledger: what is owed and why, and what a person does about it, as it happens."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Visit
from tests.e2e.looking import axe, too_wide
from tests.e2e.place import Place


@pytest.fixture(scope="module")
def routed(world: Place) -> Place:
    """Two channels; what one of them is told first, Slack refuses."""
    world.rule("environment == prod", "#oncall", name="prod")
    world.rule("environment == other", "#quiet", name="other")
    world.receives("sentry", "event_alert", issue="1", title="It works", environment="other")
    return world


def row(page: Page, title: str) -> Locator:
    """The first message about it."""
    return page.locator("[data-delivery]").filter(has_text=title).filter(has_text="First message")


def refused(world: Place, title: str, issue: str) -> None:
    """A message that Slack refuses for good."""
    world.slack.fail("chat.postMessage", error="msg_too_long")
    world.receives("sentry", "event_alert", issue=issue, title=title, environment="prod")
    until = time.monotonic() + 30
    while title not in [one["group_title"] for one in world.get("/api/deliveries", state="failed")["items"]]:
        assert time.monotonic() < until, f"{title} does not fail"
        time.sleep(0.1)
    world.slack.heal()


def test_what_slack_refuses_fails_with_its_word_and_is_sent_after_a_retry(routed: Place, page: Page) -> None:
    page.goto("/deliveries")
    expect(row(page, "It works")).to_have_attribute("data-state", "sent")
    routed.slack.fail("chat.postMessage", error="msg_too_long")
    routed.receives("sentry", "event_alert", issue="2", title="Too long", environment="prod")
    # Nobody reloads: the row comes, and fails with Slack's own word.
    expect(row(page, "Too long")).to_have_attribute("data-state", "failed", timeout=15_000)
    expect(row(page, "Too long")).to_contain_text("msg_too_long")
    expect(page.get_by_role("link", name="Failed 1")).to_be_visible()
    axe(page)
    routed.slack.heal()
    row(page, "Too long").get_by_role("button", name="Retry: Too long to #oncall").click()
    expect(page.get_by_text("It is owed again and tried at once.")).to_be_visible()
    expect(row(page, "Too long")).to_have_attribute("data-state", "sent", timeout=15_000)
    assert ("#oncall", "Too long") in routed.told
    expect(row(page, "Too long").get_by_role("button")).to_have_count(0)


@pytest.mark.whole
def test_all_that_failed_of_a_channel_is_retried_at_once(routed: Place, page: Page) -> None:
    for n in range(3):
        refused(routed, f"Bulk {n}", f"bulk-{n}")
    page.goto("/deliveries?state=failed")
    expect(page.locator("[data-delivery]")).to_have_count(3)
    page.get_by_role("button", name="Retry all failed of #oncall").click()
    expect(page.get_by_text("3 messages are owed again.")).to_be_visible()
    expect(page.locator("[data-delivery]")).to_have_count(0, timeout=15_000)
    page.goto("/deliveries?q=&state=sent&kind=first")
    for n in range(3):
        expect(row(page, f"Bulk {n}")).to_have_attribute("data-state", "sent", timeout=20_000)


@pytest.mark.whole
def test_picked_ones_are_retried_and_one_is_dropped_and_owed_again(routed: Place, page: Page) -> None:
    for n in range(2):
        refused(routed, f"Picked {n}", f"picked-{n}")
    page.goto("/deliveries")
    first, other = row(page, "Picked 0"), row(page, "Picked 1")
    expect(first).to_have_attribute("data-state", "failed")
    first.get_by_role("button", name="Drop: Picked 0 to #oncall").click()
    expect(first).to_have_attribute("data-state", "dropped")
    expect(first).to_contain_text("dropped by Olga")
    other.get_by_role("checkbox", name="Pick Picked 1 to #oncall").check()
    page.get_by_role("button", name="Retry 1", exact=True).click()
    expect(other).to_have_attribute("data-state", "sent", timeout=15_000)
    # Dropped by mistake: it is owed again with one press.
    page.get_by_role("button", name="Owe it again").click()
    expect(first).to_have_attribute("data-state", "sent", timeout=15_000)


@pytest.mark.whole
def test_a_channel_that_is_gone_says_why_it_is_owed(routed: Place, page: Page) -> None:
    routed.slack.archive("quiet")
    routed.receives("sentry", "event_alert", issue="5", title="Nobody home", environment="other")
    page.goto("/deliveries?state=owed")
    expect(row(page, "Nobody home")).to_contain_text("is_archived")
    routed.slack.archive("quiet", archived=False)
    row(page, "Nobody home").get_by_role("button", name="Try now: Nobody home to #quiet").click()
    expect(page.get_by_text("It is owed again and tried at once.")).to_be_visible()
    channel = next(c for c in routed.get("/api/channels")["items"] if c["name"] == "#quiet")
    routed.post(f"/api/channels/{channel['id']}/test")
    expect(row(page, "Nobody home")).to_have_count(0, timeout=20_000)


@pytest.mark.whole
def test_filters_stay_in_the_address(routed: Place, page: Page) -> None:
    page.goto("/deliveries")
    expect(row(page, "It works")).to_be_visible()
    page.get_by_label("Channel").select_option("#oncall")
    page.wait_for_url("**/deliveries?channel=%23oncall")
    expect(row(page, "It works")).to_have_count(0)
    page.get_by_label("Kind").select_option("First message")
    page.get_by_label("Search in errors").fill("nothing says this")
    page.wait_for_url("**nothing*")  # the list is empty before that: the kind alone leaves nothing
    expect(page.get_by_text("No delivery matches these filters")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Channel")).to_have_value("#oncall")
    expect(page.get_by_label("Search in errors")).to_have_value("nothing says this")
    page.get_by_role("link", name="Clear filters").first.click()
    expect(row(page, "It works")).to_be_visible()
    group = routed.group("It works")["id"]
    page.goto(f"/deliveries?group={group}")
    expect(row(page, "It works")).to_be_visible()
    assert page.locator("[data-delivery]").count() == len(routed.get("/api/deliveries", group=group)["items"])
    page.get_by_role("button", name="Remove the filter One alert group").click()
    page.wait_for_url("**/deliveries")


def test_who_may_only_read_has_no_buttons(routed: Place, visit: Visit) -> None:
    page = visit(routed, person=routed.person("victor@example.com", "viewer"))
    page.goto("/deliveries")
    expect(row(page, "It works")).to_be_visible()
    expect(page.locator("[data-delivery] button")).to_have_count(0)
    expect(page.get_by_role("checkbox")).to_have_count(0)


@pytest.mark.whole
def test_an_empty_ledger_says_what_comes_here(fresh: Place, visit: Visit) -> None:
    page = visit(fresh)
    page.goto("/deliveries")
    expect(page.get_by_text("No message was ever owed")).to_be_visible()
    axe(page)


@pytest.mark.whole
def test_it_fits_a_narrow_phone_by_night(routed: Place, visit: Visit) -> None:
    page = visit(routed, theme="dark", width=320, height=640, has_touch=True, is_mobile=True)
    page.goto("/deliveries")
    expect(row(page, "It works")).to_be_visible()
    assert too_wide(page) == []
    axe(page)
