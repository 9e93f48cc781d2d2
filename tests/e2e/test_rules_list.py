"""The list of routing rules: moved, switched, copied, deleted and brought back; where everything else goes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit, announce
from tests.e2e.place import Place
from tests.e2e.ruling import PROD, alert, box, channels_of, made, order, quiet

__all__ = ["box", "quiet"]


def test_moving_by_keyboard_changes_who_is_told(box: Place, page: Page) -> None:
    made(box, "stops", stop=True)
    made(box, "pays", channels=["#payments"])
    alert(box, "first order")
    assert channels_of(box, "first order") == ["#oncall"]
    page.goto("/rules")
    expect(page.get_by_role("article", name="pays")).to_be_visible()
    assert [name.split()[0] for name in order(page)] == ["stops", "pays"]
    handle = page.get_by_role("button", name="Drag “pays” to another place")
    handle.focus()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.get_by_text("“pays” is number 1 of 2 now").first).to_be_attached()
    expect(page.get_by_role("article").first).to_have_attribute("aria-label", "pays")
    expect(handle).to_be_focused()
    alert(box, "second order")
    assert channels_of(box, "second order") == ["#oncall", "#payments"]
    # Undone by the message that tells of it, done again by the button, and by the pointer.
    page.get_by_role("button", name="Undo").first.click()
    expect(page.get_by_role("article").first).to_have_attribute("aria-label", "stops")
    page.get_by_role("button", name="Move “pays” up").click()
    expect(page.get_by_role("article").first).to_have_attribute("aria-label", "pays")
    first = page.get_by_role("article", name="stops").bounding_box()
    assert first is not None
    page.get_by_role("button", name="Drag “pays” to another place").hover()
    page.mouse.down()
    page.mouse.move(first["x"] + 30, first["y"] + first["height"] - 4, steps=6)
    page.mouse.up()
    expect(page.get_by_role("article").first).to_have_attribute("aria-label", "stops")
    expect(page.get_by_text("“pays” is number 2 of 2 now").first).to_be_visible()
    assert [rule["name"] for rule in box.get("/api/routing-rules")["items"]] == ["stops", "pays"]


def test_a_rule_that_is_switched_off_routes_nothing(box: Place, page: Page) -> None:
    made(box, "quiet", channels=["#payments"])
    page.goto("/rules")
    switch = page.get_by_role("switch", name="“quiet” is switched on")
    expect(switch).to_be_checked()
    switch.click()
    expect(switch).not_to_be_checked()
    expect(page.get_by_role("article", name="quiet")).to_contain_text("Switched off")
    expect(page.get_by_text("“quiet” is switched off")).to_be_visible()
    alert(box, "nobody listens")
    assert "#payments" not in channels_of(box, "nobody listens")
    page.get_by_role("button", name="Undo").click()
    expect(switch).to_be_checked()
    alert(box, "somebody does")
    assert "#payments" in channels_of(box, "somebody does")


@pytest.mark.whole
def test_a_copy_and_what_was_deleted_come_back(box: Place, page: Page) -> None:
    made(box, "first", when={"all": [PROD]}, runbook_url="https://wiki.example.com/run")
    made(box, "second")
    page.goto("/rules")
    page.get_by_role("button", name="More for “first”").click()
    page.get_by_role("menuitem", name="Duplicate").click()
    copy = page.get_by_role("article", name="first (copy)")
    expect(copy).to_contain_text("Switched off")
    expect(page.get_by_role("article").nth(1)).to_have_attribute("aria-label", "first (copy)")
    page.get_by_role("button", name="More for “first”").click()
    page.get_by_role("menuitem", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the rule").click()
    expect(page.get_by_role("article", name="first", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    back = page.get_by_role("article", name="first", exact=True)
    expect(back).to_contain_text("environment is production")
    stored = {rule["name"]: rule for rule in box.get("/api/routing-rules")["items"]}
    assert stored["first"]["runbook_url"] == "https://wiki.example.com/run"
    assert [rule["name"] for rule in box.get("/api/routing-rules")["items"]][-1] == "second"


@pytest.mark.whole
def test_where_what_no_rule_matches_goes_is_said(quiet: Place, visit: Visit) -> None:
    page = visit(quiet)
    made(quiet, "production", when={"all": [PROD]})
    alert(quiet, "matched")
    alert(quiet, "unmatched", environment="test")
    page.goto("/rules")
    route = page.get_by_role("region", name="What no rule matches")
    expect(route).to_contain_text("#oncall")
    expect(route).to_contain_text("1 of the last 2 alerts matched no rule.")
    expect(route).to_contain_text("There is no fallback channel")
    expect(page.get_by_role("article", name="production")).to_contain_text("1 of 2")
    quiet.api.patch("/api/workspace", json={"default_channels": [], "fallback_channel": "#payments"}).raise_for_status()
    page.reload()
    expect(route).to_contain_text("there is no default channel")
    expect(route).to_contain_text("#payments")


@pytest.mark.whole
def test_an_appliance_that_fails_is_told(box: Place, page: Page) -> None:
    made(box, "one")
    announce(page, r"500|503")
    broken = {"detail": "it broke", "request_id": "r-1"}
    page.route("**/api/routing-rules?*", lambda route: route.fulfill(status=500, json=broken))
    page.goto("/rules")
    expect(page.get_by_text("it broke")).to_be_visible()
    expect(page.get_by_text("r-1")).to_be_visible()
    page.unroute("**/api/routing-rules?*")
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_role("article", name="one")).to_be_visible()
    # A change that fails is taken back where it was shown already.
    page.route("**/disable", lambda route: route.fulfill(status=503, json={"detail": "the disk is full"}))
    page.get_by_role("switch").click()
    expect(page.get_by_text("the disk is full")).to_be_visible()
    expect(page.get_by_role("switch")).to_be_checked()


@pytest.mark.whole
def test_who_may_only_look_changes_nothing(box: Place, visit: Visit) -> None:
    rule = made(box, "seen", when={"all": [PROD]})
    page = visit(box, person=box.person("vera@example.com", "viewer"))
    page.goto("/rules")
    expect(page.get_by_role("article", name="seen")).to_be_visible()
    expect(page.get_by_role("link", name="New rule")).to_have_count(0)
    expect(page.get_by_role("switch")).to_be_disabled()
    page.goto(f"/rules/{rule['id']}")
    expect(page.get_by_text("As viewer you may look and try")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
