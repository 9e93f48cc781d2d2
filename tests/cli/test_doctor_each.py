"""What one check of the doctor's says of each thing that it can find; nothing is started for it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from signalcraft.cli.doctor import box, data, outside
from signalcraft.cli.doctor.finding import Running
from signalcraft.config.replica import Replica
from signalcraft.domain import ids
from signalcraft.domain.delivery import HttpCall, Reply
from signalcraft.postman import Postman
from signalcraft.postman.probe import Seen
from signalcraft.storage import migrate, migrating
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.glance import glance
from tests.cli.conftest import free_port, now_ms
from tests.cli.patient import Patient
from tests.cli.test_doctor import ran
from tests.cli.test_doctor_box import said, settings_of
from tests.main.pairs import pair

UNIT = "signalcraft.service"


def running(info: dict[str, Any] | None = None, **components: tuple[str, str]) -> Running:
    """A process that says so of itself."""
    parts = {name: {"status": status, "detail": detail} for name, (status, detail) in components.items()}
    return Running(info or {}, {"components": parts})


@pytest.fixture
def kept(healthy: Path, tmp_path: Path) -> Path:
    """A data directory of its own."""
    return Path(shutil.copytree(healthy, tmp_path / "kept"))


def changed(folder: Path, sql: str, *values: Any) -> None:
    db = Db(folder / "signalcraft.db")
    with db.direct() as tx:
        tx.run(sql, values)
    db.stop()


@pytest.fixture
def reader(kept: Path) -> Iterator[Tx]:
    with glance(kept / "signalcraft.db") as it:
        yield it


# -- what is kept -----------------------------------------------------------------------------------------------------


def test_database_of_an_older_schema_and_one_that_was_not_migrated(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, newest = kept / "signalcraft.db", migrate.newest()
    monkeypatch.setattr(migrate, "newest", lambda: newest + 1)
    with glance(file) as reader:
        said(data.database(file, reader), "warning", "signalcraft migrate check, then restart")
        failed = migrating.Failed(program="9", schema=1, to=2, said="no room for it", began_ms=1, ended_ms=2)
        monkeypatch.setattr(migrating, "failed", lambda folder: failed if folder == kept else None)
        said(data.database(file, reader), "fault", "its last migration failed: no room for it")


def test_database_that_is_damaged_in_one_place_or_is_none(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(data.glance, "sound", lambda _: "row 3 missing from index")
        patient.expects("database", "fault", "is damaged (row 3 missing from index)")
    (patient.box.data / "signalcraft.db").write_bytes(b"no database " * 1000)
    patient.expects("database", "fault", "docs/runbooks/database.md, signalcraft restore")


def test_master_key_that_the_process_cannot_use_either(kept: Path, reader: Tx) -> None:
    (kept / "master.key").unlink()
    settings = settings_of(kept)
    said(data.master_key(settings, reader, running(keys=("ok", "")))[0], "ok", "the running process opens the vault")
    said(data.master_key(settings, reader, running(keys=("degraded", "two do not open")))[0], "warning", "two do not")


def test_master_key_before_the_first_start_and_beside_something_else(kept: Path) -> None:
    settings = settings_of(kept)
    changed(kept, "update channel set kind = 'pigeon'")
    with glance(kept / "signalcraft.db") as reader:
        said(data.master_key(settings, reader, None)[0], "warning", "it opens the vault; ")
    changed(kept, "delete from fact where name = 'vault_check'")
    with glance(kept / "signalcraft.db") as reader:
        said(data.master_key(settings, reader, None)[0], "warning", "has not been sealed with it yet")
    # The key is the right one, and what it sealed was changed.
    changed(kept, "insert or replace into box_secret (name, sealed) values ('derive', zeroblob(100))")
    with glance(kept / "signalcraft.db") as reader:
        said(data.master_key(settings, reader, None)[0], "fault", "it does not open the database's secrets: ")


def test_backups_that_nobody_plans_or_that_cannot_be_written(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    (patient.box.root / "one.bak").touch()
    ran(patient.box, "backup", "ok", 24 * 8, file=str(patient.box.root / "one.bak"))
    with glance(patient.box.data / "signalcraft.db") as reader:
        settings = settings_of(patient.box.data, **{"backup.schedule": "off", "backup.copy_to": str(patient.box.root)})
        said(data.backups(settings, reader, now_ms()), "warning", "backup.schedule is off")
        monkeypatch.setattr(os, "access", lambda folder, _: folder != patient.box.root)
        said(data.backups(settings, reader, now_ms()), "fault", f"{patient.box.root} cannot be written")


def test_replica_as_the_process_tells_it() -> None:
    config = Replica(url="file:///nowhere")

    def unasked(_: Replica) -> Any:
        raise AssertionError("it was asked though a process follows it")

    said(data.replica(config, 0, running(replica=("ok", "0.2 s behind")), unasked), "ok", "0.2 s behind")
    said(data.replica(config, 0, running(replica=("failing", "an hour behind")), unasked), "fault", "an hour behind")


# -- the box ----------------------------------------------------------------------------------------------------------


def test_clock_that_went_back(patient: Patient) -> None:
    later = ids.floor(now_ms() + 3_600_000)
    changed(patient.box.data, "update journal set id = ? where id = (select max(id) from journal)", later)
    patient.expects("clock", "fault", "behind what was written down here before")


def test_ports_that_nobody_listens_on_and_the_plain_one(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    settings = settings_of(tmp_path, **{"http.listen": listen})
    said(box.ports(settings, running({"listen": listen})), "fault", "though the process runs")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        settings = settings_of(
            tmp_path, **{"http.listen": listen, "http.redirect_listen": taken, **pair(tmp_path / "tls")}
        )
        said(box.ports(settings, None), "fault", f"{taken} cannot be listened on")


def test_ports_that_systemd_holds_and_a_check_that_breaks(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks is told in its own line, and the others go on."""
    patient.systemctl("test $2 = signalcraft.socket && echo ActiveState=active")

    def breaks(_: object) -> None:
        raise RuntimeError("no such disk")

    monkeypatch.setattr(box, "disk", breaks)
    with socket.create_server(("127.0.0.1", 0)) as systemds:
        listen = f"127.0.0.1:{systemds.getsockname()[1]}"
        checks = patient.says(http__listen=listen)
    assert checks["ports"] == ("ok", f"systemd holds {listen} until the service is started")
    assert checks["disk"] == ("fault", "it could not be looked at: RuntimeError: no such disk")


