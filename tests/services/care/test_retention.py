"""What is old goes, each sort at its age; what is open, owed or young never does; what went is in the archive."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalcraft.domain.group import SYSTEM
from signalcraft.errors import DiskFull, Fault
from signalcraft.services.care.retention import Draft, Waiting
from signalcraft.storage.archive.asking import Answer, Ask, Write
from signalcraft.storage.archive.child import Child
from tests.services.care.aged import DAY_MS, TABLES, Aged, Inline

NOTHING = Waiting(groups=0, events=0, deliveries=0, escalations=0, payloads=0, audit=0)


@pytest.fixture
def aged(tmp_path: Path) -> Iterator[Aged]:
    with Aged(tmp_path) as it:
        yield it


def test_a_resolved_group_goes_after_90_days_with_all_that_hangs_on_it(aged: Aged) -> None:
    young, old = aged.group(89), aged.group(91)
    aged.delivery(91, old)
    aged.escalation(91, old)
    running = aged.night()
    assert (aged.there("alert_group", young), aged.there("alert_group", old)) == (True, False)
    for table in ("event", "journal", "comment", "conversation", "share", "group_minute", "delivery", "escalation"):
        assert aged.count(table, f"group_id = {old}") == 0, table
    for table in ("event", "comment", "conversation", "share", "group_minute"):
        assert aged.count(table, f"group_id = {young}") > 0, table
    assert running.figures["alert_group_deleted"] == running.figures["alert_group_archived"] == 1


def test_messages_go_after_30_days(aged: Aged) -> None:
    group = aged.group(1)
    young, old, loose = aged.delivery(29, group), aged.delivery(31, group), aged.delivery(31)
    failed, owed = aged.delivery(31, group, "failed"), aged.delivery(31, group, "owed")
    assert asyncio.run(aged.retention.waiting(1)).deliveries == 3
    aged.night()
    assert [aged.there("delivery", one) for one in (young, old, loose, failed, owed)] == [
        True,
        False,
        False,
        False,
        True,
    ]


def test_escalations_go_7_days_after_they_ended(aged: Aged) -> None:
    group = aged.group(1)
    young, old = aged.escalation(6, group), aged.escalation(8, group)
    called_off, pending = aged.escalation(8, group, "cancelled"), aged.escalation(8, group, "pending")
    assert asyncio.run(aged.retention.waiting(1)).escalations == 2
    aged.night()
    assert [aged.there("escalation", one) for one in (young, old, called_off, pending)] == [True, False, False, True]


def test_bytes_of_webhooks_go_after_30_days_and_what_was_read_stays(aged: Aged) -> None:
    young, old = aged.group(28, events=1), aged.group(31, events=1)
    quarantined = aged.payload(aged.now_ms - 31 * DAY_MS, state="quarantined")
    forgotten = aged.payload(aged.now_ms - 91 * DAY_MS, state="quarantined")
    aged.night()
    kept = "select count(*) from inbox i join event e on e.inbox_id = i.id where e.group_id = ?"
    with aged.db.reading() as tx:
        assert [tx.value(kept, (one,)) for one in (young, old)] == [1, 0]
    assert aged.count("event", f"group_id = {old}") == 1
    assert (aged.there("inbox", quarantined), aged.there("inbox", forgotten)) == (True, False)


def test_the_audit_log_goes_after_a_year_and_holds(aged: Aged) -> None:
    for days in (367, 366, 364, 3):
        aged.audit(days)
    aged.night()
    with aged.db.reading() as tx:
        ages = [
            (aged.now_ms - at_ms) / DAY_MS for (at_ms,) in tx.all("select at_ms from audit where seq <= 4 order by seq")
        ]
    assert ages == [364, 3]
    assert aged.archived("audit") == 2
    assert asyncio.run(aged.retention._audit.verify(1)).holds
    assert aged.count("audit", "verb = 'audit.purged'") == 1


@pytest.mark.parametrize("status", ["open", "acknowledged", "snoozed"])
def test_nothing_of_a_group_that_is_not_resolved_is_touched(aged: Aged, status: str) -> None:
    group = aged.group(400, status=status, events=3)
    aged.delivery(400, group)
    aged.escalation(400, group)
    before = {table: aged.all(table, "1") for table in TABLES}
    assert asyncio.run(aged.retention.waiting(1)) == NOTHING
    aged.night()
    assert {table: aged.all(table, "1") for table in TABLES} == before


def test_a_group_that_is_owed_a_message_waits(aged: Aged) -> None:
    group = aged.group(91)
    aged.delivery(91, group, "owed")
    aged.night()
    assert aged.there("alert_group", group)
    assert aged.count("event") == 2, "nor does anything of it go"


def test_a_workspace_may_say_otherwise_and_it_is_on_record(aged: Aged) -> None:
    first, second = aged.group(20), aged.group(20, ws=2)
    asyncio.run(aged.retention.change(2, SYSTEM, Draft(group_days=14, archive=False)))
    asyncio.run(aged.retention.change(2, SYSTEM, Draft(payload_days=3)))
    with aged.db.reading() as tx:
        policy = aged.retention.policy(tx, 2)
    assert (policy.group_days, policy.payload_days, policy.delivery_days, policy.archive) == (14, 3, 30, False)
    assert aged.count("audit", "workspace_id = 2 and verb = 'workspace.retention'") == 2
    aged.night()
    assert (aged.there("alert_group", first), aged.there("alert_group", second)) == (True, False)
    assert aged.archived("alert_group", 2) == 0


def test_it_says_beforehand_what_would_go(aged: Aged) -> None:
    aged.group(91, events=3)
    aged.group(40, events=5)
    aged.delivery(31)
    waiting = asyncio.run(aged.retention.waiting(1))
    assert (waiting.groups, waiting.events, waiting.deliveries, waiting.payloads) == (1, 3, 1, 8)
    assert asyncio.run(aged.retention.waiting(1, Draft(group_days=30))).groups == 2
    assert aged.count("alert_group") == 2


def test_without_room_for_the_archive_nothing_is_deleted_and_it_is_said(tmp_path: Path) -> None:
    class Full(Inline):
        def ask(self, ask: Ask, patience_s: float = 0) -> Answer:
            if isinstance(ask, Write) and ask.table == "event":
                raise DiskFull("the disk is full")
            return super().ask(ask)

    with Aged(tmp_path, Full) as aged:
        aged.group(91)
        message = aged.delivery(31)
        before = aged.all("event")
        with pytest.raises(Fault, match="the disk is full"):
            aged.night()
        assert aged.all("event") == before
        assert aged.count("alert_group") == 1
        assert not aged.there("delivery", message), "what had room went all the same"
        said = aged.alarms.wrong["retention_failed"]
        assert "the disk is full" in str(said)
        aged.retention._hand = Inline
        aged.night()
        assert aged.alarms.wrong["retention_failed"] is None
        assert aged.count("alert_group") == 0


def test_a_file_that_reads_back_otherwise_deletes_nothing(aged: Aged, monkeypatch: pytest.MonkeyPatch) -> None:
    from signalcraft.storage.archive import worker

    real = worker._sum
    monkeypatch.setattr(worker, "_sum", lambda duck, source, names: (real(duck, source, names), source))
    aged.group(91)
    pruned: list[str] = []

    async def prune() -> None:
        pruned.append("sessions")

    aged.retention.prunes["sessions"] = prune
    with pytest.raises(Fault, match="does not hold what was written"):
        aged.night()
    assert pruned, "one part's failure keeps no other from being done"
    assert (aged.count("alert_group"), aged.count("event")) == (1, 2)
    assert not list((aged.folder / "archive").glob("*/*/*"))


def test_the_loop_waits_for_no_disk_while_the_archive_is_written(aged: Aged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and their list are made durable one by one: on a loop that waited for it, so would every sender."""
    from signalcraft.services.care import purging
    from signalcraft.storage import retention as store

    real, delete = os.fsync, store.delete
    synced: list[int] = []
    opened = aged.group(91, events=3)
    for days in (91, 120):
        aged.group(days, events=3)
    for days in (367, 368, 400):
        aged.audit(days)

    def noted(handle: int) -> None:
        synced.append(threading.get_ident())
        real(handle)

    def reopened(tx, table, keys):  # type: ignore[no-untyped-def]
        tx.run("update alert_group set status = 'open', updated_ms = 1 where id = ?", (opened,))
        return delete(tx, table, keys)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(store, "delete", reopened)  # so that files are written anew without what stays
    monkeypatch.setattr(purging, "FILES_MAX", 1)  # and put together
    aged.night()
    aged.group(90 + 30)
    aged.night()
    assert len(synced) > 40
    assert threading.get_ident() not in synced, "`night` runs its loop on this thread"


