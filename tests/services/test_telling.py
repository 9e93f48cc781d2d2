"""Who is owed what when a group changes."""

from __future__ import annotations

import pytest

from signalcraft.domain.group import Change
from signalcraft.services import telling
from signalcraft.storage import conversations, groups
from signalcraft.storage.db import Tx
from tests.services.office import Office


def owed(office: Office) -> list[tuple[int, str]]:
    return [(d.channel_id, d.kind) for d in office.owed("owed")]


def test_a_new_group_owes_one_first_message_to_each_channel_once(bare: Office) -> None:
    a, b, c = (bare.channel(name) for name in ("a", "b", "c"))
    bare.rule("a", "b", name="one")
    bare.rule("b", "c", name="two", mention="channel")
    bare.opens()
    assert owed(bare) == [(a, "first"), (b, "first"), (c, "first")]
    assert [d.mention for d in bare.owed()] == ["here", "here", "channel"], "the first rule that names it decides"


@pytest.mark.parametrize(
    ("severity", "rule", "mention"),
    [
        ("critical", None, "here"),
        ("high", None, "here"),
        ("medium", None, ""),
        ("critical", "none", ""),
        ("info", "S0123", "S0123"),
    ],
)
def test_mentions_follow_the_rule_and_else_the_severity(
    bare: Office, severity: str, rule: str | None, mention: str
) -> None:
    bare.channel()
    bare.rule(mention=rule)
    group = bare.opens(severity=severity)
    bare.rest()
    bare.again(group, told_again="it came back", episode=True)
    said = [(d.kind, d.mention) for d in bare.owed()]
    assert said == [("first", mention), ("repeat", mention), ("update", "")]


def test_what_no_rule_matches_goes_to_the_default_channels(bare: Office) -> None:
    nowhere, default = bare.channel("nowhere"), bare.channel("default")
    bare.rule("nowhere", when={"all": [{"field": "environment", "operator": "equals", "value": "mars"}]})
    bare.workspace(default=(default,))
    bare.opens()
    assert owed(bare) == [(default, "first")]
    bare.touch(default, enabled=False)
    group = bare.opens()
    assert "unrouted" in bare.verbs(group)
    assert nowhere not in [channel for channel, _ in owed(bare)]


def test_an_unrouted_group_is_said_once_and_told_as_soon_as_there_is_a_way(bare: Office) -> None:
    group = bare.opens()
    for _ in range(3):
        bare.again(group)
    assert bare.verbs(group) == ["unrouted"]
    assert bare.status().untold_groups == 1
    default = bare.channel("default")
    bare.workspace(default=(default,))
    bare.again(group)
    assert owed(bare) == [(default, "first")]
    assert bare.status().untold_groups == 0


def test_a_rule_whose_channels_are_all_disabled_leads_to_the_default_route(office: Office) -> None:
    office.workspace(default=(office.leads,))
    office.touch(office.oncall, enabled=False)
    office.opens()
    assert owed(office) == [(office.leads, "first")]


def test_repeats_of_a_told_group_owe_one_edit(office: Office) -> None:
    group = office.opens()
    office.rest()
    for _ in range(50):
        office.again(group)
    assert office.ledger("owed") == [("update", "owed")]
    assert office.owed("owed")[0].next_ms == office.now_ms + 2000


def test_a_message_that_has_not_left_needs_no_edit(office: Office) -> None:
    group = office.opens()
    for _ in range(5):
        office.again(group)
    assert office.ledger() == [("first", "owed")]


def test_a_channel_without_edits_is_owed_none(bare: Office) -> None:
    bare.channel("hook", "webhook")
    bare.rule("hook")
    group = bare.opens()
    bare.rest()
    bare.again(group)
    bare.acts(group, "ack")
    assert bare.ledger() == [("first", "sent")]


def test_what_everybody_must_hear_again_is_a_reply_and_an_edit(office: Office) -> None:
    group = office.opens(severity="medium")
    office.rest()
    office.again(group, severity="critical", told_again="severity rose from medium to critical")
    assert office.ledger("owed") == [("repeat", "owed"), ("update", "owed")]
    repeat = office.owed("owed")[0]
    assert (repeat.mention, repeat.reason) == ("here", "severity rose from medium to critical")
    held = office.conversation(group, office.oncall)
    assert held is not None
    assert held.severity == 4


