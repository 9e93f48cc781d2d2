"""Routing rules in the dashboard's editor: built, checked while typing, shown as text, and told where they clash."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Error, Page, expect

from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe, picture, too_wide
from tests.e2e.place import OWNER, PASSWORD, Place
from tests.e2e.ruling import PROD, add_channel, alert, ask, box, channels_of, made, question, quiet

__all__ = ["box", "quiet"]


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


@pytest.mark.whole
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


@pytest.mark.whole
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


@pytest.mark.whole
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


@pytest.mark.whole
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


@pytest.mark.whole
def test_what_was_written_outlives_the_session(box: Place, page: Page) -> None:
    rule = made(box, "long night")
    announce(page, "401 .*/api/")
    page.goto(f"/rules/{rule['id']}")
    page.get_by_label("Name", exact=True).fill("longer night")
    page.get_by_role("button", name="Add condition").click()
    ask(question(page), "project", "is", "shop")
    page.context.clear_cookies()
    with suppress(Error):  # the live check may have asked before, and leads there by itself
        page.get_by_role("button", name="Save", exact=True).click(timeout=5_000)
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


@pytest.mark.whole
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
    assert too_wide(page) == []
    for kind in ("JSON", "TOML"):
        page.get_by_role("tab", name=kind).click()
        expect(page.get_by_text("The builder shows the same.")).to_be_visible()
        axe(page)
        picture(page, f"{look}-{kind.lower()}", whole=True)
    assert too_wide(page) == []
