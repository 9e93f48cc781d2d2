"""What people read: the first screen, the links, the decisions, the changelog."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.tree import ROOT, files

PAGES = [name for name in files() if name.endswith(".md")]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _text(name: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```", "", (ROOT / name).read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    headings = HEADING.findall(re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    """To a file in the repository, and to a heading in it where one is named. Other sites are not asked."""
    broken = []
    for target in LINK.findall(_text(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in _anchors(there)):
            broken.append(target)
    assert broken == []


def test_the_readme_says_what_to_type() -> None:
    """The two commands stand in its first screen."""
    first_screen = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:45])
    assert "make demo" in first_screen
    assert "make test" in first_screen


def test_every_page_can_be_found_from_the_index() -> None:
    """docs/index.md, or a page that it leads to, links it."""
    found, queue = set(), [ROOT / "docs/index.md"]
    while queue:
        page = queue.pop()
        if page in found or page.suffix != ".md" or not page.is_file():
            continue
        found.add(page)
        name = str(page.relative_to(ROOT))
        queue += [(page.parent / t.partition("#")[0]).resolve() for t in LINK.findall(_text(name)) if ":" not in t]
    lost = {str(ROOT / name) for name in PAGES if name.startswith("docs/")} - {str(page) for page in found}
    assert lost == set()


def test_every_decision_has_its_four_parts_and_its_number_once() -> None:
    """Context, options, decision, and what would change our mind."""
    decisions = [name for name in PAGES if name.startswith("docs/decisions/")]
    numbers = [Path(name).name[:4] for name in decisions]
    assert numbers == sorted(set(numbers))
    assert decisions
    for name in decisions:
        headings = set(HEADING.findall((ROOT / name).read_text("utf-8")))
        assert {"Context", "Options", "Decision", "What would change our mind"} <= headings, name


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    """Written for whoever runs SignalCraft."""
    assert "## Unreleased" in (ROOT / "docs/changelog.md").read_text("utf-8")
