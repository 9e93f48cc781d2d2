"""Routing rules in the dashboard: built, checked while typing, moved, shown as text, and told where they clash."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe, picture
from tests.e2e.place import OWNER, PASSWORD, Place

PROD = {"field": "environment", "operator": "equals", "value": "production"}


def alert(place: Place, title: str, **said: Any) -> None:
    """One alert of the generic kind comes in."""
    body = {"title": title, "severity": "high", "environment": "production", **said}
    assert place.sends("generic", json.dumps(body).encode()).status_code == 202


def made(place: Place, name: str, **more: Any) -> dict[str, Any]:
    """A stored rule."""
    rule: dict[str, Any] = place.post("/api/routing-rules", {"name": name, "channels": ["#oncall"], **more})
    return rule


def channels_of(place: Place, title: str) -> list[str]:
    """Where an alert was told."""
    place.settled()
    return sorted(told.channel for told in place.told if title in told.text)


@pytest.fixture
def box(world: Place) -> Place:
    """A box with two channels and no rules. Alerts of other tests may have come there: whoever counts takes `quiet`."""
    for rule in world.get("/api/routing-rules")["items"]:
        world.api.delete(f"/api/routing-rules/{rule['id']}").raise_for_status()
    return furnished(world)


@pytest.fixture
def quiet(fresh: Place) -> Place:
    """The same where nothing came yet."""
    return furnished(fresh)


def furnished(place: Place) -> Place:
    known = {channel["name"] for channel in place.get("/api/channels")["items"]}
    for name in ("#oncall", "#payments"):
        if name not in known:
            place.channel(name)
    return place


def question(page: Page, n: int = -1) -> Locator:
    """A question of the builder."""
    found = page.get_by_role("combobox", name="Field", exact=True)
    return found.nth(n if n >= 0 else found.count() - 1).locator("../..")


def ask(where: Locator, field: str, operator: str, value: str) -> None:
    """Fills a question in."""
    where.get_by_role("combobox", name="Field", exact=True).select_option(label=field)
    where.get_by_role("combobox", name="Comparison").select_option(label=operator)
    given = where.get_by_label("Value", exact=True)
    if given.evaluate("one => one.tagName") == "SELECT":
        given.select_option(label=value)
    else:
        given.fill(value)


def add_channel(page: Page, name: str, label: str = "Tell these channels") -> None:
    page.get_by_role("button", name=f"Add a channel: {label}").click()
    page.get_by_role("menuitem", name=name).click()


def order(page: Page) -> list[str]:
    """The rules as they are listed."""
    return page.get_by_role("list", name="Routing rules in the order").get_by_role("heading").all_inner_texts()


def test_a_nested_rule_is_built_and_routes(box: Place, page: Page) -> None:
    """high or worse, and (the project is pay or the tag team is payments)."""
    page.goto("/rules")
    expect(page.get_by_text("No routing rules yet")).to_be_visible()
    page.get_by_role("link", name="New rule").first.click()
    page.get_by_label("Name", exact=True).fill("payments")
    page.get_by_role("button", name="Add condition").click()
    ask(question(page), "severity", "is at least", "High")
    page.get_by_role("button", name="Add group").click()
    inner = page.get_by_role("group", name="Group: one of these holds")
    ask(question(page), "project", "is", "pay")
    inner.get_by_role("button", name="Add condition").click()
    last = question(page)
    last.get_by_role("combobox", name="Field", exact=True).select_option(label="tag…")
    last.get_by_label("Name of the tag").fill("team")
    last.get_by_label("Value", exact=True).fill("payments")
    add_channel(page, "#payments")
    page.get_by_role("button", name="Create the rule").click()
    expect(page.get_by_text("It counts from the next alert on.")).to_be_visible()
    stored = box.get("/api/routing-rules")["items"]
    assert [rule["when"] for rule in stored] == [
        {
            "all": [
                {"field": "severity", "operator": "gte", "value": "high"},
                {
                    "any": [
                        {"field": "project", "operator": "equals", "value": "pay"},
                        {"field": "tags.team", "operator": "equals", "value": "payments"},
                    ]
                },
            ]
        }
    ]
    page.wait_for_url(f"**/rules/{stored[0]['id']}")
    expect(page.get_by_role("heading", name="payments", level=1)).to_be_visible()
    alert(box, "the till is stuck", tags={"team": "payments"})
    alert(box, "somewhere else", project="blog")
    assert channels_of(box, "the till is stuck") == ["#payments"]
    assert "#payments" not in channels_of(box, "somewhere else")


def test_the_live_check_counts_what_is_typed(quiet: Place, visit: Visit) -> None:
    page = visit(quiet)
    announce(page, "422 .*/preview")
    for n in range(4):
        alert(quiet, f"shop {n}", project="shop")
    alert(quiet, "blog", project="blog", severity="low")
    page.goto("/rules/new")
    says = page.get_by_test_id("says")
    expect(says).to_have_text("5 of the last 5 alerts match")
    page.get_by_role("button", name="Add condition").click()
    expect(page.get_by_text("Finish the marked conditions")).to_be_visible()
    ask(question(page), "project", "is", "blog")
    expect(says).to_have_text("1 of the last 5 alerts matches")
    question(page).get_by_label("Value", exact=True).fill("shop")
    expect(says).to_have_text("4 of the last 5 alerts match")
    # The one that does not says why, and is explained question by question.
    expect(page.get_by_text("project is shop: it is blog")).to_be_visible()
    page.get_by_role("button", name="Explain “blog”").click()
    why = page.get_by_role("region", name="Why: blog")
    expect(why.get_by_text("The rule does not hold for this alert.")).to_be_visible()
    expect(why).to_contain_text("project is shop")
    # What is wrong is told at its place, in the appliance's words.
    ask(question(page), "title", "matches the pattern", "(")
    expect(question(page)).to_contain_text("this pattern cannot be used")
    ask(question(page), "title", "matches the pattern", "shop [0-2]")
    expect(says).to_have_text("3 of the last 5 alerts match")
    # What comes in while one looks is counted too.
    alert(quiet, "shop 1 again", project="shop")
    expect(says).to_have_text("4 of the last 6 alerts match")


def test_completion_offers_what_alerts_said(quiet: Place, visit: Visit) -> None:
    page = visit(quiet)
    alert(quiet, "one", project="shop", tags={"team": "payments"})
    page.goto("/rules/new")
    page.get_by_role("button", name="Add condition").click()
    question(page).get_by_role("combobox", name="Field", exact=True).select_option(label="tag…")
    tag = question(page).get_by_label("Name of the tag")
    offered = "one => [...one.list.options].map((o) => o.value)"
    assert tag.evaluate(offered) == ["team"]
    tag.fill("team")
    expect(question(page).get_by_label("Value", exact=True)).to_have_attribute("list", re.compile("known"))
    assert question(page).get_by_label("Value", exact=True).evaluate(offered) == ["payments"]
    question(page).get_by_role("combobox", name="Field", exact=True).select_option(label="project")
    assert question(page).get_by_label("Value", exact=True).evaluate(offered) == ["shop"]
    # A count is not compared with words, a title not with numbers.
    question(page).get_by_role("combobox", name="Field", exact=True).select_option(label="title")
    operators = question(page).get_by_role("combobox", name="Comparison").locator("option").all_inner_texts()
    assert "contains" in operators
    assert "is above" not in operators


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


def test_json_toml_and_builder_are_one_rule(box: Place, page: Page) -> None:
    announce(page, "422 .*/convert")
    page.goto("/rules/new")
    page.get_by_label("Name", exact=True).fill("as text")
    page.get_by_role("button", name="Add condition").click()
    ask(question(page), "environment", "is", "production")
    add_channel(page, "#oncall")
    page.get_by_role("tab", name="JSON").click()
    text = page.get_by_label("The rule as the API takes it", exact=True)
    assert json.loads(text.input_value()) == {
        "name": "as text", "enabled": True, "when": {"all": [PROD]}, "channels": ["#oncall"],
    }  # fmt: skip
    said = json.loads(text.input_value())
    said["when"] = {"any": [PROD, {"field": "count", "operator": "gt", "value": 5}]}
    text.fill(json.dumps(said, indent=1))
    expect(page.get_by_text("The builder shows the same.")).to_be_visible()
    page.get_by_role("tab", name="TOML").click()
    toml = page.get_by_label("The rule as signalcraft apply takes it", exact=True)
    expect(toml).to_have_value(re.compile(r'field = "count", operator = "gt", value = 5'))
    # A mistake is shown with its line; the builder keeps what was right last.
    right = toml.input_value()
    toml.fill(right.replace('operator = "gt"', 'operator = "above"'))
    line = right[: right.index('operator = "gt"')].count("\n") + 1
    go = page.get_by_role("button", name=f"Go to line {line}")
    expect(go).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text(["no such operator"])
    go.click()
    assert 'operator = "above"' in page.evaluate("getSelection().toString()")
    toml.fill(right.replace("[[rules]]", "[[rules]"))
    expect(page.get_by_role("button", name="Go to line 1")).to_be_visible()
    # What is wrong yet is neither saved over nor lost.
    expect(page.get_by_role("button", name="Create the rule")).to_be_disabled()
    page.get_by_role("tab", name="Builder").click()
    page.get_by_role("button", name="Back to TOML").click()
    expect(toml).to_have_value(re.compile(r"^\[\[rules\]\n"))
    toml.fill(right.replace("value = 5", "value = 7") + "stop = true\n")
    expect(page.get_by_text("The builder shows the same.")).to_be_visible()
    page.get_by_role("tab", name="Builder").click()
    expect(page.get_by_role("combobox", name="How the conditions are combined")).to_have_value("any")
    expect(question(page).get_by_label("Value", exact=True)).to_have_value("7")
    expect(page.get_by_role("checkbox", name="Stop:")).to_be_checked()
    page.get_by_role("button", name="Create the rule").click()
    expect(page.get_by_text("It counts from the next alert on.")).to_be_visible()
    # What TOML showed is what the apply file takes: it changes nothing.
    file = right.replace("value = 5", "value = 7") + "stop = true\n"
    plan = box.post("/api/config/apply", {"toml": file, "dry_run": True})
    assert [step["action"] for step in plan["steps"]] == ["keep"]


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


def test_two_who_change_one_rule_are_told(box: Place, page: Page) -> None:
    rule = made(box, "shared", when={"all": [PROD]})
    path = f"/api/routing-rules/{rule['id']}"
    announce(page, "412")
    page.goto(f"/rules/{rule['id']}")
    page.get_by_label("Name", exact=True).fill("mine")
    box.api.patch(path, json={"stop": True, "channels": ["#payments"]}).raise_for_status()
    page.get_by_role("button", name="Save", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text('journeys changed "shared" meanwhile')
    expect(dialog.get_by_role("row", name="Channels")).to_contain_text("#payments")
    assert box.get(path)["name"] == "shared"
    dialog.get_by_role("button", name="Keep editing").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("mine")
    page.get_by_role("button", name="Save", exact=True).click()
    dialog.get_by_role("button", name="Overwrite with mine").click()
    expect(page.get_by_text("It counts from the next alert on.")).to_be_visible()
    stored = box.get(path)
    assert (stored["name"], stored["stop"], stored["channels"]) == ("mine", False, ["#oncall"])
    # Once more, and theirs is taken.
    page.get_by_label("Name", exact=True).fill("again mine")
    box.api.patch(path, json={"name": "theirs"}).raise_for_status()
    page.get_by_role("button", name="Save", exact=True).click()
    dialog.get_by_role("button", name="Take what is there").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("theirs")
    assert box.get(path)["name"] == "theirs"


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


def test_what_is_not_saved_is_not_lost_by_a_click(box: Place, page: Page) -> None:
    rule = made(box, "kept")
    page.goto(f"/rules/{rule['id']}")
    page.get_by_label("Name", exact=True).fill("changed")
    page.get_by_role("link", name="All routing rules").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep editing").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("changed")
    page.get_by_role("button", name="Discard changes").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("kept")
    page.get_by_label("Name", exact=True).fill("changed again")
    page.get_by_role("link", name="All routing rules").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    page.wait_for_url("**/rules")
    assert box.get(f"/api/routing-rules/{rule['id']}")["name"] == "kept"
    page.get_by_role("article", name="kept").get_by_role("link").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("kept")


def test_what_was_written_outlives_the_session(box: Place, page: Page) -> None:
    rule = made(box, "long night")
    announce(page, "401 .*/api/")
    page.goto(f"/rules/{rule['id']}")
    page.get_by_label("Name", exact=True).fill("longer night")
    page.get_by_role("button", name="Add condition").click()
    ask(question(page), "project", "is", "shop")
    page.context.clear_cookies()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/sign-in?next=*")
    page.get_by_label("E-mail").fill(OWNER)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"**/rules/{rule['id']}")
    expect(page.get_by_label("Name", exact=True)).to_have_value("longer night")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("It counts from the next alert on.")).to_be_visible()
    stored = box.get(f"/api/routing-rules/{rule['id']}")
    assert (stored["name"], stored["when"]["all"][0]["value"]) == ("longer night", "shop")


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


def test_groups_are_wrapped_indented_and_dissolved(box: Place, page: Page) -> None:
    leaf = [{"field": "project", "operator": "equals", "value": v} for v in "abc"]
    rule = made(box, "tree", when={"all": [leaf[0], {"any": [leaf[1]]}, leaf[2]]})
    page.goto(f"/rules/{rule['id']}")

    def does(condition: str, act: str) -> None:
        page.get_by_role("button", name=condition).first.click()
        page.get_by_role("menuitem", name=act).click()

    def saved() -> Any:
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("Not saved yet")).to_have_count(0)
        return box.get(f"/api/routing-rules/{rule['id']}")["when"]

    does("More for the condition project is c", "Move into the group above")
    assert saved() == {"all": [leaf[0], {"any": [leaf[1], leaf[2]]}]}
    does("More for the condition project is b", "Move out of this group")
    assert saved() == {"all": [leaf[0], {"any": [leaf[2]]}, leaf[1]]}
    does("More for this group", "Dissolve this group")
    does("More for the condition project is a", "Put in a group of its own")
    assert saved() == {"all": [{"any": [leaf[0]]}, leaf[2], leaf[1]]}
    does("More for the condition project is b", "Move up")
    page.get_by_role("button", name="Remove: project is a").click()
    assert saved() == {"all": [leaf[1], leaf[2]]}


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


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 320)])
def test_the_pages_are_for_everybody(quiet: Place, visit: Visit, theme: str, width: int) -> None:
    """axe finds nothing, nothing is wider than the screen; pictures are taken."""
    inner = {"any": [{"field": "project", "operator": "in", "value": ["pay", "shop"]},
                     {"field": "tags.team", "operator": "equals", "value": "payments"}]}  # fmt: skip
    rule = made(quiet, "production and serious",
                when={"all": [PROD, {"field": "severity", "operator": "gte", "value": "high"}, inner]},
                channels=["#oncall", "#payments"], stop=True, escalate_after_minutes=15, escalate_to=["#payments"],
                repeat_minutes=60, runbook="# First\nLook at **the dashboard**")  # fmt: skip
    made(quiet, "everything else", enabled=False)
    alert(quiet, "Payment provider answers 502", project="pay", tags={"team": "payments"})
    alert(quiet, "Nightly import is late", project="etl", severity="low")
    page = visit(quiet, theme=theme, width=width, height=800 if width > 400 else 740)
    look = f"rules-{theme}-{width}"
    page.goto("/rules")
    expect(page.get_by_role("article").first).to_contain_text("1 of 2")
    axe(page)
    picture(page, f"{look}-list", whole=True)
    page.goto(f"/rules/{rule['id']}")
    expect(page.get_by_test_id("says")).to_have_text("1 of the last 2 alerts matches")
    page.get_by_role("button", name="Explain “Nightly import is late”").click()
    expect(page.get_by_text("The rule does not hold for this alert.")).to_be_visible()
    axe(page)
    picture(page, f"{look}-edit", whole=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for kind in ("JSON", "TOML"):
        page.get_by_role("tab", name=kind).click()
        expect(page.get_by_text("The builder shows the same.")).to_be_visible()
        axe(page)
        picture(page, f"{look}-{kind.lower()}", whole=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
