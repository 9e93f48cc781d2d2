"""What is owed is told: on time, once, through an outage, a kill, a broken channel."""

from __future__ import annotations

from tests.standins import LoopThread, Receiver
from tests.world import World

HIGH = "environment == prod and severity >= high"


def test_nobody_answers(world: World) -> None:
    """After fifteen unanswered minutes the escalation channel is told, once, also across a restart."""
    world.rule(HIGH, escalate_after=15, escalate_to="#leads")
    world.receives("sentry", "event_alert", level="fatal")
    assert world.told == [("#oncall", "TypeError in checkout")]
    world.after(minutes=14, seconds=59)
    assert len(world.told) == 1
    world.after(seconds=2)
    assert len(world.told) == 2
    assert world.told[-1].channel == "#leads"
    world.killed().restarted().after(minutes=60)
    assert len([t for t in world.told if t.channel == "#leads"]) == 1


def test_an_escalation_that_came_due_while_the_box_was_down_is_told_at_the_start_with_its_lateness(
    world: World,
) -> None:
    world.rule(HIGH, escalate_after=15, escalate_to="#leads")
    world.receives("sentry", "event_alert")
    world.killed()
    world.after(minutes=40)
    world.restarted().after(seconds=30)
    assert world.told[-1].channel == "#leads"
    timeline = world.get(f"/api/alert-groups/{world.group()['id']}/timeline")["items"]
    late = [e for e in timeline if e["verb"] == "escalated"]
    assert late
    assert int(late[0]["data"]["late_ms"]) >= 25 * 60_000


def test_who_answers_stops_the_escalation(world: World) -> None:
    for number, verb in enumerate(("ack", "resolve", "snooze")):
        if number == 0:
            world.rule(HIGH, escalate_after=15, escalate_to="#leads")
        world.receives("sentry", "event_alert", issue=str(100 + number), title=f"answered by {verb}")
        world.after(minutes=5)
        told = next(t for t in world.told if f"answered by {verb}" in t.text)
        world.press(told, verb)
    world.after(minutes=40)
    assert [t for t in world.told if t.channel == "#leads"] == []


def test_unanswered_messages_repeat_until_a_person_answers(world: World) -> None:
    world.rule(HIGH, repeat_minutes=30)
    world.receives("sentry", "event_alert")
    world.after(minutes=95)
    assert len(world.told) == 4
    world.press(world.told[0], "ack")
    world.after(hours=3)
    assert len(world.told) == 4


def test_what_no_rule_matches_goes_the_default_way(world: World) -> None:
    """No alert is silently unrouted."""
    world.rule("environment == nowhere")
    default = world.channel("#default")
    world.api.patch("/api/workspace", json={"default_channels": [default["name"]]}).raise_for_status()
    world.receives("sentry", "event_alert")
    assert world.told == [("#default", "TypeError in checkout")]


def test_the_first_channel_hears_what_no_rule_routes_until_somebody_chooses_otherwise(world: World) -> None:
    world.rule("environment == nowhere", "#first")
    world.channel("#second")
    world.receives("sentry", "event_alert", issue="1")
    assert world.told == [("#first", "TypeError in checkout")]
    world.api.patch("/api/workspace", json={"default_channels": []}).raise_for_status()
    world.receives("sentry", "event_alert", issue="2")
    assert len(world.told) == 1


def test_an_unrouted_alert_is_said_loudly(world: World) -> None:
    world.receives("sentry", "event_alert")
    health = world.get("/health")
    assert health["status"] != "ok"
    assert "unrouted" in str(health["components"]).lower()


def test_an_hour_without_slack_loses_nothing_and_drains_in_two_minutes(world: World) -> None:
    """A hundred groups: one post and at most one edit each, no 429 provoked."""
    world.rule("")
    world.receives("sentry", "event_alert", issue="1", title="before the outage")
    world.slack.outage(True)
    for n in range(100):
        world.receives("sentry", "event_alert", issue=str(5000 + n), title=f"during the outage {n:03}", settle=False)
    world.after(minutes=30)
    for n in range(100):
        world.receives("sentry", "event_alert", issue=str(5000 + n), title=f"during the outage {n:03}", settle=False)
    world.after(minutes=30)
    assert len(world.told) == 1
    calls_before = len(world.slack.calls)
    world.slack.outage(False)
    world.after(minutes=2, seconds=30)
    assert len(world.told) == 101
    during = [t for t in world.told if "during" in t.text]
    assert len({t.text for t in during}) == len(during) == 100
    assert all(t.edits <= 1 for t in during)
    assert all("2" in t.now for t in during)
    assert world.slack.refused_429 == 0
    assert [c.result for c in world.slack.calls[calls_before:]].count("ok") == len(world.slack.calls) - calls_before
    assert world.owed() == []


