"""What an event does to an alert group, as tables of given / when / then."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.domain.event import Event
from signalcraft.domain.group import (
    Actor,
    Group,
    Policy,
    absorb,
    acknowledge,
    is_spike,
    memory_of,
    reopen,
    resolve,
    snooze,
    unsnooze,
)
from signalcraft.domain.severity import Severity
from signalcraft.errors import Conflict, Invalid

NOW = 1_772_442_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
KIM = Actor("slack", "U0KIM", "Kim")


def group(**say: Any) -> Group:
    given: dict[str, Any] = {
        "id": 1, "workspace_id": 1, "integration_id": 1, "scope": "sentry", "identity": 1, "group_key": "v1:x",
        "source": "sentry", "project": "shop", "environment": "prod", "fingerprint": "1", "title": "TypeError",
        "message": "", "link": None, "tags": {}, "severity": Severity.HIGH, "status": "open", "count": 1, "episode": 1,
        "first_seen_ms": NOW, "last_seen_ms": NOW, "retold_ms": NOW,
    }  # fmt: skip
    return Group(**(given | say))


def firing(severity: Severity | None = Severity.HIGH, **say: Any) -> Event:
    return Event(kind="alert", status="firing", severity=severity, **say)


def test_a_repeat_is_counted_and_nobody_is_told_again() -> None:
    it = group()
    change = absorb(it, firing(), NOW + MINUTE, Policy())
    assert (it.count, it.episode, it.last_seen_ms, change.told_again) == (2, 1, NOW + MINUTE, "")


@pytest.mark.parametrize(
    ("severity", "quiet_ms", "told"),
    [
        (Severity.CRITICAL, HOUR - 1, False),
        (Severity.CRITICAL, HOUR, True),
        (Severity.HIGH, DAY - 1, False),
        (Severity.HIGH, DAY, True),
        (Severity.MEDIUM, 30 * DAY, False),
        (Severity.INFO, 30 * DAY, False),
    ],
)
def test_quiet_time_goes_by_severity(severity: Severity, quiet_ms: int, told: bool) -> None:
    it = group(severity=severity)
    change = absorb(it, firing(severity), NOW + quiet_ms, Policy())
    assert bool(change.told_again) is told
    assert change.new_episode is told
    assert it.episode == (2 if told else 1)
    assert change.restart_escalation is told


def test_severity_only_rises_within_an_episode_and_follows_the_event_into_the_next() -> None:
    it = group(severity=Severity.CRITICAL)
    absorb(it, firing(Severity.LOW), NOW + MINUTE, Policy())
    assert it.severity == Severity.CRITICAL
    absorb(it, firing(Severity.LOW), NOW + 2 * HOUR, Policy())
    assert it.severity == Severity.LOW


def test_an_event_without_severity_changes_none() -> None:
    it = group(severity=Severity.MEDIUM)
    assert absorb(it, firing(None), NOW, Policy()).rose_from is None
    assert it.severity == Severity.MEDIUM


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (Severity.INFO, Severity.LOW, False),
        (Severity.LOW, Severity.MEDIUM, False),
        (Severity.MEDIUM, Severity.HIGH, True),
        (Severity.HIGH, Severity.CRITICAL, True),
    ],
)
def test_a_rise_to_high_or_above_is_told(before: Severity, after: Severity, told: bool) -> None:
    it = group(severity=before)
    change = absorb(it, firing(after), NOW, Policy())
    assert change.rose_from == before
    assert bool(change.told_again) is told


@pytest.mark.parametrize("answer", ["acknowledged", "snoozed"])
def test_an_answered_group_is_quiet_until_it_turns_worse(answer: str) -> None:
    it = group(severity=Severity.HIGH)
    acknowledge(it, KIM, NOW) if answer == "acknowledged" else snooze(it, NOW + DAY, NOW)
    change = absorb(it, firing(Severity.HIGH), NOW + 2 * HOUR, Policy())
    assert change.quiet
    assert not change.told_again
    assert it.status == answer
    change = absorb(it, firing(Severity.CRITICAL), NOW + 3 * HOUR, Policy())
    assert change.broke_through
    assert change.restart_escalation
    assert "high to critical" in change.told_again
    assert (it.status, it.episode) == ("open", 2)


def test_an_acknowledgement_does_not_outlive_a_day_of_quiet() -> None:
    it = group(severity=Severity.MEDIUM)
    acknowledge(it, KIM, NOW)
    assert absorb(it, firing(Severity.MEDIUM), NOW + DAY - 1, Policy()).quiet
    change = absorb(it, firing(Severity.MEDIUM), NOW + 2 * DAY, Policy())
    assert change.acknowledgement_expired
    assert "Kim" in change.told_again
    assert it.status == "open"


def test_a_snooze_does_outlive_quiet() -> None:
    it = group()
    snooze(it, NOW + 7 * DAY, NOW)
    assert absorb(it, firing(), NOW + 3 * DAY, Policy()).quiet


def test_a_resolved_group_comes_back_as_a_new_episode() -> None:
    it = group()
    resolve(it, "Kim", NOW, "rolled back")
    change = absorb(it, firing(Severity.CRITICAL), NOW + 10 * MINUTE, Policy())
    assert change.reopened
    assert "10 minutes after Kim" in change.told_again
    assert (it.status, it.episode, it.count, it.resolved_ms) == ("open", 2, 2, None)


def test_a_spike_raises_by_one_step_and_is_told() -> None:
    it = group(severity=Severity.MEDIUM)
    change = absorb(it, firing(Severity.MEDIUM), NOW, Policy(), spike=True)
    assert it.severity == Severity.HIGH
    assert change.spike
    assert change.told_again


@pytest.mark.parametrize(
    ("recent", "baseline", "minutes", "spike"),
    [
        (49, 0, 60.0, False),  # too few to matter
        (50, 0, 29.0, False),  # no baseline yet
        (50, 0, 30.0, True),
        (50, 120, 60.0, True),  # usual: 10 in 5 minutes
        (50, 300, 60.0, False),  # usual: 25 in 5 minutes
    ],
)
def test_what_a_spike_is(recent: int, baseline: int, minutes: float, spike: bool) -> None:
    assert is_spike(recent, baseline, minutes, Policy()) is spike


def test_people_cannot_do_what_makes_no_sense() -> None:
    it = group()
    with pytest.raises(Conflict):
        unsnooze(it, NOW)
    with pytest.raises(Conflict):
        reopen(it, NOW)
    with pytest.raises(Invalid):
        snooze(it, NOW, NOW)
    acknowledge(it, KIM, NOW)
    with pytest.raises(Conflict, match="already acknowledged by Kim"):
        acknowledge(it, KIM, NOW)
    resolve(it, "Sam", NOW)
    for verb in (lambda: acknowledge(it, KIM, NOW), lambda: snooze(it, NOW + 1, NOW), lambda: resolve(it, "Kim", NOW)):
        with pytest.raises(Conflict, match="already resolved by Sam"):
            verb()


def test_the_past_is_remembered_in_a_sentence() -> None:
    it = group(first_seen_ms=NOW - 90 * MINUTE)
    resolve(it, "Kim", NOW, "restarted the worker")
    assert memory_of(it) == "last time Kim resolved it after 90 minutes: restarted the worker"


EVENTS = st.lists(
    st.tuples(st.sampled_from([None, *Severity]), st.integers(min_value=0, max_value=3 * DAY), st.booleans()),
    max_size=40,
)


@given(EVENTS)
def test_whatever_comes_counts_grow_and_a_worse_event_is_never_silent(steps: list[tuple[Any, int, bool]]) -> None:
    """No missed critical: after any event that is worse than what people answered, the group is open and told."""
    it = group(severity=Severity.LOW)
    now = NOW
    for number, (severity, wait_ms, answer) in enumerate(steps, start=2):
        now += wait_ms
        before = it.severity
        status = it.status
        change = absorb(it, firing(severity), now, Policy())
        assert it.count == number
        assert it.last_seen_ms >= it.first_seen_ms
        assert it.status != "resolved"
        if severity is not None and severity > before and (status != "open" or severity >= Severity.HIGH):
            assert it.status == "open"
            assert change.told_again or change.reopened
        if change.quiet:
            assert it.status in ("acknowledged", "snoozed")
        if answer and it.status == "open":
            acknowledge(it, KIM, now)
