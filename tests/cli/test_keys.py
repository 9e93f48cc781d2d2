"""`signalcraft keys`, and exports with secrets: beside a running `serve` and without one."""

from __future__ import annotations

import base64
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalcraft.storage import masterkey
from signalcraft.storage.vault import check_of
from tests import bodies
from tests.cli.conftest import Box
from tests.cli.test_verbs import SECRET, api, applied, key

WORDS = "seven lanterns over the harbour"


def shown(box: Box) -> dict[str, Any]:
    one: dict[str, Any] = json.loads(box.run("keys", "show", "--json").stdout)
    return one


def words(box: Box, text: str = WORDS) -> str:
    file = box.root / "words"
    file.write_text(text + "\n")
    return str(file)


def master(box: Box) -> bytes:
    held = masterkey.read_file(box.data / "master.key")
    assert held is not None
    return held


@pytest.mark.whole
def test_show_tells_which_key_it_is_and_never_the_key(either: Box) -> None:
    applied(either)
    one = shown(either)
    text = either.run("keys", "show").stdout
    held = master(either)
    assert one["id"] == check_of(held)[:12]
    assert one["id"] in text
    assert str(either.data / "master.key") in text
    assert (one["source"], one["sealed"], one["behind"], one["damaged"]) == ("file", 2, 0, [])
    for secret in (base64.b64encode(held).decode(), held.hex()):
        assert secret not in text


def test_rotate_makes_a_new_key(either: Box) -> None:
    applied(either)
    before, held = shown(either)["id"], master(either)
    done = json.loads(either.run("keys", "rotate", "--json").stdout)
    assert (done["done"], done["earlier"], done["resealed"], done["damaged"]) == (True, before, 2, [])
    assert master(either) != held
    assert shown(either)["id"] == done["id"] == check_of(master(either))[:12]
    said = either.run("keys", "rotate")
    assert "sealed anew" in said.stdout
    assert f"need the key {done['id']}" in said.stderr
    # A webhook is still read with its secret, as the next start reads it too.
    good = key(either, "alerts:read")
    api(either, good["key"], "/api/alert-groups")
    raw = bodies.body("event_alert")
    headers = bodies.signed(raw, "event_alert", SECRET, 1)
    url = f"{either.url}/webhooks/sentry/a-token-that-we-chose-ourselves"
    assert httpx.post(url, content=raw, headers=headers, trust_env=False).status_code == 202


def test_a_key_of_the_settings_is_not_ours_to_replace(box: Box) -> None:
    env = {"SIGNALCRAFT_SECURITY__MASTER_KEY": base64.b64encode(b"k" * 32).decode()}
    said = box.refused("keys", "rotate", code=1, env=env)
    assert "security.master_key_previous" in said
    assert "which SignalCraft cannot write" in said
    assert "settings, environment" in box.run("keys", "show", env=env).stdout


@pytest.mark.whole
def test_a_key_comes_back_from_escrow_and_only_by_its_passphrase(box: Box) -> None:
    """The day after the disk died: a copy of the database, the escrow file, the passphrase."""
    applied(box)
    file = str(box.root / "escrow.json")
    box.run("keys", "export", "-o", file, "--passphrase-file", words(box))
    assert Path(file).stat().st_mode & 0o777 == 0o600
    held = master(box)
    assert base64.b64encode(held) not in Path(file).read_bytes()
    (box.data / "master.key").unlink()
    assert "the master key is missing" in box.refused("export")
    assert "does not open it" in box.refused("keys", "import", file, "--passphrase-file", words(box, "another one"))
    assert not (box.data / "master.key").exists()
    box.run("keys", "import", file, "--passphrase-file", words(box))
    assert master(box) == held
    assert (box.data / "master.key").stat().st_mode & 0o777 == 0o600
    assert "oncall" in box.run("export").stdout


@pytest.mark.whole
def test_an_escrow_file_keeps_earlier_keys_for_earlier_backups(box: Box) -> None:
    applied(box)
    file, passphrase = str(box.root / "escrow.json"), words(box)
    box.run("keys", "export", "-o", file, "--passphrase-file", passphrase)
    backup = box.root / "backup"
    shutil.copytree(box.data, backup)
    (backup / "master.key").unlink()
    first = shown(box)["id"]
    box.run("keys", "rotate")
    said = box.run("keys", "export", "-o", file, "--passphrase-file", passphrase).stderr
    assert first in said
    assert shown(box)["id"] in said
    assert "name another file" in box.refused("keys", "export", "-o", file, "--passphrase-file", words(box, "x" * 12))
    for folder, wanted in ((backup, first), (box.data, shown(box)["id"])):
        (folder / "master.key").unlink(missing_ok=True)
        said = box.run("keys", "import", file, "--data-dir", str(folder), "--passphrase-file", words(box)).stderr
        assert wanted in said
        assert "oncall" in box.run("export", "--data-dir", str(folder)).stdout


