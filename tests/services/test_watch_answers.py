"""Time passes: repeats, snoozes that end, answers that grow old, groups that fell silent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services.office import Office

MINUTE = 60_000
HOUR = 60 * MINUTE


# -- repeats ----------------------------------------------------------------------------------------------------------


def test_unanswered_messages_repeat_until_somebody_answers(bare: Office) -> None:
    bare.channel()
    bare.rule(repeat_minutes=30)
    group = bare.opens()
    bare.after(minutes=95)
    assert [c.what for c in bare.outside.calls] == ["post", "reply", "reply", "reply"]
    assert "still unanswered 30 minutes after the last message" in bare.outside.calls[1].text
    bare.acts(group, "ack")
    bare.after(hours=3)
    assert len(bare.outside.told()) == 4


def test_repeats_go_to_escalated_channels_too(bare: Office) -> None:
    bare.channel("oncall"), bare.channel("leads")
    bare.rule(repeat_minutes=30, escalate_after_minutes=15, escalate_to=["leads"])
    bare.opens()
    bare.after(minutes=50)
    assert sorted(bare.outside.told()) == [
        ("C0LEADS", "post"), ("C0LEADS", "reply"), ("C0ONCALL", "post"), ("C0ONCALL", "reply"),
    ]  # fmt: skip


def test_repeats_do_not_pile_up_in_an_outage(bare: Office) -> None:
    bare.channel()
    bare.rule(repeat_minutes=10)
    bare.opens()
    bare.rest()
    bare.outside.down = True
    bare.after(minutes=45)
    bare.outside.down = False
    bare.after(minutes=1)
    assert [c.what for c in bare.outside.taken()] == ["post", "reply"]


def test_repeats_begin_anew_when_a_snooze_is_lifted(bare: Office) -> None:
    bare.channel()
    bare.rule(repeat_minutes=10)
    group = bare.opens()
    bare.after(minutes=5)
    bare.acts(group, "snooze")
    bare.after(minutes=25)
    bare.acts(group, "unsnooze")
    bare.after(minutes=9)
    assert len(bare.outside.told()) == 1
    bare.after(minutes=2)
    assert len(bare.outside.told()) == 2


# -- answers that end -------------------------------------------------------------------------------------------------


def test_a_snooze_ends_with_one_message_and_the_escalation_begins_anew(chain: Office) -> None:
    group = chain.opens()
    chain.after(minutes=16)  # fired once already
    chain.acts(group, "snooze", minutes=30)
    chain.after(minutes=31)
    assert chain.group(group).status == "open"
    assert "snooze_ended" in chain.verbs(group)
    assert [c.what for c in chain.outside.taken(None, "C0ONCALL") if c.what != "edit"] == ["post", "reply"]
    assert "the snooze has ended" in chain.outside.taken("reply", "C0ONCALL")[0].text
    assert chain.leads_told() == [15], "the leads hear when their time comes"
    chain.after(minutes=16)
    assert chain.leads_told() == [15, 16 + 30 + 15]
    assert [(e.episode, e.state) for e in chain.chains(group)] == [(1, "fired")], "the same row, fired again"
    chain.after(hours=4)
    assert len(chain.outside.told()) == 4


def test_an_acknowledged_critical_asks_again_every_four_hours(office: Office) -> None:
    group = office.opens(severity="critical")
    mild = office.opens(severity="high")
    office.after(minutes=1)
    for one in (group, mild):
        office.acts(one, "ack")
    office.after(hours=3, minutes=59)
    assert len(office.outside.told()) == 2
    office.after(minutes=2)
    assert len(office.outside.told()) == 3
    asked = office.outside.taken("reply")[0]
    assert "acknowledged by Kim 4 hours ago and still not resolved" in asked.text
    assert "<!here>" in asked.text
    assert office.group(group).status == "acknowledged"
    office.after(hours=4)
    assert len(office.outside.told()) == 4
    assert office.verbs(group).count("asked_again") == 2
    office.acts(group, "resolve")
    office.after(hours=9)
    assert len(office.outside.told()) == 5


def test_groups_that_fell_silent_are_closed_after_seven_days_but_for_snoozed_ones(office: Office) -> None:
    silent, noisy, answered, snoozed = (office.opens(title=t, severity="medium") for t in "abcd")
    office.after(minutes=1)
    office.acts(answered, "ack")
    office.acts(snoozed, "snooze", minutes=30 * 24 * 60)
    office.after(days=6)
    office.again(noisy)
    office.after(hours=23)
    assert office.group(silent).status == "open"
    office.after(hours=2)
    assert [office.group(g).status for g in (silent, noisy, answered, snoozed)] == [
        "resolved", "open", "resolved", "snoozed",
    ]  # fmt: skip
    assert office.entry("resolved") == {"why": "no events for 7 days", "by": "SignalCraft"}
    replies = office.outside.taken("reply")
    assert len(replies) == 2
    assert "no events for 7 days" in replies[0].text


@pytest.mark.parametrize("setting", ["auto_close_days", "ack_timeout_hours"])
def test_what_is_set_to_nothing_never_happens(tmp_path: Any, setting: str) -> None:
    with Office(tmp_path, **{setting: 0}) as office:
        office.channel()
        office.rule()
        group = office.opens(severity="critical")
        office.rest()
        office.acts(group, "ack")
        assert office.look(office.watch.next_due_ms) == (
            office.now_ms + 4 * HOUR if setting == "auto_close_days" else office.now_ms + 7 * 24 * HOUR
        )


def test_a_wait_for_an_environment_ends(office: Office) -> None:
    office.opens(settle_ms=office.now_ms + 5000)
    office.after(seconds=4.9)
    assert office.outside.calls == []
    office.after(seconds=0.2)
    assert office.outside.told() == [("C0ONCALL", "post")]
