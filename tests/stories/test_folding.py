"""Many webhooks, few messages: what is folded, what is told, and what is told again."""

from __future__ import annotations

from tests.world import World

HIGH = "environment == prod and severity >= high"


def test_a_hundred_noisy_alerts_of_five_problems_become_five_messages(world: World) -> None:
    """Five messages, each edited as its count grows, not a hundred."""
    world.rule(HIGH)
    for n in range(100):
        world.receives(
            "sentry", "event_alert", title=f"Problem {n % 5} happened", issue=str(2000 + n % 5), settle=False
        )
        world.after(seconds=1)
    world.after(minutes=2)
    assert len(world.told) == 5
    assert all(told.edits >= 1 for told in world.told)
    assert all("20" in told.now for told in world.told)
    assert sorted(g["count"] for g in world.groups()) == [20] * 5
    assert world.slack.refused_429 == 0


def test_two_environments_of_one_problem_are_two_groups(world: World) -> None:
    """Production and staging are told apart although Sentry has one issue."""
    world.rule("environment == prod")
    world.api.patch("/api/workspace", json={"default_channels": []}).raise_for_status()
    world.receives("sentry", "event_alert", environment="prod")
    world.receives("sentry", "event_alert", environment="staging")
    assert sorted(g["environment"] for g in world.groups()) == ["prod", "staging"]
    assert world.told == [("#oncall", "TypeError in checkout")]


def test_an_event_without_an_environment_joins_the_open_group(world: World) -> None:
    """Sentry's issue.* webhooks name no environment; they speak of the group that is there."""
    world.rule("environment == prod")
    first = world.receives("sentry", "event_alert", environment="prod", issue="1001")
    second = world.receives("sentry", "issue", action="unresolved", issue="1001")
    assert second["group_id"] == first["group_id"]
    assert len(world.groups()) == 1


def test_a_group_of_unknown_environment_waits_for_it_and_is_routed_once(world: World) -> None:
    """issue.created comes first, the event with its environment two seconds later: one message, rightly routed."""
    world.rule("environment == prod", "#oncall", stop=True)
    world.rule("", "#everything-else")
    world.receives("sentry", "issue", action="created")
    assert world.told == []
    world.after(seconds=2)
    world.receives("sentry", "event_alert", environment="prod")
    world.after(seconds=10)
    assert world.told == [("#oncall", "TypeError in checkout")]
    assert world.group()["environment"] == "prod"


def test_a_group_whose_environment_never_comes_is_told_after_the_wait(world: World) -> None:
    world.rule("", "#everything")
    world.receives("sentry", "issue", action="created")
    world.after(seconds=4)
    assert world.told == []
    world.after(seconds=2)
    assert world.told == [("#everything", "TypeError in checkout")]


def test_the_wait_for_an_environment_survives_a_kill(world: World) -> None:
    world.rule("", "#everything")
    world.receives("sentry", "issue", action="created")
    world.killed().restarted().after(seconds=6)
    assert world.told == [("#everything", "TypeError in checkout")]


def test_the_same_event_told_twice_is_one(world: World) -> None:
    """Sentry sends one event for two alert rules, and an error.created beside it: one occurrence."""
    world.rule(HIGH)
    event = "a" * 32
    first = world.receives("sentry", "event_alert", event=event)
    again = world.receives("sentry", "event_alert", event=event)
    assert (again["duplicate"], again["event_id"], again["group_id"]) == (True, first["event_id"], first["group_id"])
    assert world.group()["count"] == 1


def test_a_long_quiet_critical_is_told_again_and_a_medium_is_not(world: World) -> None:
    """retell_after goes by severity: an hour for critical, never below high while it is unresolved."""
    world.rule("")
    world.receives("sentry", "event_alert", title="Payments are down", issue="1", level="fatal")
    world.receives("sentry", "event_alert", title="A slow query", issue="2", level="warning")
    world.after(hours=2)
    assert len(world.told) == 2
    world.receives("sentry", "event_alert", title="Payments are down", issue="1", level="fatal")
    world.receives("sentry", "event_alert", title="A slow query", issue="2", level="warning")
    world.after(minutes=1)
    assert len(world.told) == 3
    assert world.told[-1] == ("#oncall", "Payments are down")
    assert world.told[-1].in_thread
    assert world.group("Payments")["episode"] == 2


