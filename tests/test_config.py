"""Settings: where they come from, what is refused and how it is said."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalcraft.config import Loaded, Secret, Settings, load, reference, sample, split_listen
from signalcraft.config.fields import fields, sections, value_of
from signalcraft.errors import BadSetting

ROOT = Path(__file__).resolve().parent.parent
BAD = ROOT / "tests" / "house" / "bad-config"


@pytest.fixture(autouse=True)
def no_system_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A settings file of this machine must not decide these tests."""
    monkeypatch.setattr("signalcraft.config.loading.SYSTEM_FILE", tmp_path / "etc.toml")


def given_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "signalcraft.toml"
    file.write_text(text, "utf-8")
    return file


def refused(*, file: Path | None = None, environ: dict[str, str] | None = None, **overrides: str) -> BadSetting:
    with pytest.raises(BadSetting) as caught:
        load(file, {k.replace("__", "."): v for k, v in overrides.items()}, environ or {})
    return caught.value


def test_nothing_needs_to_be_set() -> None:
    """Without a file and a variable the defaults stand, and each says so."""
    loaded = load(environ={"HOME": "/home/ana"})
    assert loaded.settings.http.listen == "127.0.0.1:8080"
    assert loaded.settings.limits.webhooks_per_minute == 100
    assert set(loaded.origin) == set(fields())
    assert set(loaded.origin.values()) == {"default"}
    assert loaded.file is None


def test_a_later_place_wins_over_an_earlier_one(tmp_path: Path) -> None:
    """Default, file, environment, command line: each beats what is left of it, key by key."""
    file = given_file(tmp_path, "[grouping]\nwindow_minutes = 5\nspike_minutes = 6\nauto_close_days = 9\n")
    environ = {"SIGNALCRAFT_GROUPING__SPIKE_MINUTES": "7", "SIGNALCRAFT_GROUPING__AUTO_CLOSE_DAYS": "8"}
    loaded = load(file, {"grouping.auto_close_days": "3"}, environ)
    grouping = loaded.settings.grouping
    assert (grouping.window_minutes, grouping.spike_minutes, grouping.auto_close_days) == (5, 7, 3)
    assert loaded.origin["grouping.window_minutes"] == f"file {file}"
    assert loaded.origin["grouping.spike_minutes"] == "environment SIGNALCRAFT_GROUPING__SPIKE_MINUTES"
    assert loaded.origin["grouping.auto_close_days"] == "command line"
    assert loaded.origin["grouping.spike_events"] == "default"


def test_which_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config before $SIGNALCRAFT_CONFIG before /etc; only the last of them may be missing."""
    paths = [tmp_path / name for name in ("asked.toml", "named.toml", "etc.toml")]
    for days, path in enumerate(paths, start=1):
        path.write_text(f"[grouping]\nauto_close_days = {days}\n")
    named = {"SIGNALCRAFT_CONFIG": str(paths[1])}
    assert load(paths[0], None, named).settings.grouping.auto_close_days == 1
    assert load(None, None, named).settings.grouping.auto_close_days == 2
    assert load(None, None, {}).settings.grouping.auto_close_days == 3
    assert load(None, None, {}).file == paths[2]
    for path in paths:
        path.unlink()
    assert load(None, None, {}).settings.grouping.auto_close_days == 7
    assert "named.toml: the settings file cannot be read (No such file or directory)" in refused(environ=named).detail
    assert "asked.toml" in refused(file=paths[0]).detail


def test_sections_in_sections_and_lists() -> None:
    """A key of an inner section has one more __; a list is parted by commas."""
    environ = {
        "SIGNALCRAFT_GROUPING__RETELL_AFTER_MINUTES__HIGH": "30",
        "SIGNALCRAFT_OUTBOUND__ALLOW": " 10.0.0.0/8, Jira.Example.internal. ,192.168.1.7",
        "SIGNALCRAFT_HTTP__TRUSTED_PROXIES": "",
    }
    settings = load(environ=environ).settings
    assert settings.grouping.retell_after_minutes.high == 30
    assert settings.grouping.retell_after_minutes.critical == 60
    assert settings.outbound.allow == ["10.0.0.0/8", "jira.example.internal", "192.168.1.7/32"]
    assert settings.http.trusted_proxies == []


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.toml")))
def test_a_mistake_in_the_file_is_one_clear_line(name: str) -> None:
    """It names the key, its value, the file, what is allowed or the nearest name: the file's first comment."""
    file = BAD / f"{name}.toml"
    expected = file.read_text("utf-8").partition("\n")[0].removeprefix("# ")
    assert refused(file=file).detail == expected.replace("FILE", str(file))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LOG__LEVEL", "loud", 'log.level = "loud" (from environment SIGNALCRAFT_LOG__LEVEL): "debug", "info", '),
        (
            "HTTP__LISTNE",
            "x",
            "SIGNALCRAFT_HTTP__LISTNE: there is no such setting (from the environment); the nearest is",
        ),
        (
            "HTTP__LISTEN_FILE",
            "x",
            "SIGNALCRAFT_HTTP__LISTEN_FILE: there is no such setting (from the environment); the",
        ),
        (
            "SECURITY__MASTER_KEY",
            "",
            'security.master_key = "•••" (from environment SIGNALCRAFT_SECURITY__MASTER_KEY): ',
        ),
        ("GROUPING__SETTLE_SECONDS", "nan", 'grouping.settle_seconds = "nan" (from environment SIGNALCRAFT_GROUPING__'),
    ],
)
def test_a_mistake_in_the_environment_is_one_clear_line(name: str, value: str, sentence: str) -> None:
    """A variable of ours that means nothing stops the start too."""
    detail = refused(environ={f"SIGNALCRAFT_{name}": value}).detail
    assert detail.startswith(sentence)
    assert "\n" not in detail


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """A person mends them in one go."""
    fault = refused(file=given_file(tmp_path, "[http]\nlisten = 'x'\n[lgo]\n"), environ={"SIGNALCRAFT_X": "1"})
    assert [path for path, _ in fault.errors] == ["lgo", "SIGNALCRAFT_X", "http.listen"]
    assert fault.detail.count("\n") == 2
    assert fault.path == "lgo"


