"""The overview: the same figures as the API's, as they change, and the lists behind them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe, too_wide
from tests.e2e.place import Place

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def lived(world: Place) -> Place:
    """Two groups of Sentry's, one of them critical, one acknowledged; a webhook that nobody can read."""
    world.rule("project != unheard", "#oncall")
    for _ in range(4):
        world.receives("sentry", "event_alert", issue="1", title="Checkout is down", level="fatal", project="shop")
    world.receives("sentry", "event_alert", issue="2", title="Slow query", level="warning", project="api")
    world.act(world.group("Slow query"), "ack")
    assert world.sends("generic", b'{"nothing": 1}', JSON).status_code == 422
    world.settled()
    return world


def figure(page: Page, name: str) -> Locator:
    """A card of the overview."""
    return page.locator(f'[data-figure="{name}"]')


def number(page: Page, name: str) -> Locator:
    """The link that is its number."""
    return figure(page, name).locator("a").first


def spoken(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    parts = [f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest)
    return " ".join(parts) or "0 s"


@pytest.mark.whole
def test_whoever_opens_it_is_content_with_a_moment_ago_and_looks_once_more(lived: Place, page: Page) -> None:
    asked = []

    def answer(route: Route) -> None:
        asked.append(route.request.headers.get("cache-control"))
        got = route.fetch()
        late: dict[str, Any] = {
            "json": {**got.json(), "events": 4321},
            "headers": {**got.headers, "x-newer-in-ms": "300"},
        }
        route.fulfill(response=got, **(late if len(asked) == 1 else {}))

    page.route("**/api/dashboard/overview?*", answer)
    page.goto("/")
    expect(number(page, "events")).to_have_text("4,321")
    expect(number(page, "events")).to_have_text(str(lived.get("/api/dashboard/overview")["events"]))
    assert asked[:2] == ["max-stale=3", None]


@pytest.mark.whole
def test_the_numbers_are_those_of_the_api(lived: Place, page: Page) -> None:
    page.goto("/")
    expect(number(page, "events")).to_be_visible()
    said: dict[str, Any] = lived.get("/api/dashboard/overview")
    expect(number(page, "events")).to_have_text(str(said["events"]))
    expect(number(page, "new_groups")).to_have_text(str(said["new_groups"]))
    expect(figure(page, "new_groups")).to_contain_text(f"{said['groups']} active")
    expect(number(page, "notifications")).to_have_text(str(said["notifications"]))
    expect(number(page, "noise_reduction_percent")).to_have_text(f"{said['noise_reduction_percent']:g} %")
    expect(figure(page, "noise_reduction_percent")).to_contain_text(
        f"{said['events']} events → {said['notifications']} messages"
    )
    expect(number(page, "ack_rate_percent")).to_have_text("50 %")
    expect(number(page, "mtta_seconds")).to_have_text(re.compile("< 1 s|" + spoken(said["mtta_seconds"])))
    expect(number(page, "owed")).to_have_text("0")
    criticals = figure(page, "open_criticals")
    expect(criticals.get_by_role("link", name="Checkout is down")).to_be_visible()
    expect(criticals.locator("a").first).to_have_text("1")
    rows = page.get_by_role("row").filter(has=page.get_by_role("link", name="sentry"))
    (source,) = [one for one in said["top_sources"] if one["integration"] == "sentry"]
    expect(rows).to_contain_text(str(round(source["score"])))
    severities = figure(page, "by_severity")
    for one in said["by_severity"]:
        item = severities.get_by_role("listitem").filter(has_text=one["severity"].capitalize())
        expect(item.locator("a").first).to_have_text(str(one["groups"]))
    axe(page)


@pytest.mark.whole
def test_senders_and_channels_say_how_they_are(lived: Place, page: Page) -> None:
    page.goto("/")
    generic = page.locator('[data-sender="generic"]')
    expect(generic).to_contain_text("Unreadable")
    expect(generic.get_by_role("link", name="1 in quarantine")).to_have_attribute("href", "/quarantine")
    expect(page.locator('[data-sender="sentry"]')).to_contain_text("Ok")
    channel = page.locator('[data-channel="#oncall"]')
    expect(channel).to_contain_text("Ok")
    expect(channel).to_contain_text(f"{lived.get('/api/dashboard/overview')['notifications']} sent")


def test_a_formula_is_told_on_hover_and_on_focus(lived: Place, page: Page) -> None:
    page.goto("/")
    formulas = lived.get("/api/dashboard/overview")["formulas"]
    hint = figure(page, "mtta_seconds").get_by_role("button")
    tip = figure(page, "mtta_seconds").get_by_role("tooltip")
    hint.hover()
    expect(tip).to_be_visible()
    expect(tip).to_contain_text(formulas["mtta_seconds"])
    page.mouse.move(0, 0)
    expect(tip).to_be_hidden()
    hint.focus()
    expect(tip).to_be_visible()
    expect(hint).to_have_accessible_description(re.compile(re.escape(formulas["mtta_seconds"])))
    for name in (
        "events",
        "new_groups",
        "notifications",
        "noise_reduction_percent",
        "mttr_seconds",
        "ack_rate_percent",
    ):
        assert formulas[name] in figure(page, name).inner_text() + figure(page, name).text_content(), name  # type: ignore[operator]


@pytest.mark.whole
def test_what_cannot_be_measured_is_a_dash_and_says_why(fresh: Place, visit: Visit) -> None:
    page = visit(fresh)
    page.goto("/")
    expect(number(page, "events")).to_have_text("0")
    for name in ("noise_reduction_percent", "mtta_seconds", "mttr_seconds", "ack_rate_percent"):
        expect(figure(page, name).locator(".value")).to_contain_text("–")
        expect(figure(page, name).locator(".value a")).to_have_count(0)
        expect(figure(page, name).locator(".value")).to_contain_text("not measured")
    expect(page.get_by_text("Nothing came in this range.")).to_be_visible()
    expect(page.get_by_role("link", name="Open the set-up guide")).to_have_attribute("href", "/start")
    axe(page)


def test_a_new_webhook_changes_the_numbers_as_it_comes(lived: Place, page: Page) -> None:
    page.goto("/")
    expect(number(page, "events")).to_be_visible()
    expect(page.get_by_text("Live", exact=True).filter(visible=True)).to_be_visible()
    before = lived.get("/api/dashboard/overview")
    lived.slack.stall(2.5, "chat.postMessage", times=1)  # the message is taken long after its group is there
    lived.receives("sentry", "event_alert", issue="3", title="Something new", level="fatal", settle=False)
    expect(number(page, "events")).to_have_text(str(before["events"] + 1))
    expect(number(page, "new_groups")).to_have_text(str(before["new_groups"] + 1))
    expect(number(page, "notifications")).to_have_text(str(before["notifications"] + 1))
    expect(figure(page, "open_criticals").get_by_role("link", name="Something new")).to_be_visible()
    lived.api.patch("/api/workspace", json={"default_channels": []}).raise_for_status()
    lived.receives("sentry", "event_alert", issue="4", title="Nobody is told", project="unheard")
    expect(number(page, "events")).to_have_text(str(before["events"] + 2))
    lived.act(lived.group("Nobody is told"), "resolve")
    expect(figure(page, "mttr_seconds")).to_contain_text(f"{before['resolved'] + 1} resolved")


@pytest.mark.whole
def test_an_edit_that_was_owed_leaves_the_numbers_when_it_is_taken(lived: Place, page: Page) -> None:
    """Nothing happens to a group then: its message alone tells of it."""
    page.goto("/")
    expect(number(page, "owed")).to_have_text("0")
    lived.slack.stall(4, "chat.update", times=1)
    acknowledged = lived.group("Checkout is down")["id"]
    lived.api.post(f"/api/alert-groups/{acknowledged}/ack").raise_for_status()
    expect(number(page, "owed")).to_have_text("1")
    expect(number(page, "owed")).to_have_text("0", timeout=15_000)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("events", "/alert-groups?search=seen%3C24h"),
        ("new_groups", "/alert-groups?search=age%3C24h"),
        ("mtta_seconds", "/alert-groups?search=age%3C24h"),
        ("notifications", "/deliveries?state=sent&kind=first%2Crepeat%2Cescalation%2Cresolved&since="),
        ("owed", "/deliveries?state=owed%2Csending"),
        ("open_criticals", "/alert-groups?search=severity%3Acritical+status%3Aopen"),
    ],
)
def test_a_number_leads_to_its_list(lived: Place, page: Page, name: str, path: str) -> None:
    page.goto("/")
    number(page, name).click()
    page.wait_for_url(lambda url: path in url)
    if name == "notifications":
        many = lived.get("/api/dashboard/overview")["notifications"]
        expect(page.locator("[data-delivery]")).to_have_count(many)


