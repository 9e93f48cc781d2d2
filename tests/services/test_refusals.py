"""Who was sent away is remembered, also when it cannot be written down at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signalcraft.errors import Busy
from signalcraft.services.refusals import GAP_ENDS_AFTER_MS, Refusals
from signalcraft.storage import gaps, migrate
from signalcraft.storage.db import Db, Tx


class _FullAtFirst:
    """A database on whose disk there is no room for the first writes."""

    def __init__(self, db: Db, times: int) -> None:
        self.db = db
        self.times = times

    async def write(self, work: Callable[[Tx], Any]) -> Any:
        self.times -= 1
        if self.times >= 0:
            raise Busy("the disk is full")
        return self.db.call(work)


def test_what_could_not_be_written_down_is_written_down_later(tmp_path: Path) -> None:
    db = Db(tmp_path / "signalcraft.db")
    migrate.up(db)
    now_ms = 1_772_442_000_000
    refusals = Refusals(_FullAtFirst(db, 2), lambda: now_ms, 0)  # type: ignore[arg-type]
    refusals.gap(1, "disk full", now_ms)
    refusals.note(1, 7, "refused_limit", now_ms)
    now_ms += GAP_ENDS_AFTER_MS
    with pytest.raises(Busy):
        asyncio.run(refusals.flush())
    refusals.gap(1, "disk full", now_ms)  # it goes on: one gap, not two
    refusals.note(1, 7, "refused_limit", now_ms)
    now_ms += GAP_ENDS_AFTER_MS
    with pytest.raises(Busy):
        asyncio.run(refusals.flush())
    asyncio.run(refusals.flush())
    asyncio.run(refusals.flush())
    with db.reading() as reader:
        (gap,) = gaps.since(reader, 1, 0)
        assert (gap.why, gap.refused, gap.until_ms - gap.from_ms) == ("disk full", 2, GAP_ENDS_AFTER_MS)
        assert reader.all("select what, subject, sum(n) from minute_count group by 1, 2") == [("refused_limit", 7, 2)]
    assert refusals.open_gaps() == []
    assert db.stop()


def test_a_workspace_has_so_many_webhooks_at_once_and_so_many_a_minute(tmp_path: Path) -> None:
    refusals = Refusals(Db(tmp_path / "signalcraft.db"), lambda: 0, 60)
    assert [refusals.within_limit(1, 0) for _ in range(61)] == [True] * 60 + [False]
    assert sum(refusals.within_limit(1, at_ms) for at_ms in range(500, 60_001, 500)) == 60
    assert refusals.within_limit(2, 60_000), "another workspace has its own"
