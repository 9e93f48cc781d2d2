"""When the long-range numbers are counted, how fresh an answer is, what is forgotten, and what goes on at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from signalcraft.errors import Busy, Fault
from signalcraft.services.care import rollups as service
from signalcraft.services.care.rollups import DAY_MS, FRESH_MS, HOUR_MS, MINUTE_MS, Rollups
from signalcraft.services.care.runs import Running, Runs
from signalcraft.storage import counts, facts, rolled
from signalcraft.storage.rollups import feeding, querying
from signalcraft.storage.rollups.asking import Analyse, Answer, Ask, Fold, Rebuild
from signalcraft.storage.rollups.child import Child
from signalcraft.storage.rollups.worker import Worker
from tests.services.care.aged import Said
from tests.storage.fresh import fresh

NOW_MS = 1_772_442_000_000  # 2026-03-02T09:00:00Z


class Noted:
    """Does the child's work in this process; a test may hold it up, and reads what was asked."""

    def __init__(self, database: Path) -> None:
        self.worker = Worker(database)
        self.asked: list[Ask] = []
        self.ended = 0
        self.gate = threading.Event()
        self.gate.set()

    def ask(self, ask: Ask, patience_s: float = 0) -> Answer:
        self.asked.append(ask)
        assert self.gate.wait(20)
        answer = self.worker.answered(ask)
        self.worker.feed.close()
        if answer.wrong:
            raise Fault(answer.wrong)
        return answer

    def end(self) -> None:
        self.ended += 1

    def counted(self) -> list[Ask]:
        return [one for one in self.asked if not isinstance(one, Analyse)]


class Bench:
    """A database, a clock, and the numbers over it."""

    def __init__(self, folder: Path) -> None:
        self.now_ms = NOW_MS
        self.db = fresh(folder / "signalcraft.db")
        with self.db.direct() as tx:
            for number in (1, 2):
                tx.run("insert into workspace (id, name, created_ms) values (?1, 'w' || ?1, 0)", (number,))
        self.db.start()
        self.hand = Noted(self.db.path)
        self.alarms = Said()
        self.rollups = Rollups(self.db, self.hand, Runs(self.db, self.now), self.alarms, self.now)  # type: ignore[arg-type]

    def now(self) -> int:
        return self.now_ms

    def count(self, at_ms: int, workspace_id: int = 1, n: int = 1) -> None:
        self.db.call(lambda tx: counts.bump(tx, workspace_id, at_ms, "events", 7, n))

    def value(self, sql: str) -> Any:
        with self.db.reading() as tx:
            return tx.value(sql)


