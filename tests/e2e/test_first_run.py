"""First run: from an empty data directory to the first alert in Slack, by what the pages say alone."""

from __future__ import annotations

import time

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests import bodies
from tests.e2e.conftest import Visit
from tests.e2e.looking import axe, picture, too_wide
from tests.e2e.place import PASSWORD, Place
from tests.world import BOT_TOKEN

MINUTES = 5
"""What a person has for all of it. The machine's share, measured here, is to be a small part of that."""
CLIENT_SECRET = "what-sentry-shows-as-its-client-secret"


def sentry_sends(url: str, secret: str, **say: str) -> httpx.Response:
    """What Sentry posts to the address that a person pasted there."""
    raw = bodies.body("event_alert", **say)
    headers = bodies.signed(raw, "event_alert", secret, int(time.time()))
    return httpx.post(url, content=raw, headers=headers, timeout=10, trust_env=False)


def makes_the_owner(page: Page, place: Place) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="Make the first owner")).to_be_visible()
    page.get_by_label("Setup code").fill(place.setup_code())
    page.get_by_label("Your name").fill("Olga")
    page.get_by_label("E-mail address").fill("olga@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Make me the owner").click()
    expect(page.get_by_role("heading", name="Set up SignalCraft")).to_be_visible()


def connects_slack(page: Page, channel: str = "#alerts", token: str = BOT_TOKEN) -> None:
    page.get_by_label("Bot User OAuth Token").fill(token)
    page.get_by_label("App-level token").fill("xapp-tests")
    page.get_by_label("Channel", exact=True).fill(channel)
    page.get_by_role("button", name="Connect and send a test message").click()


def makes_an_address(page: Page) -> str:
    page.get_by_role("button", name="Make its address").click()
    shown = page.locator("code", has_text="/webhooks/sentry/")
    expect(shown).to_be_visible()
    return shown.inner_text()


def keeps_the_secret(page: Page, secret: str = CLIENT_SECRET) -> None:
    page.get_by_label("Client secret").fill(secret)
    page.get_by_role("button", name="Save the secret").click()
    expect(page.get_by_text("The secret is kept.")).to_be_visible()


def test_from_an_empty_box_to_the_first_slack_message(bare: Place, visit: Visit) -> None:
    """Item 1. Owner, Slack, Sentry, a test alert that lands: through the pages, with a stopwatch."""
    bare.slack.add_channel("alerts")
    page = visit(bare, person=None)
    began = time.monotonic()
    makes_the_owner(page, bare)
    expect(page.get_by_text("0 of 3 done")).to_be_visible()
    axe(page)

    expect(page.get_by_role("radio", name="Socket Mode")).to_be_checked()
    page.get_by_text("Or paste this manifest").click()
    expect(page.locator("pre")).to_contain_text("socket_mode_enabled: true")
    connects_slack(page)
    expect(page.get_by_text("It landed:")).to_be_visible()
    slack_s = time.monotonic() - began
    assert [told.channel for told in bare.told] == ["#alerts"]
    expect(page.get_by_text("1 of 3 done")).to_be_visible()
    page.get_by_role("button", name="Next").click()

    url = makes_an_address(page)
    assert url.startswith(f"{bare.url}/webhooks/sentry/")
    keeps_the_secret(page)
    expect(page.get_by_text("Waiting for your first webhook…")).to_be_visible()
    axe(page)
    sent = time.monotonic()
    assert sentry_sends(url, CLIENT_SECRET, title="The first of them all").status_code == 202
    expect(page.get_by_text("The first webhook came")).to_be_visible()
    green_s = time.monotonic() - sent
    expect(page.get_by_text("3 of 3 done")).to_be_visible()  # it was told at once, too
    page.get_by_role("button", name="Next").click()

    page.get_by_role("button", name="Send a test alert").click()
    expect(page.get_by_text("Told to slack: landed")).to_be_visible()
    whole_s = time.monotonic() - began
    assert ("#alerts", "Test alert of sentry") in bare.told
    expect(page.get_by_role("heading", name="It works, end to end")).to_be_visible()
    axe(page)
    picture(page, "start-done", whole=True)
    page.get_by_role("link", name="Open the alert group").click()
    page.wait_for_url("**/alert-groups/*")
    print(f"\nfirst run: first Slack message {slack_s:.1f} s, all of it {whole_s:.1f} s, green in {green_s:.2f} s")
    assert whole_s < MINUTES * 60 / 5


