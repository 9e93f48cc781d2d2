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


CHANGES = ("Security", "Removed", "Deprecated", "Added", "Changed", "Fixed")


def changelog_problem(text: str) -> str:
    """What in a changelog is not as Keep a Changelog and semver have it, "" for nothing."""
    releases = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    if not releases or releases[0].splitlines()[0] != "Unreleased":
        return "there is no place for what comes next"
    seen: list[tuple[int, ...]] = []
    for release in releases:
        head = release.splitlines()[0]
        named = re.fullmatch(r"(\d+)\.(\d+)\.(\d+) \(\d{4}-\d\d-\d\d\)", head)
        if named is None and head != "Unreleased":
            return f"{head}: not a version with its date"
        if named is not None:
            seen.append(tuple(map(int, named.groups())))
        parts = re.findall(r"^### (.+)$", release, re.MULTILINE)
        if [part for part in CHANGES if part in parts] != parts:
            return f"{head}: {parts}"
        if any(not re.match(r"\* |  |### |$", line) for line in release.splitlines()[1:]):
            return f"{head}: a line that is no item"
    return "" if seen == sorted(set(seen), reverse=True) else "the newest release is not first"


def test_the_changelog_is_kept_in_its_form() -> None:
    """Written for whoever runs SignalCraft; a tag without an entry fails `make version-agrees`."""
    assert changelog_problem((ROOT / "docs/changelog.md").read_text("utf-8")) == ""


def test_what_is_wrong_in_a_changelog_is_found() -> None:
    """The check itself."""
    good = "# C\n\n## Unreleased\n\n### Added\n\n* a\n  b\n\n## 1.2.0 (2026-01-02)\n\n### Fixed\n\n* c\n"
    good += "\n## 1.1.9 (2026-01-01)\n"
    assert changelog_problem(good) == ""
    for old, new in (
        ("## Unreleased", "## 1.3.0 (2026-02-02)"), ("1.2.0 (2026-01-02)", "1.2"), ("### Fixed", "### Mended"),
        ("1.1.9", "1.9.9"), ("* c", "c"),
    ):  # fmt: skip
        assert changelog_problem(good.replace(old, new)), new


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    """Written for whoever runs SignalCraft."""
    assert "## Unreleased" in (ROOT / "docs/changelog.md").read_text("utf-8")