SOUND = {
    "LoadState": "loaded", "ActiveState": "active", "Result": "success", "UnitFileState": "enabled", "NRestarts": "0",
    "NeedDaemonReload": "no",
}  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "status", "words"),
    [
        (None, "ok", "no systemd here"),
        ({"LoadState": "not-found"}, "ok", "there is no service"),
        ({"LoadState": "bad-setting"}, "fault", "cannot be loaded (bad-setting)"),
        ({"ActiveState": "failed", "Result": "watchdog"}, "fault", "failed (watchdog)"),
        ({"ActiveState": "inactive"}, "warning", "enable --now"),
        ({"ActiveState": "activating"}, "warning", "is activating"),
        ({"UnitFileState": "disabled"}, "warning", "after a reboot"),
        ({"NRestarts": "3"}, "warning", "restarted 3 times"),
        ({"NeedDaemonReload": "yes"}, "warning", "daemon-reload"),
        ({}, "ok", "active and enabled"),
    ],
)
def test_systemd_what_it_says_of_the_service(shown: dict[str, str] | None, status: str, words: str) -> None:
    said(box.systemd(UNIT, None if shown is None else {**SOUND, **shown}), status, words)


# -- what lies outside ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "status", "words"),
    [
        ({}, "ok", "the box's own certificate holds for 89 days"),
        ({"days": 5, "began_days": 80}, "warning", "ends in 4 days"),
        ({"days": -1, "began_days": 30}, "fault", "has expired"),
        (None, "fault", "no certificate in PEM"),
    ],
)
def test_tls_the_boxs_own_certificate_without_a_public_address(
    tmp_path: Path, how: dict[str, Any] | None, status: str, words: str
) -> None:
    files = pair(tmp_path / "tls", **(how or {}))
    if how is None:
        Path(files["http.tls_certificate"]).write_text("none")
    nobody = cast("Postman", None)
    first, own = asyncio.run(outside.public_url(settings_of(tmp_path, **files), nobody, None, now_ms()))
    assert (first.name, first.status) == ("public url", "warning")
    assert own.name == "tls"
    said(own, status, words)


class Post:
    """Finds and hears what it was told to."""

    def __init__(self, seen: Seen, reply: Reply | None = None) -> None:
        self.seen, self.reply = seen, reply

    async def look(self, url: str, **_: object) -> Seen:
        return self.seen

    async def send(self, call: HttpCall) -> Reply:
        assert self.reply is not None
        return self.reply


async def looked(kind: str, config: Any, post: Post, at_ms: int, ahead: list[float]) -> str:
    return await outside.LOOKS[kind](config, cast("Postman", post), at_ms, ahead)


def test_clock_of_slack_is_read_from_its_answer() -> None:
    class Config:
        api_url, bot_token = "https://slack.com/api/", "xoxb-1"

    ahead: list[float] = []
    reply = Reply(status=200, headers={"date": "Wed, 21 Oct 2026 07:28:45 GMT"}, body=b'{"ok": true}')
    at_ms = 1_792_567_680_000  # 07:28:00
    told = asyncio.run(looked("slack", Config, Post(Seen(), reply), at_ms, ahead))
    assert (told, ahead) == ("", [45.0])


def test_a_receiver_whose_certificate_is_not_believed() -> None:
    class Config:
        url = "https://hooks.example.com/x"

    post = Post(Seen(addresses=("192.0.2.1",), chain="self-signed certificate"))
    told = asyncio.run(looked("webhook", Config, post, now_ms(), []))
    assert told == "hooks.example.com: its certificate is not believed (self-signed certificate)"


def test_an_address_that_takes_the_connection_and_says_nothing(patient: Patient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:

        def hang_up() -> None:
            while True:
                try:
                    deaf.accept()[0].close()
                except OSError:
                    return

        hanging_up = threading.Thread(target=hang_up, daemon=True)
        hanging_up.start()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        patient.expects("public url", "fault", "did not answer", http__public_url=url)
        deaf.shutdown(socket.SHUT_RDWR)
    hanging_up.join(5)
