"""Every page of the dashboard leads to the page of the documentation that helps there."""

from __future__ import annotations

import re

from signalcraft.http.manual import shelf
from tests.house.tree import ROOT

WEB = ROOT / "web/src"


def table() -> dict[str, str]:
    """Address of the dashboard → page of the documentation, out of help.ts."""
    text = (WEB / "shell/help.ts").read_text("utf-8")
    return dict(re.findall(r"^  '([^']+)': '([^']+)',$", text, re.MULTILINE))


def test_every_address_of_the_dashboard_has_a_page_of_help_that_is_there() -> None:
    routes = set(re.findall(r"^  '([^']+)': \(\) =>", (WEB / "routes.ts").read_text("utf-8"), re.MULTILINE))
    assert len(routes) > 30
    assert set(table()) == routes
    assert {f"{page}.md" for page in table().values()} - set(shelf.pages()) == set()


def test_both_frames_of_pages_show_the_link() -> None:
    """The shell around the pages of those who are signed in, and the frame of the others; each page stands in one."""
    for frame in ("shell/Shell.svelte", "pages/sign-in/Frame.svelte"):
        assert "href={helpFor(route.pathname)}" in (WEB / frame).read_text("utf-8"), frame
    for page in ("join", "reset", "setup", "sign-in"):
        assert "<Frame " in (WEB / f"pages/{page}/Page.svelte").read_text("utf-8"), page


def test_the_router_leaves_those_addresses_to_the_browser() -> None:
    line = next(line for line in (WEB / "routes.ts").read_text("utf-8").splitlines() if ".test(link.pathname)" in line)
    assert "|docs)" in line
