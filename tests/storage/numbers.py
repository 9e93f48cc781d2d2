"""A database that is lived in, its long-range numbers, and the same counted by hand from the raw rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import apsw
import msgspec

from signalcraft.domain import ids
from signalcraft.storage import counts, rolled
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.rollups import feeding
from signalcraft.storage.rollups.asking import Answer, Fold
from signalcraft.storage.rollups.worker import Worker
from tests.storage.fresh import fresh

DAY_MS = 86_400_000
START_MS = 1_772_323_200_000  # 2026-03-01T00:00:00Z
PEOPLE = (("user", "1"), ("user", "2"), ("slack", "U7"), ("source", "sentry"), ("system", "signalcraft"))
SEVERITIES = ("info", "low", "medium", "high", "critical")
Facts = dict[tuple[int, str, str, str], int]


class House:
    """A database whose rows are written as the services write them, at times that go forth and back."""

    def __init__(self, folder: Path) -> None:
        self.db = fresh(folder / "signalcraft.db")
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


@cache
def engine() -> Any:
    """A DuckDB to look into files with: to open one takes far longer than the look."""
    import duckdb

    return duckdb.connect(config={"threads": 1})


def stored(path: Path, level: str) -> tuple[Facts, dict[tuple[int, str, str, str], list[int]]]:
    """({(ms, what, dimension, name): n}, the same of summed durations)."""
    duck = engine()
    duck.execute(f"attach '{path}' as looked_at (read_only)")
    try:
        rows = duck.execute(
            f"select epoch_ms(bucket), what, dimension, name, sum(n)::bigint, sum(ms)::bigint from looked_at.{level}"
            " where workspace_id = 1 group by 1, 2, 3, 4"
        ).fetchall()
    finally:
        duck.execute("detach looked_at")
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


def some_life(house: House, n: int = 60) -> None:
    verbs = ("event", "event", "event", "acknowledged", "resolved", "told", "delivery_failed", "count")
    lived(house, [(verbs[k % len(verbs)], k * 5_000_000 % (4 * DAY_MS), k * 7 % 30) for k in range(n)])
    house.now_ms = START_MS + 5 * DAY_MS


TABLES = ("event", "alert_group", "journal", "delivery")


def archive(house: House, before_ms: int, state: str = "done") -> None:
    """Groups that began before then, with all of theirs, go into Parquet files as the nightly clean-up writes them."""
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
        duck = engine()
        duck.execute(f"create or replace table t ({columns})")
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
