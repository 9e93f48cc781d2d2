"""Backups while the box works: each night, by hand, told when they fail, and never in the way of alerts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey

from signalcraft.config import load
from signalcraft.domain.group import SYSTEM
from signalcraft.errors import BadSetting, WrongKey
from signalcraft.main import open_house
from signalcraft.services.care.backup.state import HOUR_MS
from signalcraft.storage import bundlekeys, masterkey
from signalcraft.storage.bundle import KEYS, open_bundle, unpack
from signalcraft.storage.copies import verified
from tests.world import World

DAY_MS = 24 * HOUR_MS
RECIPIENT = PrivateKey(bytes(range(1, 33)))
PUBLIC = bundlekeys.show_public(RECIPIENT.public_key)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "data", **{"backup.schedule": "daily"}) as made:
        yield made


def night(world: World, to: str = "02:31", days: int = 1) -> None:
    """The clock goes to that time of the next night (it begins at 09:00), and what is due is done."""
    hours, minutes = map(int, to.split(":"))
    start = world.clock.at_ms // DAY_MS * DAY_MS
    world.clock.at_ms = start + days * DAY_MS + hours * HOUR_MS + minutes * 60_000
    tick(world)


def tick(world: World) -> None:
    """The minute's care, to its end."""

    async def care() -> None:
        await world.house.nightly.tick()
        await world.house.nightly.settled()
        await world.house.backups.tend()

    world._call(care(), 60)


def begun(world: World) -> dict[str, Any]:
    """A backup by hand, waited for; the list afterwards."""
    world.post("/api/backups")
    return waited(world)


def waited(world: World) -> dict[str, Any]:
    until = time.monotonic() + 60
    while (found := world.get("/api/backups"))["going"] is not None:
        assert time.monotonic() < until
        time.sleep(0.05)
    return dict(found)


def master(world: World) -> PrivateKey:
    key = masterkey.read_file(world.data_dir / "master.key")
    assert key is not None
    return bundlekeys.of_master(key)


def alarm(world: World) -> str | None:
    wrong = world.house.alarms.wrong.get("backup_failed")
    return None if wrong is None else str(wrong.said)


def component(world: World) -> dict[str, str]:
    return dict(world.get("/health")["components"]["backup"])


def test_each_night_at_half_past_two_one_is_made(world: World) -> None:
    tick(world)
    assert world.get("/api/backups")["next_at"] == "2026-03-03T02:30:00.000Z"
    night(world, "02:29")
    assert world.get("/api/backups")["items"] == []
    night(world, "02:31", days=0)
    night(world, "02:50", days=0)
    found = world.get("/api/backups")
    assert [(one["name"], one["own"], one["trouble"]) for one in found["items"]] == [
        ("signalcraft-20260303-023100.scb", True, "")
    ]
    assert (found["last"]["state"], found["last"]["bytes"]) == ("ok", found["items"][0]["bytes"])
    assert (found["items"][0]["read_at"], found["wrong"]) == ("2026-03-03T02:31:00.000Z", None)
    assert found["next_at"] == "2026-03-04T02:30:00.000Z"


def test_the_local_time_counts(tmp_path: Path) -> None:
    zone = {"workspace.timezone": "Asia/Tokyo", "backup.schedule": "daily", "backup.at": "04:15"}
    with World(tmp_path / "data", **zone) as world:
        assert world.get("/api/backups")["next_at"] == "2026-03-02T19:15:00.000Z"


@pytest.mark.parametrize(("schedule", "after"), [("weekly", "2026-03-08T02:30:00.000Z"), ("off", None)])
def test_other_schedules(tmp_path: Path, schedule: str, after: str | None) -> None:
    with World(tmp_path / "data", **{"backup.schedule": schedule}) as world:
        assert world.get("/api/backups")["next_at"] == after
        tick(world)
        night(world, days=3)
        assert world.get("/api/backups")["items"] == []
        assert alarm(world) is None


@pytest.mark.whole
def test_old_ones_go_after_a_new_one_was_made(world: World) -> None:
    tick(world)
    for days in (1, 1, 29, 2):
        night(world, days=days)
    names = [one["name"] for one in world.get("/api/backups")["items"]]
    assert names == ["signalcraft-20260404-023100.scb", "signalcraft-20260402-023100.scb"] or len(names) == 3
    assert "signalcraft-20260303-023100.scb" not in names


