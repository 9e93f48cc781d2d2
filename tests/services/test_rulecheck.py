"""Rules against the alerts that came lately: what is counted, what is listed, how long it may take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.domain.event import Event
from signalcraft.domain.severity import Severity
from signalcraft.errors import Invalid, NotFound
from signalcraft.services import rulecheck
from signalcraft.services.rulecheck import Preview, Tallies
from signalcraft.storage import events, lately
from tests.services.desk import Desk

PROD = {"field": "environment", "operator": "equals", "value": "prod"}
SHOP = {"field": "project", "operator": "equals", "value": "shop"}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path) as it:
        it.channel()
        yield it


def came(desk: Desk, number: int, **said: Any) -> None:
    """An event without a group: its own words are asked."""
    event = Event(**{"title": f"event {number}", "status": "firing", "severity": Severity.HIGH, **said})
    desk.db.call(lambda tx: events.insert(tx, number, 1, 5, "sentry", None, None, event, desk.now_ms + number))


def looked(desk: Desk, when: dict[str, Any], **how: Any) -> Preview:
    asked = desk.snapshot.workspaces[1].rules
    return desk.look(lambda tx: rulecheck.preview(tx, 1, asked, **{"when": when, "last": 100, **how}))


def told(desk: Desk, **how: Any) -> Tallies:
    return desk.look(lambda tx: rulecheck.tallies(tx, 1, **{"last": 100, **how}))


def test_only_the_last_alerts_that_fire_are_looked_at(desk: Desk) -> None:
    for number in range(1, 6):
        came(desk, number, environment="prod")
    came(desk, 6, status="resolved", environment="prod")
    came(desk, 7, kind="comment", status=None, environment="prod")
    found = looked(desk, {"all": [PROD]}, last=3)
    assert (found.looked_at, found.matched, found.whole) == (3, 3, True)
    assert [one.event.id for one in found.items] == [5, 4, 3]
    assert found.since_ms == desk.now_ms + 3
    assert looked(desk, {"all": [PROD]}).looked_at == 5


def test_those_that_match_come_first_and_a_few_others_say_why_not(desk: Desk) -> None:
    for number in range(1, 91):
        came(desk, number, environment="prod" if number > 30 else "test", project="shop" if number % 2 else None)
    found = looked(desk, {"all": [PROD], "any": [SHOP, {"field": "title", "operator": "equals", "value": "event 90"}]})
    assert (found.looked_at, found.matched) == (90, 31)
    assert [one.matched for one in found.items] == [True] * 31 + [False] * 10
    others = found.items[31:]
    assert [one.event.id for one in others] == list(range(88, 68, -2))
    assert {(one.decided_by.path, one.decided_by.actual) for one in others if one.decided_by} == {("any[0]", None)}
    everything = looked(desk, {})
    assert (everything.matched, len(everything.items)) == (90, rulecheck.MATCHED_MAX)


def test_a_slow_check_ends_and_says_how_many_it_looked_at(desk: Desk) -> None:
    for number in range(1, 21):
        came(desk, number)
    seconds = iter([0.0, *(rulecheck.BUDGET_S / 4 * n for n in range(1, 30))])
    found = looked(desk, {}, clock=lambda: next(seconds))
    assert (found.looked_at, found.matched, found.whole) == (5, 5, False)
    assert found.since_ms == desk.now_ms + 16
    seconds = iter([0.0, *(rulecheck.BUDGET_S / 4 * n for n in range(1, 30))])
    tallied = told(desk, clock=lambda: next(seconds))
    assert (tallied.looked_at, tallied.unrouted, tallied.whole) == (5, 5, False)


def test_nothing_to_look_at_is_said_so(desk: Desk) -> None:
    found = looked(desk, {})
    assert (found.looked_at, found.matched, found.since_ms, found.items, found.whole) == (0, 0, None, [], True)


def test_a_rule_behind_one_that_stops_is_told_what_never_reaches_it(desk: Desk) -> None:
    for number in range(1, 5):
        came(desk, number, environment="prod", project="shop" if number < 3 else "blog")
    first = desk.rule("first", when={"all": [SHOP]}, stop=True, priority=10)
    second = desk.rule("second", when={"all": [PROD]}, priority=20)
    found = looked(desk, {"all": [PROD]}, rule_id=second.id)
    assert (found.matched, found.stopped) == (4, 2)
    assert [one.stopped_by for one in found.items] == [None, None, "first", "first"]
    assert looked(desk, {"all": [PROD]}).stopped == 2, "a new rule is asked last"
    assert looked(desk, {"all": [PROD]}, priority=5).stopped == 0
    assert looked(desk, {"all": [SHOP]}, rule_id=first.id).stopped == 0, "it does not stop itself"
    with pytest.raises(NotFound):
        looked(desk, {}, rule_id=77)


def test_what_is_wrong_is_told_with_its_place(desk: Desk) -> None:
    with pytest.raises(Invalid) as caught:
        looked(desk, {"all": [PROD, {"any": [{**PROD, "operator": "regex", "value": "("}]}]})
    assert [path for path, _ in caught.value.errors] == ["when.all[1].any[0].value"]


def test_every_rule_is_counted_and_what_reaches_none(desk: Desk) -> None:
    for number in range(1, 7):
        came(desk, number, environment="prod" if number < 5 else "test", project="shop" if number < 3 else None)
    one = desk.rule("one", when={"all": [SHOP]}, stop=True)
    two = desk.rule("two", when={"all": [PROD]})
    off = desk.rule("off", enabled=False)
    broken = desk.rule("broken")
    desk.db.call(lambda tx: tx.run("update rule set body = ? where id = ?", ('{"when":{"all":[{}, 5]}}', broken.id)))
    found = told(desk)
    assert (found.looked_at, found.unrouted) == (6, 2)
    assert [(t.id, t.matched, t.reached) for t in found.items] == [
        (one.id, 2, 2), (two.id, 4, 2), (off.id, 6, 0), (broken.id, None, None),
    ]  # fmt: skip


def test_the_words_of_the_latest_alerts(desk: Desk) -> None:
    for number in range(1, 5):
        came(desk, number, tags={"team": "a" if number < 4 else "b", "n": str(number), "long": "x" * 200})
    came(desk, 5, status="resolved", tags={"late": "1"})
    words = desk.look(lambda tx: lately.words(tx, 1))
    assert list(words.tags) == ["long", "n", "team"]
    assert (words.tags["team"], words.tags["long"]) == (["a", "b"], [])
    assert sorted(words.tags["n"]) == ["1", "2", "3", "4"]
    assert (words.projects, words.environments) == ([], []), "those are the alert groups'"


def test_the_slowest_rule_there_can_be_is_checked_in_bounded_time(desk: Desk) -> None:
    """200 patterns that are found nowhere, over 500 texts of 4 kB each: it ends, and says where."""
    for number in range(1, 501):
        came(desk, number, message=f"{number} " + "lorem ipsum dolor " * 220)
    patterns = [f"(a|b|[c-f])*x{n}y(z|[0-9])+$" for n in range(200)]
    when = {"any": [{"field": "message", "operator": "regex", "value": one} for one in patterns]}
    began_s = time.monotonic()
    found = looked(desk, when, last=500)
    took_s = time.monotonic() - began_s
    assert found.matched == 0
    assert found.looked_at >= 1
    assert found.whole == (found.looked_at == 500)
    assert took_s < rulecheck.BUDGET_S + 4, f"{found.looked_at} alerts in {took_s:.2f} s"
    print(f"{found.looked_at} of 500 alerts in {took_s:.2f} s")