@pytest.mark.whole
def test_a_step_says_what_is_wrong_and_is_mended_where_it_stands(bare: Place, visit: Visit) -> None:
    """A wrong token, a wrong client secret: the page tells, in the vendor's words, and goes on."""
    bare.slack.add_channel("alerts")
    page = visit(bare, person=None)
    makes_the_owner(page, bare)
    connects_slack(page, token="xoxb-of-another-workspace")
    expect(page.get_by_text("Slack did not take it")).to_be_visible()
    expect(page.get_by_text("invalid_auth")).to_be_visible()
    page.get_by_label("Bot User OAuth Token").fill(BOT_TOKEN)
    page.get_by_role("button", name="Send the test message once more").click()
    expect(page.get_by_text("It landed:")).to_be_visible()
    page.get_by_role("button", name="Next").click()

    url = makes_an_address(page)
    keeps_the_secret(page, "something-else")
    assert sentry_sends(url, CLIENT_SECRET).status_code == 401
    expect(page.get_by_text("A webhook came and was sent away: the Sentry-Hook-Signature")).to_be_visible()
    keeps_the_secret(page)
    assert sentry_sends(url, CLIENT_SECRET).status_code == 202
    expect(page.get_by_text("The first webhook came")).to_be_visible()


@pytest.mark.whole
def test_the_guide_is_left_and_taken_up_again(bare: Place, visit: Visit) -> None:
    """Skippable and resumable: what is done is measured, so another browser goes on where this one stopped."""
    bare.slack.add_channel("alerts")
    page = visit(bare, person=None)
    makes_the_owner(page, bare)
    page.get_by_role("button", name="Skip this step").click()
    before = makes_an_address(page)
    page.get_by_role("link", name="Finish later").click()
    page.wait_for_url(f"{bare.url}/")

    other = visit(bare, person="olga@example.com")
    other.goto("/start")
    expect(other.get_by_text("0 of 3 done")).to_be_visible()
    connects_slack(other)
    expect(other.get_by_text("It landed:")).to_be_visible()
    other.get_by_role("button", name="Next").click()
    expect(other.get_by_text("was told once")).to_be_visible()
    other.get_by_role("button", name="Make a new address").click()
    shown = other.locator("code", has_text="/webhooks/sentry/")
    expect(shown).to_be_visible()
    keeps_the_secret(other)
    assert shown.inner_text() != before
    assert sentry_sends(before, CLIENT_SECRET).status_code == 404
    assert sentry_sends(shown.inner_text(), CLIENT_SECRET).status_code == 202
    expect(other.get_by_text("The first webhook came")).to_be_visible()


@pytest.mark.whole
def test_a_wrong_code_and_a_weak_password_are_refused_in_words(bare: Place, visit: Visit) -> None:
    page = visit(bare, person=None)
    page.goto("/setup")
    axe(page)
    page.get_by_label("Setup code").fill("AAAA-BBBB-CCCC")
    page.get_by_label("Your name").fill("Olga")
    page.get_by_label("E-mail address").fill("olga@example.com")
    page.get_by_label("Password", exact=True).fill("password1234")
    from tests.e2e.conftest import announce

    announce(page, r"401 .*setup", r"422 .*setup")
    page.get_by_role("button", name="Make me the owner").click()
    expect(page.get_by_role("alert")).to_contain_text("the setup code is wrong")
    page.get_by_label("Setup code").fill(bare.setup_code())
    page.get_by_role("button", name="Make me the owner").click()
    expect(page.get_by_label("Password", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Make me the owner").click()
    expect(page.get_by_role("heading", name="Set up SignalCraft")).to_be_visible()


@pytest.mark.whole
def test_the_guide_on_a_phone(bare: Place, visit: Visit) -> None:
    """Nothing sticks out at 320 px, by day and by night."""
    page = visit(bare, person=None, width=320, height=640)
    makes_the_owner(page, bare)
    expect(page.get_by_label("Bot User OAuth Token")).to_be_visible()
    assert too_wide(page) == []
    axe(page)
    picture(page, "start-narrow", whole=True)
    page.emulate_media(color_scheme="dark")
    axe(page)
