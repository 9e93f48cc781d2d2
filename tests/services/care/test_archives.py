"""The archive: searched, put back, a person taken out; with what is kept it is what there was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from signalcraft.domain.group import SYSTEM
from signalcraft.domain.subject import Subject
from signalcraft.errors import Conflict, Damaged, Fault, NotFound
from signalcraft.services.care.archives import Archives, Wanted
from signalcraft.storage.retention import month_of
from tests.services.care.aged import DAY_MS, TABLES, Aged

SAM = Subject(["u1"], ["sam@example.com"], ["Sam Quill"], "c0de")


@pytest.fixture
def aged(tmp_path: Path) -> Iterator[Aged]:
    with Aged(tmp_path) as it:
        yield it


def archives(aged: Aged) -> Archives:
    return Archives(aged.retention, aged.db, lambda: aged.now_ms)


def month(aged: Aged, days: float) -> str:
    return month_of(aged.now_ms - round(days * DAY_MS))


@pytest.mark.whole
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    groups=st.lists(
        st.tuples(
            st.sampled_from([1, 6, 8, 29, 31, 89, 91, 120, 400]),
            st.sampled_from(["resolved", "open"]),
            st.integers(0, 3),
        ),
        max_size=8,
    ),
    loose=st.lists(st.sampled_from([1, 31, 89, 91, 370]), max_size=4),
)
def test_archived_and_kept_are_together_what_there_was(
    groups: list[tuple[int, str, int]], loose: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Aged(tmp_path_factory.mktemp("aged")) as aged:
        for days, status, events in groups:
            number = aged.group(days, events=events, status=status)
            aged.delivery(days, number)
            aged.escalation(days, number)
        for days in loose:
            aged.event(aged.now_ms - days * DAY_MS, None)
            aged.delivery(days)
            aged.audit(days)
        before = {table: aged.of_groups(table) for table in TABLES}
        running = aged.night()
        for table, count in before.items():
            assert aged.of_groups(table) + aged.archived(table) == count, table
            assert running.figures.get(f"{table}_deleted", 0) == running.figures.get(f"{table}_archived", 0), table
            assert aged.archived(table) == running.figures.get(f"{table}_deleted", 0), table
        opened = sum(status == "open" for _, status, _ in groups)
        assert aged.count("alert_group", "status = 'open'") == opened
        with aged.db.reading() as tx:
            assert tx.all("pragma foreign_key_check") == []
        again = aged.night()
        assert not [name for name in again.figures if name.endswith("_deleted")], "a second run finds nothing"


def test_a_month_comes_back_as_it_was_and_stays_for_a_while(aged: Aged) -> None:
    first, second = aged.group(95, events=5), aged.group(130, events=2)
    aged.delivery(95, first)
    aged.escalation(95, first)
    before = {table: aged.all(table, "1") for table in TABLES}
    aged.night()
    assert aged.count("alert_group") == 0
    came = month(aged, 95)
    done = asyncio.run(archives(aged).restore(1, SYSTEM, came))
    assert done.rows["alert_group"] == 1
    assert done.rows["event"] == 5
    for table, rows in before.items():
        column = {"alert_group": 0, "conversation": 0, "share": 2, "comment": 2}.get(table)
        if column is not None:
            assert aged.all(table, "1") == [row for row in rows if row[column] == first], table
    assert [row for row in before["event"] if row[3] == first] == aged.all("event")
    assert came not in {one.month for one in aged.retention.shelf(1).read().files if one.table != "audit"}
    assert done.until_ms == aged.now_ms + 30 * DAY_MS
    # The next nights leave all of it alone for 30 days, and when its time is over it goes again.
    came_back = {table: aged.count(table) for table in TABLES if table != "journal"}
    assert (came_back["delivery"], came_back["escalation"], came_back["inbox"]) == (1, 1, 5)
    for days in (0, 1, 20, 8):
        aged.now_ms += days * DAY_MS
        aged.night()
        assert {table: aged.count(table) for table in came_back} == came_back, days
    assert not aged.there("alert_group", second)
    aged.now_ms += DAY_MS
    aged.night()
    assert not aged.there("alert_group", first)
    assert {table for table in came_back if aged.count(table)} == set()
    assert aged.count("restored") == 0
    assert aged.archived("alert_group") == 2
    assert aged.archived("event") == 7


def test_a_restore_that_was_cut_off_is_done_again(aged: Aged, monkeypatch: pytest.MonkeyPatch) -> None:
    from signalcraft.storage import retention as store

    aged.group(95, events=5)
    aged.night()
    kept = aged.archived("event")
    real = store.put_back

    def cut(tx, table, *rest):  # type: ignore[no-untyped-def]
        if table == "alert_group":
            raise Fault("the power went")
        return real(tx, table, *rest)

    monkeypatch.setattr(store, "put_back", cut)
    with pytest.raises(Fault):
        asyncio.run(archives(aged).restore(1, SYSTEM, month(aged, 95)))
    assert aged.archived("event") == kept
    monkeypatch.setattr(store, "put_back", real)
    assert asyncio.run(archives(aged).restore(1, SYSTEM, month(aged, 95))).rows["event"] == 5
    assert (aged.count("alert_group"), aged.count("event")) == (1, 5)


def test_rows_that_did_not_all_come_back_stay_in_the_archive(aged: Aged, monkeypatch: pytest.MonkeyPatch) -> None:
    from signalcraft.storage import retention as store

    aged.group(95, events=5)
    aged.night()
    real = store.put_back
    monkeypatch.setattr(
        store, "put_back", lambda tx, table, columns, rows, *rest: real(tx, table, columns, rows[1:], *rest)
    )
    with pytest.raises(Damaged, match="could not be put back whole: it stays in the archive"):
        asyncio.run(archives(aged).restore(1, SYSTEM, month(aged, 95)))
    assert (aged.archived("event"), aged.archived("alert_group")) == (5, 1)


def test_a_month_that_a_run_is_at_work_on_is_not_put_back(aged: Aged) -> None:
    aged.group(95)
    aged.night()
    shelf = aged.retention.shelf(1)
    entry = next(one for one in shelf.read().files if one.table == "event")
    shelf.add(structs.replace(entry, state="pending"))
    with pytest.raises(Conflict, match="is not complete yet"):
        asyncio.run(archives(aged).restore(1, SYSTEM, month(aged, 95)))
    assert aged.count("event") == 0


def test_the_audit_log_of_a_month_stays_in_the_archive(tmp_path: Path) -> None:
    with Aged(tmp_path, audit_days=60) as aged:
        aged.audit(95)
        aged.group(95)
        aged.night()
        assert "audit" not in asyncio.run(archives(aged).restore(1, SYSTEM, month(aged, 95))).rows
        assert aged.archived("audit") == 1
        assert asyncio.run(aged.retention._audit.verify(1)).holds
        with pytest.raises(NotFound):
            asyncio.run(archives(aged).restore(1, SYSTEM, month(aged, 95)))


def test_what_is_not_there_or_not_whole_is_not_put_back(aged: Aged) -> None:
    with pytest.raises(NotFound):
        asyncio.run(archives(aged).restore(1, SYSTEM, "2020-01"))
    aged.group(95)
    aged.night()
    assert asyncio.run(archives(aged).verify(1)) > 3
    file = next((aged.folder / "archive/1/alert_group").iterdir())
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(Damaged, match="not as it was written"):
        asyncio.run(archives(aged).verify(1))
    with pytest.raises(Damaged):
        asyncio.run(archives(aged).restore(1, SYSTEM, month(aged, 95)))
    assert aged.count("alert_group") == 0

    async def busy() -> None:
        async with aged.retention.one:
            await archives(aged).restore(1, SYSTEM, month(aged, 95))

    with pytest.raises(Conflict):
        asyncio.run(busy())


def test_the_archive_is_searched(aged: Aged) -> None:
    aged.group(95, title="Checkout TIMEOUT", project="shop")
    aged.group(96, title="disk", project="db")
    aged.group(300, title="checkout timeout of old", project="shop")
    aged.group(95, title="timeout of the second workspace", ws=2)
    aged.night()

    def found(**wanted: object) -> list[str]:
        rows = asyncio.run(archives(aged).search(1, Wanted(**wanted)))  # type: ignore[arg-type]
        return [row["title"] for row in rows]

    assert found(text="timeout") == ["Checkout TIMEOUT", "checkout timeout of old"]
    assert found(project="db") == ["disk"]
    assert found(text="timeout", from_ms=aged.now_ms - 200 * DAY_MS) == ["Checkout TIMEOUT"]
    assert found(text="timeout", until_ms=aged.now_ms - 200 * DAY_MS) == ["checkout timeout of old"]
    assert len(found(what="event", project="shop")) == 6
    assert found(limit=1) == ["Checkout TIMEOUT"]
    months = asyncio.run(archives(aged).months(1))
    assert months[0].month > months[-1].month
    assert months[0].rows["alert_group"] == 2
    rows = asyncio.run(archives(aged).search(2, Wanted()))
    assert [row["title"] for row in rows] == ["timeout of the second workspace"]


def test_a_person_is_taken_out_of_the_archive_too(aged: Aged) -> None:
    aged.group(95, title="no mail to sam@example.com", acknowledged_by="Sam Quill")
    aged.night()
    before = {one.path for one in aged.retention.shelf(1).read().files}
    told = asyncio.run(archives(aged).told(SAM, None))
    assert {row["table"] for row in told} == {"alert_group", "journal"}

    async def erase() -> int:
        async with aged.retention.one:
            return await archives(aged).erase(SAM, None)

    assert asyncio.run(erase()) == 2
    assert asyncio.run(archives(aged).told(SAM, None)) == []
    (row,) = asyncio.run(archives(aged).search(1, Wanted()))
    assert row["title"] == "no mail to [erased]"
    for path in before - {one.path for one in aged.retention.shelf(1).read().files}:
        assert not (aged.folder / "archive/1" / path).exists()
    assert asyncio.run(archives(aged).verify(1)) == len(before)
    assert asyncio.run(erase()) == 0


@pytest.mark.whole
def test_many_small_files_of_a_month_become_one(aged: Aged) -> None:
    for _ in range(10):
        aged.group(95, events=1)
        aged.night()
    assert aged.archived("event") == 10
    files = [one for one in aged.retention.shelf(1).read().files if one.table == "event"]
    assert len(files) <= 8
    on_disk = {str(p.relative_to(aged.folder / "archive/1")) for p in (aged.folder / "archive/1").glob("*/*.parquet")}
    assert on_disk == {one.path for one in aged.retention.shelf(1).read().files}


def test_months_that_were_kept_long_enough_go(tmp_path: Path) -> None:
    with Aged(tmp_path, archive_days=365) as aged:
        aged.group(400)
        aged.group(95)
        aged.night()
        assert {one.month for one in aged.retention.shelf(1).read().files} == {month(aged, 95)}
