"""The card of versions and schemas on the system page: an earlier release's database was migrated at the start."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from signalcraft.domain.ids import Mint
from signalcraft.storage import before, migrate, migrating, runs
from signalcraft.storage.db import Tx, connect
from tests.e2e.looking import axe
from tests.e2e.place import Place

PATH = "/settings/system"


@pytest.mark.whole
def test_it_shows_migrations_and_what_is_kept_from_before(world: Place, page: Page) -> None:
    now_ms = time.time_ns() // 1_000_000
    database = world.data_dir / "signalcraft.db"
    before.keep(database, world.data_dir, schema=migrate.newest(), program="0.0.9", to=99, now_ms=now_ms)
    connection = connect(database)  # the box is another process: SQLite's locks keep the two apart
    tx = Tx(connection, Mint())
    said = "schema 9 became 10; the copy from before is before/0009-0.0.9.db"
    runs.end(tx, runs.begin(tx, migrating.KIND, now_ms - 1500), "ok", said, {"from": 9, "to": 10}, now_ms)
    runs.end(tx, runs.begin(tx, migrating.KIND, now_ms), "failed", "no room on the disk", {}, now_ms)
    connection.close()
    page.goto(PATH)
    card = page.get_by_role("region", name="Upgrades", exact=True)
    expect(card).to_contain_text(f"database schema {migrate.newest()}, the newest")
    lines = card.locator('[data-run="migration"]')
    expect(lines.nth(0)).to_contain_text("no room on the disk")
    expect(lines.nth(0)).to_contain_text("Undone")
    expect(lines.nth(1)).to_contain_text("schema 9 became 10")
    expect(lines.nth(1)).to_contain_text("1.5 s")
    expect(card.get_by_role("table")).to_contain_text("-0.0.9-")
    axe(page)
