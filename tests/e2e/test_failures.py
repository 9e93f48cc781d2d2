"""The API away, slow, or failing: every page says so, shows no number that it does not have, and comes back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
from playwright.sync_api import Error, Page, Route, expect

from tests.e2e.conftest import Visit, announce
from tests.e2e.pages import INSIDE, Lived
from tests.e2e.place import Place

AT_ONCE = 6
"""Windows that are looked at together: most of the time is waiting."""
GATE = ("/api/auth/me", "/api/auth/state")
"""Without these nobody is signed in, which is another page."""
WHY = "made up: the disk is full"
PROBLEM = {
    "type": "about:blank", "title": "Internal", "status": 500, "code": "internal", "request_id": "made-up-1",
    "detail": WHY, "errors": [], "docs": "",
}  # fmt: skip
NUMBERS = r"""
() => [...document.querySelectorAll('main *')]
  .filter((one) => !one.children.length && one.checkVisibility() && !one.closest("option, label, time, kbd, button"))
  .map((one) => one.textContent.trim()).filter((text) => /^[\d][\d.,]*( ?(%|ms|s|min|h|d))?$/.test(text))
"""
SLOW = """
const quick = ['/api/auth/me', '/api/auth/state', '/api/live'];
const ask = window.fetch;
window.waiting = 0;
window.fetch = async (what, more) => {
  const path = new URL(what.url ?? what, location.href).pathname;
  if (path.startsWith('/api/') && !quick.includes(path)) {
    window.waiting += 1;
    await new Promise((done) => setTimeout(done, 5000));
    return ask(what, more).finally(() => { window.waiting -= 1; });
  }
  return ask(what, more);
};
"""
SILENT = "window.waiting > 0 && !document.querySelector('main .loading, main [aria-busy=true]')"
"""Whether an answer is still on its way and nothing says so, looked at in one moment."""
PAGES = [address for address in INSIDE if address != "/nowhere"]  # it asks nothing


@pytest.fixture(scope="module")
def lived(world: Place) -> Lived:
    """A box that has been in use."""
    return Lived(world)


def batches(visit: Visit) -> Iterator[list[tuple[str, Page]]]:
    """Every page's address with a window for it, a few at a time."""
    left = iter(PAGES)
    while some := list(islice(left, AT_ONCE)):
        opened = [(address, visit()) for address in some]
        for _, page in opened:
            announce(page, r"Failed to load resource", r"ERR_")
        yield opened
        for _, page in opened:
            page.context.unroute_all(behavior="ignoreErrors")
            page.close()


def failing(asked: Counter[Page], answer: Callable[[Route], None]) -> Callable[[Route], None]:
    """What stands before the API. `asked`: how often it kept a window from it."""

    def handle(route: Route) -> None:
        path = route.request.url.split("?")[0]
        if path.endswith(GATE):
            route.continue_()
            return
        if not path.endswith("/api/live"):
            asked[route.request.frame.page] += 1
        answer(route)

    return handle


def refused(route: Route) -> None:
    """As a box whose disk is full answers."""
    route.fulfill(status=500, content_type="application/problem+json", body=json.dumps(PROBLEM))


def unreachable(route: Route) -> None:
    """As no box answers."""
    route.abort("connectionrefused")


@pytest.mark.whole
@pytest.mark.parametrize(
    ("answer", "words"), [(refused, WHY), (unreachable, "cannot be reached")], ids=["answers 500", "is down"]
)
def test_every_page_says_that_the_api_fails_and_comes_back(
    lived: Lived, visit: Visit, answer: Callable[[Route], None], words: str
) -> None:
    wrong: list[str] = []
    for opened in batches(visit):
        asked: Counter[Page] = Counter()
        for address, page in opened:
            page.route("**/api/**", failing(asked, answer))
            page.goto(lived.at(address))
        for address, page in opened:
            wrong += [f"{address}: {one}" for one in says(page, words, asked)]
            page.unroute_all(behavior="ignoreErrors")
            wrong += [f"{address}: {one}" for one in comes_back(page, words)]
    assert wrong == [], "\n".join(wrong)


def says(page: Page, words: str, asked: Counter[Page]) -> Iterator[str]:
    """What is wrong with a page whose API fails."""
    try:
        expect(page.locator("main").locator("h1, [role=alert]").first).to_be_visible()
        expect(page.locator(".loading")).to_have_count(0, timeout=15_000)
    except AssertionError:
        yield "a blank screen, or it waits for ever"
    if asked[page] and words not in page.locator("main").inner_text():
        yield f"it does not say {words!r}: {page.locator('main').inner_text()[:200]!r}"
    numbers = page.evaluate(NUMBERS)
    if numbers:
        yield f"numbers out of nowhere: {numbers[:5]}"


def comes_back(page: Page, words: str) -> Iterator[str]:
    """What is wrong with a page whose API answers again, when a person presses "Try again"."""
    for _ in range(20):  # each card has its own
        button = page.locator("main").get_by_role("button", name="Try again")
        if not button.count():
            break
        try:
            button.first.click(timeout=3_000)
            page.wait_for_timeout(300)
        except Error:
            continue  # another's success took it away
    try:
        expect(page.locator("main")).not_to_contain_text(words, timeout=10_000)
        expect(page.locator(".loading")).to_have_count(0)
        expect(page.locator("h1").first).to_be_visible()
    except AssertionError:
        yield f"it does not come back: {page.locator('main').inner_text()[:200]!r}"


@pytest.mark.whole
def test_every_page_waits_for_a_slow_api_and_says_that_it_does(lived: Lived, visit: Visit) -> None:
    wrong: list[str] = []
    for opened in batches(visit):
        for address, page in opened:
            page.add_init_script(SLOW)
            page.goto(lived.at(address))
            expect(page.locator("main h1").first).to_be_visible()
            if page.evaluate(SILENT):
                wrong.append(f"{address}: nothing says that it waits: {page.locator('main').inner_text()[:120]!r}")
            numbers = page.evaluate(NUMBERS)
            if numbers and page.evaluate("window.waiting"):
                wrong.append(f"{address}: numbers out of nowhere: {numbers[:5]}")
        for address, page in opened:
            try:
                expect(page.locator(".loading")).to_have_count(0, timeout=25_000)
                expect(page.locator("h1").first).to_be_visible()
                expect(page.locator("main [role=alert]")).to_have_count(0)
            except AssertionError as problem:
                wrong.append(f"{address}: it does not come: {str(problem).splitlines()[0]}")
    assert wrong == [], "\n".join(wrong)
