"""The long-range numbers equal a recount from the raw rows: counted bit by bit, cut off, rebuilt, from the archive."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalcraft.storage.rollups import feeding
from signalcraft.storage.rollups.asking import FILE, Analyse, Fold, Rebuild, State
from signalcraft.storage.rollups.counting import bin_of, middle_ms
from tests.storage.numbers import (
    DAY_MS,
    START_MS,
    House,
    archive,
    assert_equal,
    lived,
    recounted,
    some_life,
    stored,
)

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["event", "event", "acknowledged", "resolved", "told", "delivery_failed", "count", "fold"]),
        st.integers(0, 4 * DAY_MS - 1),
        st.integers(0, 29),
    ),
    max_size=40,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_what_is_counted_bit_by_bit_equals_a_recount_and_a_rebuild(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int, int]]
) -> None:
    house = House(tmp_path_factory.mktemp("numbers"))
    try:
        lived(house, acts)
        house.now_ms = START_MS + 5 * DAY_MS
        house.fold()
        assert_equal(house)
        house.fold(tidy=True)
        assert_equal(house)
        answer = house.worker.answered(Rebuild(now_ms=house.now_ms))
        assert not answer.wrong
        assert_equal(house)
    finally:
        house.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def test_a_fold_that_is_cut_off_counts_nothing_twice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    some_life(house)
    monkeypatch.setattr(feeding, "LINES_AT_ONCE", 4)
    monkeypatch.setattr(feeding, "EVENTS_AT_ONCE", 5)
    house.worker.answered(Rebuild(now_ms=START_MS))  # everything is there
    some_life(house, 40)
    for killed in range(1, 6):
        calls = 0

        def marked(self: Any, name: str, value: int, killed: int = killed) -> None:
            nonlocal calls
            calls += 1
            if calls == killed:
                raise KeyboardInterrupt
            self.duck.execute("insert or replace into mark values (?, ?)", [name, value])

        with monkeypatch.context() as patch:
            patch.setattr("signalcraft.storage.rollups.file.Numbers.set_mark", marked)
            with pytest.raises(KeyboardInterrupt):
                house.worker.answered(Fold(now_ms=house.now_ms))
    house.fold()
    assert_equal(house)


@pytest.mark.parametrize("spoil", ["gone", "cut", "foreign", "text"])
def test_a_file_that_cannot_be_used_is_made_anew(house: House, spoil: str) -> None:
    some_life(house)
    house.fold()
    path = house.worker.path
    if spoil == "gone":
        path.unlink()
    elif spoil == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    elif spoil == "foreign":
        import duckdb

        path.unlink()
        with duckdb.connect(str(path)) as duck:
            duck.execute("create table something (else_ integer)")
    else:
        path.write_text("not a database")
    answer = house.fold()
    assert answer.progress is not None
    assert answer.progress.rebuilt
    assert_equal(house)
    assert path.stat().st_mode & 0o077 == 0
    again = house.fold().progress
    assert again is not None
    assert again.rebuilt == ""


def test_a_database_that_went_back_is_counted_anew(house: House) -> None:
    some_life(house, 20)
    house.fold()
    kept = house.db.path.with_name("kept.db")
    with house.db.direct() as tx:
        number = tx.value("select value from fact where name = ?", (feeding.NUMBER,))
    some_life(house, 50)
    house.fold()
    house.fold()
    with house.db.direct() as tx:  # as a return to an earlier copy does
        tx.run("delete from event where id > (select min(id) + 5 from event)")
        tx.run("update fact set value = ? where name = ?", (number, feeding.NUMBER))
    answer = house.fold()
    assert answer.progress is not None
    assert "earlier" in answer.progress.rebuilt
    assert not kept.exists()
    assert (
        recounted(house.db, DAY_MS)[0].items()
        >= {place: n for place, n in stored(house.worker.path, "days")[0].items() if place[1] != "events"}.items()
    )


@pytest.mark.whole
def test_what_was_archived_is_counted_from_its_files(house: House) -> None:
    some_life(house, 90)
    house.fold()
    before = [stored(house.worker.path, level) for level in ("minutes", "hours", "days")]
    archive(house, START_MS + 2 * DAY_MS)
    answer = house.worker.answered(Rebuild(now_ms=house.now_ms))
    assert answer.progress is not None
    assert answer.progress.archived_events > 0
    assert [stored(house.worker.path, level) for level in ("minutes", "hours", "days")] == before
    house.worker.path.unlink()  # rebuilt by itself too
    house.fold()
    assert [stored(house.worker.path, level) for level in ("minutes", "hours", "days")] == before


def test_a_file_that_a_purge_is_at_work_on_is_not_counted_beside_its_rows(house: House) -> None:
    some_life(house, 90)
    archive(house, START_MS + 2 * DAY_MS, "pending")
    house.fold()
    house.worker.answered(Rebuild(now_ms=house.now_ms))
    assert_equal(house)


def test_days_that_are_gone_without_an_archive_stand_as_they_were_counted(house: House) -> None:
    some_life(house, 90)
    house.fold()
    days, _ = stored(house.worker.path, "days")
    with house.db.direct() as tx:
        tx.run("delete from event where received_ms < ?", (START_MS + 2 * DAY_MS,))
    answer = house.worker.answered(Rebuild(now_ms=house.now_ms))
    assert answer.progress is not None
    assert answer.progress.filled_days == 2
    after, _ = stored(house.worker.path, "days")
    for place in days:
        if place[1] == "events" and place[2] in ("all", "integration"):
            assert after[place] == days[place]


def test_rows_that_come_back_are_not_counted_again(house: House) -> None:
    some_life(house)
    house.fold()
    before = stored(house.worker.path, "days")
    with house.db.direct() as tx:
        rows = tx.all("select * from event")
        tx.run("delete from event")
        tx.many(f"insert into event values ({', '.join('?' * len(rows[0]))})", rows)
    house.fold()
    assert stored(house.worker.path, "days") == before


def test_old_minutes_and_hours_are_forgotten_and_days_are_kept(house: House) -> None:
    some_life(house)
    house.fold()
    days = stored(house.worker.path, "days")
    house.now_ms += 20 * DAY_MS
    house.fold(tidy=True)
    assert stored(house.worker.path, "minutes")[0] == {}
    assert stored(house.worker.path, "hours")[0]
    house.now_ms += 500 * DAY_MS
    house.fold(tidy=True)
    assert {p: n for p, n in stored(house.worker.path, "hours")[0].items() if p[1] not in feeding.COUNTERS} == {}
    assert stored(house.worker.path, "days") == days


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=50))
def test_a_median_from_bins_is_within_two_and_a_half_percent(durations: list[int]) -> None:
    bins = sorted(bin_of(ms) for ms in durations)
    middle = middle_ms(bins[(len(bins) - 1) // 2])
    exact = statistics.median_low(durations)
    assert abs(middle - exact) <= max(0.0255 * exact, 1.0)


def test_an_analysis_says_what_happened(house: House) -> None:
    some_life(house, 120)
    house.fold()
    facts, lasted = recounted(house.db, DAY_MS)

    def of(what: str, dimension: str = "all", name: str = "") -> int:
        return sum(n for place, n in facts.items() if place[1:] == (what, dimension, name))

    ask = Analyse(workspace_id=1, from_ms=START_MS, until_ms=house.now_ms, step="days", by="integration")
    seen = house.worker.answered(ask).analysis
    assert seen is not None
    whole = seen.whole
    assert (whole.events, whole.groups, whole.notifications) == (of("events"), of("groups"), of("notifications"))
    assert (whole.acknowledged, whole.resolved, seen.closed) == (of("acknowledged"), of("resolved"), of("closed"))
    acked = sum(ms[0] for place, ms in lasted.items() if place[1:] == ("acknowledged", "all", ""))
    assert whole.ack_mean_ms == pytest.approx(acked / of("acknowledged"))
    assert whole.ack_median_ms is not None
    assert sum(point.events for point in seen.points) == whole.events
    assert {one.name: one.events for one in seen.leaders if one.events} == {
        "1": of("events", "integration", "1"), "2": of("events", "integration", "2"),
    }  # fmt: skip
    for by, key in (("severity", "critical"), ("project", "shop"), ("rule", "8"), ("channel", "5"), ("user", "user:1")):
        answer = house.worker.answered(msgspec.structs.replace(ask, by=by)).analysis
        assert answer is not None
        (one,) = [leader for leader in answer.leaders if leader.name == key]
        assert one.notifications == of("notifications", by, key)
        assert one.events == of("events", by, key)
        assert one.acts == of("acts", by, key)
    assert whole.users == len({place[3] for place in facts if place[1] == "acts"})
    other = house.worker.answered(msgspec.structs.replace(ask, workspace_id=2)).analysis
    assert other is not None
    assert other.whole.events == 0


def test_a_question_makes_no_file_and_says_that_there_is_none(house: House) -> None:
    answer = house.worker.answered(
        Analyse(workspace_id=1, from_ms=START_MS, until_ms=house.now_ms, step="days", by="rule")
    )
    assert "not made yet" in answer.wrong
    held = house.worker.answered(State()).held
    assert held is not None
    assert not held.there
    assert not (house.db.path.parent / FILE).exists()


def test_minutes_and_hours_go_to_the_day(house: House) -> None:
    """Fourteen days and four hundred, each to its own bucket; what comes late is not put where it is forgotten."""
    house.event(START_MS, 0)
    house.now_ms = START_MS + 14 * DAY_MS
    house.fold(tidy=True)
    assert stored(house.worker.path, "minutes")[0]
    house.now_ms += 60_000
    house.fold(tidy=True)
    assert stored(house.worker.path, "minutes")[0] == {}
    house.now_ms = START_MS + 400 * DAY_MS
    house.fold(tidy=True)
    assert stored(house.worker.path, "hours")[0]
    house.event(START_MS + DAY_MS, 0)
    house.now_ms += 3_600_000
    house.fold()
    assert {place[0] for place in stored(house.worker.path, "hours")[0]} == {START_MS, START_MS + DAY_MS}
    house.fold(tidy=True)
    assert {place[0] for place in stored(house.worker.path, "hours")[0]} == {START_MS + DAY_MS}
    house.now_ms = START_MS + 36_500 * DAY_MS
    house.fold(tidy=True)
    assert len({place[0] for place in stored(house.worker.path, "days")[0]}) == 2
