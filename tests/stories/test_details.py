"""What a message and a group tell beside the problem itself: the runbook, the impact, links, the source's words."""

from __future__ import annotations

from tests.world import World

RUNBOOK = "https://wiki.example/runbooks/checkout"


def test_the_runbook_of_the_rule_is_in_the_message_and_on_the_group(world: World) -> None:
    world.rule("", runbook_url=RUNBOOK, escalate_after=15, escalate_to="#leads")
    world.receives("sentry", "event_alert")
    assert f"<{RUNBOOK}|📖 Runbook>" in world.told[0].now
    assert world.group()["runbook_url"] == RUNBOOK
    world.after(minutes=16)
    assert RUNBOOK in world.get(f"/api/alert-groups/{world.group()['id']}")["runbook_url"]
    world.receives("sentry", "event_alert", issue="2", title="another", project="other")
    world.after(seconds=5)
    assert RUNBOOK in next(t for t in world.told if "another" in t.text).now


def test_a_group_without_a_runbook_has_none(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert")
    assert world.group()["runbook_url"] is None
    assert "Runbook" not in world.told[0].now


def test_the_impact_grows_and_never_shrinks(world: World) -> None:
    world.rule("")
    for users in (3, 40, 12, None):
        world.receives("sentry", "event_alert", users=users)
    world.after(seconds=5)
    assert world.group()["users_affected"] == 40
    assert "*Users affected*\\n40" in world.told[0].now


def test_the_message_says_what_where_how_often_and_since_when(world: World) -> None:
    world.rule("")
    world.receives("sentry", "event_alert", level="fatal", message="order 66 failed", tags={"release": "1.2.3"})
    world.after(minutes=3)
    world.receives("sentry", "event_alert", level="fatal", message="order 67 failed", tags={"release": "1.2.4"})
    world.after(seconds=5)
    now = world.told[0].now
    for words in ("CRITICAL", "shop", "prod", "Count", "First seen", "Last seen", "order 67 failed", "1.2.4"):
        assert words in now, words
    assert "https://sentry.example/organizations/acme/issues/1001" in now
