"""Draws every page of the dashboard, light and dark, into docs/screenshots: `make screenshots`.

A made-up week goes by on a clock of its own; the browser is told that it is the end of that week. What a phone shows of
each page is drawn beside them into .build/pictures, to be looked at.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Browser, Page

from signalcraft.demo import week
from tests import bodies
from tests.chromium import launched
from tests.conftest import ROOT
from tests.e2e.looking import PICTURES
from tests.e2e.pages import OPEN, addresses, settled
from tests.e2e.place import PASSWORD, SETTINGS, built
from tests.http.browsing import Browser as Session
from tests.http.browsing import person
from tests.world import World

FOLDER: Final = ROOT / "docs/screenshots"
LIST: Final = ROOT / "docs/reference/screenshots.md"
BYTES_MAX: Final = 80_000
TALL: Final = {"/settings/system": 150_000}
"""Pages of many cards: the whole of them is drawn, and may take so many bytes."""
HOURS: Final = 48
OWNER: Final = "olga@example.com"
NAMES: Final = {"/": "overview", "/alert-groups": "inbox", "/alert-groups/:id": "group", "/nowhere": "not-found"}
FRESH: Final = (
    ("Disk of db-1 is 91 % full", "warning"),
    ("IntegrityError: duplicate key value violates orders_pkey", "error"),
    ("TimeoutError: payments did not answer in 30 s", "fatal"),
    ("TypeError: cannot read properties of undefined (reading 'total')", "error"),
    ("Certificate of shop.example expires in 3 days", "warning"),
    ("Queue emails has 12,000 messages", "info"),
)
CLOCK: Final = {"monitoring.clock_seconds": "1e9"}
"""The clock of a made-up week steps from one thing to the next: nothing to warn of."""
BROWSER: Final = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36"}
PROJECTS: Final = ("shop-web", "checkout-api", "billing-worker")
TO_WEBP: Final = """
async ([png, quality]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext('2d').drawImage(image, 0, 0);
  return canvas.toDataURL('image/webp', quality).split(',')[1];
}
"""


def main() -> int:
    """Draws all of them, or those whose names are given."""
    built()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        World(Path(folder) / "data", minutely=True, **SETTINGS, **CLOCK) as world,
        launched("the screenshots") as browser,
    ):
        ids = lived_through(world)
        wanted = {name_of(address): address for address in addresses()}
        for name, address in wanted.items():
            if sys.argv[1:] and name not in sys.argv[1:]:
                continue
            path = re.sub(r":\w+", lambda found, at=address: ids[at.split("/")[1]], address)  # type: ignore[misc]
            for theme in ("light", "dark"):
                drawn(browser, world, path, FOLDER / f"{name}-{theme}.webp", theme, address not in OPEN)
                seen_on_a_phone(
                    browser, world, path, PICTURES / f"phone-{name}-{theme}.png", theme, address not in OPEN
                )
    for file in FOLDER.glob("*.webp"):
        if file.stem.rpartition("-")[0] not in wanted:
            file.unlink()
    LIST.write_text(page_of(wanted), "utf-8")
    return 0


def name_of(address: str) -> str:
    """`settings-people` of /settings/people, `rules-one` of /rules/:id."""
    return NAMES.get(address) or re.sub(r":\w+", "one", address).strip("/").replace("/", "-")


def lived_through(world: World) -> dict[str, str]:
    """A few days of a small shop, of which the last two are noisy; the numbers of something of each kind."""
    first = world.rule("environment == production and severity >= high", "#oncall", name="production and serious",
                       escalate_after=15, escalate_to="#team-leads")  # fmt: skip
    world.rule("environment == production", "#team-shop", name="the rest of production")
    world.integration("sentry", "sentry-shop")
    world.integrations["sentry"] = world.integrations["sentry-shop"]
    world.integration("generic", "nightly-jobs")
    person(world, OWNER, "owner")
    person(world, "kim@example.com", "member")
    days_before(world)
    began = world.clock.at_ms
    for number, one in enumerate(sorted(week.week(began), key=lambda sending: sending.at_offset_s)):
        if one.resource == week.LEGACY:
            continue
        due = began + round(one.at_offset_s / week.SECONDS * HOURS * 3_600_000)
        world.after(seconds=max(0, due - world.clock.at_ms) / 1000)
        secret = world.integrations["sentry"]["secret"]
        world.sends("sentry", one.body, week.sign(secret, one.body, one.resource, world.clock.at_ms // 1000))
        if number % 61 == 11:
            somebody_answers(world)
    for number, (title, level) in enumerate(FRESH):
        world.after(minutes=7)
        project = PROJECTS[number % 3]
        for _ in range(number % 4 + 1):
            world.receives("sentry", "event_alert", title=title, level=level, issue=str(7000 + number),
                           project=project, environment="production")  # fmt: skip
    raw = b'{"action": "triggered", "data": []}'
    world.sends("sentry", raw, bodies.signed(raw, "event_alert", at_s=world.clock.at_ms // 1000))
    looked_after(world)
    groups = world.groups(limit=100)
    return {
        "alert-groups": max(groups, key=lambda group: group["count"])["id"],
        "rules": first["id"],
        "channels": world.get("/api/channels")["items"][0]["id"],
        "integrations": world.integrations["sentry-shop"]["id"],
        "quarantine": world.get("/api/quarantine")["items"][0]["id"],
    }


def somebody_answers(world: World) -> None:
    """A person presses a button of the newest message whose group is open."""
    world.after(minutes=4)
    left = {group["title"] for group in world.groups(limit=100, status="open")}
    for told in reversed(world.told):
        if any(title in told.text for title in left):
            world.press(told, "ack", by="Sam")
            return


def days_before(world: World) -> None:
    """A few days of little, so that there is something to compare with and charts are more than a point."""
    for day in range(5):
        for number, (title, level) in enumerate(FRESH[: 3 + day % 3]):
            world.after(hours=3)
            for _ in range(4 + (day * 7 + number * 5) % 17):
                world.receives("sentry", "event_alert", title=title, level=level, issue=str(6000 + 10 * day + number),
                               project=PROJECTS[number % 3], environment="production", settle=False)  # fmt: skip
            world.settled()
            told = next(one for one in reversed(world.told) if title in one.text)
            by = ("Sam", "Kim")[(day + number) % 2]
            world.after(minutes=2 + 3 * number)
            world.press(told, "ack", by=by)
            world.after(minutes=9 + 7 * day)
            world.press(told, "resolve", by=by)
        world.after(hours=24 - 3 * (3 + day % 3) - 3)


def looked_after(world: World) -> None:
    """The owner makes a backup and a drill, and looks at the long-range numbers, so that their cards have something."""
    with Session(world, **BROWSER) as owner:
        owner.signs_in(OWNER).raise_for_status()
        for path, busy in (("/api/backups", "going"), ("/api/drill", "running")):
            owner.post(path, status=202)
            until = time.monotonic() + 300
            while owner.get(path)[busy]:
                if time.monotonic() > until:
                    raise TimeoutError(f"{path} goes on and on")
                time.sleep(0.5)
        owner.get("/api/analytics")


def opened(browser: Browser, world: World, path: str, theme: str, inside: bool, **screen: Any) -> Page:
    """A page that is drawn to its end."""
    context = browser.new_context(
        base_url=str(world.api.base_url), color_scheme="dark" if theme == "dark" else "light", locale="en-GB",
        timezone_id="Europe/Berlin", **screen,
    )  # fmt: skip
    if inside:
        context.add_cookies(cookies(world))  # type: ignore[arg-type]
    page = context.new_page()
    page.clock.set_fixed_time(dt.datetime.fromtimestamp(world.clock.at_ms / 1000, dt.UTC))
    page.goto(path)
    settled(page)
    page.wait_for_timeout(700)  # what is drawn after the numbers: charts, and pages that lead on to another
    settled(page)
    if path == "/settings/query":
        page.get_by_role("button", name="Ask").click()
        page.get_by_role("table").wait_for()
    return page


def drawn(browser: Browser, world: World, path: str, file: Path, theme: str, inside: bool) -> None:
    """One page as a small WebP: 1280 × 800."""
    page = opened(browser, world, path, theme, inside, viewport={"width": 1280, "height": 800})
    if path in TALL:  # as high as it is: what scrolls in it is drawn too
        page.set_viewport_size({"width": 1280, "height": page.evaluate("document.documentElement.scrollHeight")})
    png = page.screenshot(animations="disabled")
    file.write_bytes(webp(page, png, TALL.get(path, BYTES_MAX)))
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / f"{file.stem}.png").write_bytes(png)
    print(f"{file.stat().st_size:7,}  {file.relative_to(ROOT)}", flush=True)
    page.context.close()


def seen_on_a_phone(browser: Browser, world: World, path: str, file: Path, theme: str, inside: bool) -> None:
    """What is on the screen of a phone: 390 × 844, fingers."""
    screen = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = opened(browser, world, path, theme, inside, **screen)
    page.screenshot(path=file, animations="disabled")
    page.context.close()


def cookies(world: World, kept: dict[int, list[dict[str, Any]]] = {}) -> list[dict[str, Any]]:  # noqa: B006  # one sign-in
    """The owner's session."""
    if id(world) not in kept:
        with httpx.Client(base_url=world.api.base_url, headers=BROWSER, trust_env=False, timeout=20) as client:
            client.post("/api/auth/sign-in", json={"email": OWNER, "password": PASSWORD}).raise_for_status()
            url = str(world.api.base_url)
            kept[id(world)] = [{"name": c.name, "value": c.value or "", "url": url} for c in client.cookies.jar]
    return kept[id(world)]


def webp(page: Page, png: bytes, bytes_max: int) -> bytes:
    """As good as fits: the browser packs it, on a page that allows pictures of its own."""
    packed = b""
    for quality in (0.85, 0.7, 0.55, 0.4):
        packed = base64.b64decode(page.evaluate(TO_WEBP, [base64.b64encode(png).decode(), quality]))
        if len(packed) <= bytes_max:
            break
    return packed


def page_of(wanted: dict[str, str]) -> str:
    """docs/reference/screenshots.md."""
    lines = ["# Every page of the dashboard", "", "<!-- Generated: make screenshots -->", "",
             "By day and by night, drawn from a made-up week of a small shop.", ""]  # fmt: skip
    for name, address in sorted(wanted.items(), key=lambda one: one[1]):
        shown = f"![{name}, light](../screenshots/{name}-light.webp) ![{name}, dark](../screenshots/{name}-dark.webp)"
        lines += [f"## {name.replace('-', ' ').capitalize()}: `{address}`", "", shown, ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
