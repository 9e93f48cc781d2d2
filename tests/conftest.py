"""What every test stands on."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

import tests.given  # noqa: F401  # it takes what is meant for the tests, before the rest of it goes

ROOT = Path(__file__).resolve().parent.parent
SHARED_WEBHOOKS = ROOT.parent / "shared" / "fixtures" / "webhooks"

# Whatever the shell of the person who runs the tests has set must not decide them.
for _name in [name for name in os.environ if name.startswith("SIGNALCRAFT_")]:
    del os.environ[_name]

# `make test` asks the same questions each time; the long rounds ask new ones, and many.
settings.register_profile("test", deadline=None, derandomize=True)
settings.register_profile("trial", deadline=None, max_examples=5_000)
settings.load_profile("test")


@pytest.fixture(scope="session")
def shared_webhooks() -> Path:
    """Real payloads that vendors sent, kept outside the project; without them their tests are skipped, and counted."""
    if not SHARED_WEBHOOKS.is_dir():
        pytest.skip(
            "the folder of captured vendor payloads is not beside this checkout: those readings are NOT CHECKED"
        )
    return SHARED_WEBHOOKS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Captured output may hold a lone surrogate, on purpose; a report with one cannot travel between processes."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report
