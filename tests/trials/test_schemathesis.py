"""Twenty thousand requests that the API's description allows or forbids, and ten thousand bodies at each webhook."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.security.asked import SPARED, WAIVED, Attack
from tests.security.ground import Ground
from tests.security.inside import posts
from tests.security.requests import UNREACHED
from tests.security.webhook_bodies import KINDS

pytestmark = pytest.mark.trial


def test_twenty_thousand_requests_find_no_fault_of_ours(tmp_path: Path) -> None:
    start = random.randrange(1 << 30)
    with Ground(tmp_path) as ground:
        report = Attack(ground, 20_000, start).run()
    print(f"\nschemathesis from {start}: {report}")
    for what, reasons in (("checks", WAIVED), ("operations not fuzzed", SPARED), ("never a success", UNREACHED)):
        print(f"waived, {what}:", *(f"\n  {name}: {reason}" for name, reason in reasons.items()))
    assert report.asked >= 20_000
    assert [status for status in report.statuses if status >= 500 and status != 503] == [], str(report)
    assert report.failures == {}, str(report)
    assert len(report.succeeded) >= 0.9 * len(report.operations)


@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_bodies_at_each_webhook_are_no_fault_of_ours(tmp_path: Path, kind: str) -> None:
    start = random.randrange(1 << 30)
    with Ground(tmp_path) as ground:
        told = posts(ground, kind, 10_000, start)
    print(f"\n10000 bodies for {kind} from {start}: answers by status {dict(sorted(told.items()))}")
    assert told.total() == 10_000
    assert told.wrong == []
