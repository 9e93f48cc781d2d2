"""A restored box in the dashboard: every page says that it is held, what is owed is shown, a person lets it go on."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from signalcraft.storage import hold
from signalcraft.storage.db import Db
from tests.e2e.conftest import Visit
from tests.e2e.looking import axe
from tests.e2e.place import Place


def restored(world: Place) -> Place:
    """Kills the box and starts it as one that was restored from what it left."""
    world.killed()
    now_ms = int(time.time() * 1000)
    db = Db(world.data_dir / "signalcraft.db")
    with db.direct() as tx:
        hold.put(tx, now_ms=now_ms, why="from the backup of Monday", copy_ms=now_ms)
    db.stop()
    world.restarted()
    return world


@pytest.mark.whole
def test_a_held_box_says_so_everywhere_and_goes_on_when_told(fresh: Place, visit: Visit) -> None:
    fresh.rule(channel="#oncall")
    fresh.slack.archive("oncall")
    fresh.receives("sentry", "event_alert", title="Owed at the loss", level="fatal")
    restored(fresh)
    fresh.slack.archive("oncall", False)
    page = visit(fresh)
    for path in ("/", "/alert-groups", "/deliveries", "/settings/system"):
        page.goto(path)
        expect(page.locator('[data-banner="held"]')).to_contain_text("nobody is told")
    card = page.get_by_role("region", name="Held after a restore")
    expect(card).to_contain_text("from the backup of Monday")
    expect(card).to_contain_text("0 messages would be sent, 1 dropped.")
    expect(card.get_by_role("table")).to_contain_text("may have sent it before it was lost")
    axe(page)
    card.get_by_role("switch", name="Send it all the same: Owed at the loss").click()
    expect(card).to_contain_text("1 message would be sent, 0 dropped.")
    card.get_by_role("button", name="Go on: tell people again").click()
    page.get_by_role("dialog").get_by_role("button", name="Go on", exact=True).click()
    expect(page.get_by_text("The box is held no longer")).to_be_visible()
    expect(page.locator('[data-banner="held"]')).to_have_count(0)
    expect(card).to_have_count(0)
    drill = page.get_by_role("region", name="Restore drill", exact=True)
    expect(drill).to_contain_text("nothing: no backup has been made and no replica is set")
    drill.get_by_role("button", name="Drill now").click()
    expect(drill).to_contain_text("there is nothing to restore from", timeout=20_000)
    axe(page)
