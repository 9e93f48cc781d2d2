"""The page of the API: from files of our own, under the box's own policy, opened in a browser."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from signalcraft.http import apidocs
from tests.chromium import launched
from tests.conftest import ROOT
from tests.http.asking import asking, problem
from tests.world import World

FOLDER = ROOT / "signalcraft" / "http" / "swagger"


def test_the_files_of_others_are_the_ones_that_were_taken_in() -> None:
    """ORIGIN.md holds their hashes; together they stay small."""
    told = dict(re.findall(r"^\| (\S+) \| ([0-9a-f]{64}) \|$", (FOLDER / "ORIGIN.md").read_text("utf-8"), re.MULTILINE))
    assert told.keys() >= {"swagger-ui-bundle.js", "swagger-ui.css", "LICENSE", "NOTICE"}
    for name, wanted in told.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == wanted, name
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 2_000_000


def test_the_page_and_its_files_are_served_to_everybody_under_a_strict_policy(world: World) -> None:
    client = asking(world)
    for path, kind in [("", "text/html"), *((f"/{name}", kind) for name, kind in apidocs.FILES.items())]:
        answer = client.get(f"/api/docs{path}")
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["content-encoding"] == "gzip"
        plain = client.get(f"/api/docs{path}", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == answer.content
    page = client.get("/api/docs").text
    assert re.findall(r'(?:src|href)="(https?:)?//', page) == []
    assert re.findall(r"<script>|\son\w+=|<style", page) == []


@pytest.mark.parametrize("name", ["LICENSE", "..%2fopenapi.py", "..%2f..%2fapp.py", "page.html", "%00", "page.js%00"])
def test_no_other_file_is_served(world: World, name: str) -> None:
    problem(asking(world).get(f"/api/docs/{name}"), 404, "not_found")


@pytest.mark.whole
def test_a_browser_shows_an_operation_and_its_policy_stops_nothing(world: World, tmp_path: Path) -> None:
    said: list[str] = []
    asked: list[str] = []
    with launched("the page of the API") as browser:
        page = browser.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        base = str(world.api.base_url).rstrip("/")
        page.goto(f"{base}/api/docs")
        page.locator(".opblock-tag", has_text="alert groups").click(timeout=60_000)
        operation = page.locator("#operations-alert_groups-acknowledge_alert_group")
        operation.locator(".opblock-summary-control").click()
        operation.get_by_text("Roles: owner, admin, member.").wait_for()
        operation.get_by_text("Looking at it").first.wait_for()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_placeholder("id").fill("0" * 13)
        operation.get_by_role("button", name="Execute").click()
        operation.get_by_text("not_signed_in").first.wait_for()
    # The one complaint is of the browser itself: what was tried out was refused, for nobody is signed in.
    assert [line for line in said if "401" not in line] == []
    assert [url for url in asked if not url.startswith((base, "data:"))] == []
