"""What the nightly clean-up took away is counted too: from the Parquet files that its manifest vouches for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signalcraft.storage.archive.manifest import NAME, Shelf
from signalcraft.storage.rollups.counting import Origin, opened

if TYPE_CHECKING:
    import apsw

    from signalcraft.storage.rollups.file import Numbers

_AT_ONCE: Final = 10_000


class Archive:
    """The files of every workspace, while a rebuild reads them."""

    def __init__(self, numbers: Numbers, root: Path, sqlite: apsw.Connection) -> None:
        self._numbers = numbers
        self._duck = numbers.duck
        self._sqlite = sqlite
        self.files = _files(root)
        self._there = False

    def count(self, now_ms: int) -> int:
        """Adds everything in them; how many events."""
        from signalcraft.storage.rollups import feeding

        if not any(self.files.values()):
            return 0
        self._there = True
        self._view("event", "id, workspace_id, received_ms, integration_id, severity, project, group_id")
        self._view("alert_group", "id, workspace_id, integration_id, first_seen_ms")
        self._view("journal", "id, workspace_id, at_ms, verb, actor, data, group_id")
        self._view("delivery", "id, channel_id, rule_id")
        self._duck.execute(
            "create or replace temp table old_origin as select g.id, any_value(g.workspace_id) as workspace_id,"
            " any_value(g.integration_id) as integration_id, any_value(g.first_seen_ms) as first_seen_ms,"
            " arg_min_null(e.severity, e.id) as severity, arg_min_null(e.project, e.id) as project"
            " from old_alert_group g left join old_event e on e.group_id = g.id group by g.id"
        )
        row = self._duck.execute("select count(*) from old_event").fetchone()
        with self._numbers.whole():
            feeding.count_events(self._numbers, "old_event", now_ms)
        self._groups(now_ms)
        self._lines(now_ms)
        return int(row[0]) if row else 0

    def _view(self, table: str, columns: str) -> None:
        files = self.files.get(table, [])
        if files:
            names = ", ".join("'" + str(one).replace("'", "''") + "'" for one in files)
            self._duck.execute(
                f"create or replace temp view old_{table} as select {columns} from read_parquet([{names}])"
            )
            return
        empty = ", ".join(f"null::{_type(name)} as {name}" for name in columns.split(", "))
        self._duck.execute(f"create or replace temp view old_{table} as select {empty} where false")

    def _groups(self, now_ms: int) -> None:
        cursor = self._duck.execute(
            "select workspace_id, integration_id, first_seen_ms, severity, project from old_origin order by id"
        )
        rows = cursor.fetchall()
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            with self._numbers.whole():
                self._numbers.add((fact for row in some for fact in opened(row[0], Origin(*row[1:]))), now_ms)

    def _lines(self, now_ms: int) -> None:
        from signalcraft.storage.rollups import feeding

        after = 0
        while True:
            rows = self._duck.execute(
                "select j.id, j.workspace_id, j.at_ms, j.verb, j.actor, j.data, j.group_id, j.first, g.integration_id,"
                " g.first_seen_ms, g.severity, g.project from (select *, verb = 'acknowledged' and row_number() over"
                " (partition by group_id, verb order by id) = 1 as first from old_journal) j left join old_origin g"
                " on g.id = j.group_id where j.id > ? order by j.id limit ?",
                [after, _AT_ONCE],
            ).fetchall()
            if not rows:
                return
            wanted = [one for row in rows if (one := feeding.delivery_of(row[3], row[5])) is not None]
            facts = feeding.lines(rows, {**self.deliveries(wanted), **feeding.living(self._sqlite, wanted)}, None)
            with self._numbers.whole():
                self._numbers.add(facts, now_ms)
            after = rows[-1][0]

    def deliveries(self, wanted: Sequence[int]) -> dict[int, tuple[int, int | None]]:
        """{id: (channel, rule)} of those that are archived."""
        if not self._there or not wanted:
            return {}
        rows = self._duck.execute(
            "select id, channel_id, rule_id from old_delivery where id in (select unnest(?::bigint[]))", [list(wanted)]
        ).fetchall()
        return {row[0]: (row[1], row[2]) for row in rows}

    def origins(self, wanted: Sequence[int]) -> dict[int, Origin]:
        """{group: what its first event said} of those that are archived."""
        if not self._there or not wanted:
            return {}
        rows = self._duck.execute(
            "select id, integration_id, first_seen_ms, severity, project from old_origin"
            " where id in (select unnest(?::bigint[]))",
            [list(set(wanted))],
        ).fetchall()
        return {row[0]: Origin(*row[1:]) for row in rows}

    def forget(self) -> None:
        """Lets go of what was read."""
        if self._there:
            self._duck.execute("drop table old_origin")


def _files(root: Path) -> dict[str, list[Path]]:
    """{table: files} of every workspace; what a purge is still at work on is left out, its rows are in the database."""
    found: dict[str, list[Path]] = {}
    for manifest in sorted(root.glob(f"*/{NAME}")) if root.is_dir() else ():
        shelf = Shelf(root.parent, int(manifest.parent.name))
        for entry in shelf.read().files:
            if entry.state == "done":
                found.setdefault(entry.table, []).append(manifest.parent / entry.path)
    return found


def _type(column: str) -> Any:
    return "varchar" if column in ("verb", "actor", "data", "project") else "bigint"
