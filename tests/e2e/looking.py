"""Looking at pages: what they complained of, what axe finds, a picture."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

from tests.conftest import ROOT

AXE: Final = ROOT / "web/node_modules/axe-core/axe.min.js"
PICTURES: Final = ROOT / ".build/pictures"
# A page asks who is signed in; that nobody is, is an answer, and the browser notes every 401.
QUIET: Final = (r"401 .*/api/auth/(me|step-up|sign-in)", r"404 .*/nowhere\)")
REST = """
Promise.all(document.getAnimations().filter((a) => a.effect?.getComputedTiming().iterations !== Infinity)
  .map((a) => a.finished.catch(() => null)))
"""
WIDE = """
(screen) => {
  const room = Math.min(screen, document.documentElement.clientWidth);
  if (document.documentElement.scrollWidth <= room) return [];
  const found = [...document.querySelectorAll('body, body *')]
    .filter((one) => one.getBoundingClientRect().right > room + 0.5)
    .map((one) => `${one.tagName}.${one.className} to ${Math.round(one.getBoundingClientRect().right)} of ${room}`);
  return found.length > 0 ? found.slice(0, 12) : [`something of ${document.documentElement.scrollWidth} of ${room}`];
}
"""
TELL = """
addEventListener('securitypolicyviolation', (event) =>
  console.error(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


class Complaints:
    """What a page's console, its code and its policy said; `expected` are patterns of what a test makes happen."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        self.expected: list[str] = list(QUIET)
        page.add_init_script(TELL)
        page.on("pageerror", lambda error: self.said.append(f"uncaught: {error}\n{error.stack or ''}"))
        page.on("console", self._heard)

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            where = message.location.get("url", "")
            self.said.append(f"{message.text} ({where})")

    def left(self) -> list[str]:
        """Those that nobody expected."""
        return [one for one in self.said if not any(re.search(wanted, one) for wanted in self.expected)]


def too_wide(page: Page) -> list[str]:
    """What sticks out of the room that a page has, beside its scroll bar where the browser draws one; [] is right.

    A page that is laid out wider than the screen, as on a phone without a viewport of its own, has no more room so.
    """
    assert page.viewport_size is not None
    found: list[str] = page.evaluate(WIDE, page.viewport_size["width"])
    return found


@cache
def _axe() -> str:
    assert AXE.is_file(), "the dashboard's packages are not installed: make web"
    return AXE.read_text("utf-8")


def axe(page: Page, *, leave_out: tuple[str, ...] = ()) -> None:
    """Asserts that axe-core finds nothing wrong on the page as it is now. `leave_out`: selectors; say why beside it."""
    found = violations(page, leave_out)
    assert not found, f"{page.url}\n" + "\n".join(found)


def violations(page: Page, leave_out: tuple[str, ...] = ()) -> list[str]:
    """One line for each thing that axe-core finds wrong."""
    # What moves or fades is looked at when it has come to rest.
    page.evaluate(REST)
    # Evaluated by the debugger: the page's policy has no say in it, and stays on.
    page.evaluate(_axe())
    result = page.evaluate(
        """async (out) => {
          const run = await axe.run({exclude: out.map((one) => [one])}, {resultTypes: ['violations']});
          return run.violations.map((v) => ({id: v.id, impact: v.impact, help: v.help,
            nodes: v.nodes.map((n) => `${n.target.join(' ')}  ${n.html.slice(0, 160)}  ${n.any.map((a) => a.message).join('; ')}`)}));
        }""",  # noqa: E501  # it is JavaScript
        list(leave_out),
    )
    return [f"{v['impact']} {v['id']}: {v['help']}\n    {node}" for v in result for node in v["nodes"]]


def picture(page: Page, name: str, *, whole: bool = False) -> Path:
    """A PNG under .build/pictures, for people to look at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=whole, animations="disabled")
    return path


def rests(page: Page) -> None:
    """A list comes to rest 150 ms after it was scrolled, and the frame after that is late, as on a busy machine."""
    page.evaluate(
        """() => {
          const frame = window.requestAnimationFrame;
          window.requestAnimationFrame = (next) => setTimeout(next, 500);
          setTimeout(() => { window.requestAnimationFrame = frame; }, 250);
          window.dispatchEvent(new Event('scroll'));
        }"""
    )
    page.wait_for_timeout(300)
