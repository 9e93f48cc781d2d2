"""A SignalCraft in a process of its own, as a service runs it, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx

from tests.program import command
from tests.world import free_port

SERVE = tuple(command("serve"))


class Box:
    """`signalcraft serve` on one data directory. `settings` are environment names without the prefix, upper case."""

    def __init__(self, data_dir: Path, slack_url: str, log: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SIGNALCRAFT_")},
            "SIGNALCRAFT_SLACK__API_URL": slack_url,
            "SIGNALCRAFT_HTTP__PUBLIC_URL": self.url,
            "SIGNALCRAFT_LIMITS__WEBHOOKS_PER_MINUTE": "0",
            "SIGNALCRAFT_MONITORING__SELF_WATCH": "false",  # trials break things on purpose, and count what is told
            "SIGNALCRAFT_LIMITS__API_PER_MINUTE": "0",
            "SIGNALCRAFT_LIMITS__GLOBAL_PER_15_MINUTES": "0",
            **{f"SIGNALCRAFT_{k}": v for k, v in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *args: str, stdin: bytes | None = None, seconds: float = 120) -> str:
        """One command on this data directory; its standard output. Raises where it fails, or takes longer."""
        done = subprocess.run(
            command(*args, "--data-dir", str(self.data_dir)),
            env=self.env, input=stdin, capture_output=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def start(self) -> float:
        """Starts it; the seconds from exec to the first 200 of /health/ready."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*SERVE, "--data-dir", str(self.data_dir), "--listen", f"127.0.0.1:{self.port}"],
                env=self.env, stdout=log, stderr=log,
            )  # fmt: skip
        with httpx.Client(trust_env=False, timeout=1) as client:
            while time.monotonic() - began < 90:
                assert self.process.poll() is None, f"serve ended with {self.process.returncode}: see {self.log}"
                try:
                    if client.get(self.url + "/health/ready").status_code == 200:
                        return time.monotonic() - began
                except httpx.HTTPError:
                    pass
                time.sleep(0.01)
        raise AssertionError("serve was not ready in 90 s")

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def rss_mb(self) -> float:
        """Resident memory now, in MB."""
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024
