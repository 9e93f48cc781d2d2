"""A person's way through the page, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from signalcraft.demo.slack import StandInThread
from signalcraft.demo.threads import LoopThread
from tests.chromium import launched
from tests.demo.conftest import App, Clock, WebClient, buttons

NASTY = "<img src=x onerror=alert(1)> <javascript:alert(1)|click> &lt;b&gt; *bold* _it_ `code` <https://a.example|link>"


@pytest.fixture
def page(slack: StandInThread) -> Iterator[Page]:
    with launched("the stand-in's page") as browser:
        opened = browser.new_page()
        wrong: list[str] = []
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
        opened.goto(slack.it.origin)
        yield opened
    assert wrong == []


def test_a_person_reads_presses_and_sees_the_answer(
    slack: StandInThread, web: WebClient, app: LoopThread[App], page: Page, clock: Clock
) -> None:
    more = {
        "type": "overflow",
        "action_id": "snooze",
        "options": [{"text": {"type": "plain_text", "text": "1 hour"}, "value": "60"}],
    }
    confirm = {"title": {"type": "plain_text", "text": "Sure?"}, "text": {"type": "mrkdwn", "text": "*Really*"}}
    confirm |= {"confirm": {"type": "plain_text", "text": "Yes, mended"}, "deny": {"type": "plain_text", "text": "No"}}
    ts = web.post(
        text="fallback",
        blocks=[
            {"type": "header", "text": {"type": "plain_text", "text": ":fire: Checkout is broken"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": NASTY}},
            *buttons("ack"),
            {
                "type": "actions",
                "block_id": "b2",
                "elements": [more, buttons("resolve", confirm=confirm)[0]["elements"][0]],
            },
        ],
    )
    message = page.locator(".message")
    expect(message.locator("h3")).to_have_text("🔥 Checkout is broken")
    expect(message.locator(".b-text strong")).to_have_text("bold")
    expect(message.locator(".b-text code")).to_have_text("code")
    expect(message.locator(".b-text a[href]")).to_have_attribute("href", "https://a.example")
    expect(message.locator("img")).to_have_count(0)  # text stays text
    assert page.locator("a[href^='javascript']").count() == 0

    page.select_option("#person", "U0KIM")
    with page.expect_response("**/page/press"):
        page.get_by_role("button", name="ack").click()
    assert (app.it.payload["user"]["id"], app.it.payload["actions"][0]["action_id"]) == ("U0KIM", "ack")

    page.get_by_role("button", name="More actions").click()
    web("chat.update", channel="C0ONCALL", ts=ts, text="edited while the menu is open")
    page.wait_for_timeout(500)
    with page.expect_response("**/page/press"):
        page.get_by_role("button", name="1 hour").click()  # the edit did not take the menu away
    expect(page.locator(".edited")).to_have_text("(edited)")
    assert app.it.payload["actions"][0]["selected_option"]["value"] == "60"

    page.get_by_role("button", name="resolve").click()
    page.get_by_role("button", name="No", exact=True).click()
    assert len(app.it.heard) == 2
    page.get_by_role("button", name="resolve").click()
    with page.expect_response("**/page/press"):
        page.get_by_role("button", name="Yes, mended").click()
    assert len(app.it.heard) == 3

    web("chat.postEphemeral", channel="#oncall", user="U0KIM", text="only for Kim")
    expect(page.get_by_text("only for Kim")).to_be_visible()
    page.select_option("#person", "U0SAM")
    expect(page.get_by_text("only for Kim")).to_have_count(0)


def test_threads_unread_counts_and_an_outage(slack: StandInThread, web: WebClient, page: Page, clock: Clock) -> None:
    parent = web.post(text="parent")
    web.post(text="quiet reply", thread_ts=parent)
    web.post(text="loud reply", thread_ts=parent, reply_broadcast=True)
    web.post("#team-leads", text="for the leads")
    expect(page.locator(".badge")).to_have_text("1")
    expect(page.get_by_text("replied to a thread: parent")).to_be_visible()
    expect(page.get_by_text("quiet reply")).to_have_count(0)
    page.get_by_role("button", name="2 replies").click()
    expect(page.get_by_text("quiet reply")).to_be_visible()
    page.get_by_role("button", name="team-leads").click()
    expect(page.locator("#title")).to_have_text("# team-leads")
    expect(page.locator(".badge")).to_have_count(0)
    page.check("#outage")
    expect(page.locator("#down")).to_be_visible()
    assert slack.it.is_unavailable
    page.uncheck("#outage")
    expect(page.locator("#down")).to_be_hidden()
