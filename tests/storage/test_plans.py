"""No hot query reads a whole table: every statement that the hot routes and the webhook path run is explained.

A house is lived in and asked by every hot route while the statements of its readers and its writer are noted; SQLite
then says how it would answer each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from signalcraft.storage.db import Reader, Tx
from tests.http.browsing import QUIET, browser
from tests.world import World

BIG = (
    "event", "alert_group", "delivery", "journal", "inbox", "minute_count", "group_minute", "delivered_statement",
    "rolled_count", "rolled_total", "group_day", "audit", "escalation", "comment", "conversation", "security_count",
)  # fmt: skip
"""Tables that grow with what comes in. The others hold a few rows for each thing that a person set up."""
SCAN = re.compile(rf"SCAN ({'|'.join(BIG)})(?! USING (COVERING )?INDEX)\b")
STATEMENT = re.compile(r"\s*(select|with|insert|update|delete)\b", re.IGNORECASE)
FINE: dict[str, str] = {}
"""Statements that may, and why."""
HOT = (
    "/api/alert-groups", "/api/alert-groups?status=open", "/api/alert-groups?severity=critical",
    "/api/alert-groups?q=boom", "/api/alert-groups?search=boom", "/api/alert-groups?project=shop",
    "/api/alert-groups/{id}", "/api/alert-groups/{id}/events", "/api/alert-groups/{id}/timeline",
    "/api/alert-groups/{id}/deliveries", "/api/alert-groups/{id}/why", "/api/deliveries", "/api/deliveries?state=owed",
    "/api/quarantine", "/api/integrations", "/api/channels", "/api/routing-rules", "/api/dashboard/overview?range=24h",
    "/api/dashboard/overview?range=7d", "/api/dashboard/overview?range=30d", "/api/dashboard/overview?range=90d",
    "/api/audit", "/health", "/metrics", "/api/people",
)  # fmt: skip


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, set[str]]]:
    """Every statement that was run while a house was lived in and looked at."""
    found: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        for kind, name in ((Tx, "run"), (Tx, "all"), (Tx, "one"), (Tx, "many"), (Reader, "all"), (Reader, "one")):
            patch.setattr(kind, name, _noting(getattr(kind, name), found))
        with World(tmp_path_factory.mktemp("plans") / "data", **QUIET) as world:
            _lives(world)
            yield world, found


def _noting(real: Any, found: set[str]) -> Any:
    def call(self: Any, sql: str, *args: Any) -> Any:
        found.add(sql)
        return real(self, sql, *args)

    return call


def _lives(world: World) -> None:
    world.rule(channel="#oncall", escalate_after=5, escalate_to="#leads")
    one = world.receives("sentry", "event_alert", issue="1", title="boom", level="fatal")["group_id"]
    for n in range(5):
        world.receives("sentry", "event_alert", issue=str(n), title="boom", level="error")
    world.sends("generic", b"{", {"content-type": "application/json"})
    world.after(minutes=6)
    world.act({"id": one}, "ack")
    for path in HOT:
        answer = world.api.get(path.replace("{id}", one))
        assert answer.status_code == 200, f"{path} {answer.text}"
    with browser(world, "ada@example.com", "member") as ada:
        ada.get("/api/alert-groups")
    world.act({"id": one}, "resolve")
    world._call(world.house.rollups.fold())
    world.after(minutes=2)


def test_no_hot_query_reads_a_whole_table(noted: tuple[World, set[str]]) -> None:
    world, statements = noted
    asked = [sql for sql in sorted(statements) if STATEMENT.match(sql)]
    assert len(asked) > 150
    scans = {}
    for sql in asked:
        plan = world._call(world.house.db.read(lambda tx, sql=sql: _plan(tx, sql)))
        found = [line for line in plan if SCAN.search(line)]
        if found and sql not in FINE:
            scans[sql] = found
    assert scans == {}, "\n".join(f"{sql}\n    {' / '.join(lines)}" for sql, lines in scans.items())


def _plan(tx: Tx, sql: str) -> list[str]:
    numbered = [int(n) for n in re.findall(r"\?(\d+)", sql)]
    count = max([sql.count("?"), *numbered])
    names = dict.fromkeys(re.findall(r"[:$@]([a-z_]\w*)", re.sub(r"'[^']*'", "", sql)))
    arguments: Any = names if names and "?" not in sql else (max(numbered) if numbered else count) * (None,)
    return [row[3] for row in tx.all("explain query plan " + sql, arguments)]


def test_the_gate_sees_a_scan(noted: tuple[World, set[str]]) -> None:
    """That it can fail: a question without an index is one."""
    world, _ = noted
    for sql in ("select count(*) from event where title = ?", "select * from journal where at_ms > ?1"):
        plan = world._call(world.house.db.read(lambda tx, sql=sql: _plan(tx, sql)))
        assert any(SCAN.search(line) for line in plan), plan
