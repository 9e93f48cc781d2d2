"""The inbox under load: 5,000 rows scrolled through, and 200 events a second arriving."""

from __future__ import annotations

import statistics
import threading
import time

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit
from tests.e2e.crowd import crowd
from tests.e2e.pages import settled
from tests.e2e.place import Place

pytestmark = pytest.mark.trial

ROWS = 5_000
LONG_MS = 50
# One notch of a wheel each frame: nine screens a second, as a quick hand turns it or two fingers swipe.
HAND_PX_S = 7_500
# As fast as a free-running wheel goes, or the scroll bar is dragged: nobody reads; it may stutter, not stand still.
FLING_PX_S = 50_000
STUTTER_MS = 150
RATE = 200
SECONDS = 20
# Frames are counted too: a page that does nothing has no long task either.
WATCH = """
window.long = [];
window.gaps = [];
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.long.push(Math.round(one.duration)); })
  .observe({type: 'longtask'});
let before = performance.now();
const frame = (now) => { window.gaps.push(now - before); before = now; requestAnimationFrame(frame); };
requestAnimationFrame(frame);
"""
FRESH = "window.long.length = 0; window.gaps.length = 0;"
LAST = "Math.max(-1, ...[...document.querySelectorAll('[aria-rowindex]')].map((row) => Number(row.ariaRowIndex)))"


def told(page: Page, what: str) -> list[int]:
    """Prints how the page kept up; its long tasks in milliseconds."""
    long: list[int] = page.evaluate("window.long")
    gaps: list[float] = sorted(page.evaluate("window.gaps"))
    p99 = gaps[int(len(gaps) * 0.99)] if gaps else 0.0
    print(
        f"\n{what}: {len(gaps)} frames, {statistics.median(gaps):.1f} ms between them (p99 {p99:.1f}, longest"
        f" {gaps[-1]:.1f}); long tasks: {len(long)}, longest {max(long, default=0)} ms, all {sorted(long)[-20:]}"
    )
    return long


def scrolled(page: Page, px_s: int) -> list[int]:
    """Scrolls from the first row to the last at this speed, and waits for rows where they come late; long tasks."""
    page.goto("/alert-groups")
    settled(page)
    page.evaluate(WATCH)
    page.wait_for_timeout(1_000)
    page.evaluate(FRESH)
    devtools = page.context.new_cdp_session(page)
    until = time.monotonic() + 240
    last = 0
    while last < ROWS and time.monotonic() < until:
        gesture = {"x": 640, "y": 500, "yDistance": -px_s, "speed": px_s, "gestureSourceType": "mouse"}
        devtools.send("Input.synthesizeScrollGesture", {**gesture, "preventFling": True})
        last = page.evaluate(LAST)
    long = told(page, f"scrolled to row {last:,} at {px_s:,} pixels a second")
    assert last >= ROWS, "the end was not reached"
    return long


def test_scrolling_through_5000_rows_blocks_nothing(fresh: Place, visit: Visit) -> None:
    """As fast as a hand turns a wheel, until the last row; then far faster than anybody reads."""
    print(f"\n{ROWS:,} groups in {crowd(fresh, ROWS):.0f} s")
    by_hand = scrolled(visit(fresh), HAND_PX_S)
    flung = scrolled(visit(fresh), FLING_PX_S)
    assert [task for task in by_hand if task > LONG_MS] == []
    assert [task for task in flung if task > STUTTER_MS] == []


def test_200_events_a_second_leave_the_page_responsive_while_scrolling(fresh: Place, visit: Visit) -> None:
    """Twenty seconds of them, of 300 problems: keys are answered, and the numbers are right in the end."""
    crowd(fresh, 300)
    page = visit(fresh)
    page.goto("/alert-groups")
    settled(page)
    expect(page.locator("nav .live")).to_have_text("Live")
    page.evaluate(WATCH)
    page.wait_for_timeout(1_000)
    page.evaluate(FRESH)
    storm = threading.Thread(target=crowd, args=(fresh, RATE * SECONDS), kwargs={"groups": 300, "per_second": RATE})
    storm.start()
    answers: list[float] = []
    while storm.is_alive():
        began = time.monotonic()
        page.keyboard.press("j")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        answers.append(time.monotonic() - began)
        page.wait_for_timeout(150)
    storm.join()
    answers.sort()
    told(page, f"{RATE} events/s for {SECONDS} s")
    p95 = answers[int(len(answers) * 0.95)]
    print(f"a key is answered in {statistics.median(answers) * 1000:.0f} ms (p95 {p95 * 1000:.0f}, n {len(answers)})")
    assert p95 < 0.5
    # 300 groups of one event each, and 4,000 events shared among them.
    assert sum(group["count"] for group in fresh.groups(limit=100)) > 100
    expect(page.locator("nav .live")).to_have_text("Live")
