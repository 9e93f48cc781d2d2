"""Own errors for an error tracker: what sentry-sdk really sends to a server, and what never leaves."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from signalcraft import logs
from signalcraft.errors import BadSetting
from signalcraft.logs.catching import Catcher
from signalcraft.postman.reports import Reports, scrubbed

log = logging.getLogger("signalcraft.test")


class Tracker:
    """A server that takes envelopes (https://develop.sentry.dev/sdk/data-model/envelopes/)."""

    def __init__(self) -> None:
        self.envelopes: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        tracker = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                zipped = self.headers.get("content-encoding") == "gzip"
                tracker.envelopes.append(gzip.decompress(body) if zipped else body)
                tracker.headers.append({**self.headers, "path": self.path})
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def dsn(self) -> str:
        return f"http://publickey@127.0.0.1:{self.server.server_port}/7"

    def events(self) -> list[dict[str, Any]]:
        found = []
        for envelope in self.envelopes:
            lines = envelope.split(b"\n")
            assert json.loads(lines[1])["type"] == "event"
            found.append(json.loads(lines[2]))
        return found


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    it = Tracker()
    yield it
    it.server.shutdown()
    it.server.server_close()
    it.thread.join(5)


@pytest.fixture
def told(tracker: Tracker) -> Iterator[Reports]:
    reports = Reports(tracker.dsn, "1.2.3", "production")
    catcher = Catcher()
    catcher.tell = reports.tell
    logging.getLogger().addHandler(catcher)
    yield reports
    logging.getLogger().removeHandler(catcher)


def fails(password: str) -> None:
    cookie = f"session={password}"
    raise ValueError(f"it went wrong with {cookie}")


def test_an_error_arrives_with_its_place_and_without_what_was_in_it(tracker: Tracker, told: Reports) -> None:
    logs.redact.add("canary-of-the-tracker")
    with logs.within("req-77"):
        try:
            fails("canary-of-the-tracker")
        except ValueError:
            log.exception("a request failed", extra={"headers": {"authorization": "Bearer canary-of-the-tracker"}})
        log.error("only a line, xoxb-1111-canary-of-the-tracker")
    told.close()
    error, line = tracker.events()
    assert (error["release"], error["environment"]) == ("signalcraft@1.2.3", "production")
    assert (error["level"], error["logger"], error["tags"]["request_id"]) == ("error", log.name, "req-77")
    (value,) = error["exception"]["values"]
    assert value["type"] == "ValueError"
    assert value["value"] == "it went wrong with session=•••"
    frames = value["stacktrace"]["frames"]
    assert frames[-1]["function"] == "fails"
    assert all(set(frame) <= {"filename", "module", "function", "lineno", "in_app"} for frame in frames)
    assert line["logentry"]["formatted"].startswith("only a line")
    everything = b"".join(tracker.envelopes)
    assert b"canary" not in everything
    for name in (b'"request"', b'"user"', b'"server_name"', b'"modules"', b'"breadcrumbs"', b'"contexts"', b'"vars"'):
        assert name not in everything, name
    assert tracker.headers[0]["path"] == "/api/7/envelope/"


def test_only_known_fields_leave_and_every_text_is_masked() -> None:
    logs.redact.add("canary-in-an-event")
    event = {
        "request": {"cookies": "canary-in-an-event"},
        "extra": {"x": "canary-in-an-event"},
        "server_name": "box",
        "logger": "x",
        "tags": {"place": "canary-in-an-event"},
        "exception": {"values": [{"type": "E", "stacktrace": {"frames": [{"function": "f", "vars": {"a": "b"}}]}}]},
    }
    kept = scrubbed(event)
    assert set(kept) == {"logger", "tags", "exception"}
    assert "canary" not in str(kept)
    assert kept["exception"]["values"][0]["stacktrace"]["frames"] == [{"function": "f"}]


def test_a_storm_of_errors_is_sixty_reports_a_minute(tracker: Tracker, told: Reports) -> None:
    if time.monotonic() % 60 > 55:  # the storm must not reach into the next minute
        time.sleep(60 - time.monotonic() % 60)
    for _ in range(200):
        log.error("again")
    told.close()
    assert len(tracker.events()) <= 60
    assert told.dropped >= 140


def test_a_tracker_that_is_gone_holds_nobody_up() -> None:
    reports = Reports("http://key@127.0.0.1:9/1", "1", "test")
    catcher = Catcher()
    catcher.tell = reports.tell
    began_s = time.monotonic()
    catcher.handle(logging.makeLogRecord({"levelno": 40, "levelname": "ERROR", "msg": "x", "name": "y"}))
    assert time.monotonic() - began_s < 4
    reports.close()
    assert time.monotonic() - began_s < 20


def test_what_is_no_dsn_stops_the_start(tmp_path: Any) -> None:
    with pytest.raises(BadSetting, match="no DSN") as refused:
        Reports("https://example.com/nothing", "1", "test")
    assert refused.value.path == "errors.sentry_dsn"


def test_nothing_is_loaded_or_sent_without_a_dsn(tmp_path: Any) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from signalcraft.config import load; from signalcraft.main.build import open_house, close_house;"
        "import asyncio; house, lock = open_house(load(overrides={'data.dir': sys.argv[1]}, environ={}).settings);"
        "asyncio.run(close_house(house, lock)); print('sentry_sdk' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"
