"""/api/dashboard/overview: figures that can be counted by hand."""

from __future__ import annotations

import pytest

from tests.http.asking import Other, problem
from tests.world import World


def test_the_figures_are_those_of_what_happened(tmp_path_factory: pytest.TempPathFactory) -> None:
    with World(tmp_path_factory.mktemp("overview") / "data") as world:
        empty = world.get("/api/dashboard/overview")
        assert (empty["events"], empty["groups"], empty["notifications"]) == (0, 0, 0)
        for name in ("noise_reduction_percent", "ack_rate_percent", "mtta_seconds", "mttr_seconds"):
            assert empty[name] is None, name
        world.rule(channel="#oncall")
        # Two days ago: outside of a day, inside of a week.
        world.receives("sentry", "event_alert", issue="1", title="old", level="error")
        world.after(hours=48)
        one = world.receives("sentry", "event_alert", issue="2", title="loud", level="fatal")["group_id"]
        for _ in range(7):
            world.receives("sentry", "event_alert", issue="2", title="loud", level="fatal")
        two = world.receives("sentry", "event_alert", issue="3", title="quiet", level="warning")["group_id"]
        again = world.sends("sentry", b"{", {"Sentry-Hook-Resource": "event_alert"})
        assert again.status_code == 401
        world.after(minutes=2)
        world.act({"id": one}, "ack")
        world.after(minutes=2)
        world.act({"id": one}, "resolve")
        world.after(minutes=6)
        world.act({"id": two}, "resolve")
        day = world.get("/api/dashboard/overview", range="24h")
        assert (day["events"], day["groups"], day["new_groups"]) == (9, 2, 2)
        assert (day["duplicates"], day["quarantined"], day["refused"]) == (0, 0, 1)
        # A first message and a "resolved" for each of the two groups are heard, edits are not.
        heard = [t for t in world.told if t.at_ms > world.clock.at_ms - 86_400_000]
        assert day["notifications"] == len(heard) > 0
        assert day["noise_reduction_percent"] == round(100 * (9 - len(heard)) / 9, 1)
        assert (day["acknowledged"], day["ack_rate_percent"]) == (1, 50.0)
        assert day["mtta_seconds"] == 120.0
        assert (day["resolved"], day["mttr_seconds"]) == (2, (240 + 600) / 2)
        assert day["by_severity"] == [
            {"severity": "critical", "groups": 1, "open": 0},
            {"severity": "medium", "groups": 1, "open": 0},
        ]
        assert day["by_status"] == {"open": 1, "resolved": 2}
        assert [(s["integration"], s["events"]) for s in day["top_sources"]] == [("sentry", 9)]
        week = world.get("/api/dashboard/overview", range="7d")
        assert (week["events"], week["groups"], week["new_groups"]) == (10, 3, 3)
        # What closes by itself after days of silence says nothing of how long mending took.
        world.after(days=8)
        later = world.get("/api/dashboard/overview", range="30d")
        assert later["by_status"] == {"resolved": 3}
        assert (later["resolved"], later["mttr_seconds"]) == (2, 420.0)


@pytest.mark.parametrize("wrong", ["", "24", "h", "0h", "-1h", "91d", "1w", "1.5h", "24H", "٣h", "99999999999d"])
def test_a_wrong_range_is_named(world: World, wrong: str) -> None:
    problem(world.api.get("/api/dashboard/overview", params={"range": wrong}), 422, "invalid", "range")


def test_another_workspace_counts_its_own(world: World, other: Other) -> None:
    world.receives("sentry", "event_alert")
    assert world.get("/api/dashboard/overview")["events"] == 1
    theirs = other.api.get("/api/dashboard/overview").json()
    assert (theirs["events"], theirs["groups"], theirs["top_sources"]) == (0, 0, [])