def test_a_revoked_token_is_reported_and_the_fallback_is_used(world: World) -> None:
    world.rule("")
    with LoopThread(Receiver()) as thread:
        receiver = thread.it
        world.channel("backup", kind="webhook", url=receiver.url)
        world.api.patch("/api/workspace", json={"fallback_channel": "backup"}).raise_for_status()
        world.receives("sentry", "event_alert", issue="1", title="told by Slack")
        world.slack.revoke("xoxb-1111-2222-thebotofthetests")
        world.receives("sentry", "event_alert", issue="2", title="told by the fallback")
        world.after(minutes=1)
        assert "told by the fallback" in str(receiver.bodies)
    health = world.get("/health")
    assert health["status"] != "ok"
    assert "token_revoked" in str(health["components"]["channels"])
    channels = {c["name"]: c for c in world.get("/api/channels")["items"]}
    assert channels["#oncall"]["state"] == "broken"


def test_when_every_channel_is_broken_it_is_said_and_what_is_owed_stays_owed(world: World) -> None:
    world.rule("")
    world.slack.revoke("xoxb-1111-2222-thebotofthetests")
    world.receives("sentry", "event_alert", level="fatal")
    world.after(minutes=30)
    assert world.get("/health")["components"]["channels"]["status"] == "failing"
    assert [d["kind"] for d in world.owed()] == ["first"]
    world.slack.accept("xoxb-1111-2222-thebotofthetests")
    world.after(minutes=15)
    assert world.told == [("#oncall", "TypeError in checkout")]
    assert world.get("/health")["components"]["channels"]["status"] == "ok"


def test_a_private_channel_says_invite_the_bot(world: World) -> None:
    world.rule("")
    world.slack.expel("oncall")
    world.receives("sentry", "event_alert")
    world.after(seconds=5)
    assert "nvite" in str(world.get("/health")["components"]["channels"])


def test_a_429_waits_as_long_as_slack_says(world: World) -> None:
    world.rule("")
    world.slack.fail("chat.postMessage", 429, times=1, retry_after_s=30)
    world.receives("sentry", "event_alert")
    world.after(seconds=29)
    assert world.told == []
    world.after(seconds=3)
    assert len(world.told) == 1


def test_a_429_on_an_edit_never_delays_a_post(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert", issue="1", title="edited")
    world.slack.fail("chat.update", 429, times=5, retry_after_s=60)
    world.receives("sentry", "event_alert", issue="1", title="edited")
    world.after(seconds=5)
    world.receives("sentry", "event_alert", issue="2", title="posted")
    world.after(seconds=3)
    assert world.told[-1] == ("#oncall", "posted")


def test_a_message_that_slack_took_without_answering_is_told_again_once_at_most(world: World) -> None:
    """At least once to a channel: a lost answer makes one duplicate, not none and not many."""
    world.rule("")
    world.slack.drop_after_accept(times=1)
    world.receives("sentry", "event_alert")
    world.after(minutes=5)
    assert 1 <= len(world.told) <= 2
    assert world.owed() == []


def test_what_was_owed_at_a_kill_is_told_without_waiting_for_a_lease(world: World) -> None:
    world.rule("")
    world.slack.outage(True)
    for n in range(5):
        world.receives("sentry", "event_alert", issue=str(n), title=f"owed {n}")
    world.killed()
    world.slack.outage(False)
    world.restarted().after(seconds=15)
    assert sorted(t.text[:200] for t in world.told if "owed" in t.text) == sorted({t.text[:200] for t in world.told})
    assert len(world.told) == 5


def test_mail_and_webhook_carry_a_link_that_acknowledges(world: World) -> None:
    with LoopThread(Receiver()) as thread:
        receiver = thread.it
        world.channel("hook", kind="webhook", url=receiver.url)
        world.rule("", "hook")
        world.receives("sentry", "event_alert")
        world.after(seconds=2)
        said = receiver.bodies[0]
    link = said["data"]["links"]["ack"]
    path = "/" + link.split("/", 3)[3]
    page = world.api.get(path, headers={"Authorization": ""})
    assert page.status_code == 200
    assert world.group()["status"] == "open", "a GET never acts"
    assert world.api.post(path, headers={"Authorization": ""}).status_code < 400
    assert world.group()["status"] == "acknowledged"


def test_down_time_is_told_as_a_gap(world: World) -> None:
    world.after(seconds=30)
    world.killed()
    world.after(minutes=10)
    world.restarted().after(seconds=5)
    assert "down" in str(world.get("/health")["components"]).lower()


def test_mentions_are_for_high_and_critical_alone(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert", issue="1", level="fatal", title="loud")
    world.receives("sentry", "event_alert", issue="2", level="warning", title="quiet")
    world.after(seconds=5)
    loud, quiet = (next(t for t in world.told if word in t.text) for word in ("loud", "quiet"))
    assert "<!here>" in loud.now
    assert "<!here>" not in quiet.now
