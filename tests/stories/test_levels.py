"""MON-13: what is wrong with the box itself goes out by how bad it is: each level to a channel of its own."""

from __future__ import annotations

from pathlib import Path

from signalcraft.demo.threads import LoopThread
from signalcraft.services.care.alarms import CONDITIONS
from tests.standins.receiver import Receiver
from tests.stories.test_selfwatch import Watched

LEVELS = {"critical": "database_failing", "high": "backup_failed", "low": "rollup_failed"}


def test_each_level_of_its_own_alerts_is_told_where_a_rule_says(tmp_path: Path) -> None:
    """Critical to what pages somebody, high to Slack, low to a third place: three receivers, one message each."""
    assert {CONDITIONS[name].severity.label for name in LEVELS.values()} == set(LEVELS)
    with (
        LoopThread(Receiver()) as pager,
        LoopThread(Receiver()) as letters,
        Watched(tmp_path / "data", **{"monitoring.hold_seconds": "0"}) as world,
    ):
        world.channel("pager", kind="webhook", url=pager.it.url)
        world.channel("letters", kind="webhook", url=letters.it.url)
        for severity, channel in zip(LEVELS, ("pager", "#ops", "letters"), strict=True):
            world.rule(f"severity == {severity}", channel)
        world._call(world.house.alarms.say(LEVELS["high"], "gone"))
        world._call(world.house.alarms.say(LEVELS["low"], "behind"))
        world._call(world.house.alarms.say(LEVELS["critical"], "ill"))
        world._call(world.house.alarms.tick())
        world.settled()
        world.after(seconds=5)
        titles = {severity: CONDITIONS[name].title for severity, name in LEVELS.items()}
        assert [titles["critical"] in str(body) for body in pager.it.bodies] == [True]
        assert [titles["low"] in str(body) for body in letters.it.bodies] == [True]
        assert [(one.channel, titles["high"] in one.text) for one in world.told] == [("#ops", True)]