def test_a_snoozed_group_tells_no_new_channel_and_an_acknowledged_one_does_without_calling_anybody(
    office: Office,
) -> None:
    office.rule("leads", name="worse", when={"all": [{"field": "severity", "operator": "gte", "value": "critical"}]})
    for verb, where in (("snooze", []), ("ack", [office.leads])):
        group = office.opens()
        office.rest()
        office.acts(group, verb)
        office.again(group, severity="critical")
        told = [d for d in office.owed() if d.group_id == group and d.kind == "first" and d.channel_id == office.leads]
        assert [d.channel_id for d in told] == where
    office.rest()
    assert "<!here>" not in office.outside.taken("post", "C0LEADS")[0].text


def test_an_escalation_starts_for_each_rule_and_anew_with_each_episode(bare: Office) -> None:
    bare.channel(), bare.channel("leads")
    bare.rule(escalate_after_minutes=15, escalate_to=["leads"])
    group = bare.opens()
    bare.rest()
    for _ in range(3):
        bare.again(group)
    assert [(e.episode, e.state, e.due_ms - bare.now_ms) for e in bare.chains(group)] == [(1, "pending", 900_000)]
    bare.after(minutes=5)
    bare.again(group, told_again="it came back", episode=True)
    assert [(e.episode, e.state, e.due_ms - bare.now_ms) for e in bare.chains(group)] == [
        (1, "cancelled", 600_000),
        (2, "pending", 900_000),
    ]


@pytest.mark.parametrize("verb", ["ack", "snooze", "resolve"])
def test_who_answers_ends_what_was_to_come(bare: Office, verb: str) -> None:
    bare.channel(), bare.channel("leads")
    bare.rule(escalate_after_minutes=15, escalate_to=["leads"], repeat_minutes=10)
    group = bare.opens()
    bare.rest()
    bare.outside.down = True
    bare.after(minutes=16)
    assert {d.kind for d in bare.owed("owed")} == {"repeat", "escalation"}
    bare.acts(group, verb)
    assert {d.kind for d in bare.owed("owed")} <= {"update", "resolved"}
    assert [d.last_error for d in bare.owed("dropped")] == [
        "resolved before it was told" if verb == "resolve" else f"{bare.group(group).status} before it was told"
    ] * 2
    bare.outside.down = False
    bare.after(minutes=50)
    assert [c.where for c in bare.outside.taken() if c.where == "C0LEADS"] == []
    assert all(e.state != "pending" for e in bare.chains(group))


@pytest.mark.parametrize("verb", ["ack", "snooze", "resolve"])
def test_who_answers_cancels_the_escalation_at_once(bare: Office, verb: str) -> None:
    bare.channel(), bare.channel("leads")
    bare.rule(escalate_after_minutes=15, escalate_to=["leads"])
    group = bare.opens()
    bare.rest()
    assert [e.state for e in bare.chains(group)] == ["pending"]
    bare.acts(group, verb)
    assert [e.state for e in bare.chains(group)] == ["cancelled"]


def test_a_first_message_is_still_owed_when_somebody_acknowledges(office: Office) -> None:
    office.outside.down = True
    group = office.opens()
    office.rest()
    office.acts(group, "ack")
    office.outside.down = False
    office.after(minutes=2)
    (post,) = office.outside.taken()
    assert "cknowledged" in post.text
    assert "<!here>" not in post.text


def test_everybody_who_was_told_hears_that_it_is_over(bare: Office) -> None:
    bare.channel(), bare.channel("leads"), bare.channel("hook", "webhook")
    bare.rule("oncall", "hook", escalate_after_minutes=15, escalate_to=["leads"])
    group = bare.opens()
    bare.after(minutes=16)
    before = len(bare.outside.calls)
    bare.acts(group, "resolve")
    bare.after(seconds=10)
    after = sorted((c.where.removesuffix(".example.com/hook"), c.what) for c in bare.outside.calls[before:])
    assert after == [
        ("C0LEADS", "edit"), ("C0LEADS", "reply"), ("C0ONCALL", "edit"), ("C0ONCALL", "reply"),
        ("https://hook", "resolved"),
    ]  # fmt: skip


