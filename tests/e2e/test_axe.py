"""Every page, by day and at night, at a desk and on the narrowest phone: readable and usable by everybody."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.e2e.looking import too_wide, violations
from tests.e2e.pages import INSIDE, OPEN, Lived, addresses, settled
from tests.e2e.place import Place

STOPS = """
() => {
  const seen = document.activeElement;
  if (!seen || seen === document.body || seen.tabIndex < 0) return null;
  const style = getComputedStyle(seen);
  const inner = seen.matches(':focus-visible') && (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
    || style.boxShadow !== 'none');
  const around = seen.closest(':focus-within:not(body, html, main, nav, #app)');
  const outer = around && (getComputedStyle(around).outlineStyle !== 'none' || getComputedStyle(around).boxShadow !== 'none');
  const name = `${seen.tagName.toLowerCase()}.${seen.className} ${(seen.getAttribute('aria-label') ?? seen.textContent ?? '').trim().slice(0, 40)}`;
  window.stops ??= new Map();
  if (!window.stops.has(seen)) window.stops.set(seen, window.stops.size);
  return {name, visible: Boolean(inner || outer), number: window.stops.get(seen), count: window.stops.size};
}
"""  # noqa: E501  # it is JavaScript


@pytest.fixture(scope="module")
def lived(world: Place) -> Lived:
    """A box that has been in use."""
    return Lived(world)


def test_the_addresses_are_all_of_them() -> None:
    """What the router knows, and what it does not."""
    assert set(OPEN) <= set(addresses())
    assert {"/", "/alert-groups", "/alert-groups/:id", "/nowhere"} <= set(INSIDE)


SHORT = ("/alert-groups", "/alert-groups/:id", "/nowhere")


@pytest.mark.parametrize(
    "address", [one if one in SHORT else pytest.param(one, marks=pytest.mark.whole) for one in INSIDE]
)
def test_a_page_is_for_everybody(lived: Lived, page: Page, address: str) -> None:
    """By day, at night, on the narrowest phone and by keyboard alone."""
    looked_at(page, lived.at(address))


@pytest.mark.parametrize("address", OPEN)
def test_a_page_for_strangers_is_for_everybody(stranger: Page, address: str) -> None:
    """The same, where nobody is signed in yet."""
    looked_at(stranger, address)


def looked_at(page: Page, address: str) -> None:
    """Opens a page once and looks at it in every way; says everything that is wrong with it."""
    page.goto(address)
    if address == "/settings":  # it leads on to its first page
        page.wait_for_url("**/settings/workspace")
    settled(page)
    unseen, stops = walk(page)
    wrong = [f"keyboard: nothing shows where one is at {name}" for name in unseen]
    if not stops:
        wrong.append("keyboard: nothing can be reached")
    wrong += [f"light: {one}" for one in violations(page)]
    page.emulate_media(color_scheme="dark")
    wrong += [f"dark: {one}" for one in violations(page)]
    page.set_viewport_size({"width": 320, "height": 640})
    settled(page)
    wrong += [f"320 px: wider than the screen: {one}" for one in too_wide(page)]
    wrong += [f"320 px: {one}" for one in violations(page)]
    assert wrong == [], "\n".join([page.url, *wrong])


def walk(page: Page) -> tuple[list[str], int]:
    """Tab through a page: the stops that nothing marks, and how many there are. A long list is walked in part."""
    unseen: list[str] = []
    count = 0
    for _ in range(100):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOPS)
        if stop is None or stop["count"] == count:  # out of the page, or round it once
            break
        count = stop["count"]
        if not stop["visible"]:
            unseen.append(stop["name"])
    return unseen, count
