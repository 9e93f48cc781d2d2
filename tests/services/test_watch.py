"""Time passes: what is due is done, on time, once, also when nobody was there to see it become due."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import pytest

from signalcraft.domain import ids
from signalcraft.storage import due, escalations, events, gaps, groups
from signalcraft.storage.db import Tx
from tests.services.office import Office

MINUTE = 60_000
HOUR = 60 * MINUTE


# -- escalations ------------------------------------------------------------------------------------------------------


def test_nobody_answers(chain: Office) -> None:
    group = chain.opens(title="TypeError in checkout")
    chain.after(minutes=14, seconds=59.999)
    assert chain.leads_told() == []
    chain.after(seconds=0.001)
    assert chain.leads_told() == [15]
    post = chain.outside.taken("post", "C0LEADS")[0]
    assert "nobody acknowledged for 15 minutes" in post.text
    assert "<!here>" in post.text
    assert chain.entry("escalated") == {
        "rule": "serious", "after_minutes": 15, "channels": ["leads"], "late_ms": 0,
    }  # fmt: skip
    assert [(e.state, e.late_ms) for e in chain.chains(group)] == [("fired", 0)]
    chain.after(hours=5)
    assert chain.leads_told() == [15]


@pytest.mark.parametrize(
    ("story", "told"),
    [
        (["kill"], [15]),
        (["ack"], []),
        (["snooze"], [5 + 60 + 15]),
        (["snooze", "unsnooze"], [5 + 15]),
        (["resolve"], []),
        (["ack", "kill"], []),
        (["kill", "ack"], []),
        (["event", "event"], [15]),
        (["episode"], [5 + 15]),
        (["ack", "broke through"], [5 + 15]),
        (["snooze", "broke through"], [5 + 15]),
        (["episode", "ack"], []),
        (["assigned"], [15]),
        (["late"], [45]),
    ],
    ids=lambda part: "-".join(map(str, part)),
)
def test_escalations_are_told_once_on_time_and_to_nobody_who_need_not_know(
    chain: Office, story: list[str], told: list[int]
) -> None:
    """What happens five minutes after the first message, and when the leads hear of it."""
    group = chain.opens()
    chain.after(minutes=5)
    for step in story:
        if step == "kill":
            chain.killed()
        elif step == "event":
            chain.again(group)
        elif step == "episode":
            chain.again(group, told_again="it came back", episode=True)
        elif step == "broke through":
            chain.again(group, severity="critical", told_again="severity rose", episode=True)
        elif step == "assigned":
            from signalcraft.services import telling

            chain.db.call(lambda tx: telling.tell_changed(tx, chain.group(group), chain.now_ms, chain.settings))
        elif step == "late":
            chain.now_ms += 40 * MINUTE  # the box was down
            chain.killed().rest()
        else:
            chain.acts(group, step)
    chain.after(hours=3)
    assert chain.leads_told() == told


def test_an_escalation_that_came_due_while_the_box_was_down_is_told_with_its_lateness(chain: Office) -> None:
    chain.opens()
    chain.rest()
    chain.now_ms += 40 * MINUTE
    chain.killed().rest()
    assert chain.leads_told() == [40]
    assert chain.entry("escalated")["late_ms"] == 25 * MINUTE


def test_each_rule_has_a_chain_of_its_own(bare: Office) -> None:
    bare.channel("oncall"), bare.channel("leads"), bare.channel("boss")
    bare.rule(name="one", escalate_after_minutes=10, escalate_to=["leads"])
    bare.rule(name="two", escalate_after_minutes=20, escalate_to=["leads", "boss"])
    bare.opens()
    bare.after(hours=1)
    told = [(c.where, c.what, (c.at_ms - bare.outside.calls[0].at_ms) // MINUTE) for c in bare.outside.calls[1:]]
    assert sorted(told) == [("C0BOSS", "post", 20), ("C0LEADS", "post", 10), ("C0LEADS", "reply", 20)]


def test_an_escalation_into_the_groups_own_channel_is_a_reply(bare: Office) -> None:
    bare.channel()
    bare.rule(escalate_after_minutes=10, escalate_to=["oncall"])
    bare.opens()
    bare.after(minutes=11)
    assert [c.what for c in bare.outside.calls] == ["post", "reply"]


def test_an_escalation_does_not_overtake_its_first_message(bare: Office) -> None:
    """Ten minutes of outage: one message tells it all, loudly."""
    bare.channel()
    bare.rule(mention="none", escalate_after_minutes=5, escalate_to=["oncall"])
    bare.outside.down = True
    bare.opens()
    bare.after(minutes=10)
    bare.outside.down = False
    bare.after(minutes=2)
    (post,) = bare.outside.taken()
    assert post.what == "post"
    assert "<!here>" in post.text
    assert "nobody acknowledged for 5 minutes" in post.text


def test_an_escalation_whose_channels_are_gone_is_told_to_those_who_know(
    chain: Office, caplog: pytest.LogCaptureFixture
) -> None:
    chain.touch(chain.leads, enabled=False)
    chain.opens()
    chain.after(minutes=16)
    assert [c.what for c in chain.outside.taken()] == ["post", "reply", "edit"]
    assert "cannot be used" in chain.outside.taken("reply")[0].text
    assert any(r.levelno == logging.ERROR for r in caplog.records)


def test_a_clock_that_jumps_ahead_tells_what_came_due_once_spaced_and_with_a_warning(
    chain: Office, caplog: pytest.LogCaptureFixture
) -> None:
    hook = chain.channel("hook", "webhook")
    assert hook
    chain.rule(name="too", escalate_after_minutes=10, escalate_to=["hook"])
    opened = [chain.opens() for _ in range(5)]
    chain.after(minutes=1)
    chain.now_ms += 3 * HOUR
    chain.after(minutes=5)
    times = [c.at_ms for c in chain.outside.taken("escalation")]
    assert len(times) == 5
    assert [b - a for a, b in pairwise(times)] == [1000] * 4, "a webhook has no gap of its own"
    assert len(chain.leads_told()) == 5
    assert chain.verbs().count("clock_stepped") == 1
    assert chain.entry("clock_stepped")["late"] == 10
    assert any("the clock stepped" in r.message for r in caplog.records)
    assert all(len(chain.chains(group)) == 2 for group in opened)


def test_time_that_passes_as_it_should_is_no_step(chain: Office) -> None:
    chain.opens()
    chain.after(hours=2)
    assert "clock_stepped" not in chain.verbs()


def test_a_clock_that_falls_back_makes_nobody_wait_an_hour_longer(chain: Office) -> None:
    chain.opens()
    chain.after(minutes=5)
    chain.now_ms -= HOUR
    chain.rest()
    chain.after(minutes=9)
    assert chain.leads_told() == []
    chain.after(minutes=1.1)
    assert len(chain.leads_told()) == 1
    assert chain.entry("clock_stepped")["by_ms"] == -HOUR


# -- being there ------------------------------------------------------------------------------------------------------


def test_down_time_is_recorded_as_a_gap(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.boot()
    assert office.look(lambda reader: gaps.since(reader, 1, 0)) == []
    office.after(seconds=30)
    down = office.now_ms
    office.now_ms += 10 * MINUTE
    office.killed().boot()
    (gap,) = office.look(lambda reader: gaps.since(reader, 1, 0))
    assert (gap.why, gap.from_ms, gap.until_ms) == ("down", down, office.now_ms)
    assert any("nobody took alerts" in r.message for r in caplog.records)
    office.now_ms += 4000
    office.killed().boot()
    assert len(office.look(lambda reader: gaps.since(reader, 1, 0))) == 1, "a quick restart is no gap"


def test_an_idle_tick_writes_next_to_nothing(office: Office) -> None:
    office.rest()
    before = office.db.works
    for _ in range(10):
        office.now_ms += 1000
        office.later(office.watch.tick(office.now_ms))
    assert office.db.works - before <= 6


def test_many_at_once_are_worked_off_in_small_transactions(chain: Office) -> None:
    opened = [chain.opens() for _ in range(130)]
    chain.after(minutes=3)
    before = chain.db.works
    chain.now_ms += 13 * MINUTE
    chain.later(chain.watch.tick(chain.now_ms))
    assert chain.db.works - before >= 3
    assert all(chain.chains(group)[0].state == "fired" for group in opened)


def test_what_cannot_be_done_does_not_keep_the_rest_from_being_done(
    chain: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = [chain.opens() for _ in range(5)]
    chain.after(minutes=1)
    load = groups.load

    def failing(tx: Tx, group_id: int) -> Any:
        if group_id == opened[2]:
            raise ValueError("a row that cannot be read")
        return load(tx, group_id)

    monkeypatch.setattr("signalcraft.services.watch.groups.load", failing)
    chain.now_ms += 16 * MINUTE
    for _ in range(3):
        chain.later(chain.watch.tick(chain.now_ms))
    assert [chain.chains(group)[0].state for group in opened] == ["fired", "fired", "pending", "fired", "fired"]
    assert chain.watch.failed_at_ms == chain.now_ms


def test_what_is_too_old_is_forgotten(office: Office) -> None:
    old, new = ids.floor(office.now_ms - 31 * 24 * HOUR), ids.floor(office.now_ms)

    def fill(tx: Tx) -> None:
        for n in range(2500):
            events.said_before(tx, 1, n.to_bytes(16, "big"), old + n)
        events.said_before(tx, 1, b"n" * 16, new)
        for group in (1, 2, 3):
            groups.count_minute(tx, group, office.now_ms)
            groups.count_minute(tx, group, office.now_ms - 15 * 24 * HOUR)

    def left(table: str) -> int:
        return office.look(lambda reader: int(reader.value(f"select count(*) from {table}")))

    office.db.call(fill)
    office.later(office.watch.tick(office.now_ms))
    assert left("delivered_statement") == 1
    assert left("group_minute") == 6
    office.later(office.watch.prune(office.now_ms))
    assert left("group_minute") == 3


def test_two_ticks_at_once_do_everything_once(chain: Office) -> None:
    import asyncio

    chain.opens()
    chain.after(minutes=10)
    chain.now_ms += 5 * MINUTE

    async def both() -> None:
        await asyncio.gather(*(chain.watch.tick(chain.now_ms) for _ in range(4)))

    chain.later(both())
    chain.rest()
    assert chain.leads_told() == [15]


def test_what_is_due_next_is_known(chain: Office) -> None:
    assert chain.look(chain.watch.next_due_ms) is None
    group = chain.opens(severity="critical")
    chain.rest()
    assert chain.look(chain.watch.next_due_ms) == chain.now_ms + 15 * MINUTE
    chain.acts(group, "ack")
    assert chain.look(chain.watch.next_due_ms) == chain.now_ms + 4 * HOUR
    chain.acts(group, "snooze", minutes=90)
    assert chain.look(chain.watch.next_due_ms) == chain.now_ms + 90 * MINUTE
    assert chain.look(escalations.next_due_ms) is None
    assert chain.look(due.next_snooze_ms) == chain.now_ms + 90 * MINUTE
