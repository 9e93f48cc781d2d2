"""The long-range numbers equal a recount from the raw rows: counted bit by bit, cut off, rebuilt, from the archive."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalcraft.domain import ids
from signalcraft.storage import counts, migrate, rolled
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.rollups import feeding
from signalcraft.storage.rollups.asking import FILE, Analyse, Answer, Fold, Rebuild, State
from signalcraft.storage.rollups.counting import bin_of, middle_ms
from signalcraft.storage.rollups.worker import Worker

DAY_MS = 86_400_000
START_MS = 1_772_323_200_000  # 2026-03-01T00:00:00Z
PEOPLE = (("user", "1"), ("user", "2"), ("slack", "U7"), ("source", "sentry"), ("system", "signalcraft"))
SEVERITIES = ("info", "low", "medium", "high", "critical")
Facts = dict[tuple[int, str, str, str], int]


class House:
    """A database whose rows are written as the services write them, at times that go forth and back."""

    def __init__(self, folder: Path) -> None:
        self.db = Db(folder / "signalcraft.db")
        migrate.up(self.db)
        with self.db.direct() as tx:
            tx.run("insert into workspace (name, created_ms) values ('default', 0)")
            for n in (1, 2):
                tx.run(
                    "insert into integration (id, workspace_id, name, kind, config, token_hash, token_hint, created_ms,"
                    " updated_ms) values (?, 1, ?, 'generic', '{}', ?, 'x', 0, 0)",
                    (n, f"sender {n}", bytes([n])),
                )
        self.worker = Worker(folder / "signalcraft.db")
        self.now_ms = START_MS

    def fold(self, *, tidy: bool = False) -> Answer:
        with self.db.direct() as tx:
            until = self.now_ms // 60_000
            while rolled.mark(tx).minute < until:
                rolled.fold(tx, until)
        answer = self.worker.answered(Fold(now_ms=self.now_ms, tidy=tidy))
        assert not answer.wrong
        assert answer.progress is not None
        number = answer.progress.number
        with self.db.direct() as tx:
            tx.run("insert or replace into fact values (?, ?)", (feeding.NUMBER, str(number)))
        return answer

    def event(self, at_ms: int, which: int) -> None:
        """An event of a group: of the latest one, or of a new one."""
        with self.db.direct() as tx:
            counts.bump(tx, 1, at_ms, "events", 1 + which % 2)
            event_id = tx.new_id(at_ms)
            group = tx.value("select max(id) from alert_group")
            if group is None or which % 3 == 0:
                group = tx.new_id(at_ms)
                tx.run(
                    "insert into alert_group (id, workspace_id, integration_id, scope, identity, group_key, source,"
                    " fingerprint, title, message, tags, severity, status, count, episode, first_seen_ms, last_seen_ms,"
                    " retold_ms, updated_ms) values (?1, 1, ?2, 's', ?1, ?1, 'x', 'f', 't', 'm', '{}', 2, 'open', 1, 1,"
                    " ?3, ?3, ?3, ?3)",
                    (group, 1 + which % 2, at_ms),
                )
            tx.run(
                "insert into event (id, workspace_id, integration_id, group_id, source, kind, severity, project,"
                " message, tags, received_ms) values (?, 1, ?, ?, 'x', 'alert', ?, ?, 'm', '{}', ?)",
                (event_id, 1 + which % 2, group, (None, 0, 1, 2, 3, 4)[which % 6], (None, "shop", 'a "b"')[which % 3],
                 at_ms),
            )  # fmt: skip

    def line(self, at_ms: int, verb: str, which: int) -> None:
        """A line of the journal about some group."""
        with self.db.direct() as tx:
            groups = [row[0] for row in tx.all("select id from alert_group order by id")]
            if not groups:
                return
            kind, number = PEOPLE[which % len(PEOPLE)]
            actor = {"kind": kind, "id": number, "name": f"{kind} {number}"}
            data: dict[str, str] = {}
            if verb in ("told", "delivery_failed"):
                delivery = tx.new_id(at_ms)
                tx.run(
                    "insert into delivery (id, workspace_id, channel_id, kind, state, rank, rule_id, owed_ms, next_ms)"
                    " values (?, 1, ?, 'first', 'sent', 0, ?, ?, ?)",
                    (delivery, 5 + which % 2, (None, 8, 9)[which % 3], at_ms, at_ms),
                )
                data = {"delivery": ids.show(delivery), "channel": "x", "kind": "first"}
            tx.run(
                "insert into journal values (?, 1, ?, ?, ?, ?, ?)",
                (tx.new_id(at_ms), at_ms, groups[which % len(groups)], verb, msgspec.json.encode(actor).decode(),
                 msgspec.json.encode(data).decode()),
            )  # fmt: skip

    def close(self) -> None:
        self.worker.feed.close()
        self.db.stop()


def stored(path: Path, level: str) -> tuple[Facts, dict[tuple[int, str, str, str], list[int]]]:
    """({(ms, what, dimension, name): n}, the same of summed durations)."""
    import duckdb

    with duckdb.connect(str(path)) as duck:
        rows = duck.execute(
            f"select epoch_ms(bucket), what, dimension, name, sum(n)::bigint, sum(ms)::bigint from {level}"
            " where workspace_id = 1 group by 1, 2, 3, 4"
        ).fetchall()
    return {row[:4]: row[4] for row in rows if row[4]}, {row[:4]: [row[5]] for row in rows if row[5]}


def recounted(db: Db, width: int) -> tuple[Facts, dict[tuple[int, str, str, str], list[int]]]:
    """The same, counted by hand from the raw rows."""
    found: Counter[tuple[int, str, str, str]] = Counter()
    lasted: defaultdict[tuple[int, str, str, str], list[int]] = defaultdict(lambda: [0])

    def add(at_ms: int, what: str, of: list[tuple[str, str]], ms: int = 0) -> None:
        for dimension, name in of:
            place = (at_ms // width * width, what, dimension, name)
            found[place] += 1
            if ms:
                lasted[place][0] += ms

    with db.direct() as tx:
        origin = {}
        for group, integration, first_ms in tx.all("select id, integration_id, first_seen_ms from alert_group"):
            severity, project = tx.one(
                "select severity, project from event where group_id = ? order by id limit 1", (group,)
            ) or (None, None)
            origin[group] = first_ms, _dimensions(integration, severity, project)
            add(first_ms, "groups", origin[group][1])
        for row in tx.all("select received_ms, integration_id, severity, project from event"):
            add(row[0], "events", _dimensions(*row[1:]))
        acked = set()
        for at_ms, group, verb, actor_text, data in tx.all(
            "select at_ms, group_id, verb, actor, data from journal order by id"
        ):
            actor = msgspec.json.decode(actor_text)
            first_ms, of = origin[group]
            person = [("user", f"{actor['kind']}:{actor['id']}")] if actor["kind"] in ("user", "slack", "email") else []
            add(at_ms, "acts", person)
            if verb == "acknowledged":
                add(at_ms, "acknowledgements", [("all", ""), *person])
                if group not in acked:
                    add(at_ms, "acknowledged", of + person, max(at_ms - first_ms, 0))
                acked.add(group)
            elif verb == "resolved" and actor["kind"] == "system":
                add(at_ms, "closed", [("all", "")])
            elif verb == "resolved":
                add(at_ms, "resolved", of + person, max(at_ms - first_ms, 0))
            else:
                what = "notifications" if verb == "told" else "failures"
                channel, rule = tx.one(
                    "select channel_id, rule_id from delivery where id = ?",
                    (ids.parse(msgspec.json.decode(data)["delivery"]),),
                ) or (None, None)
                add(at_ms, what, [*of, ("channel", str(channel)), *([("rule", str(rule))] if rule else [])])
        found.update(_of_counters(tx, width))
    return {place: n for place, n in found.items() if n}, {place: ms for place, ms in lasted.items() if ms[0]}


def _of_counters(tx: Tx, width: int) -> Counter[tuple[int, str, str, str]]:
    found: Counter[tuple[int, str, str, str]] = Counter()
    for minute, what, subject, n in tx.all("select minute, what, subject, n from minute_count"):
        if what in feeding.COUNTERS and width > 60_000:
            for dimension, name in (("all", ""), (feeding.COUNTERS[what], str(subject))):
                found[minute * 60_000 // width * width, what, dimension, name] += n
    return found


def _dimensions(integration: int, severity: int | None, project: str | None) -> list[tuple[str, str]]:
    said = "unknown" if severity is None else SEVERITIES[severity]
    return [("all", ""), ("integration", str(integration)), ("severity", said), ("project", project or "unknown")]


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["event", "event", "acknowledged", "resolved", "told", "delivery_failed", "count", "fold"]),
        st.integers(0, 4 * DAY_MS - 1),
        st.integers(0, 29),
    ),
    max_size=40,
)


def lived(house: House, acts: list[tuple[str, int, int]]) -> None:
    for act, after_ms, which in acts:
        at_ms = START_MS + after_ms
        house.now_ms = max(house.now_ms, at_ms + 120_000)
        if act == "event":
            house.event(at_ms, which)
        elif act == "count":
            with house.db.direct() as tx:
                counts.bump(tx, 1, at_ms, "duplicates" if which % 2 else "edits", which % 3, which + 1)
        elif act == "fold":
            house.fold(tidy=which % 3 == 0)
        else:
            house.line(at_ms, act, which)


def assert_equal(house: House) -> None:
    for level, width in (("minutes", 60_000), ("hours", 3_600_000), ("days", DAY_MS)):
        assert stored(house.worker.path, level) == recounted(house.db, width), level


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def some_life(house: House, n: int = 60) -> None:
    verbs = ("event", "event", "event", "acknowledged", "resolved", "told", "delivery_failed", "count")
    lived(house, [(verbs[k % len(verbs)], k * 5_000_000 % (4 * DAY_MS), k * 7 % 30) for k in range(n)])
    house.now_ms = START_MS + 5 * DAY_MS


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


TABLES = ("event", "alert_group", "journal", "delivery")


def archive(house: House, before_ms: int, state: str = "done") -> None:
    """Groups that began before then, with all of theirs, go into Parquet files as the nightly clean-up writes them."""
    import duckdb

    from signalcraft.storage.archive.manifest import Entry, Shelf

    shelf = Shelf(house.db.path.parent, 1)
    shelf.root.mkdir(parents=True)
    sqlite = apsw.Connection(str(house.db.path))
    old = "(select id from alert_group where first_seen_ms < ?)"
    where = {
        "event": f"group_id in {old}", "journal": f"group_id in {old}", "alert_group": f"id in {old}",
        "delivery": "owed_ms < ?",
    }  # fmt: skip
    rows = {}
    for table in TABLES:
        names = [row[1] for row in sqlite.execute(f"pragma table_info({table})")]
        types = [row[2] for row in sqlite.execute(f"pragma table_info({table})")]
        found = sqlite.execute(f"select {', '.join(names)} from {table} where {where[table]}", (before_ms,)).fetchall()
        rows[table] = found
        columns = ", ".join(
            f"{name} {'bigint' if kind.lower() == 'integer' else 'varchar'}"
            for name, kind in zip(names, types, strict=True)
        )
        with duckdb.connect() as duck:
            duck.execute(f"create table t ({columns})")
            if found:
                duck.executemany(f"insert into t values ({', '.join('?' * len(names))})", found)
            (shelf.root / table).mkdir()
            path = f"{table}/2026-03.1.parquet"
            duck.execute(f"copy t to '{shelf.root / path}' (format parquet)")
        shelf.add(
            Entry(path=path, table=table, month="2026-03", rows=len(found), first_id=0, last_id=0, from_ms=0,
                  until_ms=0, sha256="", bytes=0, state="done" if state == "done" else "pending")
        )  # fmt: skip
    if state == "done":
        for table in ("event", "journal", "delivery", "alert_group"):
            sqlite.execute(f"delete from {table} where {where[table]}", (before_ms,)).fetchall()
    assert rows["event"]
    assert rows["journal"]
    sqlite.close()


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
