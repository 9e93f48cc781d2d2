"""What every test stands on."""

from __future__ import annotations

import os
import ssl
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from httpx._transports import default as transports
from hypothesis import settings

import tests.given  # noqa: F401  # it takes what is meant for the tests, before the rest of it goes

ROOT = Path(__file__).resolve().parent.parent
SHARED_WEBHOOKS = ROOT.parent / "shared" / "fixtures" / "webhooks"

# Whatever the shell of the person who runs the tests has set must not decide them.
for _name in [name for name in os.environ if name.startswith("SIGNALCRAFT_")]:
    del os.environ[_name]

# A client reads the list of authorities when it is made, which takes as long as 45 ms; the tests make thousands.
_made_anew = transports.create_ssl_context  # type: ignore[attr-defined]


@cache
def _authorities(trust_env: bool) -> ssl.SSLContext:
    return _made_anew(True, None, trust_env)


def _trusting(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    return _authorities(trust_env) if verify is True and cert is None else _made_anew(verify, cert, trust_env)


transports.create_ssl_context = _trusting  # type: ignore[attr-defined]

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


LONG = ("security", "e2e", "cli", "stories", "storage", "main", "packaging", "trials")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folders whose files take long come first, for a long one at the end keeps the other processes waiting; and
    mixed, for some compute (a browser) while others wait (a replica).
    """
    folders: dict[str, list[Path]] = {}
    for path in dict.fromkeys(item.path for item in items):
        folders.setdefault(path.parent.name, []).append(path)
    turn = {
        path: n / len(paths) + (0 if folder in LONG else 1)
        for folder, paths in folders.items()
        for n, path in enumerate(paths)
    }
    items.sort(key=lambda item: turn[item.path])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Captured output may hold a lone surrogate, on purpose; a report with one cannot travel between processes."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report
