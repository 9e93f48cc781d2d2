"""Counting what is new: by ids, which only grow, so that late data and a clock that steps back change nothing.

Events are handed over as JSON arrays, a column each, and unnested: the fastest way into DuckDB without Arrow. Of the
journal and the groups there are far fewer: they are read row by row.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from signalcraft.domain import ids
from signalcraft.domain.group import Actor
from signalcraft.errors import NotFound
from signalcraft.storage.db import connect
from signalcraft.storage.rollups import archived
from signalcraft.storage.rollups.asking import Progress
from signalcraft.storage.rollups.counting import Fact, Line, Origin, opened, said
from signalcraft.storage.rollups.file import Numbers, Unusable, remove

EVENTS_AT_ONCE: Final = 50_000
LINES_AT_ONCE: Final = 10_000
NUMBER: Final = "metrics_number"
"""The fact in the database that says how many folds it knows of."""
_LATE_MS: Final = 2 * 3_600_000
COUNTERS: Final = {
    "duplicates": "integration", "sampled": "integration", "quarantined": "integration",
    "refused_signature": "integration", "refused_limit": "integration", "edits": "channel", "unrouted": "",
    "refused_sign_in": "",
}  # fmt: skip
"""What only the database's own counters know: their subject's dimension."""
FILLED: Final = {"events": ("events", "integration"), "began": ("groups", "integration"),
                 "notifications": ("notifications", "channel"), "failures": ("failures", "channel")}  # fmt: skip
"""Counters that stand in for rows that are gone without an archive."""
_ACTOR: Final = msgspec.json.Decoder(Actor)
_DATA: Final = msgspec.json.Decoder(dict[str, Any])
_FIRST_EVENT: Final = "(select {} from event e where e.group_id = g.id order by e.id limit 1)"
_GROUP: Final = (
    f"g.integration_id, g.first_seen_ms, {_FIRST_EVENT.format('severity')}, {_FIRST_EVENT.format('project')}"
)
_LINE: Final = (
    "j.id, j.workspace_id, j.at_ms, j.verb, j.actor, j.data, j.group_id, j.verb = 'acknowledged' and not exists"
    " (select 1 from journal p where p.group_id = j.group_id and p.verb = 'acknowledged' and p.id < j.id)"
)


class Feed:
    """The file and the database that it counts."""

    def __init__(self, database: Path, path: Path) -> None:
        self.database = database
        self.path = path
        self._sqlite: apsw.Connection | None = None
        self._erased = False

    @property
    def sqlite(self) -> apsw.Connection:
        """Read-only. It is opened once."""
        if self._sqlite is None:
            self._sqlite = connect(self.database, read_only=True)
        return self._sqlite

    def close(self) -> None:
        """Lets go of the database."""
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None

    # -- errands ------------------------------------------------------------------------------------------------------

    def fold(self, now_ms: int, *, tidy: bool = False) -> Progress:
        """Counts what is new. A file that is missing or unusable is made anew."""
        began = time.perf_counter()
        self._erased = False
        if not self.path.exists():
            return self.rebuild(now_ms, "it was not there")
        try:
            numbers = Numbers(self.path)
        except Unusable as problem:
            return self.rebuild(now_ms, f"it could not be used: {problem}")
        try:
            if self._number() < numbers.mark("number") - 1:
                # A database that was restored is behind its numbers: they speak of what did not happen.
                numbers.close()
                return self.rebuild(now_ms, "the database is an earlier one")
            done = self._new(numbers, now_ms)
            if self._erased:
                # A person's id goes from the numbers too: the journal does not hold it any more.
                numbers.close()
                return self.rebuild(now_ms, "a person was erased")
            with numbers.whole():
                numbers.set_mark("number", numbers.mark("number") + 1)
            number = numbers.mark("number")
            if tidy:
                numbers.tidy(now_ms)
        finally:
            numbers.close()
        return msgspec.structs.replace(
            done, number=number, seconds=time.perf_counter() - began, bytes=self.path.stat().st_size
        )

    def rebuild(self, now_ms: int, why: str = "") -> Progress:
        """Counts everything anew beside the old file, which it replaces when it is whole."""
        began = time.perf_counter()
        fresh = self.path.with_name(self.path.name + ".new")
        remove(fresh)
        numbers = Numbers(fresh)
        try:
            old = archived.Archive(numbers, self.database.parent / "archive", self.sqlite)
            events = old.count(now_ms)
            done = self._new(numbers, now_ms, old)
            filled = self._fill(numbers)
            old.forget()
            numbers.tidy(now_ms)
            with numbers.whole():
                numbers.set_mark("built", now_ms)
                numbers.set_mark("number", self._number() + 1)
            numbers.duck.execute("checkpoint")
        finally:
            numbers.close()
        remove(self.path)
        os.replace(fresh, self.path)
        return msgspec.structs.replace(
            done,
            number=self._number() + 1,
            archived_events=events,
            filled_days=filled,
            rebuilt=why,
            seconds=time.perf_counter() - began,
            bytes=self.path.stat().st_size,
        )

    def _number(self) -> int:
        """Of the last fold that the database knows of; the file's own is at most one ahead."""
        rows = self._rows("select value from fact where name = ?", (NUMBER,))
        return int(rows[0][0]) if rows else 0

    def _new(self, numbers: Numbers, now_ms: int, old: archived.Archive | None = None) -> Progress:
        events = self._events(numbers, now_ms)
        groups = self._groups(numbers, now_ms)
        lines = self._lines(numbers, now_ms, old)
        self._counters(numbers, now_ms)
        self._labels(numbers)
        return Progress(events=events, groups=groups, lines=lines)

    def _rows(self, sql: str, args: Sequence[Any] = ()) -> list[Any]:
        return self.sqlite.execute(sql, args).fetchall()

    # -- events -------------------------------------------------------------------------------------------------------

    def _events(self, numbers: Numbers, now_ms: int) -> int:
        counted: int = 0
        while True:
            after = numbers.mark("event")
            *columns, last, n = self._rows(
                "select json_group_array(workspace_id), json_group_array(received_ms),"
                " json_group_array(integration_id), json_group_array(severity), json_group_array(project), max(id),"
                " count(*) from (select id, workspace_id, received_ms, integration_id, severity, project from event"
                " where id > ? order by id limit ?)",
                (after, EVENTS_AT_ONCE),
            )[0]
            if not n:
                return counted
            with numbers.whole():
                numbers.duck.execute(
                    "create or replace temp table said as select unnest(cast(?::json as bigint[])) as workspace_id,"
                    " unnest(cast(?::json as bigint[])) as received_ms,"
                    " unnest(cast(?::json as bigint[])) as integration_id,"
                    " unnest(cast(?::json as tinyint[])) as severity, unnest(cast(?::json as varchar[])) as project",
                    columns,
                )
                count_events(numbers, "said", now_ms)
                numbers.set_mark("event", last)
            counted += int(n)
            if n < EVENTS_AT_ONCE:
                return counted

    # -- groups and the journal ---------------------------------------------------------------------------------------

    def _groups(self, numbers: Numbers, now_ms: int) -> int:
        counted = 0
        while True:
            rows = self._rows(
                f"select g.id, g.workspace_id, {_GROUP} from alert_group g where g.id > ? order by g.id limit ?",
                (numbers.mark("group"), LINES_AT_ONCE),
            )
            if not rows:
                return counted
            with numbers.whole():
                numbers.add((fact for row in rows for fact in opened(row[1], Origin(*row[2:]))), now_ms)
                numbers.set_mark("group", rows[-1][0])
            counted += len(rows)

    def _lines(self, numbers: Numbers, now_ms: int, old: archived.Archive | None) -> int:
        counted = 0
        while True:
            rows = self._rows(
                f"select {_LINE}, {_GROUP} from journal j left join alert_group g on g.id = j.group_id"
                " where j.id > ? order by j.id limit ?",
                (numbers.mark("journal"), LINES_AT_ONCE),
            )
            if not rows:
                return counted
            facts = lines(rows, self._deliveries(rows, old), old)
            self._erased = self._erased or any(row[3] == "person_erased" for row in rows)
            with numbers.whole():
                numbers.add(facts, now_ms)
                numbers.set_mark("journal", rows[-1][0])
            counted += len(rows)

    def _deliveries(self, rows: Iterable[Any], old: archived.Archive | None) -> dict[int, tuple[int, int | None]]:
        wanted = [number for row in rows if (number := delivery_of(row[3], row[5])) is not None]
        found = living(self.sqlite, wanted)
        if old is not None:
            found = {**old.deliveries([one for one in wanted if one not in found]), **found}
        return found

    # -- what only the counters know ----------------------------------------------------------------------------------

    def _counters(self, numbers: Numbers, now_ms: int) -> None:
        minute, late = self._rows("select minute, late from rolled_mark where id = 1")[0]
        since_ms = max(numbers.mark("counted") - _LATE_MS, 0) if late == numbers.mark("late") else 0
        since = since_ms // 60_000
        known = ", ".join(f"'{what}'" for what in COUNTERS)
        with numbers.whole():
            for level, width in (("hours", 60), ("days", 1440)):
                first = since // width * width
                numbers.duck.execute(
                    f"delete from {level} where what in ({known})"
                    f" and bucket >= make_timestamp({first} * 60000000::bigint)"
                )
                rows = self._rows(
                    "select workspace_id, at, what, subject, n from rolled_count where width = ? and at >= ?"
                    f" and what in ({known}) and n <> 0",
                    (width, first),
                )
                self._put(numbers, level, _by_subject(rows, {k: (k, v) for k, v in COUNTERS.items()}))
            numbers.set_mark("counted", minute * 60_000)
            numbers.set_mark("late", late)

    def _put(self, numbers: Numbers, level: str, facts: list[tuple[int, int, str, str, str, int]]) -> None:
        if not facts:
            return
        columns = [msgspec.json.encode(column).decode() for column in zip(*facts, strict=True)]
        numbers.duck.execute(
            f"insert into {level} select ws, make_timestamp(minute * 60000000::bigint), what, dimension, name, -1,"
            " sum(n), 0 from"
            " (select unnest(cast(?::json as bigint[])) as ws, unnest(cast(?::json as bigint[])) as minute,"
            " unnest(cast(?::json as varchar[])) as what, unnest(cast(?::json as varchar[])) as dimension,"
            " unnest(cast(?::json as varchar[])) as name, unnest(cast(?::json as bigint[])) as n)"
            " group by 1, 2, 3, 4, 5",
            columns,
        )

    def _fill(self, numbers: Numbers) -> int:
        """Days of which rows are gone and in no archive: the database's counters still know how many there were."""
        gone = numbers.duck.execute(
            "select workspace_id, epoch_ms(bucket) // 60000, sum(n) from days"
            " where what = 'events' and dimension = 'all' group by 1, 2"
        ).fetchall()
        counted = {(ws, at): n for ws, at, n in gone}
        wanted = self._rows("select workspace_id, at, n from rolled_total where width = 1440 and what = 'events'")
        days = [(ws, at) for ws, at, n in wanted if n > counted.get((ws, at), 0)]
        for ws, at in days:
            words = ", ".join(f"'{word}'" for word in FILLED)
            rows = self._rows(
                "select workspace_id, at, what, subject, n from rolled_count where workspace_id = ? and width = 1440"
                f" and at = ? and what in ({words})",
                (ws, at),
            )
            whats = ", ".join(f"'{what}'" for what, _ in FILLED.values())
            with numbers.whole():
                numbers.duck.execute(
                    f"delete from days where workspace_id = ? and bucket = make_timestamp(? * 60000000::bigint)"
                    f" and what in ({whats}) and dimension in ('all', 'integration', 'channel')",
                    [ws, at],
                )
                self._put(numbers, "days", _by_subject(rows, FILLED))
        return len(days)

    def _labels(self, numbers: Numbers) -> None:
        with numbers.whole():
            numbers.duck.execute("delete from label")
            for table in ("integration", "channel", "rule"):
                for number, ws, name in self._rows(f"select id, workspace_id, name from {table}"):
                    numbers.duck.execute(
                        "insert into label values (?, ?, ?, ?, ?)", [ws, table, str(number), ids.show(number), name]
                    )


