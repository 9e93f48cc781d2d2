"""`logs`: from the log's files, from the journal of the service, or what the process remembers."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from signalcraft.cli import logs
from signalcraft.storage import installed
from tests.cli.conftest import Box

LINES = [
    {"timestamp": "2026-03-01T10:00:00.000Z", "level": "info", "logger": "a", "message": "the first", "n": 1},
    {"timestamp": "2026-03-02T10:00:00.000Z", "level": "warning", "logger": "a", "message": "the second"},
    {"timestamp": "2026-03-03T10:00:00.000Z", "level": "error", "logger": "a", "message": "the third",
     "exception": "Tr"},
]  # fmt: skip


@pytest.fixture
def file(box: Box) -> Path:
    """Two days packed, one at work."""
    path = box.root / "signalcraft.log"
    for line, name in zip(LINES, ("2026-03-01.gz", "2026-03-02", ""), strict=True):
        text = json.dumps(line) + "\n"
        target = path.with_name(f"{path.name}.{name}") if name else path
        target.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def said(box: Box, file: Path, *args: str) -> list[str]:
    done = box.run("logs", *args, env={"SIGNALCRAFT_LOG__FILE": str(file)})
    return done.stdout.splitlines()


def test_files_are_read_from_a_moment_on_by_level(box: Box, file: Path) -> None:
    assert said(box, file) == ["2026-03-03T10:00:00.000Z error the third", "Tr"]
    every = said(box, file, "--since", "2026-03-01T00:00:00Z")
    assert [line.split(" ")[-1] for line in every] == ["n=1", "second", "third", "Tr"]
    assert len(said(box, file, "--since", "2026-03-02T00:00:00Z")) == 3
    assert said(box, file, "--since", "1d", "--level", "info") == []
    listed = [json.loads(line) for line in said(box, file, "--since", "2026-03-01", "--level", "warning", "--json")]
    assert listed == LINES[1:]
    assert "--since takes" in box.refused("logs", "--since", "yesterday", env={"SIGNALCRAFT_LOG__FILE": str(file)})


def test_following_a_file_shows_what_comes_and_the_next_days_file(box: Box, file: Path) -> None:
    process = box.start("logs", "-f", "--json", env={"SIGNALCRAFT_LOG__FILE": str(file), "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["message"] == "the third"
    with file.open("a") as out:
        out.write(json.dumps({"level": "info", "message": "the fourth"}) + "\n")
    assert json.loads(process.stdout.readline())["message"] == "the fourth"
    file.rename(file.with_name(f"{file.name}.2026-03-03"))
    file.write_text(json.dumps({"level": "info", "message": "the fifth"}) + "\n")
    assert json.loads(process.stdout.readline())["message"] == "the fifth"
    process.kill()


def test_without_files_and_journal_the_process_is_asked(box: Box) -> None:
    assert "there is no log.file to read" in box.run("logs", code=1).stderr
    box.serving()
    done = box.run("logs", "--level", "warning")
    assert "the latest warnings that the process remembers" in done.stderr
    assert "Traceback" not in done.stdout


def test_a_service_is_read_from_its_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As whom a process runs stands in its cgroup; the journal does the rest."""
    asked: list[list[str]] = []

    def run(words: list[str], check: bool, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
        asked.append(words)
        assert "PATH" in env
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert logs._journal("signalcraft.service", 1_772_442_000.5, "warning", follow=True) == 0
    assert logs._journal("signalcraft.service", 0, "info", follow=False) == 0
    assert asked[0][1:] == [
        "--unit", "signalcraft.service", "--output", "cat", "--no-pager", "--priority", "warning",
        "--since", "@1772442000", "--follow",
    ]  # fmt: skip
    assert asked[1][-2:] == ["--lines", "200"]
    assert logs._journal("signalcraft.service", 0, "info", follow=False, find="r-7.x") == 0
    assert asked[2][-2:] == ["--grep=r\\-7\\.x", "--case-sensitive=yes"]


def test_the_service_of_a_process_stands_in_its_cgroup(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = iter(("0::/system.slice/signalcraft.service\n", "0::/user.slice/user-0.slice/session-3.scope\n", "0::/\n"))
    monkeypatch.setattr(Path, "read_text", lambda self, _: next(texts))
    assert [installed.unit_of(1) for _ in range(3)] == ["signalcraft.service", "", ""]


@pytest.mark.whole
def test_status_tells_of_schema_backup_and_upgrade(box: Box) -> None:
    box.serving()
    said = box.run("status").stdout
    assert "schema" in said
    assert "backup        none yet" in said
    assert "upgraded      never; last migration never" in said
    facts = json.loads(box.run("status", "--json").stdout)
    assert facts["held_since"] is None
    assert {"last_backup_at", "last_upgrade_at", "last_migration_at"} <= facts.keys()
