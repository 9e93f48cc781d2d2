"""Starts what was built and proves that it works: `smoke.py PROGRAM…`, each on a scratch data directory.

An alert goes all the way to a channel (a receiver on loopback), `signalcraft smoke` passes, `doctor` sees no fault.
"""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

_READY_S: Final = 60.0
_TOLD_S: Final = 30.0
_TOKEN: Final = "smoke-test-of-what-was-built"  # noqa: S105  # of a machine that lives for a minute
_FILE: Final = """
[[integrations]]
name = "sender"
kind = "generic"
token = "{token}"

[[channels]]
name = "receiver"
kind = "webhook"
url = "http://127.0.0.1:{port}/"

[[rules]]
name = "everything"
channels = ["receiver"]
"""


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes what the channel is told."""

    told: threading.Event
    title = ""

    def do_POST(self) -> None:
        """Standard webhooks: any 2xx."""
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if said["data"]["group"]["title"] == "Smoke test of what was built":
            self.told.set()
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check(program: Path, root: Path) -> str:
    """What is wrong with a program; "" for nothing."""
    told = threading.Event()
    handler = type("Told", (Receiver,), {"told": told})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            return _tried(program, root, server.server_address[1], told)
        finally:
            server.shutdown()


def _tried(program: Path, root: Path, port: int, told: threading.Event) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("SIGNALCRAFT_")}
    env |= {"SIGNALCRAFT_DATA__DIR": str(root / "data"), "SIGNALCRAFT_OUTBOUND__ALLOW": "127.0.0.1"}
    env |= {"HOME": str(root)}
    (root / "it.toml").write_text(_FILE.format(token=_TOKEN, port=port))
    listen = f"127.0.0.1:{free_port()}"
    for words in (["version"], ["apply", str(root / "it.toml")]):
        if subprocess.run([program, *words], env=env, check=False).returncode:
            return f"{words[0]} failed"
    process = subprocess.Popen([program, "serve", "--listen", listen], env=env)
    try:
        return _serving(program, env | {"SIGNALCRAFT_HTTP__LISTEN": listen}, f"http://{listen}", process, told)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _serving(
    program: Path, env: dict[str, str], url: str, process: subprocess.Popen[bytes], told: threading.Event
) -> str:
    began_s = time.monotonic()
    while not _answers(f"{url}/ready"):
        if process.poll() is not None:
            return f"serve ended with {process.returncode}"
        if time.monotonic() - began_s > _READY_S:
            return f"serve is not ready after {_READY_S:g} s"
        time.sleep(0.05)
    print(f"{program.name} is ready after {time.monotonic() - began_s:.2f} s", flush=True)
    body = {"title": "Smoke test of what was built", "severity": "high", "environment": "smoke", "dedup_key": "built"}
    if not _answers(f"{url}/webhooks/generic/{_TOKEN}", json.dumps(body).encode()):
        return "the webhook was not taken"
    if not told.wait(_TOLD_S):
        return "the channel was not told of the alert"
    print("an alert reached its channel", flush=True)
    if subprocess.run([program, "smoke", url], env=env, check=False).returncode:
        return "smoke failed"
    if subprocess.run([program, "doctor"], env=env, check=False).returncode > 1:
        return "doctor sees a fault"
    return ""


def _answers(url: str, body: bytes | None = None) -> bool:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  # ours, on loopback
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
            return 200 <= int(answer.status) < 300
    except (OSError, urllib.error.URLError):
        return False


def main(words: list[str]) -> int:
    """The exit code."""
    wrong = 0
    for word in words:
        with tempfile.TemporaryDirectory(prefix="signalcraft-smoke-") as folder:
            why = check(Path(word).absolute(), Path(folder))
        print(f"{word}: {why or 'works'}", flush=True)
        wrong += bool(why)
    return int(bool(wrong) or not words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
