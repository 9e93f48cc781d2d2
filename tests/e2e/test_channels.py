"""Adding a channel in the dashboard: the Slack app's manifest, a real test and what the vendor answered, mending."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import announce
from tests.e2e.looking import axe, too_wide
from tests.e2e.place import Place
from tests.e2e.test_integrations import step_up
from tests.world import BOT_TOKEN


@pytest.mark.whole
def test_slack_says_not_in_channel_in_words_and_then_takes_it(world: Place, page: Page) -> None:
    world.slack.add_channel("oncall")
    world.slack.expel("oncall")
    page.goto("/channels")
    page.get_by_role("link", name="Add a channel").first.click()
    page.get_by_role("button", name=re.compile("^Slack")).click()
    expect(page.get_by_text("socket_mode_enabled: true")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("oncall")
    page.get_by_label("Bot token", exact=True).fill(BOT_TOKEN)
    page.get_by_label("Channel", exact=True).fill("#oncall")
    page.get_by_role("button", name="Add it").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("It was not taken.")).to_be_visible()
    answer = page.get_by_text(re.compile("the bot is not in #oncall: invite the bot: /invite @SignalCraft"))
    expect(answer.first).to_be_visible()
    expect(page.get_by_text(re.compile(r"\(not_in_channel\)")).first).to_be_visible()
    page.get_by_role("link", name="To the channel").click()
    expect(page.get_by_role("heading", name="oncall", exact=True)).to_be_visible()
    expect(page.get_by_text("broken", exact=True)).to_be_visible()
    expect(page.get_by_text("This channel cannot deliver:")).to_be_visible()
    world.slack.expel("oncall", member=True)
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("It was taken.")).to_be_visible()
    expect(page.get_by_text("Slack took it")).to_be_visible()
    expect(page.get_by_text("broken", exact=True)).to_have_count(0)
    # The secret is nowhere on the page, and stays as it is when other things change.
    assert BOT_TOKEN not in page.content()
    page.get_by_label("Channel", exact=True).fill("#elsewhere")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    (kept,) = world.get("/api/channels")["items"]
    assert (kept["config"]["channel"], kept["secrets"]) == ("#elsewhere", ["bot_token"])


def test_the_manifest_is_shown_in_the_mode_that_suits_and_the_other(world: Place, page: Page) -> None:
    page.goto("/channels/new?kind=slack")
    socket = page.get_by_role("radio", name=re.compile("^Socket Mode"))
    expect(socket).to_be_checked()
    expect(page.get_by_text("suits this box")).to_be_visible()
    manifest = page.get_by_role("region", name="The manifest")
    expect(manifest).to_contain_text("chat:write.public")
    expect(manifest).not_to_contain_text("request_url")
    page.get_by_role("radio", name=re.compile("^HTTPS")).check()
    expect(manifest).to_contain_text("/webhooks/slack/actions")
    link = page.get_by_role("link", name="Open Slack with it filled in")
    expect(link).to_have_attribute(
        "href", re.compile(r"^https://api\.slack\.com/apps\?new_app=1&manifest_yaml=.*request_url")
    )


def test_what_a_form_gets_wrong_is_said_at_its_field(world: Place, page: Page) -> None:
    announce(page, r"422 .*/api/channels")
    page.goto("/channels/new?kind=email")
    page.get_by_label("Name", exact=True).fill("mail")
    page.get_by_label("SMTP server").fill("mail.example.com")
    page.get_by_label("From").fill("nobody")
    page.get_by_label("To", exact=True).fill("oncall@example.com\nnot an address")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_label("From")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("1: must be an address such as oncall@example.com")).to_be_visible()
    page.get_by_label("From").fill("alerts@example.com")
    page.get_by_label("To", exact=True).fill("oncall@example.com")
    page.get_by_label("Port").fill("many")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_label("Port")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Port").fill("2525")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", name="“mail” is there")).to_be_visible()
    made = next(c for c in world.get("/api/channels")["items"] if c["name"] == "mail")
    assert (made["config"]["port"], made["config"]["recipients"]) == (2525, ["oncall@example.com"])


def test_a_webhooks_secret_is_told_once_and_rotated(world: Place, page: Page) -> None:
    announce(page, r"403 .*/rotate")
    page.goto("/channels/new?kind=webhook")
    page.get_by_label("Name", exact=True).fill("ours")
    page.get_by_label("Address").fill("http://127.0.0.1:9/hook")
    page.get_by_role("button", name="Add it").click()
    told = page.get_by_role("group", name="Signing secret").locator("code")
    first = told.inner_text()
    assert first.startswith("whsec_")
    page.get_by_role("link", name="To the channel").click()
    expect(page.get_by_role("heading", name="ours", exact=True)).to_be_visible()
    assert first not in page.content()
    page.get_by_role("button", name="Rotate the secret").click()
    page.get_by_role("button", name="Rotate now").click()
    asked = page.locator("input[autocomplete=current-password]")
    expect(asked.or_(told).first).to_be_visible()
    if asked.is_visible():
        step_up(page)
    assert told.inner_text().startswith("whsec_")
    assert told.inner_text() != first
    page.get_by_role("dialog").get_by_role("button", name="Done").click()
    expect(page.get_by_text("The earlier signing secret still signs until")).to_be_visible()


def test_a_channel_that_a_rule_tells_is_not_deleted_and_another_is(world: Place, page: Page) -> None:
    announce(page, r"409 .*/api/channels")
    world.rule(channel="#needed", name="it needs it")
    needed = next(c for c in world.get("/api/channels")["items"] if c["name"] == "#needed")
    page.goto(f"/channels/{needed['id']}")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text('is in use by the routing rule "it needs it"')).to_be_visible()
    spare = world.channel("#spare")
    page.goto(f"/channels/{spare['id']}")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("“#spare” is deleted")).to_be_visible()
    expect(page.get_by_role("heading", name="Channels")).to_be_visible()
    assert "#spare" not in [c["name"] for c in world.get("/api/channels")["items"]]


@pytest.mark.whole
def test_nobody_is_shut_out_of_these_pages(world: Place, themed: Page) -> None:
    made = world.channel("#for-everybody") if not _there(world, "#for-everybody") else _there(world, "#for-everybody")
    for address, wanted in (
        ("/channels", "#for-everybody"),
        ("/channels/new", "What is told?"),
        ("/channels/new?kind=slack", "suits this box"),
        ("/channels/new?kind=email", "SMTP server"),
        (f"/channels/{made['id']}", "How it does"),
    ):
        themed.goto(address)
        expect(themed.get_by_text(wanted).first).to_be_visible()
        axe(themed)


def _there(world: Place, name: str) -> dict[str, str]:
    return next((c for c in world.get("/api/channels")["items"] if c["name"] == name), {})


@pytest.mark.whole
def test_a_narrow_phone_shows_all_of_it(world: Place, narrow: Page) -> None:
    made = world.channel("#phone")
    for address, wanted in (
        ("/channels", "#phone"),
        ("/channels/new?kind=slack", "suits this box"),
        (f"/channels/{made['id']}", "How it does"),
    ):
        narrow.goto(address)
        expect(narrow.get_by_text(wanted).first).to_be_visible()
        assert too_wide(narrow) == [], address
