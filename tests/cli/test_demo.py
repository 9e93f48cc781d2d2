"""`signalcraft demo` from its first line to Ctrl-C, as an outsider sees it."""

from __future__ import annotations

import re
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from signalcraft.cli.demo import Tally, configuration
from tests.cli.conftest import Box, free_port

SUMMARY = re.compile(r"(\d+) events → (\d+) groups → (\d+) notifications \((\d+) % less noise\)")


def lines_until(process: object, wanted: re.Pattern[str], seconds: float) -> list[str]:
    """What the process says, up to the line that is waited for."""
    lines: list[str] = []
    deadline = time.monotonic() + seconds
    for line in process.stdout:  # type: ignore[attr-defined]
        lines.append(line.rstrip("\n"))
        if wanted.fullmatch(lines[-1]):
            return lines
        assert time.monotonic() < deadline, lines
    raise AssertionError(f"it ended: {lines}")


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.whole)])
def test_the_demo_end_to_end(box: Box, number: int) -> None:
    port, slack_port = free_port(), free_port()
    options = ("--quick", "--listen", f"127.0.0.1:{port}", "--slack-port", str(slack_port))
    if number == signal.SIGTERM:
        options += ("--data-dir", str(box.root / "kept"))
    before = set(Path("/tmp").glob("signalcraft-demo-*"))
    process = box.start("demo", *options)
    lines = lines_until(process, SUMMARY, 120)
    assert lines[0] == f"SignalCraft  http://127.0.0.1:{port}"
    key = next(re.search(r"Bearer (\S+)'", line) for line in lines if line.startswith("API"))
    assert key is not None
    found = SUMMARY.fullmatch(lines[-1])
    assert found is not None
    events, groups, notifications, less = map(int, found.groups())
    assert events > 500
    assert 8 <= groups <= 40
    assert groups - 5 <= notifications < events / 5
    assert less == round(100 * (1 - notifications / events))
    assert not [line for line in lines if "not accepted" in line]

    health = httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).json()
    assert health["status"] == "ok", health
    answer = httpx.get(
        f"http://127.0.0.1:{port}/api/alert-groups?limit=100",
        headers={"Authorization": f"Bearer {key[1]}"},
        trust_env=False,
    )
    assert len(answer.json()["items"]) == groups
    told = next(re.search(r"Sign in +(\S+) +password (\S+)", line) for line in lines if line.startswith("Sign in"))
    assert told is not None
    signed_in = httpx.post(
        f"http://127.0.0.1:{port}/api/auth/sign-in", json={"email": told[1], "password": told[2]}, trust_env=False
    )
    assert signed_in.json()["role"] == "owner"
    page = httpx.get(f"http://127.0.0.1:{slack_port}/", trust_env=False)
    assert page.status_code == 200
    assert process.poll() is None

    code, _, err = box.ended(process, number)
    assert (code, err) == (0, "")
    left = set(Path("/tmp").glob("signalcraft-demo-*")) - before
    assert not left
    assert (box.root / "kept" / "signalcraft.db").exists() == (number == signal.SIGTERM)


def test_it_stops_at_once_when_asked_during_the_week(box: Box) -> None:
    port = free_port()
    process = box.start("demo", "--listen", f"127.0.0.1:{port}", "--slack-port", str(free_port()))
    lines_until(process, re.compile("A noisy week.*"), 60)
    code, out, err = box.ended(process, signal.SIGINT)
    assert (code, err) == (0, "")
    assert "less noise" not in out


@pytest.mark.whole
def test_taken_ports_make_it_take_the_next(box: Box) -> None:
    with socket.socket() as one, socket.socket() as other:
        for sock, port in ((one, 8420), (other, 8421)):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                sock.listen()
            except OSError:
                continue  # taken by somebody else: as good
        process = box.start("demo", "--quick")
        first = process.stdout.readline()  # type: ignore[union-attr]
        found = re.fullmatch(r"SignalCraft  http://127\.0\.0\.1:(\d+)\n", first)
        assert found is not None, first
        assert int(found[1]) > 8421
        assert httpx.get(f"http://127.0.0.1:{found[1]}/ready", trust_env=False).status_code == 200
        box.ended(process, signal.SIGINT)


def test_a_directory_that_is_not_empty_is_refused(box: Box) -> None:
    (box.root / "full").mkdir()
    (box.root / "full" / "file").write_text("")
    assert "is not empty" in box.refused("demo", "--data-dir", "full", code=1)


def test_what_the_line_counts() -> None:
    assert Tally(900, 14, 41, 0).line() == "900 events → 14 groups → 41 notifications (95 % less noise)"
    assert Tally(0, 0, 0, 0).line() == "0 events → 0 groups → 0 notifications (0 % less noise)"
    assert {c["name"] for c in configuration()["channels"]} == {"alerts", "oncall", "leads"}
