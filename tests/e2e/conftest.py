"""A box, a browser, and people who are signed in.

    def test_…(world: Place, page: Page) -> None:
        world.receives("sentry", "event_alert", level="fatal")     # the same words as in tests/world.py
        page.goto("/alert-groups")
        expect(page.get_by_role("row")).to_have_count(2)

A page whose console, code or content policy complained fails its test at the end. What a test makes happen on purpose
it announces: `announce(page, r"503 .*/api/")`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.chromium import launched
from tests.e2e.looking import Complaints, picture
from tests.e2e.place import OWNER, Place, built, seed

expect.set_options(timeout=20_000)
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fixtures hear whether their test failed."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data directory with an owner, to copy; the key of its API."""
    built()
    folder = tmp_path_factory.mktemp("seed") / "data"
    return folder, seed(folder)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, seeded: tuple[Path, str]) -> Iterator[Place]:
    """One box a file. Tests that need it empty, or kill it, take `fresh`."""
    with Place(tmp_path_factory.mktemp("world"), *seeded) as it:
        yield it


@pytest.fixture
def fresh(tmp_path: Path, seeded: tuple[Path, str]) -> Iterator[Place]:
    """A box of this test alone, with an owner and nothing else in it."""
    with Place(tmp_path, *seeded) as it:
        yield it


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Place]:
    """A box that nobody has set up."""
    built()
    with Place(tmp_path) as it:
        yield it


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser of a file."""
    with launched("the journeys through the dashboard") as browser:
        yield browser


@pytest.fixture(scope="module")
def sessions() -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The cookies of those who signed in, by box and address: a password takes its time to be checked."""
    return {}


class Visit(Protocol):
    """Opens a window. `place`: at which box; `person`: who is signed in, None for nobody; `theme`: light or dark."""

    def __call__(
        self, place: Place | None = None, *, person: str | None = OWNER, theme: str = "light", width: int = 1280,
        height: int = 800, **options: Any,
    ) -> Page:  # fmt: skip
        """`options` as Playwright's new_context takes them."""
        ...


COMPLAINTS: dict[Page, Complaints] = {}


def announce(page: Page, *patterns: str) -> None:
    """These complaints of the page are what the test wants."""
    COMPLAINTS[page].expected += patterns


@pytest.fixture
def visit(
    request: pytest.FixtureRequest, chromium: Browser, sessions: dict[tuple[str, str], list[dict[str, Any]]]
) -> Iterator[Visit]:
    """Windows of this test; they complain at its end."""
    contexts: list[BrowserContext] = []
    pages: list[Page] = []

    def visiting(
        place: Place | None = None, *, person: str | None = OWNER, theme: str = "light", width: int = 1280,
        height: int = 800, **options: Any,
    ) -> Page:  # fmt: skip
        box: Place = place if place is not None else request.getfixturevalue("world")
        context = chromium.new_context(
            base_url=box.url, color_scheme="dark" if theme == "dark" else "light", locale="en-GB",
            timezone_id="Europe/Berlin", viewport={"width": width, "height": height}, **options,
        )  # fmt: skip
        contexts.append(context)
        context.set_default_timeout(30_000)
        if person is not None:
            # By its folder: a port is given to another box once this one has ended.
            whose = (str(box.data_dir), person)
            cookies = sessions[whose] = sessions.get(whose) or box.cookies(person)
            context.add_cookies(cookies)  # type: ignore[arg-type]
        page = context.new_page()
        COMPLAINTS[page] = Complaints(page)
        pages.append(page)
        return page

    yield visiting
    left = [one for page in pages for one in COMPLAINTS.pop(page).left()]
    if request.node.stash.get(FAILED, False):
        for number, page in enumerate(pages):
            if not page.is_closed():
                print(f"how it looked: {picture(page, f'failed-{request.node.name}-{number}'[:120].replace('/', '-'))}")
    for context in contexts:
        context.close()
    assert left == [], "\n".join(left)


@pytest.fixture
def page(visit: Visit) -> Page:
    """The owner at a desk: 1280 × 800, light."""
    return visit()


@pytest.fixture
def dark(visit: Visit) -> Page:
    """The same at night."""
    return visit(theme="dark")


@pytest.fixture
def phone(visit: Visit) -> Page:
    """The owner's phone: 360 × 740, fingers."""
    return visit(width=360, height=740, has_touch=True, is_mobile=True, device_scale_factor=2)


@pytest.fixture
def narrow(visit: Visit) -> Page:
    """The narrowest that has to work."""
    return visit(width=320, height=640, has_touch=True, is_mobile=True, device_scale_factor=2)


@pytest.fixture
def stranger(visit: Visit) -> Page:
    """Nobody who is signed in."""
    return visit(person=None)


@pytest.fixture(params=["light", "dark"])
def themed(request: pytest.FixtureRequest, visit: Visit) -> Page:
    """Once by day, once by night."""
    return visit(theme=request.param)


@pytest.fixture
def again(world: Place) -> Callable[[], Place]:
    """Kills the file's box and starts it again."""
    return lambda: world.killed().restarted()