def count_events(numbers: Numbers, source: str, now_ms: int) -> None:
    """Adds events: rows of (workspace_id, received_ms, integration_id, severity, project)."""
    names = " ".join(f"when {n} then '{name}'" for n, name in enumerate(("info", "low", "medium", "high", "critical")))
    parts = {
        "all": "''",
        "integration": "integration_id::varchar",
        "severity": f"case severity {names} else 'unknown' end",
        "project": "coalesce(nullif(project, ''), 'unknown')",
    }
    numbers.duck.execute(
        "create or replace temp table heard as select workspace_id, received_ms // 60000 * 60000 as at_ms,"
        f" integration_id, severity, project, count(*) as n from {source} group by 1, 2, 3, 4, 5"
    )
    numbers.duck.execute(
        "create or replace temp table fact as "
        + " union all ".join(
            f"select workspace_id, at_ms, 'events' as what, '{dimension}' as dimension, {name} as name,"
            " (-1)::smallint as bin, n, 0::bigint as ms from heard"
            for dimension, name in parts.items()
        )
    )
    numbers.spread("fact", now_ms)


def living(sqlite: apsw.Connection, wanted: Sequence[int]) -> dict[int, tuple[int, int | None]]:
    """{id: (channel, rule)} of the deliveries that are in the database."""
    rows: list[Any] = sqlite.execute(
        "select id, channel_id, rule_id from delivery where id in (select value from json_each(?))",
        (msgspec.json.encode(list(wanted)).decode(),),
    ).fetchall()
    found: dict[int, tuple[int, int | None]] = {number: (channel, rule) for number, channel, rule in rows}
    return found


