"""Who is told when nobody answers, and what everybody is told: the decisions alone."""

from __future__ import annotations

from typing import Any

import pytest

from signalcraft.domain import escalation, routing, telling
from signalcraft.domain.severity import Severity

MINUTE = 60_000


def rule(number: int, after: int | None, *to: int) -> routing.CompiledRule:
    return routing.compile_rule(
        routing.Rule(id=number, name=str(number), channels=[1], escalate_after_minutes=after, escalate_to=list(to))
    )


def test_every_rule_that_escalates_starts_a_chain_of_its_own() -> None:
    chains = escalation.chains([rule(1, 15, 7, 8), rule(2, None), rule(3, 5, 9)], "open", 1000)
    assert [(c.rule_id, c.due_ms, c.channels, c.after_minutes) for c in chains] == [
        (1, 1000 + 15 * MINUTE, (7, 8), 15),
        (3, 1000 + 5 * MINUTE, (9,), 5),
    ]


@pytest.mark.parametrize("status", ["acknowledged", "snoozed", "resolved"])
def test_what_somebody_answered_starts_no_chain(status: Any) -> None:
    assert escalation.chains([rule(1, 15, 7)], status, 0) == []


@pytest.mark.parametrize(
    ("status", "group_episode", "chain_episode", "fires"),
    [
        ("open", 1, 1, True),
        ("open", 2, 1, False),
        ("acknowledged", 1, 1, False),
        ("snoozed", 1, 1, False),
        ("resolved", 1, 1, False),
    ],
)
def test_a_chain_fires_for_an_open_group_in_its_own_episode(
    status: Any, group_episode: int, chain_episode: int, fires: bool
) -> None:
    assert escalation.fires(status, group_episode, chain_episode) is fires


def test_lateness_is_never_negative() -> None:
    assert escalation.late_ms(1000, 4000) == 3000
    assert escalation.late_ms(4000, 1000) == 0


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(1, "1 minute"), (15, "15 minutes"), (90, "90 minutes"), (120, "2 hours"), (121, "121 minutes")],
)
def test_spans_are_said_in_words(minutes: int, words: str) -> None:
    assert escalation.span(minutes) == words
    assert escalation.reason(minutes) == f"nobody acknowledged for {words}"


@pytest.mark.parametrize(
    ("last", "now", "step"),
    [(None, 5, 0), (0, 1000, 0), (0, 60_000, 0), (0, 60_001, 60_001), (100_000, 39_000, -61_000)],
)
def test_a_clock_steps_when_it_moves_more_than_a_minute(last: int | None, now: int, step: int) -> None:
    assert escalation.stepped(last, now) == step


@pytest.mark.parametrize(
    ("posted", "pending", "told_again", "say"),
    [
        (True, None, False, "update"),
        (True, None, True, "repeat"),
        (False, "owed", False, "nothing"),
        (False, "owed", True, "repeat"),
        (False, "sending", False, "update"),
        (False, "sending", True, "repeat"),
        (False, None, False, "nothing"),
        (False, None, True, "first"),
    ],
)
def test_what_a_known_channel_is_owed(posted: bool, pending: Any, told_again: bool, say: str) -> None:
    assert telling.to_known_channel(posted=posted, pending=pending, told_again=told_again) == say


@pytest.mark.parametrize(
    ("mentions", "loudest"),
    [([], ""), (["", ""], ""), (["", "here"], "here"), (["here", "channel"], "channel"), (["S0123", ""], "S0123")],
)
def test_the_loudest_mention_is_kept(mentions: list[str], loudest: str) -> None:
    assert telling.loudest(mentions) == loudest


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [
        (["first", "escalation"], "first"),
        (["repeat", "escalation"], "escalation"),
        (["repeat", "repeat"], "repeat"),
        (["resolved"], "resolved"),
    ],
)
def test_one_message_says_several(kinds: Any, kind: str) -> None:
    assert telling.joined_kind(kinds) == kind


@pytest.mark.parametrize(
    ("kind", "status", "mention"),
    [
        ("first", "open", "here"),
        ("first", "acknowledged", ""),
        ("escalation", "snoozed", ""),
        ("repeat", "acknowledged", "here"),
        ("repeat", "resolved", ""),
        ("first", "resolved", ""),
    ],
)
def test_nobody_is_called_for_what_somebody_answered(kind: Any, status: Any, mention: str) -> None:
    assert telling.mention_now(kind, status, "here") == mention


def test_what_was_serious_is_told_even_when_it_is_over() -> None:
    assert [telling.keeps_first_when_resolved(s) for s in Severity] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("status", "quiet", "tells"),
    [("open", False, True), ("acknowledged", True, True), ("snoozed", True, False), ("resolved", False, True)],
)
def test_a_snooze_holds_for_new_channels_an_acknowledgement_does_not(status: Any, quiet: bool, tells: bool) -> None:
    assert telling.tells_new_channel(status, quiet) is tells
