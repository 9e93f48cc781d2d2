"""What stands around a change of version: the list before it, the restart of a service, the way back where it fails."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from signalcraft.cli import deploying, upgrading
from signalcraft.cli.migrating import _now
from signalcraft.cli.options import Where
from signalcraft.cli.root import run
from signalcraft.errors import Conflict, Fault
from signalcraft.storage import before, installed, migrate, returning, runs
from signalcraft.storage.rehearsal import level_of
from tests.cli.prefix import Prefix, ahead, release, served
from tests.cli.test_migrating import add_event
from tests.storage.schemas import draw


class Systemd:
    """What systemctl is asked, and a service that comes up or does not."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, comes_up: bool, then: bool = False, unit: str = "signalcraft.service"
    ) -> None:
        self.asked: list[str] = []
        self.told: list[str] = []
        monkeypatch.setattr(
            deploying, "tell", lambda _, what, state, version, *more: self.told.append(f"{what} {state} {version}")
        )
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(installed, "systemctl", lambda *words: self.asked.append(words[0]))
        monkeypatch.setattr(upgrading, "_service", lambda _: (True, unit))
        self.comes_up, self.then = comes_up, then
        monkeypatch.setattr(upgrading, "_await_version", self.await_version)

    def await_version(self, _: Path, version: str, unit: str = "") -> None:
        came, self.comes_up = self.comes_up, self.then or self.comes_up
        if not came:
            raise Fault("it was not there after 150 s")


def two_versions(below: Path) -> installed.Place:
    place = installed.Place(below)
    for n, version in enumerate(("1.0.0", "1.1.0")):
        draft = place.incoming()
        draft.write_bytes(b"a program" * 100)
        place.add(draft, version, "00", n)
        place.switch(version)
    return place


def test_a_service_is_restarted_and_goes_back_where_it_does_not_come_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, where = two_versions(tmp_path / "prefix"), Where(None, tmp_path / "data")
    draw.laid(10, tmp_path / "data")
    systemd = Systemd(monkeypatch, comes_up=True)
    assert upgrading._restarted(where, place, "1.1.0", "1.0.0")
    assert (systemd.asked, place.current()) == (["reset-failed", "restart"], "1.1.0")

    levels = iter((10, 11))
    monkeypatch.setattr(upgrading, "_level", lambda _: next(levels))
    systemd = Systemd(monkeypatch, comes_up=False, then=True)
    with pytest.raises(Fault, match=r"1\.1\.0 did not come up .*1\.0\.0 is in use again"):
        upgrading._restarted(where, place, "1.1.0", "1.0.0")
    assert systemd.asked == ["reset-failed", "restart"] * 2, "who waits is not cut off"
    assert place.current() == "1.0.0"
    asked = returning.wanted(tmp_path / "data")
    assert asked is not None
    assert (asked.to, asked.carry) == (10, True)
    assert systemd.told == ["upgrade started 1.1.0", "upgrade failed 1.1.0"]


def test_a_rollback_of_a_service_is_a_restart_and_stays_where_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, unit = two_versions(tmp_path / "prefix"), "signalcraft.service"
    systemd = Systemd(monkeypatch, comes_up=True)
    back = (place, unit, tmp_path, None, "1.0.0", "1.1.0")
    upgrading._restarted_back(*back, carry=True, yes=True, quiet=True)
    assert (systemd.asked, place.current()) == (["reset-failed", "restart"], "1.0.0")
    assert systemd.told == ["rollback started 1.0.0", "rollback finished 1.0.0"]
    place.switch("1.1.0")
    systemd = Systemd(monkeypatch, comes_up=False, then=True)
    with pytest.raises(Fault, match=r"1\.0\.0 did not come up .*1\.1\.0 is in use again"):
        upgrading._restarted_back(*back, carry=True, yes=True, quiet=True)
    assert (place.current(), systemd.told[-1]) == ("1.1.0", "rollback failed 1.0.0")


def test_a_start_that_failed_is_noticed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "in_trouble", lambda _: "the service ended at its start (exit-code)")
    with pytest.raises(Fault, match="ended at its start"):
        upgrading._await_version(tmp_path, "1.1.0", "signalcraft.service")


def test_without_systemd_it_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place, where = two_versions(tmp_path / "prefix"), Where(None, tmp_path / "data")
    systemd = Systemd(monkeypatch, comes_up=True, unit="")
    assert upgrading._restarted(where, place, "1.1.0", "1.0.0") is False
    assert "end it and start it again" in capsys.readouterr().err
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(upgrading, "_service", lambda _: (True, "signalcraft.service"))
    assert upgrading._restarted(where, place, "1.1.0", "1.0.0") is False
    assert "systemctl restart signalcraft.service" in capsys.readouterr().err
    with pytest.raises(Conflict, match="stop it first"):
        upgrading._unit(tmp_path / "data", needed=True)
    assert systemd.asked == []


@pytest.mark.parametrize("name", deploying.NAMES)
def test_nothing_is_installed_while_the_list_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """CI-13: each line by itself, in the words that a person reads; one may be left out by name."""
    place, where = two_versions(tmp_path / "prefix"), Where(None, tmp_path / "data")
    draw.laid(10, tmp_path / "data")
    report = {"ok": True, "pending": [], "rehearsal": None}
    monkeypatch.setattr(runs, "last_done_ms", lambda *_: _now())
    words = spoilt(name, place, monkeypatch, report)
    checks = deploying.preflight(where, place, place.binary("1.1.0"), "1.0.0", report, make=True)
    assert [one.name for one in checks] == list(deploying.NAMES)
    assert [one.name for one in checks if not one.ok] == [name], checks
    with pytest.raises(Conflict, match=f"nothing was changed, the list is not complete: {name}: .*{words}"):
        deploying.complete(checks, (), quiet=True)
    deploying.complete(checks, (name,), quiet=True)