@pytest.mark.parametrize(("severity", "posts"), [("critical", 1), ("high", 1), ("medium", 0), ("info", 0)])
def test_what_is_over_before_it_was_told_is_told_when_it_was_serious(office: Office, severity: str, posts: int) -> None:
    office.outside.down = True
    group = office.opens(severity=severity)
    office.after(seconds=20)
    office.acts(group, "resolve")
    office.outside.down = False
    office.after(minutes=5)
    assert office.outside.told() == [("C0ONCALL", "post")] * posts
    assert ("untold" in office.verbs(group)) is (posts == 0)
    if posts:
        assert "esolved" in office.outside.taken()[0].text
    assert office.owed("owed") == []


def test_a_group_that_was_not_told_in_time_is_told_when_it_comes_back(office: Office) -> None:
    office.outside.down = True
    group = office.opens(severity="low")
    office.acts(group, "resolve")
    office.outside.down = False
    office.after(minutes=1)
    assert office.outside.calls == []
    office.again(group, told_again="it came back", episode=True)
    office.rest()
    assert office.outside.told() == [("C0ONCALL", "post")]


def test_a_channel_that_no_rule_names_any_more_still_shows_the_latest_state(office: Office) -> None:
    office.rule("leads", name="worse", when={"all": [{"field": "severity", "operator": "lt", "value": "critical"}]})
    group = office.opens()
    office.rest()
    office.again(group, severity="critical", told_again="severity rose from high to critical")
    office.after(seconds=10)
    assert sorted((c.where, c.what) for c in office.outside.calls[2:]) == [
        ("C0LEADS", "edit"), ("C0LEADS", "reply"), ("C0ONCALL", "edit"), ("C0ONCALL", "reply"),
    ]  # fmt: skip


def test_a_group_whose_wait_for_an_environment_ended_resolved_is_told_as_it_is(office: Office) -> None:
    def work(tx: Tx) -> None:
        group = groups.load(tx, made)
        assert group is not None
        telling.tell(
            tx,
            office.snapshot,
            group,
            Change(opened=True),
            office._matches(group),
            None,
            office.now_ms,
            office.settings,
        )

    made = office.opens(severity="critical", settle_ms=office.now_ms + 5000)
    assert office.owed() == []
    office.acts(made, "resolve")
    office.db.call(work)
    office.rest()
    assert "esolved" in office.outside.taken("post")[0].text
    assert office.chains(made) == []


def test_retelling_tells_those_who_were_told(bare: Office) -> None:
    bare.channel(), bare.channel("leads")
    bare.rule(escalate_after_minutes=15, escalate_to=["leads"])
    group = bare.opens()
    bare.after(minutes=16)
    before = len(bare.outside.told())

    def again(everybody: bool) -> None:
        def work(tx: Tx) -> None:
            held = groups.load(tx, group)
            assert held is not None
            telling.retell(tx, bare.snapshot, held, "why", bare.now_ms, bare.settings, everybody=everybody)

        bare.db.call(work)
        bare.after(seconds=5)

    again(everybody=True)
    assert sorted(bare.outside.told()[before:]) == [("C0LEADS", "reply"), ("C0ONCALL", "reply")]
    again(everybody=False)
    assert bare.outside.told()[before + 2 :] == [("C0ONCALL", "reply")]
    assert bare.group(group).retold_ms > bare.now_ms - 10_000


def test_a_conversation_is_counted_among_a_groups_own(office: Office) -> None:
    group = office.opens()
    office.rest()
    held = office.look(lambda reader: conversations.of_group(reader, group))
    assert [(c.channel_id, c.via, bool(c.edits)) for c in held] == [(office.oncall, "route", True)]
    assert held[0].receipt["channel"] == "C0ONCALL"
