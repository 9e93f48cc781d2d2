"""Connecting a sender in the dashboard: address and secret once, the first webhook seen live, rotation and overlap."""

from __future__ import annotations

import re
import time

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests import bodies
from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe, too_wide
from tests.e2e.place import PASSWORD, Place


def send(url: str, secret: str, issue: str = "1") -> int:
    """A signed webhook of Sentry's; the status of the answer."""
    raw = bodies.body("event_alert", issue=issue)
    headers = bodies.signed(raw, "event_alert", secret, int(time.time()))
    return httpx.post(url, content=raw, headers=headers, trust_env=False).status_code


def once(page: Page, label: str) -> str:
    """What is told this once under a label."""
    return page.get_by_role("group", name=label).locator("code").inner_text()


def step_up(page: Page) -> None:
    """Enters the password once more, where it is asked for."""
    dialog = page.get_by_role("dialog").filter(has=page.locator("input[autocomplete=current-password]"))
    dialog.locator("input[autocomplete=current-password]").fill(PASSWORD)
    dialog.locator("button[type=submit], button.primary").last.click()


@pytest.mark.whole
def test_a_sender_is_connected_and_its_first_webhook_turns_green(world: Place, page: Page) -> None:
    page.goto("/integrations")
    page.get_by_role("link", name="Connect a sender").first.click()
    page.get_by_role("button", name=re.compile("^Sentry")).click()
    page.get_by_label("Name", exact=True).fill("sentry-first")
    page.get_by_role("button", name="Make its address").click()
    url, secret = once(page, "Webhook address"), once(page, "Secret")
    assert url.startswith(f"{world.url}/webhooks/sentry/")
    steps = page.get_by_role("list").filter(has_text="Custom Integrations")
    expect(steps).to_contain_text(url)
    waiting = page.get_by_text("Waiting for your first webhook…")
    expect(waiting).to_be_visible()
    # Unsigned, it is sent away, and the page says why, by itself.
    raw = bodies.body("event_alert", issue="11")
    assert (
        httpx.post(url, content=raw, headers={"sentry-hook-resource": "event_alert"}, trust_env=False).status_code
        == 401
    )
    expect(page.get_by_text("the request carries no Sentry-Hook-Signature")).to_be_visible()
    assert send(url, secret, "11") == 202
    expect(page.get_by_text("It arrived.")).to_be_visible()
    expect(waiting).to_be_hidden()
    # The client secret that Sentry made takes the place of ours.
    field = page.get_by_label("Client secret, as it stands there")
    field.fill("the-vendors-own-secret")
    page.get_by_role("listitem").filter(has=field).get_by_role("button", name="Save").click()
    expect(page.get_by_text("saved", exact=True)).to_be_visible()
    assert send(url, "the-vendors-own-secret", "12") == 202
    assert send(url, secret, "13") == 401
    page.get_by_role("link", name="To the integration").click()
    expect(page.get_by_role("heading", name="sentry-first", exact=True)).to_be_visible()
    # What was told once is nowhere any more.
    assert url not in page.content()
    expect(page.get_by_text("refused", exact=True)).to_be_visible()
    assert send(url, "the-vendors-own-secret", "14") == 202
    expect(page.get_by_text("receiving", exact=True)).to_be_visible()


