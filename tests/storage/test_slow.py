"""Slow queries and writes are said once, with a hash, and not again for an hour."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from signalcraft.storage import slow
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.slow import Slow

FOREVER = "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) select count(*) from n"


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [vars(record) for record in caplog.records if record.message.startswith("a slow")]


def test_a_slow_query_is_told_once_with_its_hash_and_without_its_values(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    db = Db(tmp_path / "it.db")
    db.start()
    for _ in range(3):
        with db.reading() as reader:
            assert reader.value(FOREVER, (1_500_000,)) == 1_500_000
            reader.one("select 1")
    db.stop()
    (only,) = told(caplog)
    assert only["message"] == "a slow query"
    assert only["what"] == FOREVER
    assert len(str(only["hash"])) == 12
    assert int(str(only["duration_ms"])) >= 100
    assert "1500000" not in str(only["what"])


def test_a_slow_write_is_told_by_the_name_of_its_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def dawdles(tx: Tx) -> None:
        time.sleep(0.12)

    db = Db(tmp_path / "it.db")
    db.start()
    asyncio.run(_twice(db, dawdles))
    db.stop()
    (only,) = told(caplog)
    assert only["message"] == "a slow write"
    assert str(only["what"]).endswith("dawdles")


async def _twice(db: Db, work: object) -> None:
    for _ in range(2):
        await db.write(work)  # type: ignore[arg-type]


def test_after_an_hour_it_is_told_again_with_how_often(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(slow.time, "monotonic", lambda: now[0])
    seen = Slow()
    for second in range(3605):
        now[0] = 1000.0 + second
        seen.saw("query", "select x", 0.2 + second / 10_000)
    first, again = told(caplog)
    assert "times" not in first
    assert again["times"] == 3600
    assert again["duration_ms"] == 560
    assert first["hash"] == again["hash"]
    seen.saw("query", "select y", 0.1)
    assert told(caplog)[-1]["hash"] != first["hash"]
