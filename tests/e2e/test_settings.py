"""Settings: people join and change roles, keys work and stop working, the log tells who did it, a file is applied."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe, too_wide
from tests.e2e.pages import settled
from tests.e2e.place import OWNER, PASSWORD, Place

PAGES = ("workspace", "people", "api-keys", "audit", "security", "configuration")
TOML = """
[[channels]]
name = "hook"
kind = "webhook"
url = "https://example.com/alerts"

[[rules]]
name = "all of it"
channels = ["hook"]
"""


def side(page: Page) -> list[str]:
    """The pages of the settings that the navigation offers."""
    return page.get_by_role("navigation", name="Settings").get_by_role("link").all_inner_texts()


# -- people -----------------------------------------------------------------------------------------------------------


@pytest.mark.whole
def test_somebody_is_invited_joins_in_their_own_browser_and_changes_role_while_they_look(
    fresh: Place, visit: Visit
) -> None:
    """Item 8, people and invitations: the link is shown once; another role is in force without a reload."""
    page = visit(fresh)
    page.goto("/settings/people")
    page.get_by_role("button", name="Invite somebody").click()
    page.get_by_label("E-mail address").fill("nina@example.com")
    page.get_by_label("Role", exact=True).select_option("viewer")
    page.get_by_role("button", name="Make the link").click()
    link = page.get_by_test_id("link").inner_text()
    assert link.startswith(f"{fresh.url}/join#")
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_test_id("link")).to_have_count(0)
    invitations = page.get_by_role("region", name="Invitations")
    expect(invitations.get_by_role("row", name=re.compile("nina@example.com Viewer open"))).to_be_visible()

    nina = visit(fresh, person=None)
    nina.goto(link)
    nina.get_by_label("Your name").fill("Nina")
    nina.get_by_label("Choose a password", exact=True).fill(PASSWORD)
    nina.get_by_role("button", name=re.compile("Join")).click()
    nina.wait_for_url(f"{fresh.url}/")
    nina.goto("/settings")
    nina.wait_for_url("**/settings/workspace")
    assert side(nina) == ["Workspace", "People", "Retention"]

    page.reload()
    expect(invitations.get_by_role("row", name=re.compile("nina@example.com Viewer accepted"))).to_be_visible()
    page.get_by_role("combobox", name="Role of Nina").select_option("admin")
    expect(page.get_by_text("Nina is Admin now")).to_be_visible()
    expect(nina.get_by_role("link", name="Audit log")).to_be_visible()
    nina.get_by_role("link", name="Audit log").click()
    expect(nina.get_by_test_id("audit-row").first).to_be_visible()

    page.get_by_role("combobox", name="Role of Nina").select_option("viewer")
    expect(nina.get_by_text("You may not see this")).to_be_visible()


@pytest.mark.whole
def test_an_invitation_is_taken_back_and_an_account_disabled_enabled_and_removed(fresh: Place, visit: Visit) -> None:
    fresh.person("kim@example.com")
    page = visit(fresh)
    page.goto("/settings/people")
    made = fresh.post("/api/invitations", {"email": "late@example.com", "role": "member"})
    page.reload()
    page.get_by_role("button", name="Take back the invitation of late@example.com").click()
    expect(page.get_by_text("The link of late@example.com works no more")).to_be_visible()
    token = made["url"].partition("#")[2]
    assert httpx.post(f"{fresh.url}/api/invitations/preview", json={"token": token}).status_code in (404, 410)

    kim = visit(fresh, person="kim@example.com")
    kim.goto("/settings/people")
    settled(kim)
    expect(kim.get_by_role("button", name="Invite somebody")).to_have_count(0)
    announce(kim, "401|403|Failed to load")
    acts = page.get_by_role("button", name="What to do about kim")
    acts.click()
    page.get_by_role("menuitem", name="Disable the account").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(page.get_by_text("disabled", exact=True)).to_be_visible()
    kim.wait_for_url("**/sign-in*")
    acts.click()
    page.get_by_role("menuitem", name="Enable the account").click()
    expect(page.get_by_text("disabled", exact=True)).to_have_count(0)
    acts.click()
    page.get_by_role("menuitem", name="Make a link for a new password").click()
    assert "/reset#" in page.get_by_test_id("link").inner_text()
    page.get_by_role("button", name="Done").click()
    acts.click()
    page.get_by_role("menuitem", name="Remove from the workspace").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(acts).to_have_count(0)


@pytest.mark.whole
def test_a_person_is_exported_and_erased(fresh: Place, visit: Visit) -> None:
    fresh.person("samantha@example.com")
    page = visit(fresh)
    page.goto("/settings/people")
    acts = page.get_by_role("button", name="What to do about samantha")
    acts.click()
    with page.expect_download() as kept:
        page.get_by_role("menuitem", name="Export what is kept about them").click()
    told = json.loads(kept.value.path().read_text("utf-8"))
    assert told["account"]["person"][0]["email"] == "samantha@example.com"
    acts.click()
    page.get_by_role("menuitem", name="Erase the person for good").click()
    erase = page.get_by_role("button", name="Erase for good")
    expect(erase).to_be_disabled()
    page.get_by_label("Type samantha@example.com to go on").fill("samantha@example.com")
    erase.click()
    expect(page.get_by_text("In the history now stands erased-")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("samantha@example.com")).to_have_count(0)


@pytest.mark.whole
def test_the_table_of_roles_is_the_boxs_own(world: Place, page: Page) -> None:
    page.goto("/settings/people")
    table = world.get("/api/roles")
    shown = page.get_by_role("region", name="What each role may do").get_by_role("row")
    expect(shown).to_have_count(len(table["resources"]) + 1)
    expect(shown.filter(has_text="Audit log")).to_have_text(
        re.compile("look and change.*look and change.*nothing.*nothing", re.DOTALL)
    )


# -- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_that_the_page_makes_works_until_it_is_revoked(world: Place, page: Page) -> None:
    """Item 8, API keys: scopes and an end, shown once; the program that has it is refused after revoking."""
    page.goto("/settings/api-keys")
    page.get_by_role("button", name="Make a key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("deploy script")
    dialog.get_by_label("Service account").fill("deploys")
    dialog.get_by_role("button", name="Make a key").click()
    expect(dialog.get_by_text("choose at least one")).to_be_visible()
    dialog.get_by_role("checkbox", name="Look at alerts").check()
    dialog.get_by_role("button", name="Make a key").click()
    key = page.get_by_test_id("key-made").inner_text()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_test_id("key-made")).to_have_count(0)
    assert key not in page.content()

    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{world.url}/api/alert-groups", headers=headers).status_code == 200
    assert httpx.get(f"{world.url}/api/audit", headers=headers).status_code == 403
    mine = page.get_by_test_id("key").filter(has_text="deploy script")
    expect(mine).to_contain_text("deploys")
    page.reload()
    expect(mine).not_to_contain_text("never", timeout=15_000)  # it was used, and it ends
    mine.get_by_role("button", name="Revoke deploy script").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(mine).to_have_count(0)
    assert httpx.get(f"{world.url}/api/alert-groups", headers=headers).status_code == 401
    page.get_by_role("button", name=re.compile("nothing any more")).click()
    expect(mine).to_contain_text("revoked")


# -- the log ----------------------------------------------------------------------------------------------------------


@pytest.mark.whole
def test_the_log_says_who_did_it_and_is_filtered_verified_and_exported(world: Place, visit: Visit) -> None:
    """Item 8, audit log: filters live in the address; the chain is verified; the export is what is shown."""
    world.person("ada@example.com", "admin")
    ada = visit(person="ada@example.com")
    ada.goto("/settings/people")
    ada.get_by_role("button", name="Invite somebody").click()
    ada.get_by_label("E-mail address").fill("audited@example.com")
    ada.get_by_role("button", name="Make the link").click()
    ada.get_by_role("button", name="Done").click()

    page = visit()
    page.goto("/settings/audit")
    rows = page.get_by_test_id("audit-row")
    invited = rows.filter(has_text="audited@example.com")
    expect(invited).to_have_count(1)
    expect(invited).to_contain_text("ada")
    everything = rows.count()
    page.get_by_label("Who").select_option(label="ada")
    page.get_by_label("What was done", exact=True).select_option(label="Invited somebody")
    expect(rows).to_have_count(1)
    assert everything > 1
    assert "verb=invited" in page.url
    page.reload()
    expect(rows).to_have_count(1)
    invited.get_by_role("button", name=re.compile("Details")).click()
    expect(invited).to_contain_text("127.0.0.1")
    expect(invited).to_contain_text('"role": "member"')
    axe(page)

    with page.expect_download() as kept:
        page.get_by_role("link", name="Export CSV").click()
    lines = list(csv.DictReader(io.StringIO(kept.value.path().read_text("utf-8"))))
    assert [(line["verb"], line["actor"]) for line in lines] == [("invited", "ada")]

    page.get_by_label("What it was done to").fill("0000000000000")
    page.get_by_label("What it was done to").press("Enter")
    expect(page.get_by_text("Nothing fits")).to_be_visible()
    page.get_by_role("button", name="Clear the filter").first.click()
    expect(rows.first).to_be_visible()
    page.get_by_role("button", name="Verify the chain").click()
    expect(page.get_by_test_id("verdict")).to_contain_text("The log is as it was written")


def test_refused_sign_ins_and_locked_accounts_are_seen_and_unlocked(
    tmp_path_factory: pytest.TempPathFactory, seeded: tuple[Path, str], visit: Visit
) -> None:
    """Item 8, security events."""
    folder = tmp_path_factory.mktemp("locked")
    with Place(folder, seeded[0], seeded[1], **{"limits.sign_in_failures_per_15_minutes": "2"}) as box:
        box.person("kim@example.com")
        for _ in range(3):
            wrong = {"email": "kim@example.com", "password": "not the one at all"}
            assert httpx.post(f"{box.url}/api/auth/sign-in", json=wrong).status_code in (401, 429)
        page = visit(box)
        page.goto("/settings/security")
        expect(page.get_by_test_id("failed_sign_ins")).to_have_text("2")
        expect(page.get_by_test_id("accounts_locked")).to_have_text("1")
        expect(page.get_by_role("region", name="Refused")).to_contain_text("Failed sign-in")
        locked = page.get_by_role("region", name="Locked accounts")
        expect(locked).to_contain_text("kim@example.com")
        locked.get_by_role("button", name="Unlock").click()
        expect(locked).to_contain_text("No account is locked")
        right = {"email": "kim@example.com", "password": PASSWORD}
        assert httpx.post(f"{box.url}/api/auth/sign-in", json=right).status_code == 200


# -- the workspace, the file ------------------------------------------------------------------------------------------


def test_the_workspace_says_where_alerts_go_that_no_rule_routes(fresh: Place, visit: Visit) -> None:
    """Item 8, workspace."""
    fresh.channel("#lost-and-found")
    page = visit(fresh)
    page.goto("/settings/workspace")
    box = page.get_by_role("checkbox", name=re.compile("#lost-and-found"))
    box.set_checked(not box.is_checked())
    chosen = box.is_checked()
    page.get_by_label("Fallback channel").select_option("#lost-and-found")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The workspace is saved")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    now = fresh.get("/api/workspace")
    assert now["default_channels"] == (["#lost-and-found"] if chosen else [])
    assert now["fallback_channel"] == "#lost-and-found"


@pytest.mark.whole
def test_a_set_up_that_is_insecure_says_so(
    tmp_path_factory: pytest.TempPathFactory, seeded: tuple[Path, str], visit: Visit
) -> None:
    with Place(
        tmp_path_factory.mktemp("insecure"), seeded[0], seeded[1], **{"security.insecure_cookies": "true"}
    ) as box:
        page = visit(box)
        page.goto("/settings/workspace")
        warned = page.get_by_role("region", name="Needs attention on this box")
        expect(warned).to_contain_text("people may sign in over plain HTTP")


@pytest.mark.whole
def test_a_pasted_file_is_planned_and_then_applied(fresh: Place, visit: Visit) -> None:
    """Item 8, configuration: nothing happens before it was looked at, and only what was looked at happens."""
    page = visit(fresh)
    page.goto("/settings/configuration")
    text = page.get_by_label("TOML", exact=True)
    text.fill("[[rules]]\nname = 1\n")
    page.get_by_role("button", name="Show what would change").click()
    announce(page, "422")
    expect(page.get_by_role("heading", name="This file cannot be applied")).to_be_visible()
    text.fill(TOML)
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_test_id("plan")).to_contain_text("all of it")
    assert fresh.get("/api/routing-rules")["items"] == []
    text.fill(TOML + "# later\n")
    expect(page.get_by_text("look at the plan again")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Apply"))).to_have_count(0)
    page.get_by_role("button", name="Show what would change").click()
    page.get_by_role("button", name="Apply 2 changes").click()
    expect(page.get_by_role("heading", name="Made, and shown this once")).to_be_visible()
    assert [rule["name"] for rule in fresh.get("/api/routing-rules")["items"]] == ["all of it"]

    page.get_by_role("button", name="Show the file").click()
    expect(page.get_by_test_id("toml")).to_contain_text('name = "all of it"')
    with page.expect_download() as kept:
        page.get_by_role("button", name="Download").click()
    assert kept.value.suggested_filename == "signalcraft.toml"
    text.fill(kept.value.path().read_text("utf-8"))
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_text("nothing would change")).to_be_visible()


@pytest.mark.whole
def test_an_export_asks_for_the_password_where_it_was_not_entered_lately(fresh: Place, visit: Visit) -> None:
    page = visit(fresh)
    page.goto("/settings/configuration")
    refusals: list[str] = []

    def refuse(route: Route) -> None:
        if refusals:
            route.continue_()
            return
        refusals.append("once")
        problem = {"code": "step_up_needed", "title": "Step up needed", "status": 403, "detail": "enter your password"}
        route.fulfill(status=403, json=problem, content_type="application/problem+json")

    page.route("**/api/config/export", refuse)
    announce(page, "403")
    page.get_by_role("button", name="Show the file").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Your password", exact=True).fill(PASSWORD)
    dialog.get_by_role("button", name="Go on").click()
    expect(page.get_by_test_id("toml")).to_be_visible()


# -- who may see what -------------------------------------------------------------------------------------------------


@pytest.mark.whole
def test_a_viewer_sees_no_admin_page_and_is_told_whom_to_ask(world: Place, visit: Visit) -> None:
    world.person("viktor@example.com", "viewer")
    page = visit(person="viktor@example.com")
    page.goto("/settings")
    page.wait_for_url("**/settings/workspace")
    assert side(page) == ["Workspace", "People", "Retention"]
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    page.goto("/settings/retention")
    expect(page.get_by_text("Your role here may look, not change.")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    for name in ("api-keys", "audit", "security", "configuration", "query"):
        page.goto(f"/settings/{name}")
        expect(page.get_by_text("You may not see this")).to_be_visible()
        expect(page.get_by_role("link", name=OWNER)).to_be_visible()
        settled(page)
    axe(page)


@pytest.mark.whole
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_clean_and_fits_the_narrowest_phone(narrow: Page, name: str) -> None:
    narrow.goto(f"/settings/{name}")
    settled(narrow)
    axe(narrow)
    assert too_wide(narrow) == []


@pytest.mark.whole
@pytest.mark.parametrize("name", PAGES)
def test_every_page_says_when_the_box_does_not_answer(page: Page, name: str) -> None:
    announce(page, "503|Failed to load")
    page.goto("/settings/profile")
    for path in ("workspace", "people", "invitations", "roles", "api-keys", "audit", "admin", "channels", "config"):
        page.route(
            re.compile(rf"/api/{path}"),
            lambda route: route.fulfill(
                status=503, json={"code": "busy", "title": "Busy", "status": 503, "detail": "the disk is full"}
            ),
        )
    page.goto(f"/settings/{name}")
    if name == "configuration":
        page.get_by_role("button", name="Show the file").click()
    said = page.get_by_text("the disk is full")
    expect(said.first).to_be_visible(timeout=15_000)
    if name == "people":  # members, invitations, what roles may: each for itself
        expect(said).to_have_count(3)
