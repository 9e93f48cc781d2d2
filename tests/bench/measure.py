"""One measured run: a fresh data directory, wrk at c=64, and what the kernel says of the server."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.world import free_port

SECONDS = 5
WRK = ("wrk", "-t1", "-c64", f"-d{SECONDS}s", "--latency", "-s")
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """The figures of one run. `void` says why they do not count."""

    rate: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_percent: float = 0.0
    rss_mb: float = 0.0
    other_percent: float = 0.0
    accepted: int = 0
    stored: int = 0
    commits_per_event: float = 0.0
    void: str = ""


def busy_ticks() -> int:
    """Ticks in which any processor of this machine worked."""
    fields = [int(f) for f in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(fields) - fields[3] - fields[4]


def own_ticks(pid: int) -> int:
    """User and system ticks of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def rss_mb(pid: int) -> float:
    """Resident memory in MB."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def start(data: Path, slack_url: str, mode: str) -> tuple[subprocess.Popen[str], int]:
    """A server that is ready."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.server", str(data), str(port), slack_url, mode],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with httpx.Client(trust_env=False, timeout=1) as client:
        for _ in range(2000):
            try:
                if client.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200:
                    return process, port
            except httpx.HTTPError:
                pass
            if process.poll() is not None:
                break
            time.sleep(0.01)
    raise RuntimeError("the server under measure did not become ready")


def run(template: Path, folder: Path, requests: Path, slack_url: str, mode: str, warm: Path | None) -> Run:
    """Measures one server on a copy of the data directory. `warm`: requests sent once before, to open groups."""
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(template, data)
    process, port = start(data, slack_url, mode)
    try:
        before_rows = _once(port, warm) if warm is not None else 0
        time.sleep(0.5)
        cpu, busy, began = own_ticks(process.pid), busy_ticks(), time.monotonic()
        wrk = subprocess.Popen(
            [*WRK, str(folder / "wrk.lua"), f"http://127.0.0.1:{port}"],
            env={**os.environ, "REQUESTS": str(requests)}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert wrk.stdout is not None
        output = wrk.stdout.read()
        usage = os.wait4(wrk.pid, 0)[2]
        wrk.returncode = 0
        took = time.monotonic() - began
        figures = _read(output)
        figures.cpu_percent = (own_ticks(process.pid) - cpu) / TICK / took * 100
        wrk_percent = (usage.ru_utime + usage.ru_stime) / took * 100
        busy_percent = (busy_ticks() - busy) / TICK / took * 100
        figures.other_percent = max(busy_percent - figures.cpu_percent - wrk_percent, 0)
        figures.rss_mb = rss_mb(process.pid)
    finally:
        process.terminate()
        said = process.communicate(timeout=90)[0]
    if mode == "real":
        _check(figures, data, before_rows)
        match = re.search(r"commits=(\d+) works=(\d+)", said)
        if match and int(match[2]):
            figures.commits_per_event = int(match[1]) / int(match[2])
    return figures


def _once(port: int, requests: Path) -> int:
    """Sends every request of a file once; how many they were."""
    raw = requests.read_bytes()
    sent = 0
    with socket.create_connection(("127.0.0.1", port)) as sock:
        at = 0
        while at < len(raw):
            size = int(raw[at : at + 8])
            sock.sendall(raw[at + 8 : at + 8 + size])
            at += 8 + size
            answer = sock.recv(65536)
            assert b" 202 " in answer.split(b"\r\n")[0], answer[:200]
            sent += 1
    return sent


def _read(output: str) -> Run:
    figures = Run()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    total = re.search(r"(\d+) requests in", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    if not rate or not total:
        figures.void = "wrk gave no figures"
        return figures
    figures.rate = float(rate[1])
    figures.p50_ms, figures.p99_ms = _latency(output, "50%"), _latency(output, "99%")
    figures.accepted = int(total[1]) - (int(refused[1]) if refused else 0)
    if refused:
        figures.void = f"{refused[1]} were refused"
    return figures


def _latency(output: str, which: str) -> float:
    match = re.search(rf"{re.escape(which)}\s+([\d.]+)(us|ms|s)", output)
    return float(match[1]) * {"us": 0.001, "ms": 1, "s": 1000}[match[2]] if match else 0.0


def _check(figures: Run, data: Path, before_rows: int) -> None:
    """Rows stored must be what was accepted; wrk does not count up to 64 answers under way at its end."""
    connection = sqlite3.connect(f"file:{data / 'signalcraft.db'}?mode=ro", uri=True)
    figures.stored = connection.execute("select count(*) from event").fetchone()[0] - before_rows
    connection.close()
    if not 0 <= figures.stored - figures.accepted <= 64:
        figures.void = figures.void or f"{figures.accepted} accepted, {figures.stored} stored"