def test_one_by_hand_holds_everything_and_is_audited(world: World) -> None:
    world.receives("sentry", "event_alert", level="fatal")
    found = begun(world)
    assert (found["last"]["state"], len(found["items"])) == ("ok", 1)
    unpack(open_bundle(Path(found["items"][0]["path"]), master(world)), world.data_dir.parent / "out")
    assert verified(world.data_dir.parent / "out" / "signalcraft.db").rows["event"] == 1
    rows = world.get("/api/audit", limit=20)["items"]
    assert "backup_begun" in [row["verb"] for row in rows]


def test_one_that_ends_while_it_is_asked_for_is_not_running_and_over_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = world.house.backups
    health = backups.health

    async def late() -> Any:
        if backups.going is not None:
            await asyncio.wait({backups._task})
        return await health()

    with monkeypatch.context() as without:
        without.setattr(backups, "health", late)
        world.post("/api/backups")
        while_it_ended = world.get("/api/backups")
    assert while_it_ended["going"] or (while_it_ended["last"] or {}).get("state") == "ok"
    assert waited(world)["last"]["state"] == "ok"


def test_two_at_once_are_refused(world: World) -> None:
    world.post("/api/backups")
    again = world.api.post("/api/backups", json={})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert "under way" in again.json()["detail"]
    assert len(waited(world)["items"]) == 1


def test_alerts_are_taken_while_one_is_made(world: World) -> None:
    """Under load: webhooks are answered as ever, and the backup is one moment of the database."""
    (world.data_dir / "archive").mkdir()
    (world.data_dir / "archive" / "big.parquet").write_bytes(bytes(range(256)) * 100_000)
    world.receives("sentry", "event_alert", level="fatal", settle=False)
    stop, took = threading.Event(), list[float]()

    def ingest() -> None:
        while not stop.is_set():
            began = time.perf_counter()
            world.receives("sentry", "event_alert", level="fatal", title=f"Error {len(took)}", settle=False)
            took.append(time.perf_counter() - began)

    thread = threading.Thread(target=ingest)
    thread.start()
    try:
        found = begun(world)
    finally:
        stop.set()
        thread.join()
    assert found["last"]["state"] == "ok"
    assert len(took) >= 10, "hardly any webhook was answered meanwhile"
    unpack(open_bundle(Path(found["items"][0]["path"]), master(world)), world.data_dir.parent / "out")
    rows = verified(world.data_dir.parent / "out" / "signalcraft.db").rows
    assert 1 <= rows["event"] <= len(took) + 1


def test_a_failure_is_told_and_the_next_success_ends_it(world: World) -> None:
    tick(world)
    folder = world.data_dir / "backups"
    folder.write_bytes(b"a file in the way")
    night(world)
    assert "no backup was made" in str(alarm(world))
    assert component(world)["status"] == "degraded"
    assert world.get("/api/backups")["last"]["state"] == "failed"
    assert "signalcraft_backup_last_result 0.0" in metrics(world)
    folder.unlink()
    world.clock.at_ms += HOUR_MS + 60_000  # tried again by itself
    tick(world)
    assert alarm(world) is None
    assert component(world)["status"] == "ok"


def metrics(world: World) -> str:
    return str(world.api.get("/metrics").text)


