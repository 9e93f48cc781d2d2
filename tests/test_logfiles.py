"""Log files: a new one each day, bounded, private, kept for their time; a full disk costs lines and nothing else."""

from __future__ import annotations

import gzip
import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft import logs
from signalcraft.config.model import Log
from signalcraft.errors import BadSetting
from signalcraft.logs.files import DailyFile

DAY_S = 86_400
MARCH_1 = 1_772_323_200.0  # 2026-03-01T00:00:00Z


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "signalcraft.log"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for each in root.handlers[:]:
        root.removeHandler(each)
        if isinstance(each, DailyFile):
            each.close()
    for each in handlers:
        root.addHandler(each)
    root.setLevel(level)


def said(handler: logging.Handler, message: str, at_s: float, **fields: Any) -> None:
    record = logging.makeLogRecord(
        {"name": "signalcraft.test", "levelno": 20, "levelname": "INFO", "msg": message, **fields}
    )
    record.created = at_s
    handler.handle(record)


def made(path: Path, days: int = 14, bytes_max: int = 10_000_000) -> DailyFile:
    handler = DailyFile(path, days, bytes_max)
    handler.setFormatter(logs.JsonLines())
    handler.open()
    return handler


def messages(path: Path) -> list[str]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line)["message"] for line in raw.splitlines()]


def test_each_day_begins_a_new_file_and_the_earlier_one_is_packed(path: Path) -> None:
    handler = made(path)
    for day in range(3):
        said(handler, f"day {day}", MARCH_1 + day * DAY_S + 86_399)
        said(handler, f"day {day} again", MARCH_1 + day * DAY_S + 86_399.9)
    handler.settle()
    handler.close()
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["signalcraft.log", "signalcraft.log.2026-03-01.gz", "signalcraft.log.2026-03-02.gz"]
    assert messages(path) == ["day 2", "day 2 again"]
    assert messages(path.with_name("signalcraft.log.2026-03-01.gz")) == ["day 0", "day 0 again"]
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_older_than_its_time_goes_and_other_files_stay(path: Path) -> None:
    handler = made(path, days=14)
    stranger = path.with_name("signalcraft.log.old")
    stranger.write_text("x")
    path.with_name("signalcraft.log.2027-13-45").write_text("a day that there never was")
    for day in range(20):
        said(handler, f"day {day}", MARCH_1 + day * DAY_S)
        handler.settle()
    handler.close()
    days = sorted(file.name[-13:-3] for file in path.parent.glob("*.gz"))
    assert (days[0], days[-1], len(days)) == ("2026-03-06", "2026-03-19", 14)
    assert stranger.exists()


def test_a_file_that_grows_too_large_is_followed_by_another_of_the_same_day(path: Path) -> None:
    handler = made(path, bytes_max=1000)
    for number in range(30):
        said(handler, f"line {number}", MARCH_1 + number)
    handler.settle()
    handler.close()
    packed = sorted(path.parent.glob("*.gz"), key=lambda file: file.stat().st_mtime_ns)
    assert len(packed) > 2
    assert {file.name[:26] for file in packed} == {"signalcraft.log.2026-03-01"}
    everything = [line for file in packed for line in messages(file)] + messages(path)
    assert sorted(everything, key=lambda m: int(m.split()[1])) == [f"line {n}" for n in range(30)]
    assert path.stat().st_size <= 1000


def test_a_restart_goes_on_in_the_file_of_the_day_and_ends_a_torn_line(path: Path) -> None:
    path.write_bytes(b'{"message": "earlier"}\n{"message": "to')
    os.utime(path, (MARCH_1, MARCH_1))
    handler = made(path)
    said(handler, "same day", MARCH_1 + 60)
    lines = path.read_bytes().splitlines()
    assert json.loads(lines[-1])["message"] == "same day"
    assert lines[1] == b'{"message": "to'
    handler.close()
    os.utime(path, (MARCH_1, MARCH_1))
    handler = made(path)
    said(handler, "next day", MARCH_1 + DAY_S)
    handler.settle()
    handler.close()
    assert messages(path) == ["next day"]


def test_a_file_that_logrotate_put_away_is_begun_anew(path: Path) -> None:
    handler = made(path)
    said(handler, "one", MARCH_1)
    path.rename(path.with_name("elsewhere"))
    said(handler, "two", MARCH_1 + 1)
    handler.close()
    assert messages(path) == ["two"]


def test_a_line_is_one_line_whatever_stands_in_it(path: Path) -> None:
    handler = made(path)
    said(handler, 'evil\n{"level":"info","message":"forged"}\r\n\x1b[31m', MARCH_1, field="a\nb")
    handler.close()
    assert len(path.read_bytes().splitlines()) == 1
    text = logs.TextLines().format(
        logging.makeLogRecord({"msg": "evil\n10:00:00.000 INFO    forged: line", "name": "x"})
    )
    assert "\n10:00" not in text, "a line of ours begins at the line's start"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_costs_lines_that_are_counted_and_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = made(path)
    said(handler, "before", MARCH_1)
    full = os.open("/dev/full", os.O_WRONLY)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(full, data))
    for second in range(10):
        said(handler, "lost", MARCH_1 + second)
    assert handler.lost == 10
    monkeypatch.setattr(os, "write", write)
    os.close(full)
    said(handler, "too soon", MARCH_1 + 9.5)
    said(handler, "after", MARCH_1 + 20)
    handler.close()
    assert messages(path) == ["before", "log lines could not be written", "after"]
    assert json.loads(path.read_bytes().splitlines()[1])["lines"] == 11


def test_errors_have_a_file_of_their_own_and_no_secret_is_in_either(tmp_path: Path) -> None:
    logs.setup(Log(file=str(tmp_path / "box.log")))
    logs.redact.add("canary-of-the-log-files")
    log = logging.getLogger("signalcraft.test")
    log.info("well with canary-of-the-log-files")
    log.error("bad with canary-of-the-log-files", extra={"password": "x-y-z-1-2-3"})
    well, bad = tmp_path / "box.log", tmp_path / "box.error.log"
    assert len(messages(well)) == 2
    assert len(messages(bad)) == 1
    assert b"canary" not in well.read_bytes() + bad.read_bytes()
    assert b"x-y-z" not in well.read_bytes()
    assert stat.S_IMODE(bad.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_stops_the_start_with_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="cannot be written") as refused:
        logs.setup(Log(file=str(tmp_path / "nowhere" / "box.log")))
    assert refused.value.path == "log.file"