@pytest.mark.parametrize("content", [b"[http", b"\xff\xfe", b"[http]\nlisten = 'a'\nlisten = 'b'"])
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    """It is named, with the place where reading ended."""
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    assert refused(file=file).detail.startswith(f"{file}: this is not TOML: ")


@pytest.mark.parametrize("way", ["variable", "variable_file", "toml", "toml_file", "credential"])
def test_the_master_key_comes_from_any_of_five_places(tmp_path: Path, way: str) -> None:
    """It says which, and shows itself nowhere."""
    key = "k" * 40
    (tmp_path / "key").write_text(key + "\n")
    (tmp_path / "signalcraft-master-key").write_text(key)
    name = "SIGNALCRAFT_SECURITY__MASTER_KEY"
    file = None
    environ = {
        "variable": {name: key},
        "variable_file": {f"{name}_FILE": str(tmp_path / "key")},
        "credential": {"CREDENTIALS_DIRECTORY": str(tmp_path)},
    }.get(way, {})
    if way == "toml":
        file = given_file(tmp_path, f'[security]\nmaster_key = "{key}"\n')
    if way == "toml_file":
        file = given_file(tmp_path, f'[security]\nmaster_key_file = "{tmp_path / "key"}"\n')
    loaded = load(file, None, environ)
    assert loaded.settings.security.master_key.reveal() == key
    assert {
        "variable": f"environment {name}",
        "variable_file": f"environment {name}_FILE: {tmp_path}/key",
        "toml": f"file {file}",
        "toml_file": f"file {file}, master_key_file: {tmp_path}/key",
        "credential": f"systemd credential: {tmp_path}/signalcraft-master-key",
    }[way] == loaded.origin["security.master_key"]
    assert ("security.master_key", '"•••"', loaded.origin["security.master_key"]) in loaded.table()
    assert key not in repr(loaded)
    assert key not in str(loaded.table())


def test_a_secret_file_that_is_not_there(tmp_path: Path) -> None:
    """The file and the variable are named."""
    name = "SIGNALCRAFT_SECURITY__MASTER_KEY_FILE"
    fault = refused(environ={name: f"{tmp_path}/no"})
    assert fault.detail == (
        f"security.master_key: {tmp_path}/no cannot be read: No such file or directory (from environment {name})"
    )


def test_a_secret_given_twice_is_refused() -> None:
    """Which of the two is meant is not guessed."""
    name = "SIGNALCRAFT_SECURITY__MASTER_KEY"
    assert f"both {name} and {name}_FILE are set" in refused(environ={name: "a", f"{name}_FILE": "/b"}).detail


def test_a_secret_prints_as_dots() -> None:
    """However it is printed."""
    secret = Secret("hunter2")
    assert [str(secret), repr(secret), f"{secret}", str(Secret())] == ["•••", "Secret('•••')", "•••", ""]
    assert (bool(secret), bool(Secret())) == (True, False)
    assert secret == Secret("hunter2") != Secret("other")


def test_where_data_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for; else systemd's directory; else /var/lib where it can be written; else the home directory."""
    system = tmp_path / "var" / "lib" / "signalcraft"
    monkeypatch.setattr("signalcraft.config.loading.SYSTEM_DATA", system)
    home = {"HOME": "/home/ana"}
    assert load(environ=home).settings.data.path == Path("/home/ana/.local/share/signalcraft")
    assert load(environ={**home, "XDG_DATA_HOME": "/x"}).settings.data.path == Path("/x/signalcraft")
    system.parent.mkdir(parents=True)
    assert load(environ=home).settings.data.path == system
    state = {**home, "STATE_DIRECTORY": "/srv/state:/srv/other"}
    assert load(environ=state).settings.data.path == Path("/srv/state")
    assert load(environ=state).origin["data.dir"] == "environment STATE_DIRECTORY"
    asked = load(None, {"data.dir": str(tmp_path / "mine" / ".." / "here")}, state)
    assert asked.settings.data.path == tmp_path / "here"
    (tmp_path / "file").touch()
    assert "the path of a directory (a file stands there)" in refused(data__dir=str(tmp_path / "file")).detail