def test_what_a_form_gets_wrong_is_said_at_its_field(world: Place, page: Page) -> None:
    announce(page, r"422 .*/api/integrations")
    world.integration("generic", "taken")
    page.goto("/integrations/new?kind=generic")
    page.get_by_label("Name", exact=True).fill("nagios")
    page.get_by_label("Secret", exact=True).fill("whsec_not base64")
    page.get_by_role("button", name="Make its address").click()
    expect(page.get_by_label("Secret", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text(re.compile("must be base64"))).to_be_visible()
    page.get_by_label("Secret", exact=True).fill("")
    page.get_by_text("Advanced").click()
    page.get_by_role("button", name="Add to “Where the fields stand”").click()
    page.get_by_label("Where the fields stand: name 1").fill("titel")
    page.get_by_label("Where the fields stand: value 1").fill("incident.name")
    page.get_by_role("button", name="Make its address").click()
    expect(page.get_by_text(re.compile("titel: is no field of an alert"))).to_be_visible()
    page.get_by_label("Where the fields stand: name 1").fill("title")
    page.get_by_role("button", name="Make its address").click()
    expect(page.get_by_text("Waiting for your first webhook…")).to_be_visible()
    expect(page.locator("pre").first).to_contain_text("curl http")
    made = next(i for i in world.get("/api/integrations")["items"] if i["name"] == "nagios")
    assert made["config"]["mapping"] == {"title": "incident.name"}


def test_an_address_is_rotated_and_the_earlier_one_ends_with_its_overlap(world: Place, page: Page) -> None:
    announce(page, r"403 .*/rotate")
    made = world.integration("sentry", "turning")
    old = made["webhook_url"]
    page.goto(f"/integrations/{made['id']}")
    page.get_by_role("button", name="Rotate", exact=True).click()
    page.get_by_role("button", name="Rotate now").click()
    step_up_if_asked(page)
    new = once(page, "Webhook address")
    assert new != old
    expect(page.get_by_text("What to do now")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Done").click()
    expect(page.get_by_text("The earlier address or secret still works until")).to_be_visible()
    assert (send(old, bodies.SECRET, "21"), send(new, bodies.SECRET, "22")) == (202, 202)
    # Once more, without an overlap: the earlier one ends at once.
    page.get_by_role("button", name="Rotate", exact=True).click()
    page.get_by_label(re.compile("^Minutes for which")).fill("0")
    page.get_by_role("button", name="Rotate now").click()
    newest = once(page, "Webhook address")
    expect(page.get_by_text("The earlier one works no more.")).to_be_visible()
    assert (send(old, bodies.SECRET, "23"), send(new, bodies.SECRET, "24")) == (404, 404)
    assert send(newest, bodies.SECRET, "25") == 202


def step_up_if_asked(page: Page) -> None:
    """A session that proved itself a moment ago is not asked again."""
    dialog = page.locator("input[autocomplete=current-password]")
    once_told = page.get_by_role("group", name="Webhook address")
    expect(dialog.or_(once_told).first).to_be_visible()
    if dialog.is_visible():
        step_up(page)


def test_the_last_payloads_and_the_warnings_of_an_integration_are_shown(world: Place, page: Page) -> None:
    made = world.integration("generic", "unsigned")
    world.integrations["unsigned"]["secret"] = ""
    world.sends("unsigned", b'{"title": "The very first payload"}', {"content-type": "application/json"})
    page.goto(f"/integrations/{made['id']}")
    expect(page.get_by_text("takes webhooks without a signature")).to_be_visible()
    payloads = page.get_by_role("region", name="Last payloads")
    payloads.get_by_text("The very first payload").first.click()
    expect(payloads.locator("pre").first).to_contain_text('"title": "The very first payload"')
    # The next one is there by itself.
    world.sends("unsigned", b'{"title": "The second payload"}', {"content-type": "application/json"})
    expect(payloads.get_by_text("The second payload").first).to_be_visible()


def test_a_test_alert_goes_the_whole_way(world: Place, page: Page) -> None:
    made = world.integration("sentry", "tried out")
    page.goto(f"/integrations/{made['id']}")
    page.get_by_role("button", name="Send a test alert").click()
    page.get_by_role("dialog").get_by_role("button", name="Send it").click()
    expect(page.get_by_text("The test alert was taken in")).to_be_visible()
    assert any("tried out" in group["title"] for group in world.groups())


def test_a_viewer_sees_and_changes_nothing(world: Place, visit: Visit) -> None:
    made = world.integration("sentry", "looked at")
    page = visit(world, person=world.person("vera@example.com", "viewer"))
    page.goto(f"/integrations/{made['id']}")
    expect(page.get_by_role("heading", name="How it does")).to_be_visible()
    for name in ("Rotate", "Save", "Delete", "Send a test alert", "Switch it off"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    page.goto("/integrations")
    expect(page.get_by_role("link", name="looked at")).to_be_visible()
    expect(page.get_by_role("link", name="Connect a sender")).to_have_count(0)


@pytest.mark.whole
def test_nobody_is_shut_out_of_these_pages(world: Place, themed: Page) -> None:
    if "for everybody" not in world.integrations:
        world.integration("generic", "for everybody")
    made = world.integrations["for everybody"]
    world.sends("for everybody", b'{"title": "A payload"}', {"content-type": "application/json"})
    for address, wanted in (
        ("/integrations", "for everybody"),
        ("/integrations/new", "What sends?"),
        ("/integrations/new?kind=sentry", "Make its address"),
        (f"/integrations/{made['id']}", "A payload"),
    ):
        themed.goto(address)
        expect(themed.get_by_text(wanted).first).to_be_visible()
        axe(themed)
    themed.get_by_role("button", name="Rotate", exact=True).click()
    expect(themed.get_by_role("dialog")).to_be_visible()
    axe(themed)


@pytest.mark.whole
def test_a_narrow_phone_shows_all_of_it(world: Place, narrow: Page) -> None:
    made = world.integration("generic", "on the phone")
    for address, wanted in (
        ("/integrations", "on the phone"),
        ("/integrations/new?kind=generic", "Make its address"),
        (f"/integrations/{made['id']}", "Last payloads"),
    ):
        narrow.goto(address)
        expect(narrow.get_by_text(wanted).first).to_be_visible()
        assert too_wide(narrow) == [], address
