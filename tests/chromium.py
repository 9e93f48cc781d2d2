"""The browser of the tests: Debian's Chromium, which `make test` installs where it may."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Without these it looks for its maker's servers at each start, and draws by a graphics card that it makes up.
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
]


@contextmanager
def launched(what: str) -> Iterator[Browser]:
    """A browser without a profile. `what`: what stays unchecked where none is installed; the test is skipped then."""
    if PROGRAM is None:
        pytest.skip(f"!! no Chromium is installed (Debian's package chromium): NOT CHECKED: {what}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=QUIET)
        yield browser
        browser.close()
