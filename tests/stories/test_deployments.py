"""A change of version is on record with who makes it, and is told through the channels (CI-7, CI-10)."""

from __future__ import annotations

import pytest

from signalcraft.cli import deploying
from tests.world import World


def test_each_step_of_an_upgrade_is_told_and_on_record(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "sam")
    world.channel("#oncall")
    world.rule(when="source == self", channel="#oncall")
    for what, state, version, was in (
        ("upgrade", "started", "1.1.0", "1.0.0"),
        ("upgrade", "finished", "1.1.0", "1.0.0"),
        ("upgrade", "started", "1.2.0", "1.1.0"),
        ("upgrade", "failed", "1.2.0", "1.1.0"),
        ("rollback", "started", "1.0.0", "1.1.0"),
        ("rollback", "finished", "1.0.0", "1.1.0"),
    ):
        deploying.tell(world.data_dir, what, state, version, was, "why")  # type: ignore[arg-type]
        world.after(seconds=30)
    told = [one.text for one in world.told]
    for said in (
        "upgrade to 1.1.0 has started", "upgrade to 1.2.0 has started", "upgrade to 1.2.0 failed",
        "rollback to 1.0.0 has started",
    ):  # fmt: skip
        assert any(said in text for text in told), told
    groups = {one["title"]: one["status"] for one in world.get("/api/alert-groups")["items"]}
    assert sorted(groups.values()) == ["open", "resolved", "resolved", "resolved"], groups
    rows = [one for one in world.get("/api/audit")["items"] if one["verb"].startswith(("upgrade.", "rollback."))]
    assert len(rows) == 6
    assert rows[-1]["verb"] == "upgrade.started"
    assert {row["data"]["by"] for row in rows} == {"sam"}
    assert {row["actor"]["kind"] for row in rows} != {"system"}


def test_where_nothing_serves_nobody_is_told(world: World) -> None:
    world._call(world.program.stop(), 30)  # type: ignore[union-attr]
    world.running = False
    deploying.tell(world.data_dir, "upgrade", "started", "1.1.0", "1.0.0")
