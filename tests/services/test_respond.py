"""People answer: what changes, what is remembered, what makes no sense, and what stale buttons hear."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from signalcraft.domain import ids
from signalcraft.domain.delivery import Act
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict, Invalid, NotFound
from signalcraft.services.respond import next_nine
from tests.services.office import KIM, Office

SAM = Actor("user", "u1", "Sam")


def press(office: Office, group: int, verb: Any, **more: Any) -> str:
    act = Act(verb=verb, group_id=ids.show(group), who_id="U0KIM", who_name="Kim", via="slack", **more)
    return str(office.later(office.respond.act(1, act)))


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("ack", "snooze", "snoozed"),
        ("ack", "resolve", "resolved"),
        ("snooze", "ack", "acknowledged"),
        ("snooze", "unsnooze", "open"),
        ("snooze", "snooze", "snoozed"),
        ("snooze", "resolve", "resolved"),
        ("resolve", "reopen", "open"),
    ],
)
def test_answers_follow_each_other(office: Office, first: str, second: str, status: str) -> None:
    group = office.opens()
    office.rest()
    office.acts(group, first)
    office.acts(group, second)
    assert office.group(group).status == status
    office.after(seconds=10)
    assert office.owed("owed") == []


@pytest.mark.parametrize(
    ("before", "verb", "said"),
    [
        ("ack", "ack", "acknowledged by Kim"),
        ("resolve", "ack", "resolved by Kim"),
        ("resolve", "snooze", "resolved by Kim"),
        ("resolve", "resolve", "resolved by Kim"),
        ("resolve", "unsnooze", "resolved"),
        ("", "unsnooze", "open"),
        ("", "reopen", "open"),
    ],
)
def test_what_makes_no_sense_is_a_conflict_and_changes_nothing(
    office: Office, before: str, verb: str, said: str
) -> None:
    group = office.opens()
    office.rest()
    if before:
        office.acts(group, before)
    held, owed, verbs = office.group(group), office.ledger(), office.verbs()
    with pytest.raises(Conflict, match=said):
        office.acts(group, verb)
    assert (office.group(group), office.ledger(), office.verbs()) == (held, owed, verbs)


def test_another_workspaces_group_is_not_there(office: Office) -> None:
    group = office.opens()
    for verb in (office.respond.ack, office.respond.resolve, office.respond.unsnooze, office.respond.reopen):
        with pytest.raises(NotFound):
            office.later(verb(2, group, KIM))
    with pytest.raises(Invalid):
        office.later(office.respond.snooze(1, group, KIM, office.now_ms))


def test_who_answered_and_what_they_said_is_in_the_journal(office: Office) -> None:
    group = office.opens()
    office.after(minutes=30)
    office.later(office.respond.ack(1, group, KIM, "on it"))
    assert office.entry("acknowledged") == {"note": "on it"}
    assert office.group(group).severity_at_answer == office.group(group).severity
    office.later(office.respond.resolve(1, group, SAM, "rolled back"))
    assert office.entry("resolved") == {"minutes": 30, "note": "rolled back"}
    held = office.group(group)
    assert (held.resolved_by, held.resolution_note, held.acknowledged_by) == ("Sam", "rolled back", "Kim")


def test_an_unsnoozed_or_reopened_group_escalates_anew(chain: Office) -> None:
    group = chain.opens()
    chain.after(minutes=5)
    chain.acts(group, "snooze")
    assert [e.state for e in chain.chains(group)] == ["cancelled"]
    chain.after(minutes=5)
    chain.acts(group, "unsnooze")
    chain.after(minutes=14)
    assert chain.leads_told() == []
    chain.after(minutes=2)
    assert chain.leads_told() == [25]
    chain.acts(group, "resolve")
    chain.after(minutes=4)
    chain.later(chain.respond.reopen(1, group, KIM))
    chain.after(minutes=20)
    assert [(e.episode, e.state) for e in chain.chains(group)] == [(1, "fired"), (2, "fired")]
    assert chain.leads_told() == [25, 26, 45], "the escalation, that it was resolved, the next escalation"


def test_assigning_edits_the_message_and_leaves_the_escalation_alone(chain: Office) -> None:
    group = chain.opens()
    chain.after(minutes=10)
    chain.later(chain.respond.assign(1, group, SAM, KIM))
    chain.after(minutes=4)
    assert "Kim" in chain.outside.taken("edit")[-1].text
    assert chain.entry("assigned") == {"from": "", "to": "Kim"}
    chain.after(minutes=2)
    assert chain.leads_told() == [15]


def test_a_button_does_what_it_says_and_a_stale_one_is_answered_kindly(office: Office) -> None:
    group = office.opens()
    office.rest()
    assert press(office, group, "ack") == ""
    assert office.group(group).acknowledged_by == "Kim"
    assert office.group(group).assignee == KIM
    assert "already acknowledged by Kim" in press(office, group, "ack")
    assert "Snoozed until 2026-03-02 13:00 UTC" in press(office, group, "snooze", minutes=240)
    assert press(office, group, "unsnooze") == ""
    assert press(office, group, "resolve") == ""
    assert "already resolved by Kim" in press(office, group, "snooze")
    assert "no more" in str(press(office, 12345, "ack"))
    act = Act(verb="ack", group_id="not an id", who_id="U", who_name="U", via="slack")
    assert "no more" in office.later(office.respond.act(1, act))


@pytest.mark.parametrize(
    ("now", "zone", "nine"),
    [
        ("2026-03-02T09:00:00+00:00", "UTC", "2026-03-03T09:00:00+00:00"),
        ("2026-03-02T08:58:00+00:00", "UTC", "2026-03-02T09:00:00+00:00"),
        ("2026-03-02T08:59:30+00:00", "UTC", "2026-03-03T09:00:00+00:00"),
        ("2026-03-02T23:30:00+00:00", "Europe/Berlin", "2026-03-03T08:00:00+00:00"),
        # The night in which Berlin's clocks go forward, and the one in which they go back.
        ("2026-03-28T20:00:00+00:00", "Europe/Berlin", "2026-03-29T07:00:00+00:00"),
        ("2026-10-24T20:00:00+00:00", "Europe/Berlin", "2026-10-25T08:00:00+00:00"),
        ("2026-03-02T09:00:00+00:00", "Pacific/Kiritimati", "2026-03-02T19:00:00+00:00"),
    ],
)
def test_nine_oclock_is_nine_on_the_wall(now: str, zone: str, nine: str) -> None:
    def ms(text: str) -> int:
        return round(dt.datetime.fromisoformat(text).timestamp() * 1000)

    assert next_nine(ms(now), zone) == ms(nine)


def test_a_snooze_until_nine_ends_at_nine(office: Office) -> None:
    group = office.opens()
    office.rest()
    assert "2026-03-03 09:00" in press(office, group, "snooze", until_nine=True)
    office.after(hours=23, minutes=59)
    assert office.group(group).status == "snoozed"
    office.after(minutes=2)
    assert office.group(group).status == "open"


def test_a_rise_above_the_severity_at_the_answer_is_remembered(office: Office) -> None:
    group = office.opens(severity="high")
    office.rest()
    for verb in ("ack", "snooze"):
        office.acts(group, verb)
        assert office.group(group).severity_at_answer == office.group(group).severity
    office.acts(group, "unsnooze")
    assert office.group(group).severity_at_answer is None
