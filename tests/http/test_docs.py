"""/docs: the documentation, served by the box itself and by `signalcraft docs`."""

from __future__ import annotations

import posixpath
import re

import pytest

from signalcraft.http.manual import asking, drawing, shelf
from tests.conftest import ROOT
from tests.http.asking import asking as client_of
from tests.http.asking import problem
from tests.world import World

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Authorization": ""}


def page(name: str) -> str:
    told = asking.answer(name, "text/html")
    assert (told.status, told.media_type) == (200, "text/html; charset=utf-8"), name
    return told.body.decode()


@pytest.mark.parametrize("name", sorted(shelf.pages()))
def test_every_page_is_drawn_whole_and_its_links_lead_somewhere(name: str) -> None:
    """One heading of the first rank, nothing that acts, and no link or picture that the shelf does not hold."""
    html = page(name)
    assert html.count("<h1") == 1
    assert "```" not in re.sub(r"<code.*?</code>", "", html, flags=re.DOTALL)
    assert re.findall(r"<script|<style|<iframe|\sstyle=|\son\w+=\"", html) == []
    folder = name.rpartition("/")[0]
    for target in re.findall(r'(?:href|src)="([^"]+)"', html):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or path.partition("?")[0].endswith(("style.css", "search", "/icon.svg")):
            continue
        there = "/".join(posixpath.normpath(f"{folder}/{path.partition('?')[0]}").strip("/").split("/"))
        assert not path or there in shelf.files(), target
        if anchor and anchor != "content":
            aimed = page(there) if path else html
            assert f'id="{anchor}"' in aimed, target


def test_all_of_docs_is_on_the_shelf() -> None:
    wanted = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert set(shelf.pages()) == wanted
    assert {section for section, _ in shelf.SECTIONS} >= {one.section for one in shelf.pages().values() if one.section}


def test_a_browser_gets_pages_without_a_key_under_a_policy_without_scripts(world: World) -> None:
    client = client_of(world)
    answer = client.get("/docs/how-to/tls.md", headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert client.get("/docs/style.css", headers=BROWSER).headers["content-type"].startswith("text/css")
    picture = client.get("/docs/screenshots/overview-light.webp", headers=BROWSER)
    assert (picture.headers["content-type"], picture.content[:4]) == ("image/webp", b"RIFF")
    for address, there in (("/docs", "/docs/index.md"), ("/docs/how-to/tls", "tls.md")):
        moved = client.get(address, headers=BROWSER)
        assert (moved.status_code, moved.headers["location"]) == (307, there)


def test_a_program_gets_the_pages_as_they_were_written(world: World) -> None:
    text = (ROOT / "docs/how-to/tls.md").read_text("utf-8")
    assert client_of(world).get("/docs/how-to/tls.md").text == text
    assert client_of(world).get("/docs/how-to/tls.md?as=text", headers=BROWSER).text == text


@pytest.mark.parametrize("name", ["nothing.md", "..%2f..%2fREADME.md", "%00", "how-to", "a" * 300])
def test_no_other_file_is_served(world: World, name: str) -> None:
    problem(client_of(world).get(f"/docs/{name}"), 404, "not_found")
    answer = client_of(world).get(f"/docs/{name}", headers=BROWSER)
    assert answer.status_code == 404
    assert "<script" not in answer.text


def test_a_search_finds_the_page_that_is_about_it(world: World) -> None:
    client = client_of(world)
    answer = client.get("/docs/search", params={"q": "certificate renewed"}, headers=BROWSER)
    assert answer.status_code == 200
    assert 'href="how-to/tls.md"' in answer.text
    assert client.get("/docs/search", params={"q": "passkey"}, headers=BROWSER).text.index("how-to/passkeys.md") > 0
    assert "0 pages" in client.get("/docs/search", params={"q": "zzzzqqqq"}, headers=BROWSER).text
    assert "how-to/tls.md" in client.get("/docs/search", params={"q": "certificate renewed"}).text


def test_what_is_searched_for_is_shown_as_text(world: World) -> None:
    answer = client_of(world).get("/docs/search", params={"q": '"><script>alert(1)</script>'}, headers=BROWSER)
    assert "<script" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_headings_have_the_anchors_that_links_use() -> None:
    assert drawing.slug("To a moment, before a `mistake`") == "to-a-moment-before-a-mistake"
    assert 'id="to-a-moment-before-a-mistake"' in page("runbooks/disaster-recovery.md")


def test_links_to_files_outside_the_documentation_are_no_links() -> None:
    """The code is not in the program: what leads there says where it is instead."""
    text = (ROOT / "docs/tutorial/first-alert.md").read_text("utf-8")
    html = page("tutorial/first-alert.md")
    outside = re.findall(r"\]\((\.\./\.\./[^)]+)\)", text)
    for target in outside:
        assert target not in html
        assert f'title="in the repository: {target.removeprefix("../../")}"' in html
