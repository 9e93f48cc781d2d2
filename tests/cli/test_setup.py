"""Before the first start: `init`, `check-config`, `migrate`; what is wrong is said in one line each, exit 2."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from signalcraft.config import load
from signalcraft.storage import migrate
from tests.cli.conftest import Box


def test_init_makes_a_settings_file_a_data_directory_and_a_key_that_serve_then_uses(box: Box) -> None:
    said = box.run("init", "--config", "sc.toml", "--data-dir", "own data", "--listen", "127.0.0.1:9999").stdout
    data = box.root / "own data"
    assert "signalcraft serve --config sc.toml" in said
    settings = load(box.root / "sc.toml", environ={}).settings
    assert (settings.data.path, settings.http.listen) == (data, "127.0.0.1:9999")
    assert {"signalcraft.db", "master.key"} <= {p.name for p in data.iterdir()}
    for private in (data, data / "master.key", box.root / "sc.toml"):
        assert private.stat().st_mode & 0o077 == 0
    box.data = data
    box.serving("--config", str(box.root / "sc.toml"))


def test_init_overwrites_nothing(box: Box) -> None:
    (box.root / "signalcraft.toml").write_text("# mine\n")
    assert "is there already" in box.refused("init", code=1)
    assert (box.root / "signalcraft.toml").read_text() == "# mine\n"
    assert not box.data.exists()
    box.run("init", "--config", "first.toml")
    key = (box.data / "master.key").read_bytes()
    assert "was there, kept" in box.run("init", "--config", "second.toml").stdout
    assert (box.data / "master.key").read_bytes() == key


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[http]\nlisten = "nowhere"\n', "http.listen"),
        ("[http]\nlisten_on = 1\n", "the nearest is http.listen"),
        ("[limits]\nwebhooks_per_minute = -1\n", "limits.webhooks_per_minute = -1"),
        ("[http\n", "this is not TOML"),
    ],
)
def test_a_broken_settings_file_is_one_line_for_every_command(box: Box, text: str, line: str) -> None:
    file = box.root / "broken.toml"
    file.write_text(text)
    for command in (["check-config"], ["serve"], ["apikey", "list"], ["status"], ["migrate"], ["export"]):
        said = box.refused(*command, "--config", str(file))
        assert line in said
        assert str(file) in said
    assert not box.data.exists()


def test_each_wrong_setting_has_its_line(box: Box) -> None:
    env = {"SIGNALCRAFT_HTTP__LISTEN": "x", "SIGNALCRAFT_LIMITS__OVERFLOW": "explode"}
    done = box.run("check-config", "--json", code=2, env=env)
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["http.listen", "limits.overflow"]
    assert [e["path"] for e in json.loads(done.stdout)["errors"]] == ["http.listen", "limits.overflow"]


def test_check_config_shows_what_differs_from_where_and_no_secret(box: Box) -> None:
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlYzA="
    env = {"SIGNALCRAFT_SECURITY__MASTER_KEY": secret, "SIGNALCRAFT_HTTP__LISTEN": "127.0.0.1:1234"}
    done = box.run("check-config", env=env)
    assert '"127.0.0.1:1234"' in done.stdout
    assert "environment SIGNALCRAFT_HTTP__LISTEN" in done.stdout
    assert "grouping.window_minutes" not in done.stdout
    assert secret not in done.stdout
    said = json.loads(box.run("check-config", "--json", env=env).stdout)
    assert said["ok"] is True
    by_path = {s["path"]: s for s in said["settings"]}
    assert by_path["grouping.window_minutes"]["origin"] == "default"
    assert secret not in str(said)
    assert not box.data.exists()


def test_migrate_on_a_new_an_old_and_a_newer_database(box: Box) -> None:
    newest = migrate.newest()
    said = json.loads(box.run("migrate", "status", "--json").stdout)
    assert (said["schema"], said["newest"]) == (0, newest)
    assert len(said["pending"]) == newest
    assert not box.data.exists() or not (box.data / "signalcraft.db").exists()
    assert "to apply" in box.run("migrate", "check", code=1).stdout
    assert box.run("migrate", "up").stdout.count("applied") == newest
    assert "up to date" in box.run("migrate", "check").stdout
    box.serving()
    assert json.loads(box.run("migrate", "status", "--json").stdout)["schema"] == newest
    assert "up to date" in box.run("migrate", "up").stdout


def test_a_newer_database_is_not_touched(box: Box) -> None:
    box.run("migrate", "up")
    _set_schema(box.data / "signalcraft.db", 9999)
    assert "newer than the program" in box.run("migrate", "check", code=1).stdout
    for command in (["serve"], ["apikey", "list"], ["migrate", "up"]):
        assert "schema 9999, newer than this program's" in box.refused(*command)


def test_a_data_directory_that_cannot_be_used_is_one_line(box: Box) -> None:
    file = box.root / "a file"
    file.write_text("")
    assert "data.dir" in box.refused("apikey", "list", "--data-dir", str(file / "below"))
    if os.geteuid() != 0:  # root writes everywhere
        closed = box.root / "closed"
        closed.mkdir(mode=0o500)
        assert "data.dir" in box.refused("apikey", "list", "--data-dir", str(closed / "new"))


def _set_schema(file: Path, number: int) -> None:
    from signalcraft.storage.db import connect

    connection = connect(file)
    connection.execute(f"pragma user_version = {number}").fetchall()
    connection.close()
