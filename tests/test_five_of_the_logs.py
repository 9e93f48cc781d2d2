"""VAL-5: what has to be tried of the logs, one test for each of its five points: in the log files of a real box."""

from __future__ import annotations

import gzip
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from signalcraft import logs
from signalcraft.config.model import Log
from tests.world import BOT_TOKEN, World

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """The log file; what the tests' own runner hears of the log is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    path = tmp_path / "signalcraft.log"
    logs.setup(Log(file=str(path), format="json"))
    yield path
    for one in root.handlers:
        if one not in handlers:
            one.close()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def world(tmp_path: Path, file: Path) -> Iterator[World]:
    with World(tmp_path / "data", **{"log.requests": "all"}) as it:
        yield it


def lines(path: Path) -> list[dict[str, Any]]:
    """Every line of a file, each one JSON object."""
    logs.flush()
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def answered(path: Path, request: str) -> dict[str, Any]:
    """The line about the answer to a request; it is written behind the answer itself."""
    for _ in range(200):
        for line in lines(path):
            if line.get("request_id") == request and line["message"] == "answered":
                return line
        time.sleep(0.02)
    raise AssertionError(f"no line about {request}")


def test_1_requests(world: World, file: Path) -> None:
    world.api.get("/api/channels", headers={"X-Request-ID": "asked-1", "User-Agent": "canary-agent"})
    line = answered(file, "asked-1")
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/channels", 200)
    assert line["user"].startswith("api_key:")
    assert (line["workspace"], line["address"]) == (1, "127.0.0.1")
    assert line["duration_ms"] > 0
    assert line["bytes"] > 0
    assert "canary-agent" not in file.read_text()


def test_2_errors_with_their_context(world: World, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise LookupError("planted")

    monkeypatch.setattr(world.house.accounts, "list_keys", fails)
    assert world.api.get("/api/api-keys", headers={"X-Request-ID": "asked-2"}).status_code == 500
    assert answered(file, "asked-2")["status"] == 500
    (fault,) = [one for one in lines(file) if one.get("request_id") == "asked-2" and "exception" in one]
    assert "LookupError: planted" in fault["exception"]
    assert fault["level"] == "error"
    assert fault["user"].startswith("api_key:")
    assert "planted" in file.with_name("signalcraft.error.log").read_text()


def test_3_redaction(world: World, file: Path) -> None:
    made = world.post("/api/api-keys", {"name": "canary", "scopes": ["alerts:read"]})
    log = logging.getLogger("signalcraft.test")
    log.warning("the token is %s", BOT_TOKEN, extra={"password": "x-y-z-1-2", "header": f"Bearer {made['key']}"})
    text = file.read_text("utf-8")
    assert "•••" in text
    for secret in (BOT_TOKEN, "x-y-z-1-2", made["key"]):
        assert secret not in text


def test_4_rotation(tmp_path: Path) -> None:
    from signalcraft.logs.files import DailyFile

    path = tmp_path / "rotated.log"
    handler = DailyFile(path, 2, 1_000_000)
    handler.setFormatter(logs.JsonLines())
    handler.open()
    for day in range(5):
        record = logging.makeLogRecord({"msg": f"day {day}", "levelname": "INFO", "name": "x"})
        record.created = 1_772_323_200 + day * 86_400.0
        handler.emit(record)
    handler.settle()
    handler.close()
    kept = sorted(one.name for one in tmp_path.iterdir() if one.name.startswith("rotated"))
    assert kept[0] == "rotated.log"
    assert all(name.endswith(".gz") for name in kept[1:])
    assert len(kept) <= 4, "what is older than its days is gone"
    with gzip.open(tmp_path / kept[-1], "rt") as packed:
        assert "day 3" in packed.read()
    assert "day 4" in path.read_text()


def test_5_format(world: World, file: Path) -> None:
    world.rule(channel="#oncall")
    world.receives("sentry", "event_alert")
    world.api.get("/api/nowhere")
    logging.getLogger("signalcraft.test").info("two\nlines", extra={"deep": {"a": [1, None]}})
    found = lines(file)
    assert len(found) > 3
    for line in found:
        assert {"timestamp", "level", "logger", "message"} <= line.keys()
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
        assert line["level"] in ("debug", "info", "warning", "error", "critical")
    assert found[-1]["deep"] == {"a": [1, None]}
