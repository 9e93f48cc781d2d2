"""VAL-4: what has to be tried of the cache of answers, one test for each of its six points, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from signalcraft.services.caching import TTL_MS
from tests.http.asking import Other
from tests.world import World

OVERVIEW, GROUPS, FACETS = "/api/dashboard/overview", "/api/alert-groups", "/api/alert-groups/facets"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "data") as it:
        it.rule(channel="#oncall")
        it.receives("sentry", "event_alert", title="one", issue="1")
        yield it


def counted(world: World, result: str) -> int:
    """How many questions ended so: hit, miss, stale or joined."""
    return sum(n for (_, one), n in world.house.cache.asked.items() if one == result)


def test_1_hit(world: World) -> None:
    first = world.get(GROUPS)
    missed, hits = counted(world, "miss"), counted(world, "hit")
    for _ in range(3):
        assert world.get(GROUPS) == first
    assert (counted(world, "miss"), counted(world, "hit")) == (missed, hits + 3)


def test_2_invalidation(world: World) -> None:
    group = world.get(GROUPS)["items"][0]
    assert world.get(OVERVIEW)["by_status"] == {"open": 1}
    world.act(group, "ack")
    assert world.get(GROUPS)["items"][0]["status"] == "acknowledged"
    assert world.get(OVERVIEW)["by_status"] == {"acknowledged": 1}


def test_3_time_to_live(world: World) -> None:
    world.get(GROUPS)
    missed = counted(world, "miss")
    world.clock.at_ms += TTL_MS["feed"] - 1
    world.get(GROUPS)
    assert counted(world, "miss") == missed
    world.clock.at_ms += 1
    world.get(GROUPS)
    assert counted(world, "miss") == missed + 1


def test_4_warming(world: World) -> None:
    """Nothing is read ahead at the start: whoever asks first warms it for everybody, within their own answer."""
    world.stopped().restarted()
    assert world.house.cache.entries == 0
    first = world.api.get(GROUPS)
    assert first.status_code == 200
    assert (counted(world, "miss"), counted(world, "hit")) == (1, 0)
    assert world.api.get(GROUPS).content == first.content
    assert (counted(world, "miss"), counted(world, "hit")) == (1, 1)


def test_5_stale(world: World) -> None:
    """Of a slow kind the earlier answer is given once more while it is read anew; never after a write."""
    early = world.get(FACETS)
    world.clock.at_ms += TTL_MS["categories"]
    assert world.get(FACETS) == early
    assert counted(world, "stale") == 1
    world.receives("sentry", "event_alert", title="two", issue="2", project="elsewhere")
    assert {one["value"] for one in world.get(FACETS)["projects"]} > {one["value"] for one in early["projects"]}
    assert counted(world, "stale") == 1


def test_6_keys(world: World) -> None:
    assert len(world.get(GROUPS)["items"]) == 1
    assert world.get(GROUPS, status="resolved")["items"] == []
    assert len(world.get(GROUPS, status="open")["items"]) == 1
    with Other(world) as other:
        assert other.api.get(GROUPS).json()["items"] == []
        assert other.api.get(OVERVIEW).json()["events"] == 0
    assert len(world.get(GROUPS)["items"]) == 1
