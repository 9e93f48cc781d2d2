"""The card of the replica: as the API tells it, and what is wrong with it in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visit
from tests.e2e.looking import axe
from tests.e2e.place import Place
from tests.stories.test_replica import settings, until


@pytest.mark.whole
def test_the_replica_has_its_card(tmp_path: Path, seeded: tuple[Path, str], visit: Visit) -> None:
    with Place(tmp_path, *seeded, **settings(tmp_path, behind_alarm_seconds="5")) as world:
        until(lambda: world.get("/api/replica")["state"] == "in_step")
        page = visit(world)
        page.goto("/settings/system")
        card = page.get_by_role("region", name="Replica")
        expect(card).to_contain_text("In step")
        expect(card).to_contain_text(f"file://{tmp_path}/copy")
        expect(card).to_contain_text("generation 1")
        axe(page)
        (tmp_path / "copy").rename(tmp_path / "away")
        (tmp_path / "copy").write_text("a file stands where the folder was")
        expect(card).to_contain_text("Behind", timeout=60_000)
        expect(card.locator(".bad")).to_be_visible()
        axe(page)
