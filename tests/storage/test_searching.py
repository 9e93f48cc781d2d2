"""The inbox's list stays fast however many alert groups there are."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from functools import partial

import pytest

from signalcraft.domain import search
from signalcraft.storage import migrate, searching, workspaces
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.searching import GroupFilter

MANY = 30_000
NOW_MS = 1_772_442_000_000
_STATUSES = ("open", "resolved", "acknowledged", "resolved", "snoozed", "resolved", "open", "resolved")


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Db]:
    it = Db(tmp_path_factory.mktemp("many") / "x.db")
    migrate.up(it)
    with it.direct() as tx:
        workspaces.ensure_default(tx, NOW_MS)
        tx.many(
            "insert into alert_group (id, workspace_id, integration_id, scope, identity, group_key, source, project,"
            " environment, fingerprint, title, message, tags, severity, status, count, episode, first_seen_ms,"
            " last_seen_ms, retold_ms, updated_ms) values"
            " (?, 1, 1, 's', ?, ?, 'sentry', 'p', 'prod', 'f', ?, ?, '{}', ?, ?, 1, 1, ?, ?, 0, 0)",
            [
                (n + 1, n, f"k{n}", f"title {n}", "message " * 20, n % 5, _STATUSES[n % 8], n, NOW_MS - n * 977 % MANY)
                for n in range(MANY)
            ],
        )
    it.start()
    yield it
    it.stop()


@pytest.mark.parametrize("text", ["", "-status:resolved", "status:open", "severity>=medium -status:resolved"])
def test_the_default_view_of_very_many_groups_takes_less_than_50_ms(db: Db, text: str) -> None:
    wanted = GroupFilter(search=search.parse(text), now_ms=NOW_MS)
    took = []
    with db.reading() as reader:
        for _ in range(7):
            began_s = time.perf_counter()
            found, place = searching.groups_page(reader, 1, wanted, None, 100)
            took.append(time.perf_counter() - began_s)
            assert (len(found), place is None) == (100, False)
    assert statistics.median(took) < 0.05


def test_counting_looks_at_no_more_than_so_many(db: Db) -> None:
    def counted(text: str) -> tuple[int, bool]:
        with db.reading() as reader:
            return searching.count(reader, 1, GroupFilter(search=search.parse(text), now_ms=NOW_MS))

    assert counted("") == (searching.COUNT_MAX, False)
    assert counted("status:open") == (MANY * 2 // 8, True)
    found, whole = counted("title:7")
    assert 0 < found < searching.COUNT_MAX
    assert not whole


def test_pages_go_on_where_the_one_before_ended_while_groups_change(db: Db) -> None:
    wanted = GroupFilter(search=search.parse("status:snoozed"), now_ms=NOW_MS)
    seen: list[int] = []
    place = None
    for turn in range(40):
        with db.reading() as reader:
            found, place = searching.groups_page(reader, 1, wanted, place, 100)
        seen += [group.id for group in found]
        if place is None:
            break
        # Groups that were shown already are heard of again, and move to the top.
        again = [(NOW_MS + turn, number) for number in seen[-3:]]
        db.call(partial(Tx.many, sql="update alert_group set last_seen_ms = ? where id = ?", rows=again))
    assert len(seen) == len(set(seen)) == MANY // 8
