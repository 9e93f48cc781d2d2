"""A disk that is really full, under a real process: a small file system of its own where that may be made, else a limit
on the size of its files, which the kernel enforces in the same place.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from signalcraft.demo.slack import SlackStandIn, StandInThread
from signalcraft.errors import Fault
from signalcraft.main import system_now
from signalcraft.storage.archive.child import Child
from tests import bodies
from tests.services.care.aged import TABLES, Aged
from tests.smalldisk import mounted, unmounted
from tests.trials.box import Box
from tests.trials.crash import CHANNELS, configuration
from tests.world import BOT_TOKEN, SIGNING_SECRET

PATH = "/webhooks/sentry/tokenofthecrashtrial0000000000000"
SIZE = 6 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A directory; on a file system of 6 MB where this machine lets us mount one."""
    folder = tmp_path / "disk"
    why_not = mounted(folder, SIZE)
    yield folder
    if not why_not:
        unmounted(folder, lazy=True)


@contextlib.contextmanager
def full(box: Box, disk: Path) -> Iterator[None]:
    """Nothing more fits while this lasts."""
    assert box.process is not None
    if os.path.ismount(disk):
        ballast = disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass
        yield
        ballast.unlink()
    else:
        largest = max(file.stat().st_size for file in box.data_dir.iterdir())
        before = resource.prlimit(box.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(box.process.pid, resource.RLIMIT_FSIZE, (largest, before[1]))
        yield
        resource.prlimit(box.process.pid, resource.RLIMIT_FSIZE, before)


def send(client: httpx.Client) -> httpx.Response:
    """Posts an alert that does not compress away."""
    body = bodies.body("event_alert", message=os.urandom(2000).hex(), title="while there is room")
    return client.post(PATH, content=body, headers=bodies.signed(body, "event_alert"))


@pytest.mark.whole
def test_a_disk_that_fills_up_and_is_cleared_again(tmp_path: Path, disk: Path) -> None:
    slack = SlackStandIn(
        system_now, signing_secret=SIGNING_SECRET, tokens=(BOT_TOKEN,), channels=CHANNELS, burst=0, per_minute={}
    )
    client = httpx.Client(timeout=30, trust_env=False)
    with StandInThread(slack), client:
        box = Box(disk / "data", slack.base_url, tmp_path / "serve.log", LOG__FILE=str(disk / "signalcraft.log"))
        (tmp_path / "apply.toml").write_text(configuration(PATH.rsplit("/", 1)[1]))
        box.run("apply", str(tmp_path / "apply.toml"))
        box.start()
        client.base_url = box.url  # type: ignore[assignment]
        kept = [send(client).json()["events"][0]["event_id"] for _ in range(5)]
        with full(box, disk):
            refused = []
            for _ in range(400):
                answer = send(client)
                if answer.status_code == 202:
                    kept.append(answer.json()["events"][0]["event_id"])
                    continue
                refused.append(answer)
                if len(refused) == 5:
                    break
            assert [answer.status_code for answer in refused] == [503] * 5
            assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
            health = client.get("/health").json()
            assert health["status"] == "failing"
            if os.path.ismount(disk):
                assert "the disk is full" in health["components"]["database"]["detail"]
            assert box.process is not None
            assert box.process.poll() is None, "it lives on"
        assert send(client).status_code == 202, "it is over as soon as there is room"
        key = box.run("apikey", "create", "--name", "x", "--scopes", "alerts:read").strip()
        client.headers["Authorization"] = f"Bearer {key}"
        assert {client.get(f"/api/events/{event}").status_code for event in kept} == {200}
        (group,) = client.get("/api/alert-groups").json()["items"]
        assert group["count"] == len(kept) + 1
        assert box.stop() == 0


def test_an_archive_without_room_deletes_nothing_and_goes_on_when_there_is_some(tmp_path: Path, disk: Path) -> None:
    """Only the archive lies on the small disk; nothing that was not archived is missing from the database."""
    if not os.path.ismount(disk):
        pytest.fail("this needs a file system of its own: run it as root")
    (tmp_path / "archive").symlink_to(disk)
    with Aged(tmp_path, Child) as aged:
        for _ in range(20):
            aged.group(91, events=50, title=os.urandom(200).hex())
        before = {table: aged.of_groups(table) for table in TABLES}
        (disk / "ballast").write_bytes(b"\0" * (SIZE - 16 * 1024))
        with pytest.raises(Fault, match="full"):
            aged.night()
        assert "is full" in str(aged.alarms.wrong["retention_failed"])
        for table, count in before.items():
            assert aged.of_groups(table) + aged.archived(table) == count, table
        assert aged.count("alert_group") == 20
        (disk / "ballast").unlink()
        aged.night()
        assert aged.alarms.wrong["retention_failed"] is None
        for table, count in before.items():
            assert (aged.of_groups(table), aged.archived(table)) == (0, count), table