def test_what_was_cut_off_between_file_and_deletion_is_ended(aged: Aged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is a row lost, nor is one in the archive that is still here."""
    from signalcraft.storage import retention as store

    for _ in range(4):
        aged.group(91, events=10)
    every = {table: aged.all(table, "1") for table in TABLES}
    real, calls = store.delete, 0

    def cut(tx, table, keys):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("the power went")
        return real(tx, table, keys[: len(keys) // 2] if calls == 2 else keys)

    monkeypatch.setattr(store, "delete", cut)
    with pytest.raises(Fault):
        aged.night()
    monkeypatch.setattr(store, "delete", real)
    aged.night()
    for table, rows in every.items():
        assert aged.archived(table) == len(rows), table
        assert aged.of_groups(table) == 0, table


def test_a_group_that_is_opened_again_meanwhile_stays(aged: Aged, monkeypatch: pytest.MonkeyPatch) -> None:
    from signalcraft.storage import retention as store

    opened = aged.group(91, events=4)
    gone = aged.group(91, events=4)
    real = store.delete

    def reopened(tx, table, keys):  # type: ignore[no-untyped-def]
        tx.run("update alert_group set status = 'open', updated_ms = 1 where id = ?", (opened,))
        return real(tx, table, keys)

    monkeypatch.setattr(store, "delete", reopened)
    aged.night()
    assert aged.there("alert_group", opened)
    assert aged.count("event", f"group_id = {opened}") == 4
    assert not aged.there("alert_group", gone)
    assert aged.archived("event") == 4
    assert aged.archived("alert_group") == 1


@pytest.mark.whole
def test_the_whole_by_a_process_of_its_own(tmp_path: Path) -> None:
    with Aged(tmp_path, Child) as aged:
        for n in range(8):
            aged.group(91 + n * 20, events=3)
        every = {table: len(aged.all(table, "1")) for table in TABLES}
        running = aged.night()
        for table, rows in every.items():
            assert aged.archived(table) == rows, table
            assert aged.of_groups(table) == 0, table
        assert running.figures["errors"] == 0
        months = {one.month for one in aged.retention.shelf(1).read().files if one.table == "alert_group"}
        assert len(months) > 4
        for one in aged.retention.shelf(1).read().files:
            assert (tmp_path / "archive/1" / one.path).stat().st_mode & 0o777 == 0o600
