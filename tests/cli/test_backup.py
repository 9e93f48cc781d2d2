"""`signalcraft backup` beside a running process and alone: made, listed, verified, pruned, and the sheet of paper."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
from nacl.public import PrivateKey

from signalcraft.storage import bundlekeys, masterkey
from signalcraft.storage.bundle import open_bundle, unpack
from tests.cli.conftest import Box
from tests.smalldisk import small_disk

RECIPIENT = PrivateKey(bytes(range(1, 33)))
PUBLIC = bundlekeys.show_public(RECIPIENT.public_key)
CANARY = "xoxb-the-canary-that-nobody-may-see"


def key_of(box: Box) -> PrivateKey:
    key = masterkey.read_file(box.data / "master.key")
    assert key is not None
    return bundlekeys.of_master(key)


def test_made_listed_verified_and_pruned(either: Box) -> None:
    made = json.loads(either.run("backup", "--json").stdout)
    file = Path(made["path"])
    assert file.parent == either.data / "backups"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == made["sha256"]
    shown = either.run("backup", "list")
    assert str(file) in shown.stdout
    found = json.loads(either.run("backup", "list", "--json").stdout)
    assert [(one["path"], one["trouble"], one["own"]) for one in found["items"]] == [(str(file), "", True)]
    assert either.run("backup", "verify").stdout.splitlines()[1].split() == [str(file), "sound"]
    pruned = json.loads(either.run("backup", "prune", "--dry-run", "--json").stdout)
    assert (pruned["removed"], pruned["proven"]) == ([], [str(file)])
    assert either.run("backup", "prune").stdout == ""
    assert file.exists()
    rows = [json.loads(line)["verb"] for line in either.run("audit", "export").stdout.splitlines()]
    assert rows.count("backup_begun") == 1
    assert (rows.count("verify_begun"), rows.count("prune_begun")) == (1, 2)


@pytest.mark.whole
def test_into_another_directory_for_another_key(either: Box, tmp_path: Path) -> None:
    out = either.run("backup", "--to", "usb", "--recipient", PUBLIC)
    file = Path(out.stdout.strip())
    assert file.parent == either.root / "usb"
    assert open_bundle(file, RECIPIENT).manifest.rows
    assert "read back and sound" in out.stderr


def test_the_settings_file_is_in_it_as_it_was_run(box: Box, tmp_path: Path) -> None:
    config = box.root / "my.toml"
    config.write_text(f'[slack]\napi_url = "https://slack.example.com/api/"\n# {CANARY}\n')
    box.run("backup", "--config", str(config), env={"SIGNALCRAFT_ERRORS__SENTRY_DSN": "https://k@s.example.com/1"})
    (file,) = (box.data / "backups").iterdir()
    bundle = open_bundle(file, key_of(box))
    unpack(bundle, tmp_path / "out")
    restored = (tmp_path / "out/config/signalcraft.toml").read_bytes()
    assert hashlib.sha256(restored).digest() == hashlib.sha256(config.read_bytes()).digest()
    rows = {one["setting"]: one for one in json.loads((tmp_path / "out/config/settings.json").read_text())}
    assert rows["slack.api_url"]["from"] == f"file {config}"
    assert rows["errors.sentry_dsn"]["value"] == '"•••"'
    assert bundle.manifest.config_file == str(config)
    said = "errors.sentry_dsn is not in it: it came from environment SIGNALCRAFT_ERRORS__SENTRY_DSN"
    assert said in bundle.manifest.left_out
    assert CANARY.encode() not in file.read_bytes()


@pytest.mark.whole
def test_a_damaged_and_a_foreign_file_are_told_in_a_sentence(either: Box) -> None:
    file = Path(either.run("backup").stdout.strip())
    file.write_bytes(file.read_bytes()[:-5])
    done = either.run("backup", "verify", code=1)
    assert f"{file} is damaged: " in done.stdout
    assert "1 of 1 backups could not be read" in done.stderr
    other = either.root / "other.scb"
    other.write_text("hello")
    assert "is no backup of SignalCraft" in either.run("backup", "verify", str(other), code=1).stdout


def test_a_key_file_is_tried_without_the_box(box: Box) -> None:
    made = json.loads(box.run("backup", "keygen", "--json").stdout)
    again = json.loads(box.run("backup", "keygen", "--json").stdout)
    assert made["private"] != again["private"]
    file = box.run("backup", "--recipient", made["public"]).stdout.strip()
    key = box.root / "backup.key"
    key.write_text(f"# from the safe\n{made['private']}\n")
    nowhere = {"SIGNALCRAFT_DATA__DIR": str(box.root / "elsewhere")}
    assert "sound" in box.run("backup", "verify", file, "--key-file", str(key), env=nowhere).stdout
    key.write_text(again["private"])
    assert "not with this key" in box.run("backup", "verify", file, "--key-file", str(key), code=1, env=nowhere).stdout
    key.write_text(made["public"])
    assert "public part" in box.refused("backup", "verify", file, "--key-file", str(key), env=nowhere)
    assert not (box.root / "elsewhere").exists()


def test_keygen_prints_the_private_part_and_keeps_it_nowhere(either: Box) -> None:
    out = either.run("backup", "keygen").stdout
    (private,) = [line.strip() for line in out.splitlines() if line.strip().startswith(bundlekeys.PRIVATE)]
    (setting,) = [line.strip() for line in out.splitlines() if line.strip().startswith("recipient = ")]
    (key,) = bundlekeys.read_key(private)
    assert bundlekeys.show_public(key.public_key) in setting
    for file in either.root.rglob("*"):
        assert not (file.is_file() and private.encode() in file.read_bytes()), file


@pytest.mark.whole
def test_the_sheet_says_what_is_needed_and_holds_no_key(either: Box) -> None:
    file = Path(either.run("backup").stdout.strip())
    sheet = either.run("backup", "sheet").stdout
    assert str(either.data / "backups") in sheet
    assert f"signalcraft restore {file.name}" in sheet
    assert "--key-file KEYFILE" in sheet
    assert "NOTHING IS KEPT OFF THIS MACHINE" in sheet
    assert (either.data / "master.key").read_text().strip() not in sheet
    assert max(len(line) for line in sheet.splitlines() if str(either.root) not in line) <= 80


def test_the_sheet_of_a_box_with_everything(box: Box, tmp_path: Path) -> None:
    (box.root / "mnt").mkdir()
    env = {
        "SIGNALCRAFT_BACKUP__RECIPIENT": PUBLIC,
        "SIGNALCRAFT_BACKUP__COPY_TO": str(box.root / "mnt"),
        "SIGNALCRAFT_HTTP__PUBLIC_URL": "https://alerts.example.com",
        "SIGNALCRAFT_ERRORS__SENTRY_DSN": "https://k@s.example.com/1",
    }
    sheet = box.run("backup", "sheet", env=env).stdout
    assert f"the backup key {bundlekeys.key_id(RECIPIENT.public_key)}" in sheet
    assert f"{box.root / 'mnt'}  (the second copy)" in sheet
    assert "https://alerts.example.com" in sheet
    assert "errors.sentry_dsn is not in it" in sheet
    assert "NOTHING IS KEPT OFF THIS MACHINE" not in sheet


@pytest.mark.whole
def test_wrong_asking_is_told(either: Box) -> None:
    assert "a key that begins with signalcraft-recipient-" in either.refused("backup", "--recipient", "hello")
    assert "private part" in either.refused("backup", "--recipient", bundlekeys.show_private(RECIPIENT))
    (either.root / "file").write_text("in the way")
    assert "no backup was made" in either.run("backup", "--to", str(either.root / "file" / "x"), code=1).stderr


@pytest.mark.whole
def test_a_full_disk_is_told_and_the_service_goes_on(box: Box) -> None:
    box.serving()
    with small_disk(box.root / "disk", 64 << 10) as disk:
        said = box.refused("backup", "--to", str(disk), code=1)
        assert "MB free" in said
        assert list(disk.iterdir()) == []
        assert box.run("status").returncode == 0


@pytest.mark.whole
def test_the_command_that_is_interrupted_leaves_nothing(box: Box) -> None:
    box.run("backup", "list")
    (box.data / "archive").mkdir()
    with (box.data / "archive" / "big.parquet").open("wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 20))
    process = box.start("backup")
    until = time.monotonic() + 60
    while not list((box.data / "backups").glob("*.part")):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while list((box.data / "backups").glob("*")) and time.monotonic() < until:
        time.sleep(0.05)  # the child finds that nobody listens any more
    assert list((box.data / "backups").glob("*")) == []
