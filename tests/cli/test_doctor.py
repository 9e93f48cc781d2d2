"""`signalcraft doctor`: each fault is planted and found; beside a running process and without one."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from signalcraft.cli.client import answers
from signalcraft.cli.doctor.report import text
from signalcraft.demo.slack.standin import BOT_TOKEN
from signalcraft.storage import masterkey, runs
from signalcraft.storage.db import Db
from tests.cli.conftest import Box, free_port, now_ms
from tests.cli.patient import Patient, origin, slack_channel
from tests.standins import LoopThread, Receiver, SlackStandIn

HOUR_MS = 3_600_000


def test_a_sound_box_has_no_fault_and_every_check_is_there(either: Box, slack: SlackStandIn) -> None:
    """The same checks beside a running process and alone, a line each, and nobody is told anything."""
    it = Patient(either, slack)
    it.has(slack_channel())
    listen = either.url.removeprefix("http://") or f"127.0.0.1:{free_port()}"
    checks = it.says(http__listen=listen, http__public_url=either.url or "http://localhost:1")
    assert {name: detail for name, (status, detail) in checks.items() if status == "fault"} == {}
    assert {
        *("settings", "data directory", "database", "master key", "backups", "restore drill", "replica", "disk"),
        *("clock", "ports", "systemd", "service", "dns", "public url", "channel oncall"),
    } <= set(checks)
    assert checks["service"][1].startswith("SignalCraft " if either.url else "nothing serves")
    assert [call.method for call in slack.calls if call.method != "auth.test"] == []
    lines = either.run("doctor", env={**it.env, "SIGNALCRAFT_HTTP__LISTEN": listen}, code=1).stdout.splitlines()
    assert all(line.split()[0] in ("ok", "warning", "fault") for line in lines[:-1])
    assert lines[-1].startswith(f"{len(lines) - 1} checks: 0 faults, ")


def test_it_changes_nothing_where_there_is_nothing(box: Box, slack: SlackStandIn) -> None:
    checks = Patient(box, slack).says()
    assert checks["data directory"][0] == "warning"
    assert checks["database"][0] == "warning"
    assert not box.data.exists()


# -- settings and environment -----------------------------------------------------------------------------------------


def test_environment_a_setting_that_cannot_be_used(patient: Patient) -> None:
    patient.expects("settings", "fault", "http.listen", http__listen="nowhere")


def test_environment_secrets_in_a_file_that_everybody_can_read(patient: Patient) -> None:
    file = patient.box.root / "s.toml"
    file.write_text('[replica]\nsftp_password = "hunter2"\n')
    file.chmod(0o644)
    said = patient.says("--config", str(file))["settings"]
    assert said[0] == "fault"
    assert "chmod 640" in said[1]
    file.chmod(0o600)
    assert patient.says("--config", str(file))["settings"][0] == "ok"


# -- database and master key ------------------------------------------------------------------------------------------


def test_database_that_is_damaged(patient: Patient) -> None:
    file = patient.box.data / "signalcraft.db"
    raw = bytearray(file.read_bytes())
    raw[4096 * 5 : 4096 * 60] = b"\xff" * (4096 * 55)
    file.write_bytes(raw)
    patient.expects("database", "fault", "signalcraft restore")


def test_database_of_a_newer_program(patient: Patient) -> None:
    patient.changed("pragma user_version = 9999")
    patient.expects("database", "fault", "newer than this program's")


def test_master_key_that_is_gone_open_to_others_or_another_ones(patient: Patient) -> None:
    key = patient.box.data / "master.key"
    key.chmod(0o644)
    patient.expects("master key", "fault", "chmod 600")
    key.chmod(0o600)
    own = key.read_bytes()
    masterkey.write_file(key, bytes(32))
    patient.expects("master key", "fault", "not the one that this database was sealed with")
    key.unlink()
    patient.expects("master key", "fault", "is not there")
    key.write_bytes(own)
    key.chmod(0o600)
    patient.expects("master key", "ok", "opens every secret")


@pytest.mark.whole
def test_master_key_that_the_service_alone_has(patient: Patient) -> None:
    """As systemd hands it over: this command has none, and asks the process."""
    file = patient.box.data / "master.key"
    key = file.read_text().strip()
    file.unlink()
    patient.expects("master key", "fault", "is not there")
    process = patient.box.start(
        "serve", "--listen", f"127.0.0.1:{free_port()}", env={"SIGNALCRAFT_SECURITY__MASTER_KEY": key}
    )
    while not answers(patient.box.data):
        assert process.poll() is None
        time.sleep(0.05)
    patient.expects("master key", "ok", "the running process")
    patient.expects("channels", "ok", "every channel delivers")


def test_master_key_a_secret_that_does_not_open(patient: Patient) -> None:
    patient.changed("update channel set secrets = zeroblob(100)")
    patient.expects("master key", "fault", 'channel "oncall" cannot be used')


# -- copies -----------------------------------------------------------------------------------------------------------


def ran(box: Box, kind: str, state: runs.State, hours_ago: float, said: str = "", **figures: str) -> None:
    db = Db(box.data / "signalcraft.db")
    at_ms = now_ms() - round(hours_ago * HOUR_MS)
    with db.direct() as tx:
        tx.run("insert or replace into fact (name, value) values ('nightly_since_ms', ?)", (str(at_ms),))
        runs.end(tx, runs.begin(tx, kind, at_ms), state, said, dict(figures), at_ms + 1000)
    db.stop()


def test_backups_that_failed_are_old_or_gone(patient: Patient) -> None:
    file = patient.box.root / "one.bak"
    file.touch()
    ran(patient.box, "backup", "ok", 1, file=str(file))
    patient.expects("backups", "ok", "1 hours old", backup__copy_to=str(patient.box.root))
    patient.expects("backups", "warning", "share a disk")
    patient.expects("backups", "fault", "is not there: mount it", backup__copy_to="/nowhere/at/all")
    file.unlink()
    patient.expects("backups", "fault", "is gone")
    ran(patient.box, "backup", "failed", 0.5, "the disk is full")
    patient.expects("backups", "fault", "the disk is full")


def test_backups_none_for_days(patient: Patient) -> None:
    ran(patient.box, "backup", "ok", 50)
    patient.expects("backups", "fault", "no backup has succeeded for 50 hours")
    patient.expects("backups", "fault", "is gone", backup__schedule="weekly")


def test_restore_drill_that_failed_or_is_old(patient: Patient) -> None:
    patient.expects("restore drill", "warning", "none is planned", drill__schedule="false")
    ran(patient.box, "drill", "ok", 60, "the backup can be restored")
    patient.expects("restore drill", "warning", "60 hours old")
    ran(patient.box, "drill", "failed", 2, "Backup: a marker is not in it")
    patient.expects("restore drill", "fault", "a marker is not in it")


def test_replica_that_is_not_there_or_behind(patient: Patient, tmp_path: Path) -> None:
    patient.expects("replica", "ok", "off")
    patient.expects("replica", "fault", "holds no copy", replica__url=f"file://{tmp_path}/away")


@pytest.mark.whole
def test_replica_that_lacks_the_newest(patient: Patient, tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    url = f"file://{tmp_path}/copies"
    process = patient.box.start("serve", "--listen", f"127.0.0.1:{free_port()}", env={"SIGNALCRAFT_REPLICA__URL": url})
    deadline = time.monotonic() + 30
    while not [one for one in (tmp_path / "copies").rglob("*.ltx") if "box" not in one.parts]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    code, _, err = patient.box.ended(process)
    assert code == 0, err
    patient.expects("replica", "ok", "holds what the database holds", replica__url=url)
    ahead_s = now_ms() / 1000 + 3600
    os.utime(patient.box.data / "signalcraft.db", (ahead_s, ahead_s))
    patient.expects("replica", "fault", "older than the database", replica__url=url)


# -- the box ----------------------------------------------------------------------------------------------------------


def test_ports_that_another_program_has(patient: Patient) -> None:
    with LoopThread(Receiver(secret="")) as other:
        patient.expects(
            "ports", "fault", "another program listens there", http__listen=origin(other.it).removeprefix("http://")
        )
    patient.expects("ports", "fault", "no address of this box", http__listen="203.0.113.1:8080")


@pytest.mark.whole
def test_ports_a_process_that_listens_elsewhere(patient: Patient) -> None:
    patient.box.serving()
    patient.expects("ports", "warning", "restart it", http__listen=f"127.0.0.1:{free_port()}")


UNIT = (
    "LoadState=loaded\nActiveState={state}\nResult={result}\n"
    "UnitFileState={file}\nNRestarts={n}\nNeedDaemonReload={reload}\n"
)


@pytest.mark.parametrize(
    ("shown", "status", "words"),
    [
        ({}, "ok", "active and enabled"),
        ({"state": "failed", "result": "watchdog"}, "fault", "failed (watchdog)"),
    ],
)
def test_systemd_a_service_of_which_nothing_serves_here(
    patient: Patient, shown: dict[str, str], status: str, words: str
) -> None:
    known = {"state": "active", "result": "success", "file": "enabled", "n": "0", "reload": "no", **shown}
    (patient.box.root / "unit").write_text(UNIT.format(**known))
    patient.systemctl(f"test $2 = signalcraft.service && cat {patient.box.root}/unit")
    checks = patient.says()
    assert checks["systemd"][0] == status
    assert words in checks["systemd"][1]
    # Nothing serves this data directory, whatever systemd says of the service.
    assert (checks["service"][0] == "fault") == (known["state"] == "active")


def test_starts_but_does_not_answer(patient: Patient) -> None:
    """Something listens on the control socket and hangs up."""
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(patient.box.data / "control.sock"))
        deaf.listen()

        def hang_up() -> None:
            for _ in range(2):
                deaf.accept()[0].close()

        hanging_up = threading.Thread(target=hang_up, daemon=True)
        hanging_up.start()
        patient.expects("service", "fault", "does not answer")
        hanging_up.join(5)


@pytest.mark.whole
def test_health_of_the_running_process_is_told(patient: Patient) -> None:
    patient.has(slack_channel(), '[[rules]]\nname = "r"\nchannels = ["oncall"]\n')
    patient.changed("update channel set kind = 'pigeon'")
    patient.box.serving()
    patient.expects("service", "warning", "pigeon")


# -- the report -------------------------------------------------------------------------------------------------------


def test_a_report_holds_versions_and_findings_and_no_secret(patient: Patient) -> None:
    _, said, _ = patient.told("--report", replica__sftp_password="hunter2-of-these-tests")
    assert "## Checks" in said
    assert "| channel oncall | ok |" in said
    assert '| replica.sftp_password | "•••" |' in said
    assert "hunter2-of-these-tests" not in said
    assert BOT_TOKEN not in said
    assert text(None, [])