def spoilt(name: str, place: installed.Place, monkeypatch: pytest.MonkeyPatch, report: dict[str, object]) -> str:
    """Everything is well but for one thing; the words about it."""

    def ask(binary: Path, *words: str) -> object:
        if words[0] == "check-config" and name == "settings":
            return {"ok": False, "errors": [{"path": "http.port", "message": "http.port is unknown"}]}
        return {"ok": True, "version": binary.parent.name}

    monkeypatch.setattr(installed, "ask", ask)
    if name == "migration":
        report |= {"ok": False, "problem": "9001_next cannot be applied"}
        return "9001_next cannot be applied"
    if name == "disk":
        usage = shutil.disk_usage("/")
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
        return "MB are free"
    if name == "backup":
        monkeypatch.setattr(runs, "last_done_ms", lambda *_: 1)
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
        return "hours old: run `signalcraft backup` as the owner"
    if name == "way back":
        place.binary("1.0.0").unlink()
        return "there would be nothing to return to"
    if name == "service":
        monkeypatch.setattr("signalcraft.cli.client.answers", lambda _: True)
        monkeypatch.setattr("signalcraft.cli.client.beside", Starting)
        return "it runs and is not ready"
    return "http.port: http.port is unknown"


def test_room_that_the_migration_needs_and_what_cannot_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What breaks a look is that line's own word; the others are looked at all the same."""
    place, where = two_versions(tmp_path / "prefix"), Where(None, tmp_path / "data")
    draw.laid(10, tmp_path / "data")
    monkeypatch.setattr(runs, "last_done_ms", lambda *_: _now())
    monkeypatch.setattr(installed, "ask", lambda *_: {"ok": True, "version": "1.0.0"})

    def hung_up(_: Path) -> tuple[bool, str]:
        raise Fault("the process hung up")

    monkeypatch.setattr(deploying, "_service", hung_up)
    report = {"ok": True, "pending": ["9001_next"], "rehearsal": {"needed": 1 << 60}}
    checks = deploying.preflight(where, place, place.binary("1.1.0"), "1.0.0", report, make=False)
    said = {one.name: one.said for one in checks if not one.ok}
    assert set(said) == {"disk", "service"}
    assert f"MB are needed in {tmp_path / 'data'}" in said["disk"]
    assert said["service"] == "the process hung up"


def test_an_upgrade_asks_the_list_before_anything_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place, new = two_versions(tmp_path / "prefix"), tmp_path / "signalcraft-1.2.0"
    new.write_bytes(b"a program")
    monkeypatch.setattr(installed, "version_of", lambda _: "1.2.0")
    monkeypatch.setattr(installed, "ask", lambda *_: {"ok": True, "pending": [], "rehearsal": None})
    missing = [deploying.Check(name="disk", ok=False, said="none is free")]
    monkeypatch.setattr(deploying, "preflight", lambda *_, **__: missing)
    digest = hashlib.sha256(new.read_bytes()).hexdigest()
    words = ["upgrade", str(new), "--sha256", digest, "--prefix", str(place.prefix)]
    assert run([*words, "--data-dir", str(tmp_path / "data")]) == 1
    assert "nothing was changed, the list is not complete: disk: none is free" in capsys.readouterr().err
    assert place.current() == "1.1.0"


class Starting:
    """A process that serves and is not ready."""

    status = 503

    def __init__(self, _: Path) -> None:
        return

    def __enter__(self) -> Starting:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def request(self, *_: object, **more: object) -> Starting:
        return self


@pytest.mark.whole
def test_an_upgrade_makes_the_backup_that_it_needs(prefix: Prefix) -> None:
    database = prefix.box.data / "signalcraft.db"
    made_ms = runs.last_done_ms(database, "backup")
    assert made_ms is not None, "the first one was made for version 1.0.0"
    checked = prefix.upgrade(release(prefix.files, "1.1.0"), "--check")
    lines = {one["name"]: one for one in checked["checks"]}  # type: ignore[attr-defined]
    assert list(lines) == list(deploying.NAMES)
    assert lines["backup"]["said"] == "the last one is 0 hours old"
    assert lines["way back"]["said"] == "version 1.0.0 is kept"
    prefix.upgrade(prefix.files / "signalcraft-1.1.0")
    assert runs.last_done_ms(database, "backup") == made_ms, "a young one is enough"


@pytest.mark.whole
def test_the_start_of_an_older_version_goes_back_where_that_was_asked_for(prefix: Prefix) -> None:
    """What `rollback` and a failed upgrade ask of a service: who connects meanwhile waits for it."""
    box, file = prefix.box, ahead(prefix)
    add_event(file)
    installed.Place(prefix.path).switch("1.0.0")
    serve = [str(prefix.path / "current" / "signalcraft"), "serve"]
    refused = subprocess.run(serve, env=box.env, cwd=box.root, capture_output=True, timeout=120, check=False)
    assert refused.returncode != 0, "an older program does not touch a newer database by itself"
    assert level_of(file) == 9001
    returning.want(box.data, returning.Wanted(to=migrate.newest(), carry=True, program="1.1.0", at_ms=1))
    served(prefix)
    assert level_of(file) == migrate.newest()
    assert returning.wanted(box.data) is None
    (newer,) = [one for one in before.kept(box.data) if one.newer]
    assert (newer.schema, newer.since["event"]) == (9001, 1)