@pytest.mark.whole
def test_the_range_is_chosen_and_stays_in_the_address(lived: Place, page: Page) -> None:
    page.goto("/")
    ranges = page.get_by_role("navigation", name="Range")
    expect(ranges.get_by_role("link")).to_have_text(["24 hours", "7 days", "30 days", "90 days"])
    ranges.get_by_role("link", name="7 days").click()
    page.wait_for_url("**/?range=7d")
    expect(page.get_by_text("The last 7 days")).to_be_visible()
    page.reload()
    expect(ranges.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    expect(number(page, "new_groups")).to_have_attribute("href", "/alert-groups?search=age%3C7d")


@pytest.mark.whole
def test_a_range_that_would_be_slow_is_hidden_and_a_trend_is_told_in_words(lived: Place, page: Page) -> None:
    def answer(route: Any) -> None:
        said = route.fetch().json()
        said["ranges"][3] = {"range": "90d", "available": False, "why": "It would read about 900,000 counters."}
        figures = {k: said[k] for k in said["previous"] or said if k in said}
        said["previous"] = {**figures, "events": said["events"] * 2, "mtta_seconds": None, "new_groups": 1}
        route.fulfill(json=said)

    page.route("**/api/dashboard/overview*", answer)
    page.goto("/?range=90d")
    ranges = page.get_by_role("navigation", name="Range")
    expect(ranges.get_by_role("link")).to_have_text(["24 hours", "7 days", "30 days"])
    expect(page.get_by_role("note")).to_contain_text("It would read about 900,000 counters.")
    expect(ranges.get_by_role("link", name="24 hours")).to_have_attribute("aria-current", "true")
    expect(figure(page, "events")).to_contain_text("down 50 %")
    expect(figure(page, "new_groups")).to_contain_text("up")
    expect(figure(page, "mtta_seconds")).not_to_contain_text(re.compile(r"\b(up|down)\b"))


def test_an_api_that_fails_is_said_and_recovers(lived: Place, page: Page) -> None:
    announce(page, "500")
    down = {"status": 500, "title": "Internal", "detail": "Something went wrong on our side", "code": "internal",
            "request_id": "5f0c-77"}  # fmt: skip
    page.route("**/api/dashboard/overview*", lambda route: route.fulfill(status=500, json=down))
    page.goto("/")
    alert = page.get_by_role("alert").filter(has_text="The overview could not be read")
    expect(alert).to_contain_text("Something went wrong on our side", timeout=15_000)
    expect(alert).to_contain_text("5f0c-77")
    expect(page.locator("[data-figure]")).to_have_count(0)
    page.unroute("**/api/dashboard/overview*")
    alert.get_by_role("button", name="Try again").click()
    expect(number(page, "events")).to_be_visible()


@pytest.mark.whole
def test_the_chart_is_drawn_and_said(lived: Place, themed: Page) -> None:
    themed.goto("/")
    expect(themed.locator("figure canvas")).to_be_visible()
    said = lived.get("/api/dashboard/overview")
    expect(themed.locator("figcaption")).to_contain_text(f"{said['events']} events, {said['notifications']} messages")
    axe(themed)


@pytest.mark.whole
def test_it_fits_a_narrow_phone(lived: Place, narrow: Page) -> None:
    narrow.goto("/")
    expect(number(narrow, "events")).to_be_visible()
    expect(narrow.locator("figure canvas")).to_be_visible()
    assert too_wide(narrow) == []
    axe(narrow)