def delivery_of(verb: str, data: str) -> int | None:
    """The delivery that a line of the journal speaks of."""
    if verb not in ("told", "delivery_failed"):
        return None
    try:
        return ids.parse(str(_DATA.decode(data).get("delivery", "")))
    except NotFound:
        return None


def lines(
    rows: Iterable[Any], deliveries: dict[int, tuple[int, int | None]], old: archived.Archive | None
) -> Iterable[Fact]:
    """What rows of (_LINE, _GROUP) count for."""
    rows = list(rows)
    gone = [row[6] for row in rows if row[6] is not None and row[8] is None]
    origins = old.origins(gone) if old is not None and gone else {}
    for _, ws, at_ms, verb, actor, data, group_id, first, integration_id, first_seen_ms, severity, project in rows:
        origin = None
        if integration_id is not None:
            origin = Origin(integration_id, first_seen_ms, severity, project)
        elif group_id is not None:
            origin = origins.get(group_id)
        number = delivery_of(verb, data)
        channel_id, rule_id = deliveries.get(number, (None, None)) if number is not None else (None, None)
        yield from said(
            Line(
                workspace_id=ws, at_ms=at_ms, verb=verb, actor=_ACTOR.decode(actor), origin=origin, first=bool(first),
                channel_id=channel_id, rule_id=rule_id,
            )
        )  # fmt: skip


def _by_subject(rows: Iterable[Any], words: dict[str, tuple[str, str]]) -> list[tuple[int, int, str, str, str, int]]:
    found = []
    for ws, at, word, subject, n in rows:
        what, dimension = words[word]
        found.append((ws, at, what, "all", "", n))
        if dimension:
            found.append((ws, at, what, dimension, str(subject), n))
    return found
