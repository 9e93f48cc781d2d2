"""What the doctor sees of the box itself: disk, clock, whose the files are. Each fault is planted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signalcraft.cli.doctor import box
from signalcraft.cli.doctor.finding import Finding, exit_code, fault, ok, warning
from signalcraft.config import Settings, load
from signalcraft.storage import disks

NOW_MS = 1_800_000_000_000
RIGHT = (True, 0.004)


def settings_of(folder: Path, **more: str) -> Settings:
    return load(overrides={"data.dir": str(folder), **more}, environ={}).settings


def said(finding: Finding, status: str, words: str) -> None:
    assert finding.status == status, finding
    assert words in finding.detail, finding


@pytest.mark.parametrize(
    ("total", "free", "status", "words"),
    [
        (100 << 30, 50 << 30, "ok", "(50.0 %)"),
        (100 << 30, 9 << 30, "warning", "disk_free_percent"),
        (500 << 20, 60 << 20, "fault", "about to be refused"),
    ],
)
def test_disk(tmp_path: Path, total: int, free: int, status: str, words: str) -> None:
    said(box.disk(settings_of(tmp_path), lambda _: (total, total - free, free)), status, words)


def test_disk_of_the_backups(tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    settings = settings_of(tmp_path, **{"backup.dir": str(away)})
    said(box.disk(settings, lambda one: (1 << 40, 0, 0 if one == away else 1 << 39)), "fault", str(away))


def test_disk_without_room_for_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        f_files, f_favail = 1_000_000, 900

    monkeypatch.setattr(os, "statvfs", lambda _: Full())
    said(box.disk(settings_of(tmp_path), lambda _: (1 << 40, 0, 1 << 39)), "fault", "inodes")


@pytest.mark.parametrize(
    ("latest_ms", "skew_s", "kernel", "status", "words"),
    [
        (NOW_MS, 0.2, RIGHT, "ok", "it agrees with Slack's"),
        (0, None, RIGHT, "ok", "to 0.004 s"),
        (0, None, (None, None), "ok", "does not say"),
        (0, 0.1, (False, None), "warning", "timedatectl"),
        (0, 45.0, RIGHT, "fault", "45 s behind Slack's"),
        (0, -400.0, RIGHT, "fault", "400 s ahead of Slack's"),
        (NOW_MS + 3_600_000, 0.0, RIGHT, "fault", "3600 s behind what was written down"),
    ],
)
def test_clock(
    tmp_path: Path,
    latest_ms: int,
    skew_s: float | None,
    kernel: tuple[bool | None, float | None],
    status: str,
    words: str,
) -> None:
    said(box.clock(settings_of(tmp_path), NOW_MS, latest_ms, skew_s, kernel), status, words)


def test_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    settings = settings_of(folder)
    said(box.data_directory(settings), "warning", "not there yet")
    folder.mkdir(mode=0o700)
    (folder / "signalcraft.db").touch()
    said(box.data_directory(settings), "ok", "alone")
    folder.chmod(0o755)
    said(box.data_directory(settings), "warning", "chmod 700")
    folder.chmod(0o700)
    said(box.data_directory(settings, uid=54_321), "fault", "run it as its owner")
    # As root would leave it behind: a file in it that the service cannot open.
    said(box.data_directory(settings, owner=lambda path: 54_321), "fault", "chown -R")
    monkeypatch.setattr(disks, "filesystem", lambda *_: "nfs4")
    said(box.data_directory(settings), "fault", "nfs4")


def test_data_directory_that_cannot_be_made_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path / "data")
    monkeypatch.setattr(os, "access", lambda *_: False)
    said(box.data_directory(settings), "fault", "cannot make it")
    (tmp_path / "data").mkdir()
    said(box.data_directory(settings), "fault", "cannot be written")


def test_the_worst_of_them_is_the_exit_code() -> None:
    assert exit_code([]) == 0
    assert exit_code([ok("a", "")]) == 0
    assert exit_code([ok("a", ""), warning("b", "")]) == 1
    assert exit_code([fault("a", ""), warning("b", ""), ok("c", "")]) == 2
