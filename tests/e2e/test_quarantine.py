"""What could not be read: its mapping is mended with a dry run in sight, it is read again, its alert group appears."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import announce
from tests.e2e.looking import axe, too_wide
from tests.e2e.place import Place

BODY = {"incident": {"text": "Disk of db-1 is full", "sev": "SEV1"}, "where": {"env": "production"}, "host": None}
JSON = {"content-type": "application/json"}


def unreadable(world: Place, name: str, body: Any = BODY) -> str:
    """Its number in quarantine."""
    if name not in world.integrations:
        world.integration("generic", name)
    answer = world.sends(name, json.dumps(body).encode(), JSON)
    assert answer.status_code == 422, answer.text
    return str(answer.json()["quarantine_id"])


def test_a_reading_is_mended_tried_and_read_again(world: Place, page: Page) -> None:
    unreadable(world, "nested")
    page.goto("/quarantine")
    page.get_by_role("link", name=re.compile("nested")).first.click()
    expect(page.get_by_text("It still cannot be read:")).to_be_visible()
    page.get_by_label("What incident.text is").select_option("title")
    expect(page.get_by_text("It can be read: one event.")).to_be_visible()
    page.get_by_label("What where.env is").select_option("environment")
    page.get_by_label("What incident.sev is").select_option("severity")
    trial = page.get_by_role("article")
    expect(trial).to_contain_text("Disk of db-1 is full")
    expect(trial).to_contain_text("production")
    # Their word for it is none of ours yet.
    page.get_by_role("button", name="Add to “What its words mean”").click()
    page.get_by_label("What its words mean: name 1").fill("sev1")
    page.get_by_label("What its words mean: value 1").select_option("critical")
    expect(trial).to_contain_text("Critical")
    # Nothing was changed so far.
    held = world.get("/api/integrations")["items"]
    assert next(i for i in held if i["name"] == "nested")["config"]["mapping"] == {}
    assert [g["title"] for g in world.groups()] == []
    page.get_by_role("button", name="Save, and read it again").click()
    expect(page.get_by_text("It was read: one event")).to_be_visible()
    expect(page.get_by_text("This webhook was read in the meantime.")).to_be_visible()
    page.get_by_role("button", name="Open the alert group").click()
    expect(page.get_by_role("heading", name="Disk of db-1 is full").first).to_be_visible()
    (group,) = [g for g in world.groups() if g["title"] == "Disk of db-1 is full"]
    assert (group["severity"], group["environment"]) == ("critical", "production")
    # From now on it is read when it comes.
    assert world.sends("nested", json.dumps(BODY).encode(), JSON).status_code == 202


@pytest.mark.whole
def test_a_mapping_that_makes_no_sense_is_said_at_its_field(world: Place, page: Page) -> None:
    announce(page, r"422 .*/try")
    number = unreadable(world, "nonsense")
    page.goto(f"/quarantine/{number}")
    page.get_by_role("button", name="Add to “Where the fields stand”").click()
    page.get_by_label("Where the fields stand: name 1").fill("titel")
    page.get_by_label("Where the fields stand: value 1").fill("incident.text")
    expect(page.get_by_text(re.compile("titel: is no field of an alert"))).to_be_visible()
    page.get_by_label("Where the fields stand: name 1").fill("title")
    expect(page.get_by_text("It can be read: one event.")).to_be_visible()


@pytest.mark.whole
def test_all_of_an_integration_are_read_again_at_once(world: Place, page: Page) -> None:
    troubles = [f"Trouble with {what}" for what in ("disks", "clocks", "people")]
    for trouble in troubles:
        unreadable(world, "many", {"what": {"is": trouble}})
    integration = world.integrations["many"]["id"]
    page.goto("/quarantine")
    button = page.get_by_role("button", name=re.compile("Read all of “many” again"))
    expect(button).to_contain_text("(3)")
    changed = world.api.patch(f"/api/integrations/{integration}", json={"config": {"mapping": {"title": "what.is"}}})
    assert changed.status_code == 200
    # The next one is there without a reload.
    world.integration("generic", "late")
    unreadable(world, "late")
    expect(page.get_by_role("link", name=re.compile("late"))).to_be_visible()
    button.click()
    expect(page.get_by_text("3 webhooks were read")).to_be_visible()
    expect(button).to_have_count(0)
    titles = [g["title"] for g in world.groups()]
    assert set(troubles) <= set(titles)
    page.get_by_role("button", name="Read later").click()
    expect(page.get_by_role("link", name=re.compile("many"))).to_have_count(3)


@pytest.mark.whole
def test_it_is_given_up_after_a_question(world: Place, page: Page) -> None:
    number = unreadable(world, "hopeless")
    page.goto(f"/quarantine/{number}")
    page.get_by_role("button", name="Give it up").click()
    page.get_by_role("dialog").get_by_role("button", name="Give it up").click()
    expect(page.get_by_text("This webhook was given up.")).to_be_visible()
    assert world.get(f"/api/quarantine/{number}")["state"] == "dropped"


@pytest.mark.whole
def test_a_kind_without_a_mapping_is_tried_as_it_is(world: Place, page: Page) -> None:
    from tests import bodies

    raw = b'{"action": "exploded", "data": {}}'
    world.integration("sentry", "exotic")
    answer = world.sends("exotic", raw, bodies.signed(raw, "exotic_thing"))
    page.goto(f"/quarantine/{answer.json()['quarantine_id']}")
    expect(page.get_by_text("has nothing to set about its reading")).to_be_visible()
    expect(page.get_by_text(re.compile("It still cannot be read: unknown Sentry resource"))).to_be_visible()


@pytest.mark.whole
def test_nobody_is_shut_out_of_these_pages(world: Place, themed: Page) -> None:
    number = unreadable(world, "everybody")
    for address, wanted in (("/quarantine", "everybody"), (f"/quarantine/{number}", "Where is what?")):
        themed.goto(address)
        expect(themed.get_by_text(wanted).first).to_be_visible()
        axe(themed)


@pytest.mark.whole
def test_a_narrow_phone_shows_all_of_it(world: Place, narrow: Page) -> None:
    number = unreadable(world, "phone")
    for address, wanted in (("/quarantine", "phone"), (f"/quarantine/{number}", "Where is what?")):
        narrow.goto(address)
        expect(narrow.get_by_text(wanted).first).to_be_visible()
        assert too_wide(narrow) == [], address


def test_only_what_an_integration_left_is_shown_where_its_page_leads(world: Place, page: Page) -> None:
    unreadable(world, "lead here")
    unreadable(world, "not here")
    page.goto(f"/integrations/{world.integrations['lead here']['id']}")
    page.get_by_role("link", name="Look at them").click()
    expect(page.get_by_text("Only of “lead here”")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("^lead here"))).to_have_count(1)
    expect(page.get_by_role("link", name=re.compile("^not here"))).to_have_count(0)
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_role("link", name=re.compile("^not here"))).to_have_count(1)
    expect(page).to_have_url(re.compile("/quarantine$"))