@pytest.mark.parametrize(
    ("path", "text", "clean"),
    [
        ("http.listen", "[::1]:8080", "[::1]:8080"),
        ("http.listen", "0.0.0.0:0", "0.0.0.0:0"),
        ("http.listen", "localhost:80", "localhost:80"),
        ("http.public_url", "https://alerts.example.com/", "https://alerts.example.com"),
        ("http.public_url", "", ""),
        ("slack.api_url", "http://127.0.0.1:99/api", "http://127.0.0.1:99/api/"),
        ("slack.api_url", "http://127.0.0.1:99/api/", "http://127.0.0.1:99/api/"),
    ],
)
def test_texts_are_taken_clean(path: str, text: str, clean: str) -> None:
    """Slashes at the end are as the code that uses them expects."""
    assert value_of(load(None, {path: text}, {}).settings, path) == clean


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("http.listen", "8080"),
        ("http.listen", ":8080"),
        ("http.listen", "::1:8080"),
        ("http.listen", "127.0.0.1:65536"),
        ("http.listen", "127.0.0.1:٣"),
        ("http.listen", "[x]:1"),
        ("http.listen", "a b:1"),
        ("http.public_url", "alerts.example.com"),
        ("http.public_url", "ftp://alerts.example.com"),
        ("http.public_url", "https://ana:pw@alerts.example.com"),
        ("http.public_url", "https://alerts.example.com/?x=1"),
        ("http.public_url", "https://alerts.example.com:port"),
        ("http.public_url", 'https://alerts.example.com/"'),
        ("slack.api_url", ""),
        ("http.trusted_proxies", "10.0.0.0/33"),
        ("http.trusted_proxies", "proxy.example.com"),
        ("outbound.allow", "10.0.0.0/8/8"),
        ("outbound.allow", "999.1.1.1"),
        ("outbound.allow", "https://jira"),
        ("outbound.ca_file", "/no/such/file.pem"),
        ("workspace.timezone", "../../etc/passwd"),
        ("workspace.timezone", ""),
        ("data.dir", "/srv/a\0b"),
    ],
)
def test_texts_that_are_refused(path: str, text: str) -> None:
    """Each names its key."""
    assert refused(**{path.replace(".", "__"): text}).path == path


@given(st.text(max_size=40), st.sampled_from(sorted(fields())))
def test_any_text_for_any_setting_is_taken_or_refused_by_name(text: str, path: str) -> None:
    """No text of the command line or the environment ends in anything but settings, or a line that names the key."""
    with contextlib.suppress(BadSetting):
        assert isinstance(load(None, {path: text}, {"HOME": "/home/ana"}), Loaded)
        return
    fault = refused(**{path.replace(".", "__"): text})
    assert fault.path.partition(".")[0] == path.partition(".")[0]
    assert "\n" not in fault.detail


def test_split_listen() -> None:
    """Host and port as a socket wants them."""
    assert split_listen("127.0.0.1:8080") == ("127.0.0.1", 8080)
    assert split_listen("[::1]:0") == ("::1", 0)


def test_the_sample_changes_nothing(tmp_path: Path) -> None:
    """Every line is a comment; with the # taken away it says what the defaults say."""
    assert all(not line or line.startswith("#") for line in sample().splitlines())
    live = []
    for line in sample().splitlines():
        text = line.removeprefix("# ")
        name = text.partition(" = ")[0]
        if text.strip("[]") in sections() or any(f".{path}".endswith(f".{name}") for path in fields()):
            live.append(text)
    table: dict[str, Any] = tomllib.loads("\n".join(live))
    tables = [v for v in table.values() if isinstance(v, dict)]
    inner = len(table["grouping"]["retell_after_minutes"]) - 1
    assert sum(map(len, tables)) + inner + len(table) - len(tables) == len(fields())
    del table["security"]  # an empty key is not a key
    as_written = load(given_file(tmp_path, "\n".join(live).replace('master_key = ""', "")), None, {"HOME": "/h"})
    assert as_written.settings == load(environ={"HOME": "/h"}).settings


def test_every_setting_says_what_it_is_for() -> None:
    """In the model, hence in the sample and on the page."""
    for path, f in fields().items():
        assert f.meta.description, path
        assert f.meta.description.endswith("."), path
        assert f"`{f.env}`" in reference()
        assert f"# {path.rpartition('.')[2]} = " in sample()
    assert all(section.__doc__ for section in sections().values())


def test_defaults_stand_in_the_model_alone() -> None:
    """Loading nothing gives the model's own defaults, the data directory aside."""
    loaded = load(environ={"HOME": "/h"}).settings
    fresh = Settings()
    for path in fields():
        if path != "data.dir":
            assert value_of(loaded, path) == value_of(fresh, path), path


@pytest.mark.parametrize("page", ["--sample", "--reference"])
def test_the_generator_prints_a_page(page: str) -> None:
    """`make gen` writes what this prints."""
    done = subprocess.run(
        [sys.executable, "-m", "signalcraft.config", page], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == {"--sample": sample, "--reference": reference}[page]()
