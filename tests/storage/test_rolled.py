"""Roll-ups of the counters equal a recount, whatever comes late, steps back, is cut off or forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalcraft.storage import counts, migrate, rolled
from signalcraft.storage.db import Db, Tx
from tests.storage.fresh import fresh

MINUTE_MS = 60_000
START = 29_500_000 // 1440 * 1440  # a midnight, in minutes since 1970
SPAN = 5 * 1440


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    db = fresh(tmp_path / "it.db")
    with db.direct() as tx:
        tx.run("insert into workspace (name, created_ms) values ('default', 0)")
    yield db
    db.stop()


def fold_all(tx: Tx, until: int) -> None:
    while rolled.mark(tx).minute < until:
        rolled.fold(tx, until)


def recount(tx: Tx, start: int, until: int) -> Counter[tuple[str, int]]:
    found: Counter[tuple[str, int]] = Counter()
    rows = tx.all("select what, subject, n from minute_count where minute >= ? and minute < ?", (start, until))
    for what, subject, n in rows:
        found[what, subject] += n
    return found


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["count", "count", "count", "fold", "cut", "group", "ack", "resolve", "quiet", "reopen"]),
        st.integers(0, SPAN - 1),
        st.integers(0, 3),
    ),
    max_size=60,
)
RANGES = st.lists(st.tuples(st.integers(0, SPAN), st.integers(0, SPAN)), min_size=1, max_size=8)


class Life:
    """Does what it is told to a database; time may go back, as a clock does."""

    def __init__(self, db: Db) -> None:
        self.db = db
        self.ids = 0

    def act(self, act: str, minute: int, which: int) -> None:
        at_ms = (START + minute) * MINUTE_MS + 123
        if act == "cut":
            with pytest.raises(ZeroDivisionError):
                self.cut(START + minute)
            return
        with self.db.direct() as tx:
            self.ids += 1
            if act == "count":
                what = ("events", "events", "duplicates", "notifications")[which]
                counts.bump(tx, 1, at_ms, what, which % 3, which + 1)
            elif act == "fold":
                fold_all(tx, START + minute)
            elif act == "group":
                tx.run(
                    "insert into alert_group (id, workspace_id, integration_id, scope, identity, group_key, source,"
                    " fingerprint, title, message, tags, severity, status, count, episode, first_seen_ms, last_seen_ms,"
                    " retold_ms, updated_ms) values (?1, 1, ?2, 's', ?1, ?1, 'x', 'f', 't', 'm', '{}', 2, 'open', 1, 1,"
                    " ?3, ?3, ?3, ?3)",
                    (self.ids, which % 2, at_ms),
                )
            else:
                self._answer(tx, act, at_ms, which)

    def cut(self, until: int) -> None:
        with self.db.direct() as tx:
            rolled.fold(tx, until)
            raise ZeroDivisionError

    def _answer(self, tx: Tx, act: str, at_ms: int, which: int) -> None:
        groups = [row[0] for row in tx.all("select id from alert_group order by id")]
        if not groups:
            return
        group = groups[which % len(groups)]
        if act == "ack":
            tx.run("insert into journal values (?, 1, ?, ?, 'acknowledged', '{}', '{}')", (self.ids, at_ms, group))
        elif act == "reopen":
            tx.run("update alert_group set status = 'open', resolved_ms = null where id = ?", (group,))
        else:
            by = "Ada" if act == "resolve" else "SignalCraft"
            tx.run(
                "update alert_group set status = 'resolved', resolved_ms = ?, resolved_by = ?"
                " where id = ? and status <> 'resolved'",
                (at_ms, by, group),
            )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS, ranges=RANGES, forgotten=st.integers(0, SPAN))
def test_what_is_rolled_up_equals_a_recount(
    tmp_path_factory: pytest.TempPathFactory,
    acts: list[tuple[str, int, int]],
    ranges: list[tuple[int, int]],
    forgotten: int,
) -> None:
    db = fresh(tmp_path_factory.mktemp("rolled") / "it.db")
    with db.direct() as tx:
        tx.run("insert into workspace (name, created_ms) values ('default', 0)")
    life = Life(db)
    for one in acts:
        life.act(*one)
    with db.direct() as tx:
        for a, b in ranges:
            start, until = START + min(a, b), START + max(a, b)
            wanted = recount(tx, start, until)
            found = rolled.sums(tx, 1, start, until)
            assert +found == +wanted
            assert {k: n for k, n in found.items() if n} == {k: n for k, n in wanted.items() if n}
            words = Counter[str]()
            for (what, _), n in wanted.items():
                words[what] += n
            assert {k: n for k, n in rolled.words(tx, 1, start, until).items() if n} == {
                k: n for k, n in words.items() if n
            }
            for step in (None, 5, 15, 120, 480, 1440):
                totals = rolled.totals(tx, 1, "events", start, until, step)
                assert sum(totals.values()) == sum(n for (what, _), n in wanted.items() if what == "events")
                if step:
                    assert all(start - step < at < until and at % step == 0 for at in totals)
        assert_groups(tx)
        # What is forgotten of the minutes is still there by the day.
        whole = rolled.sums(tx, 1, START, START + SPAN)
        fold_all(tx, START + SPAN)
        while rolled.prune(tx, 1, START + forgotten, START + forgotten, 7):
            pass
        assert {k: n for k, n in rolled.sums(tx, 1, START, START + SPAN).items() if n} == {
            k: n for k, n in whole.items() if n
        }
    db.stop()


def assert_groups(tx: Tx) -> None:
    """What the triggers counted is what the groups and the journal say."""
    found = Counter[str]()
    for (what, _), n in rolled.sums(tx, 1, START, START + SPAN).items():
        found[what] += n
    began = tx.one("select count(*) from alert_group")
    acks = tx.one(
        "select count(at), sum(at - first_seen_ms) from (select first_seen_ms, (select at_ms from journal"
        " where group_id = g.id and verb = 'acknowledged' order by id limit 1) as at from alert_group g)"
    )
    ends = tx.one(
        "select count(*), sum(resolved_ms - first_seen_ms) from alert_group"
        " where status = 'resolved' and resolved_by <> 'SignalCraft'"
    )
    assert began is not None
    assert acks is not None
    assert ends is not None
    assert found["began"] == began[0]
    assert (found["answered"], found["answer_ms"]) == (acks[0], acks[1] or 0)
    assert (found["mended"], found["mend_ms"]) == (ends[0], ends[1] or 0)


def test_the_migration_counts_the_groups_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = Db(tmp_path / "old.db")
    every = migrate.steps()
    monkeypatch.setattr(migrate, "steps", lambda: [one for one in every if one[0] < 12])
    migrate.up(db)
    with db.direct() as tx:
        tx.run("insert into workspace (name, created_ms) values ('default', 0)")
    life = Life(db)
    for n, act in enumerate(["group", "group", "count", "ack", "ack", "resolve", "group", "quiet"]):
        life.act(act, n * 700, n)
    monkeypatch.setattr(migrate, "steps", lambda: every)
    migrate.up(db)
    with db.direct() as tx:
        assert_groups(tx)
        fold_all(tx, START + SPAN)
        assert_groups(tx)
    for n, act in enumerate(["ack", "resolve", "reopen", "group"]):
        life.act(act, n * 900, n)
    with db.direct() as tx:
        assert_groups(tx)
    db.stop()


def test_what_comes_back_from_the_archive_is_not_counted_again(db: Db) -> None:
    life = Life(db)
    life.act("group", 1, 0)
    life.act("ack", 5, 0)
    with db.direct() as tx:
        kept = tx.all("select * from alert_group"), tx.all("select * from journal")
        before = rolled.sums(tx, 1, START, START + SPAN)
        tx.run("delete from alert_group")
        tx.run("delete from journal")
        for table, rows in zip(("alert_group", "journal"), kept, strict=True):
            tx.many(f"insert into {table} values ({', '.join('?' * len(rows[0]))})", rows)
        assert rolled.sums(tx, 1, START, START + SPAN) == before


def test_first_and_last_minutes_are_known_as_long_as_possible(db: Db) -> None:
    with db.direct() as tx:
        assert rolled.first_minute(tx, 1) is None
        assert rolled.last_minute(tx, 1, "events", 1) is None
        counts.bump(tx, 1, (START + 100) * MINUTE_MS, "events", 1)
        counts.bump(tx, 1, (START + 3000) * MINUTE_MS, "events", 1)
        counts.bump(tx, 1, (START + 3001) * MINUTE_MS, "events", 2)
        for _ in range(2):
            assert rolled.first_minute(tx, 1) == START + 100
            assert rolled.last_minute(tx, 1, "events", 1) == START + 3000
            fold_all(tx, START + 4000)
        while rolled.prune(tx, 1, START + 3500, START + 3500, 2):
            pass
        assert tx.value("select count(*) from minute_count") == 0
        assert rolled.first_minute(tx, 1) == START  # the day is kept for ever
        assert rolled.last_minute(tx, 1, "events", 1) == START + 2 * 1440


def test_years_without_a_counter_are_passed_in_one_step(db: Db) -> None:
    with db.direct() as tx:
        counts.bump(tx, 1, 1000 * MINUTE_MS, "events", 1)
        counts.bump(tx, 1, (START + 1) * MINUTE_MS, "events", 1)
        for _ in range(5):
            rolled.fold(tx, START + 100)
        assert rolled.mark(tx).minute == START + 100
        assert rolled.sums(tx, 1, 0, START + 100)["events", 1] == 2


def test_each_bucket_has_what_was_counted_in_its_minutes(db: Db) -> None:
    with db.direct() as tx:
        for minute, subject, n in ((0, 1, 1), (14, 2, 2), (15, 1, 4), (59, 1, 8), (60, 2, 16)):
            counts.bump(tx, 1, (START + minute) * MINUTE_MS, "events", subject, n)
        fold_all(tx, START + 1440)

        def of(step: int) -> dict[int, int]:
            return dict(rolled.totals(tx, 1, "events", START, START + 1440, step))

        assert of(15) == {START: 3, START + 15: 4, START + 45: 8, START + 60: 16}
        assert of(60) == {START: 15, START + 60: 16}
        assert of(1440) == {START: 31}
        assert rolled.sums(tx, 1, START, START + 60) == {("events", 1): 13, ("events", 2): 2}


def test_nothing_is_forgotten_that_was_not_rolled_up(db: Db) -> None:
    with db.direct() as tx:
        counts.bump(tx, 1, START * MINUTE_MS, "events", 1)
        assert rolled.prune(tx, 1, START + 10, START + 10, 100) == 0
        fold_all(tx, START + 1440)
        assert rolled.prune(tx, 1, START + 10, 0, 100) > 0
        assert tx.value("select count(*) from minute_count") == 0
        assert rolled.sums(tx, 1, 0, START + 1440)["events", 1] == 1