def run(folder: Path, story: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    bench = Bench(folder)
    try:
        asyncio.run(story(bench))
    finally:
        bench.db.stop()


def test_an_answer_is_at_most_five_minutes_old_and_not_counted_each_time(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        first = await bench.rollups.analysed(1, "7d", "rule")
        assert first.as_of_ms == NOW_MS
        bench.now_ms += FRESH_MS - 1
        assert (await bench.rollups.analysed(1, "7d", "rule")).as_of_ms == NOW_MS
        assert len(bench.hand.counted()) == 1
        bench.now_ms += 1
        assert (await bench.rollups.analysed(1, "7d", "rule")).as_of_ms == bench.now_ms
        assert len(bench.hand.counted()) == 2
        bench.now_ms = NOW_MS - 1  # a clock that was set back keeps nothing fresh for ever
        assert (await bench.rollups.analysed(1, "7d", "rule")).as_of_ms == bench.now_ms

    run(tmp_path, story)


def test_each_hour_what_is_new_is_counted_and_a_child_that_nobody_needs_ends(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for minute in range(61):
            bench.now_ms = NOW_MS + minute * MINUTE_MS
            await bench.rollups.minute()
            await bench.rollups.settled()
            assert bench.rollups.folded_minute == bench.now_ms // MINUTE_MS
            assert len(bench.hand.counted()) == (minute == 60), minute
        ended = bench.hand.ended
        assert ended > 0
        await bench.rollups.analysed(1, "7d", "rule")
        bench.now_ms += MINUTE_MS
        await bench.rollups.minute()
        assert bench.hand.ended == ended, "it is asked again and again while somebody looks"
        bench.now_ms += MINUTE_MS
        await bench.rollups.minute()
        assert bench.hand.ended == ended + 1

    run(tmp_path, story)


def test_a_fold_that_the_database_knows_of_is_not_taken_for_a_restore(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for number in range(1, 5):
            bench.count(bench.now_ms - HOUR_MS)
            done = await bench.rollups._begin(Fold(now_ms=bench.now_ms))
            assert (done.number, done.rebuilt == "") == (number, number > 1)
            assert bench.value(f"select value from fact where name = '{feeding.NUMBER}'") == str(number)
        # The program was killed between the file's commit and the database's: one ahead is no restore.
        bench.db.call(lambda tx: facts.put(tx, feeding.NUMBER, "3"))
        done = await bench.rollups._begin(Fold(now_ms=bench.now_ms))
        assert done.rebuilt == ""
        bench.db.call(lambda tx: facts.put(tx, feeding.NUMBER, "3"))
        done = await bench.rollups._begin(Fold(now_ms=bench.now_ms))
        assert "earlier" in done.rebuilt

    run(tmp_path, story)


def test_one_rebuild_at_a_time_and_the_old_numbers_are_answered_meanwhile(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.count(NOW_MS - HOUR_MS, n=3)
        await bench.rollups.analysed(1, "7d", "rule")
        bench.hand.gate.clear()
        assert await bench.rollups.rebuild(wait_s=0.01) is None
        for again in (bench.rollups.rebuild(), bench.rollups.held()):
            with pytest.raises(Busy, match="being counted"):
                await again  # type: ignore[misc]
        assert "being counted" in (await bench.rollups.health()).detail
        assert len([one for one in bench.hand.asked if isinstance(one, Rebuild)]) == 1
        bench.hand.gate.set()
        await bench.rollups.settled()
        assert bench.rollups._rebuilding is not None
        await bench.rollups._rebuilding
        assert bench.value("select state from maintenance_run where kind = 'rollup'") == "ok"
        assert (await bench.rollups.rebuild()) is not None

    run(tmp_path, story)


def test_a_rebuild_that_fails_leaves_the_old_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(bench: Bench) -> None:
        bench.count(NOW_MS - HOUR_MS, n=3)
        await bench.rollups.analysed(1, "7d", "rule")
        file = tmp_path / "metrics.duckdb"
        was = file.read_bytes()

        def broken(*_: object) -> None:
            raise Fault("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(feeding.Feed, "_fill", broken)
            with pytest.raises(Fault, match="the disk is full"):
                await bench.rollups.rebuild()
        assert file.read_bytes() == was
        assert "the disk is full" in str(bench.alarms.wrong["rollup_failed"])
        assert (await bench.rollups.health()).status == "degraded"
        await bench.rollups.rebuild()
        assert bench.alarms.wrong["rollup_failed"] is None

    run(tmp_path, story)


def test_one_question_in_sql_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(bench: Bench) -> None:
        gate = threading.Event()

        def slow(question: querying.Question) -> querying.Table:
            assert gate.wait(60)
            return querying.Table(columns=[], rows=[], cut=False, seconds=0.0)

        monkeypatch.setattr(querying, "ask", slow)
        first = asyncio.ensure_future(bench.rollups.asked(1, "select 1", 1))
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="another question"):
            await bench.rollups.asked(1, "select 1", 1)
        gate.set()
        await first
        await bench.rollups.asked(1, "select 1", 1)

    run(tmp_path, story)


def test_counters_that_stay_behind_are_told(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.rollups.fold()
        bench.now_ms += 60 * MINUTE_MS
        assert (await bench.rollups.health()).status == "ok"
        bench.now_ms += MINUTE_MS
        seen = await bench.rollups.health()
        assert (seen.status, "61 minutes behind" in seen.detail) == ("degraded", True)
        (behind,) = [one for one in bench.rollups.figures() if one.name == "signalcraft_rollup_behind_seconds"]
        assert behind.value == 61 * 60

    run(tmp_path, story)


def test_minutes_are_kept_for_fourteen_days_and_hours_for_four_hundred(tmp_path: Path) -> None:
    """A minute's day is over before it goes, so that fourteen whole days are there whatever the zone."""
    assert (service.MINUTES_KEPT_DAYS, service.HOURS_KEPT_DAYS) == (14, 400)

    async def story(bench: Bench) -> None:
        ages = {"in two weeks": 15 * DAY_MS - HOUR_MS, "older": 15 * DAY_MS + HOUR_MS, "old hours": 401 * DAY_MS}
        for workspace_id in (1, 2):
            for age_ms in (*ages.values(), 399 * DAY_MS):
                bench.count(NOW_MS - age_ms, workspace_id)
        running = Running(1)
        await bench.rollups.nightly(running)
        for workspace_id in (1, 2):
            of = f"workspace_id = {workspace_id}"
            assert bench.value(f"select count(*) from minute_count where {of}") == 1
            assert bench.value(f"select count(*) from rolled_count where {of} and width = 15") == 1
            assert bench.value(f"select count(*) from rolled_count where {of} and width = 60") == 3
            assert bench.value(f"select count(*) from rolled_count where {of} and width = 1440") == 3, (
                "two fell on one day"
            )
        # Of each workspace: three minutes, three quarters and their totals, one hour and its total.
        assert running.figures["forgotten"] == 2 * (3 + 3 + 3 + 1 + 1)
        assert running.figures["counters"] == 8
        assert {"events", "groups", "lines", "bytes", "seconds"} <= running.figures.keys()
        assert "old rows forgotten" in running.said
        with bench.db.reading() as tx:
            assert rolled.mark(tx).minute == NOW_MS // MINUTE_MS
        (fold,) = bench.hand.counted()
        assert isinstance(fold, Fold)
        assert fold.tidy, "the night packs the file"

    run(tmp_path, story)


def test_a_child_that_does_not_answer_is_ended(tmp_path: Path) -> None:
    child = Child(tmp_path / "signalcraft.db")
    child._argv = ["sleep", "60"]
    with pytest.raises(Fault, match=r"did not answer within 0\.2 s"):
        child.ask(Fold(now_ms=NOW_MS), 0.2)
    assert child._process is None
