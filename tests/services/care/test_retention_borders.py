"""To the millisecond: what is exactly as old as it is kept stays, what is older by one goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalcraft.services.care import retention as service
from signalcraft.services.care.retention import Draft
from signalcraft.storage import retention as store
from tests.services.care.aged import DAY_MS, Aged

OLDER = 1 / DAY_MS
"""A millisecond, in days."""


@pytest.fixture
def aged(tmp_path: Path) -> Iterator[Aged]:
    with Aged(tmp_path) as it:
        yield it


def test_a_group(aged: Aged) -> None:
    exact, older = aged.group(90), aged.group(90 + OLDER)
    aged.night()
    assert (aged.there("alert_group", exact), aged.there("alert_group", older)) == (True, False)
    aged.now_ms += 1
    aged.night()
    assert not aged.there("alert_group", exact)


def test_a_message_by_when_it_was_sent(aged: Aged) -> None:
    group = aged.group(1)
    exact, older = aged.delivery(30, group), aged.delivery(30 + OLDER, group)
    aged.night()
    assert (aged.there("delivery", exact), aged.there("delivery", older)) == (True, False)


def test_an_escalation_by_when_it_ended(aged: Aged) -> None:
    group = aged.group(1)
    exact, older = aged.escalation(7, group), aged.escalation(7 + OLDER, group)
    long = aged.escalation(20, group)  # it was due long ago, and called off a day ago
    aged.db.call(lambda tx: tx.run("update escalation set ended_ms = ? where id = ?", (aged.now_ms - DAY_MS, long)))
    aged.night()
    assert [aged.there("escalation", one) for one in (exact, older, long)] == [True, False, True]


def test_the_bytes_of_a_webhook(aged: Aged) -> None:
    exact, older = aged.payload(aged.now_ms - 30 * DAY_MS), aged.payload(aged.now_ms - 30 * DAY_MS - 1)
    aged.night()
    assert (aged.there("inbox", exact), aged.there("inbox", older)) == (True, False)


def test_the_bytes_of_an_open_group_stay_whatever_their_age(aged: Aged) -> None:
    aged.event(aged.now_ms - 60 * DAY_MS, aged.group(1, status="open", events=0))
    aged.event(aged.now_ms - 60 * DAY_MS, aged.group(1, events=0))
    assert asyncio.run(aged.retention.waiting(1)).payloads == 1
    aged.night()
    assert aged.count("inbox") == 1


def test_a_quarantined_webhook_and_an_event_of_no_group_are_kept_as_long_as_groups(aged: Aged) -> None:
    at_ms = aged.now_ms - 90 * DAY_MS
    kept = [aged.payload(at_ms, state="quarantined"), aged.payload(at_ms - 1, state="quarantined")]
    loose = [aged.event(at_ms, None, payload=False), aged.event(at_ms - 1, None, payload=False)]
    aged.night()
    assert [aged.there("inbox", one) for one in kept] == [True, False]
    assert [aged.there("event", one) for one in loose] == [True, False]


def test_the_audit_log(aged: Aged) -> None:
    aged.audit(365 + OLDER)
    aged.audit(365)
    aged.night()
    assert aged.archived("audit") == 1
    assert aged.count("audit", f"at_ms = {aged.now_ms - 365 * DAY_MS}") == 1


def test_a_month_of_the_archive(tmp_path: Path) -> None:
    with Aged(tmp_path, archive_days=365) as aged:
        aged.group(365)
        aged.group(400)
        aged.night()
        oldest = store.month_of(aged.now_ms - 365 * DAY_MS)
        assert {one.month for one in aged.retention.shelf(1).read().files} == {oldest}


def test_what_would_go_is_counted_sort_by_sort_in_one_workspace(aged: Aged) -> None:
    group, second = aged.group(1), aged.group(91, ws=2)
    for days in (6, 8, 9):
        aged.escalation(days, group)
        aged.escalation(days, second, ws=2)
    for days in (364, 366):
        aged.audit(days)
    aged.delivery(31, group)
    aged.payload(aged.now_ms - 31 * DAY_MS, ws=2)
    waiting = asyncio.run(aged.retention.waiting(1))
    assert (waiting.escalations, waiting.audit, waiting.deliveries, waiting.payloads) == (2, 1, 1, 0)
    assert asyncio.run(aged.retention.waiting(2)).payloads == 3
    assert asyncio.run(aged.retention.waiting(1, Draft(escalation_days=8))).escalations == 1
    before = aged.count("escalation", "workspace_id = 1")
    aged.night()
    assert before - aged.count("escalation", "workspace_id = 1") == 2


def test_the_file_gives_back_what_it_will_not_take_up_again(aged: Aged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_VACUUM_LEAST", 50)
    for _ in range(400):
        aged.payload(aged.now_ms)
    aged.db.call(lambda tx: tx.run("update inbox set body = zeroblob(9000)"))
    aged.db.call(lambda tx: tx.run("delete from inbox"))
    with aged.db.reading() as tx:
        total, free = store.pages(tx)
    assert free > 800
    aged.night()
    with aged.db.reading() as tx:
        after, left = store.pages(tx)
    assert after < total - 700
    assert left >= 50, "a part stays free for what comes next"


def test_few_files_of_a_month_stay_as_they_are(aged: Aged) -> None:
    paths: set[str] = set()
    for n in range(1, 4):
        aged.group(95, events=1)
        aged.night()
        now = {one.path for one in aged.retention.shelf(1).read().files if one.table == "event"}
        assert len(now) == n
        assert paths < now
        paths = now
