"""What proves that a build works, tried on a stand-in for the program that breaks in each way by itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.house.test_pipeline import script

PROGRAM = """#!/bin/sh
what=$1
case "$what" in
serve)
    [ "$BROKEN" != start ] || exit 3
    exec {python} -IS "$0.py" "$3" ;;
esac
case "$BROKEN" in
"$what"?) exit "${{BROKEN#"$what"}}" ;;
esac
"""
SERVER = r"""
import http.server, json, os, re, sys, urllib.request

broken = os.environ["BROKEN"]

class Box(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answers(503 if broken == "ready" else 200)

    def do_POST(self):
        title = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["title"]
        if broken != "channel":
            channel = re.search(r'url = "(.*)"', open(os.environ["HOME"] + "/it.toml").read())[1]
            body = json.dumps({"data": {"group": {"title": title}}}).encode()
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(channel, body)
        self.answers(401 if broken == "webhook" else 202)

    def answers(self, code):
        self.send_response(code)
        self.end_headers()

    def log_message(self, *_):
        pass

host, _, port = sys.argv[1].partition(":")
http.server.HTTPServer((host, int(port)), Box).serve_forever()
"""
BREAKS = {
    "nothing": "",
    "version1": "version failed",
    "apply1": "apply failed",
    "start": "serve ended with 3",
    "ready": "serve is not ready",
    "webhook": "the webhook was not taken",
    "channel": "the channel was not told",
    "smoke1": "smoke failed",
    "doctor1": "",
    "doctor2": "doctor sees a fault",
}
"""How the stand-in is broken, and what is said of it: a warning of the doctor's is no fault."""


@pytest.mark.parametrize("broken", BREAKS)
def test_what_is_wrong_with_a_build_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    program = tmp_path / "program"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    program.with_name("program.py").write_text(SERVER)
    monkeypatch.setenv("BROKEN", broken)
    smoke = script("smoke")
    monkeypatch.setattr(smoke, "_READY_S", 0.3 if broken == "ready" else 60.0)
    monkeypatch.setattr(smoke, "_TOLD_S", 0.3 if broken == "channel" else 60.0)
    assert smoke.main([str(program)]) == int(bool(BREAKS[broken]))
    assert f"program: {BREAKS[broken] or 'works'}" in capsys.readouterr().out


def test_nothing_built_is_no_build_that_works() -> None:
    assert script("smoke").main([]) == 1
