"""The card of the backups: none yet, one made by its button, and what is wrong in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visit
from tests.e2e.looking import axe
from tests.e2e.place import Place


@pytest.mark.whole
def test_a_backup_is_made_from_its_card(tmp_path: Path, seeded: tuple[Path, str], visit: Visit) -> None:
    with Place(tmp_path, *seeded) as world:
        page = visit(world)
        page.goto("/settings/system")
        card = page.get_by_role("region", name="Backups")
        expect(card).to_contain_text("the master key alone")
        expect(card).to_contain_text("Nothing is copied off this disk")
        card.get_by_role("button", name="Back up now").click()
        row = card.locator("tr[data-backup]")
        expect(row).to_contain_text("Sound", timeout=60_000)
        expect(card).to_contain_text("Made")
        assert row.count() == 1
        axe(page)
        (file,) = (world.data_dir / "backups").iterdir()
        file.write_bytes(b"something else")
        page.reload()
        expect(card.locator("tr[data-backup]")).to_contain_text("is no backup of SignalCraft")
        axe(page)