@pytest.mark.whole
def test_none_for_26_hours_is_an_alarm(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tick(world)
    night(world)
    assert alarm(world) is None
    # As after a night whose scheduler never came: nothing failed, and nothing was made.
    world.house.nightly.planned.clear()
    world.clock.at_ms += 25 * HOUR_MS
    tick(world)
    assert alarm(world) is None
    world.clock.at_ms += 2 * HOUR_MS
    tick(world)
    assert "no backup has succeeded for 27 hours" in str(alarm(world))
    assert "27 hours" in component(world)["detail"]


def test_a_new_box_has_26_hours_too(world: World) -> None:
    tick(world)
    world.house.nightly.planned.clear()
    world.clock.at_ms += 27 * HOUR_MS
    tick(world)
    assert "no backup has succeeded" in str(alarm(world))


@pytest.mark.whole
def test_a_second_directory_that_is_gone_is_an_alarm_and_the_first_backup_stays(tmp_path: Path) -> None:
    more = {"backup.schedule": "daily", "backup.copy_to": str(tmp_path / "mnt")}
    with World(tmp_path / "data", **more) as world:
        tick(world)
        night(world)
        assert "is it mounted?" in str(alarm(world))
        assert len(world.get("/api/backups")["items"]) == 1
        (tmp_path / "mnt").mkdir()
        begun(world)
        tick(world)
        assert alarm(world) is None
        assert len(list((tmp_path / "mnt").iterdir())) == 1


def test_what_metrics_tell(world: World) -> None:
    begun(world)
    tick(world)
    text = metrics(world)
    said = {line.split(" ")[0]: float(line.split(" ")[1]) for line in text.splitlines() if "signalcraft_backup" in line
            and not line.startswith("#")}  # fmt: skip
    item = world.get("/api/backups")["items"][0]
    assert said["signalcraft_backup_last_result"] == 1
    assert said["signalcraft_backup_last_size_bytes"] == said["signalcraft_backup_files_bytes"] == item["bytes"]
    assert said["signalcraft_backup_last_success_timestamp_seconds"] == world.clock.at_ms / 1000
    assert said["signalcraft_backup_last_duration_seconds"] >= 0
    assert said["signalcraft_backup_files"] == 1
    assert 0 < said["signalcraft_backup_last_memory_peak_bytes"] < 128 << 20


def test_one_that_rots_is_found_when_it_is_read(world: World) -> None:
    found = begun(world)
    file = Path(found["items"][0]["path"])
    raw = bytearray(file.read_bytes())
    raw[-20] ^= 1
    file.write_bytes(raw)

    async def read() -> None:
        await world.house.backups.begin_verify(SYSTEM, 1, [])
        while await world.house.backups.ended(5) is None:
            pass

    world._call(read(), 60)
    tick(world)
    assert "is damaged" in world.get("/api/backups")["items"][0]["trouble"]
    assert "is damaged" in str(alarm(world))
    assert "signalcraft_backup_files_damaged 1.0" in metrics(world)


def test_a_kill_in_the_middle_leaves_nothing_and_the_next_start_says_so(tmp_path: Path) -> None:
    with World(tmp_path / "data") as world:  # without a schedule: with one it is made again by itself
        _killed_in_the_middle(world)


def _killed_in_the_middle(world: World) -> None:
    (world.data_dir / "archive").mkdir()
    (world.data_dir / "archive" / "big.parquet").write_bytes(bytes(range(256)) * 200_000)
    world.post("/api/backups")
    while world.get("/api/backups")["going"]["stage"] != "write":
        time.sleep(0.01)
    world.killed().restarted()
    found = world.get("/api/backups")
    assert found["items"] == []
    assert (found["last"]["state"], found["going"]) == ("cut", None)
    assert begun(world)["last"]["state"] == "ok"
    assert [path.name for path in (world.data_dir / "backups").glob("*.part")] == []


# -- keys -------------------------------------------------------------------------------------------------------------


def test_with_a_recipient_either_key_opens_it_and_the_master_key_is_in_it_for_that_key_alone(tmp_path: Path) -> None:
    with World(tmp_path / "data", **{"backup.recipient": PUBLIC}) as world:
        file = Path(begun(world)["items"][0]["path"])
        key = masterkey.read_file(world.data_dir / "master.key")
        assert key is not None
        for one in (RECIPIENT, bundlekeys.of_master(key)):
            unpack(open_bundle(file, one), tmp_path / f"out-{bundlekeys.key_id(one.public_key)}")
        sealed = (tmp_path / f"out-{bundlekeys.key_id(RECIPIENT.public_key)}" / KEYS).read_bytes()
        assert key not in file.read_bytes()
        assert key not in sealed
        assert list(bundlekeys.master_keys(sealed, RECIPIENT).keys.values()) == [key]


def test_without_a_recipient_no_master_key_is_in_it(world: World) -> None:
    bundle = open_bundle(Path(begun(world)["items"][0]["path"]), master(world))
    assert not bundle.manifest.has(KEYS)


@pytest.mark.whole
def test_after_a_rotation_earlier_backups_need_the_earlier_key(world: World) -> None:
    before, earlier = Path(begun(world)["items"][0]["path"]), master(world)
    world._call(world.house.keyring.rotate(SYSTEM, 1))
    with pytest.raises(WrongKey, match="opens with the master key"):
        open_bundle(before, master(world))
    assert open_bundle(before, earlier).manifest.rows
    world.clock.at_ms += 1000
    after = Path(begun(world)["items"][0]["path"])
    assert open_bundle(after, master(world)).manifest.rows


def test_a_recipient_that_is_none_stops_the_start(tmp_path: Path) -> None:
    wrong = PUBLIC[:-1] + ("a" if PUBLIC[-1] != "a" else "b")
    with pytest.raises(BadSetting, match=r"backup\.recipient: .*a letter of it is wrong"):
        open_house(load(None, {"data.dir": str(tmp_path / "data"), "backup.recipient": wrong}, {}).settings)
