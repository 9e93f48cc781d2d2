"""Groups counted by status, severity and day equal a slow count of the groups, whatever happens to them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalcraft.domain.severity import Severity
from signalcraft.storage import migrate, overview
from signalcraft.storage.db import Db, Tx
from tests.storage.fresh import fresh

DAY_MS = 86_400_000
START_MS = 20_000 * DAY_MS
SPAN_MS = 6 * DAY_MS
STATUSES = ("open", "acknowledged", "snoozed", "resolved")
MOMENTS = st.one_of(st.integers(0, SPAN_MS), st.sampled_from([n * DAY_MS + d for n in range(6) for d in (-1, 0, 1)]))
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["come", "come", "come", "seen", "rise", "status", "nothing", "go", "back", "cut"]),
        MOMENTS,
        st.integers(0, 9),
    ),
    max_size=50,
)


class Groups:
    """Does what it is told to the groups of two workspaces."""

    def __init__(self, db: Db) -> None:
        self.db = db
        self.ids = 0
        self.gone: list[tuple[object, ...]] = []

    def act(self, act: str, at_ms: int, which: int) -> None:
        if act == "cut":
            with pytest.raises(ZeroDivisionError):
                self.cut(at_ms, which)
            return
        with self.db.direct() as tx:
            self._act(tx, act, at_ms, which)

    def cut(self, at_ms: int, which: int) -> None:
        with self.db.direct() as tx:
            self._act(tx, "come", at_ms, which)
            raise ZeroDivisionError

    def _act(self, tx: Tx, act: str, at_ms: int, which: int) -> None:
        if act == "come":
            self.ids += 1
            tx.run(
                "insert into alert_group (id, workspace_id, integration_id, scope, identity, group_key, source,"
                " fingerprint, title, message, tags, severity, status, count, episode, first_seen_ms, last_seen_ms,"
                " retold_ms, updated_ms) values (?1, ?2, 1, 's', ?1, ?1, 'x', 'f', 't', 'm', '{}', ?3, ?4, 1, 1, ?5,"
                " ?5, ?5, ?5)",
                (self.ids, 1 + which % 2, which % 5, STATUSES[which % 4], START_MS + at_ms),
            )
        elif act == "back" and self.gone:
            row = self.gone.pop()
            tx.run(f"insert into alert_group values ({', '.join('?' * len(row))})", row)
        rows = tx.all("select * from alert_group order by id")
        if not rows:
            return
        row = rows[which % len(rows)]
        if act == "go":
            self.gone.append(row)
            tx.run("delete from alert_group where id = ?", (row[0],))
        for name, says, value in (
            ("seen", "last_seen_ms = ?", START_MS + at_ms),
            ("rise", "severity = ?", at_ms % 5),
            ("status", "status = ?", STATUSES[at_ms % 4]),
            ("nothing", "retold_ms = ?, severity = severity, last_seen_ms = last_seen_ms", at_ms),
        ):
            if act == name:
                tx.run(f"update alert_group set {says} where id = ?", (value, row[0]))


def assert_counted(tx: Tx, moments: list[int]) -> None:
    """Every figure, and that no row of nothing stays behind."""
    for workspace_id in (1, 2):
        rows = tx.all("select status, severity, last_seen_ms from alert_group where workspace_id = ?", (workspace_id,))
        assert overview.by_status(tx, workspace_id) == Counter(status for status, _, _ in rows)
        for severity in Severity:
            wanted = sum((status, s) == ("open", severity) for status, s, _ in rows)
            n, shown = overview.open_of(tx, workspace_id, int(severity), 3)
            assert (n, len(shown)) == (wanted, min(wanted, 3))
        for since_ms in moments:
            some = [(status, severity) for status, severity, at_ms in rows if at_ms >= since_ms]
            whole, still = Counter(s for _, s in some), Counter(s for status, s in some if status == "open")
            assert overview.by_severity(tx, workspace_id, since_ms) == [
                overview.SeverityCount(s, whole[s], still[s]) for s in sorted(whole, reverse=True)
            ]
    assert tx.value("select count(*) from group_day where n <= 0") == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS, moments=st.lists(MOMENTS, min_size=1, max_size=6))
def test_groups_are_counted_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int, int]], moments: list[int]
) -> None:
    db = fresh(tmp_path_factory.mktemp("days") / "it.db")
    groups = Groups(db)
    for one in acts:
        groups.act(*one)
    with db.direct() as tx:
        assert_counted(tx, [START_MS + at_ms for at_ms in moments])
    db.stop()


def test_the_migration_counts_the_groups_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = Db(tmp_path / "old.db")
    every = migrate.steps()
    monkeypatch.setattr(migrate, "steps", lambda: [one for one in every if one[0] < 13])
    migrate.up(db)
    groups = Groups(db)
    for n in range(12):
        groups.act("come", n * DAY_MS // 3, n)
    monkeypatch.setattr(migrate, "steps", lambda: every)
    migrate.up(db)
    with db.direct() as tx:
        assert tx.value("select sum(n) from group_day") == 12
        assert_counted(tx, [START_MS + n * DAY_MS // 4 for n in range(16)])
    groups.act("go", 0, 3)
    groups.act("seen", 5 * DAY_MS, 4)
    with db.direct() as tx:
        assert_counted(tx, [START_MS, START_MS + 5 * DAY_MS])
    db.stop()