@pytest.mark.whole
def test_import_never_replaces_another_key_nor_one_in_use(box: Box) -> None:
    applied(box)
    file, passphrase = str(box.root / "escrow.json"), words(box)
    box.run("keys", "export", "-o", file, "--passphrase-file", passphrase)
    other = box.root / "other"
    applied(box, "--data-dir", str(other))
    at = ("--data-dir", str(other), "--passphrase-file", passphrase)
    held = (other / "master.key").read_bytes()
    assert "none of these keys" in box.refused("keys", "import", file, *at)
    assert (other / "master.key").read_bytes() == held
    process = box.serving()
    assert "stop it first" in box.refused("keys", "import", file, "--passphrase-file", passphrase, code=1)
    box.ended(process)


def test_a_passphrase_is_needed_and_must_be_long(box: Box) -> None:
    file = str(box.root / "escrow.json")
    assert "--passphrase-file" in box.refused("keys", "export", "-o", file)
    assert "12 characters" in box.refused("keys", "export", "-o", file, "--passphrase-file", words(box, "short"))
    assert not Path(file).exists()


@pytest.mark.whole
def test_a_rotation_killed_half_way_goes_on(box: Box) -> None:
    """kill -9 of the real process in the middle; the next one opens everything and ends what was begun."""
    entries = "".join(
        f'[[integrations]]\nname = "g{i}"\nkind = "generic"\nsecret = "{"s" * 20}{i}"\nrequire_signature = true\n'
        for i in range(600)
    )
    applied(box, text=entries)
    process = box.serving()
    before = shown(box)["id"]
    rotation = box.start("keys", "rotate", "--json")
    while not (box.data / "master.key.next").exists():
        assert rotation.poll() is None, rotation.communicate()
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    rotation.communicate(timeout=60)
    now = shown(box)
    assert now["damaged"] == []
    done = json.loads(box.run("keys", "rotate", "--json").stdout)
    assert done["damaged"] == []
    last = shown(box)
    assert (last["behind"], last["coming"]) == (0, None)
    assert last["id"] != before
    assert not (box.data / "master.key.next").exists()
    assert box.run("export").stdout.count("[[integrations]]") == 600


# -- a configuration with its secrets ---------------------------------------------------------------------------------


@pytest.mark.whole
def test_an_export_with_secrets_works_on_another_box_as_it_is(either: Box) -> None:
    """Sealed with a passphrase; the sender's address and secret, and the channel's token, are the same there."""
    box = either
    applied(box)
    file, passphrase = str(box.root / "all.sealed"), words(box)
    box.run("export", "--with-secrets", "-o", file, "--passphrase-file", passphrase)
    sealed = Path(file)
    assert sealed.stat().st_mode & 0o777 == 0o600
    for secret in (SECRET, "xoxb-of-these-tests", "oncall"):
        assert secret.encode() not in sealed.read_bytes()
    assert box.run("apply", file, "--passphrase-file", passphrase).stdout.strip() == "Nothing to change."
    assert "does not open it" in box.refused("apply", file, "--passphrase-file", words(box, "another one"))
    there = Box(box.root / "there")
    there.root.mkdir()
    try:
        done = json.loads(there.run("apply", file, "--json", "--passphrase-file", words(box)).stdout)
        assert done["made"] == [], "nothing had to be made anew"
        there.serving()
        raw = bodies.body("event_alert")
        headers = bodies.signed(raw, "event_alert", SECRET, 1)
        url = f"{there.url}/webhooks/sentry/a-token-that-we-chose-ourselves"
        assert httpx.post(url, content=raw, headers=headers, trust_env=False).status_code == 202
        assert httpx.post(url, content=raw, trust_env=False).status_code == 401
        again = there.run("export", "--with-secrets", "--passphrase-file", words(box)).stdout
        (there.root / "again").write_text(again)
        assert box.run("apply", str(there.root / "again"), "--passphrase-file", words(box)).stdout.strip() == (
            "Nothing to change."
        )
    finally:
        there.close()


@pytest.mark.whole
def test_secrets_are_exported_to_nobody_over_the_network(box: Box) -> None:
    """Not even to an admin: whoever wants them must be on the box."""
    good = key(box)
    box.serving()
    for method, path in (
        ("POST", "/control/config/export"),
        ("POST", "/control/keys/escrow"),
        ("POST", "/control/keys/rotate"),
        ("GET", "/control/keys"),
    ):
        answer = httpx.request(
            method, box.url + path, headers={"Authorization": f"Bearer {good['key']}"}, trust_env=False
        )
        assert answer.status_code == 404


@pytest.mark.whole
def test_nothing_in_the_data_directory_is_readable_by_others(box: Box) -> None:
    """SEC-11, CFG-3: whatever the umask was, and whoever made the directory."""
    box.data.mkdir(mode=0o755)
    box.serving()
    applied(box)
    good = key(box, "alerts:read")
    assert api(box, good["key"], "/api/alert-groups").status_code == 200
    box.run("keys", "rotate")
    loose = {
        str(p.relative_to(box.data)): oct(p.lstat().st_mode & 0o777)
        for p in (box.data, *box.data.rglob("*"))
        if p.lstat().st_mode & 0o077
    }
    assert loose == {}
    assert {"signalcraft.db", "signalcraft.db-wal", "huey.db", "master.key"} <= {p.name for p in box.data.iterdir()}