def test_a_rise_to_critical_is_told_again_in_the_thread(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert", level="warning")
    world.receives("sentry", "event_alert", level="fatal")
    world.after(minutes=1)
    assert len(world.told) == 2
    assert world.told[1].in_thread
    assert world.told[1].message.broadcast
    assert "critical" in world.told[1].text.lower()


def test_a_spike_in_production_raises_the_severity_once(world: World) -> None:
    """Fifty events in five minutes against a quiet half hour."""
    world.rule("")
    for _ in range(4):
        world.receives("sentry", "event_alert", level="warning")
        world.after(minutes=10)
    for _ in range(120):
        world.receives("sentry", "event_alert", level="warning", settle=False)
        world.clock.at_ms += 1000
    world.settled()
    assert world.group()["severity"] == "high"
    spikes = [
        e for e in world.get(f"/api/alert-groups/{world.group()['id']}/timeline")["items"] if e["verb"] == "spiked"
    ]
    assert len(spikes) == 1


def test_the_same_crowd_outside_production_raises_nothing(world: World) -> None:
    """Load tests and broken branches come in crowds too."""
    world.rule("")
    for _ in range(4):
        world.receives("sentry", "event_alert", level="warning", environment="staging")
        world.after(minutes=10)
    for _ in range(120):
        world.receives("sentry", "event_alert", level="warning", environment="staging", settle=False)
        world.clock.at_ms += 1000
    world.settled()
    assert (world.group()["severity"], world.group()["count"]) == ("medium", 124)
    assert len(world.told) == 1


def test_impact_is_shown(world: World) -> None:
    """Users affected are the most that any event named; the velocity is what the last hour saw."""
    world.rule("")
    world.receives("sentry", "issue", action="created", users=12)
    world.receives("sentry", "event_alert", users=3)
    for _ in range(8):
        world.receives("sentry", "event_alert")
    group = world.group()
    assert group["users_affected"] == 12
    assert group["velocity_per_hour"] == 100.0  # ten events in six minutes at most


def test_a_new_group_after_the_window_remembers_how_the_last_one_ended(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    world.act(world.group(), "resolve", note="rolled back release 41")
    world.after(hours=3)
    world.receives("sentry", "event_alert")
    world.after(minutes=1)
    assert len(world.groups()) == 2
    assert "rolled back release 41" in world.told[-1].now


def test_a_resolved_group_that_comes_back_within_the_window_is_the_same_group(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    world.receives("sentry", "issue", action="resolved")
    assert world.group()["status"] == "resolved"
    world.after(minutes=20)
    world.receives("sentry", "event_alert")
    world.after(minutes=1)
    group = world.group()
    assert (group["status"], group["episode"], group["count"]) == ("open", 2, 2)
    assert "came back" in world.told[-1].text


def test_the_original_rule_starts_a_new_group_after_quiet(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """grouping.after_quiet = new_group: past the window a new group, also beside an unresolved one."""
    with World(tmp_path / "data", **{"grouping.after_quiet": "new_group"}) as world:
        world.rule("")
        world.receives("sentry", "event_alert")
        world.after(minutes=50)
        world.receives("sentry", "event_alert")
        assert world.group()["count"] == 2
        world.after(minutes=70)
        world.receives("sentry", "event_alert")
        world.after(minutes=1)
        assert len(world.groups()) == 2


def test_what_sentry_resolves_ignores_or_archives_ends_in_every_environment(world: World) -> None:
    world.rule("")
    for number, action in enumerate(("resolved", "ignored", "archived")):
        issue = str(3000 + number)
        world.receives("sentry", "event_alert", issue=issue, environment="prod", title=f"ends by {action}")
        world.receives("sentry", "event_alert", issue=issue, environment="staging", title=f"ends by {action}")
        world.receives("sentry", "issue", issue=issue, action=action, title=f"ends by {action}")
    assert [g["status"] for g in world.groups()] == ["resolved"] * 6


def test_a_metric_alert_opens_and_ends_its_own_group(world: World) -> None:
    world.rule("")
    world.receives("sentry", "metric_alert", action="warning", incident="77")
    world.receives("sentry", "metric_alert", action="critical", incident="77")
    assert (world.group()["severity"], world.group()["status"]) == ("critical", "open")
    world.receives("sentry", "metric_alert", action="resolved", incident="77")
    assert world.group()["status"] == "resolved"


def test_comments_and_assignments_are_recorded_and_open_nothing(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert", issue="1001")
    world.after(minutes=1)
    before = len(world.told)
    world.receives("sentry", "comment", issue="1001", text="it is the cache")
    world.receives("sentry", "issue", action="assigned", issue="1001", actor="Kim")
    world.receives("sentry", "comment", issue="999999", text="of an issue nobody told us of")
    assert len(world.groups()) == 1
    assert world.group()["count"] == 1
    timeline = str(world.get(f"/api/alert-groups/{world.group()['id']}/timeline"))
    assert "it is the cache" in timeline
    assert "Kim" in timeline
    world.after(minutes=1)
    assert len(world.told) == before


def test_a_serious_blip_that_ends_before_its_first_message_is_told_all_the_same(world: World) -> None:
    """No missed critical: opened and resolved within the wait for an environment."""
    world.rule("")
    world.receives("sentry", "issue", action="created", level="fatal")
    world.receives("sentry", "issue", action="resolved", level="fatal")
    world.after(minutes=1)
    assert len(world.told) == 1
    assert "resolved" in world.told[0].now.lower()
