"""The three front doors that SignalCraft can stand behind: its own HTTPS, and the samples of Caddy and nginx run by the
real programs of Debian.

A sample runs as it lies in config/: only its name, its addresses and its certificate are exchanged for this machine's.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import bodies
from tests.main.pairs import pair
from tests.main.test_tls import Secure
from tests.world import World, free_port

ROOT = Path(__file__).parents[2]
NAME = "alerts.example.com"
UPSTREAM = "127.0.0.1:8080"
OPEN = {
    "limits.sign_in_per_minute": "0", "limits.sign_in_failures_per_15_minutes": "0",
    "limits.webhooks_per_minute": "0", "limits.api_per_minute": "0", "limits.global_per_15_minutes": "25",
    "outbound.allow": "127.0.0.0/8", "monitoring.self_watch": "false", "monitoring.canary_seconds": "0",
    "backup.schedule": "off", "http.body_bytes_max": "1048576",
}  # fmt: skip
NGINX = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    gzip on;
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
"""What Debian's /etc/nginx/nginx.conf says, with files of this test alone."""


@dataclass
class Door:
    """A way in from outside. `port` speaks HTTPS for localhost, `plain` HTTP; `where`: what a redirect names."""

    kind: str
    world: World
    port: int
    plain: int
    trust: ssl.SSLContext
    where: str

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def client(self, address: str = "127.0.0.1", **headers: str) -> httpx.Client:
        """Somebody outside, at an address of this machine that is no proxy of ours."""
        transport = httpx.HTTPTransport(verify=self.trust, local_address=address)
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False, transport=transport)

    def posts(self, client: httpx.Client, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """A webhook of Sentry's, through the door."""
        if "sentry" not in self.world.integrations:
            self.world.integration("sentry")
        path = httpx.URL(self.world.integrations["sentry"]["webhook_url"]).path
        return client.post(path, content=body, headers=headers)

    def tells(self, client: httpx.Client, **say: str) -> str:
        """A signed alert comes through the door; the group that it made."""
        raw = bodies.body("event_alert", **say)
        answer = self.posts(client, raw, bodies.signed(raw, "event_alert", at_s=self.world.clock.at_ms // 1000))
        assert answer.status_code == 202, f"{answer.status_code} {dict(answer.headers)} {answer.text}"
        return str(answer.json()["events"][0]["group_id"])


def program(name: str, package: str) -> str:
    """Where a program lies; a machine without it skips the test, which is counted."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"!! {name} is not installed (Debian's package {package}): NOT CHECKED: the front door with it")
    return found


def listens(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 15) -> None:
    """Waits until something listens there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing listens on {port}: {log.read_text('utf-8', 'replace')[-2000:]}")


@contextmanager
def running(command: list[str], log: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program as long as this lasts."""
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **(env or {})})
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def native(folder: Path) -> Iterator[Door]:
    """SignalCraft's own HTTPS, with a certificate made on the spot."""
    plain = free_port()
    files = pair(folder / "tls")
    with Secure(folder / "data", **files, **OPEN, **{"http.redirect_listen": f"127.0.0.1:{plain}"}) as world:
        world.api.headers["Authorization"] = f"Bearer {world._call(world._key())}"
        trust = ssl.create_default_context(cafile=files["http.tls_certificate"])
        port = world.api.base_url.port or 0
        yield Door("native", world, port, plain, trust, f"https://localhost:{port}")


def _behind(folder: Path, port: int) -> World:
    return World(
        folder / "data", **OPEN,
        **{"http.public_url": f"https://localhost:{port}", "http.trusted_proxies": "127.0.0.1"},
    )  # fmt: skip


def exchanged(sample: Path, new: dict[str, str]) -> str:
    """A sample with some of its words exchanged, each of which must be there."""
    text = sample.read_text("utf-8")
    for old, word in new.items():
        assert old in text, f"{sample.name} says nothing of {old}"
        text = text.replace(old, word)
    return text


@contextmanager
def caddy(folder: Path) -> Iterator[Door]:
    """config/Caddyfile, run by Caddy. For localhost its own authority signs, which is all that differs."""
    command = program("caddy", "caddy")
    port, plain = free_port(), free_port()
    with _behind(folder, port) as world:
        site = exchanged(
            ROOT / "config/Caddyfile", {NAME: "localhost", UPSTREAM: f"127.0.0.1:{world.api.base_url.port}"}
        )
        options = f"{{\n\tadmin off\n\thttp_port {plain}\n\thttps_port {port}\n\tskip_install_trust\n}}\n"
        file, log = folder / "Caddyfile", folder / "caddy.log"
        file.write_text(options + site)
        env = {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "share"), "XDG_CONFIG_HOME": str(folder / "config")}
        start = [command, "run", "--adapter", "caddyfile", "--config", str(file)]
        with running(start, log, env) as process:
            listens(port, process, log)
            authority = folder / "share/caddy/pki/authorities/local/root.crt"
            trust = ssl.create_default_context(cafile=str(_there(authority)))
            _certified(port, trust)
            yield Door("caddy", world, port, plain, trust, "https://localhost")


def _there(path: Path) -> Path:
    until = time.monotonic() + 30
    while not path.is_file() and time.monotonic() < until:
        time.sleep(0.05)
    return path


def _certified(port: int, trust: ssl.SSLContext) -> None:
    """Caddy listens before its first certificate is made."""
    until = time.monotonic() + 30
    while True:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), 2) as raw,
                trust.wrap_socket(raw, server_hostname="localhost"),
            ):
                return
        except ssl.SSLError:
            assert time.monotonic() < until, "no certificate was made"
            time.sleep(0.05)


@contextmanager
def nginx(folder: Path) -> Iterator[Door]:
    """config/nginx.conf, run by nginx beside what Debian's main file says."""
    command = program("nginx", "nginx-light")
    port, plain = free_port(), free_port()
    files = pair(folder / "tls")
    with _behind(folder, port) as world:
        live = f"/etc/letsencrypt/live/{NAME}"
        site = exchanged(
            ROOT / "config/nginx.conf",
            {
                f"{live}/fullchain.pem": files["http.tls_certificate"],
                f"{live}/privkey.pem": files["http.tls_key"],
                NAME: "localhost",
                UPSTREAM: f"127.0.0.1:{world.api.base_url.port}",
                "listen 80;": f"listen 127.0.0.1:{plain};",
                "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
                "root /var/www/html": f"root {folder}/www",
            },
        )
        (folder / "site.conf").write_text(re.sub(r"(?m)^ *listen \[::\].*\n", "", site))
        main, log = folder / "main.conf", folder / "error.log"
        main.write_text(NGINX.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
        with running([command, "-p", str(folder), "-c", str(main), "-e", str(log)], log) as process:
            listens(port, process, log)
            trust = ssl.create_default_context(cafile=files["http.tls_certificate"])
            yield Door("nginx", world, port, plain, trust, "https://localhost")


KINDS: dict[str, Callable[[Path], object]] = {"native": native, "caddy": caddy, "nginx": nginx}
