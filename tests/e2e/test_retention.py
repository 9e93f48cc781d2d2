"""How long things are kept, what would go, and the archive, on one page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from signalcraft.storage.db import Db
from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe
from tests.e2e.place import Place


@pytest.mark.whole
def test_days_are_changed_and_what_would_go_is_said(world: Place, page: Page) -> None:
    page.goto("/settings/retention")
    groups = page.get_by_label("Resolved alert groups, with events and history")
    expect(groups).to_have_attribute("placeholder", "90")
    groups.fill("45")
    page.get_by_role("button", name="What would go?").click()
    expect(page.get_by_text("With these days a run would delete now: nothing.")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved")).to_be_visible()
    assert world.get("/api/retention")["own"]["group_days"] == 45
    announce(page, r"422")
    groups.fill("0")
    page.get_by_role("button", name="Save").click()
    expect(groups).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Nothing was archived yet.")).to_be_visible()
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_text("Nothing in the archive fits.")).to_be_visible()
    axe(page)
    groups.fill("")  # the settings' number is in force again
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_role("button", name="Save").click()
    assert set(world.get("/api/retention")["own"].values()) == {None}


def age(world: Place, days: int) -> None:
    """Everything about alert groups happened so many days earlier: the box is killed and started again for it."""
    world.killed()
    db = Db(world.data_dir / "signalcraft.db")
    with db.direct() as tx:
        back = days * 86_400_000
        for table, columns in (
            ("alert_group", ("first_seen_ms", "last_seen_ms", "retold_ms", "resolved_ms", "updated_ms")),
            ("event", ("received_ms",)),
            ("delivery", ("owed_ms", "next_ms", "sent_ms", "tried_ms")),
        ):
            tx.run(f"update {table} set {', '.join(f'{one} = {one} - {back}' for one in columns)}")
    db.stop()
    world.restarted()


@pytest.mark.whole
def test_what_was_archived_is_found_and_put_back(fresh: Place, visit: Visit) -> None:
    fresh.rule(channel="#oncall")
    fresh.receives("sentry", "event_alert", title="Trouble of old", project="shop")
    fresh.act(fresh.group(), "resolve")
    fresh.settled()
    age(fresh, 100)
    page = visit(fresh)
    page.goto("/settings/retention")
    run = page.get_by_role("region", name="Clean-up")
    expect(run).to_contain_text("Last run: not yet")
    page.get_by_role("button", name="What would go?").click()
    expect(page.get_by_text("a run would delete now: 1 alert group, 1 event of theirs")).to_be_visible()
    fresh.box.run("retention", "run")
    page.reload()
    expect(run).to_contain_text("rows deleted")
    month = page.locator("[data-month]")
    expect(month).to_contain_text("1 alert group, 1 event, ")
    assert fresh.groups() == []
    page.get_by_label("In titles and messages").fill("trouble OF")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_text("1 alert group, the newest first")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Trouble of old")).to_contain_text("shop")
    axe(page)
    name = month.get_attribute("data-month") or ""
    page.get_by_role("button", name=f"Put back {name}").click()
    expect(page.get_by_text(f"{name} is in the lists again")).to_be_visible()
    expect(page.get_by_text("Nothing was archived yet.")).to_be_visible()
    assert fresh.group()["title"] == "Trouble of old"
