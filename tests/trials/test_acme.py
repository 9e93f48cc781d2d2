"""Certificates as Let's Encrypt gives them: certbot and lego beside SignalCraft's own HTTPS, and Caddy by itself, the
real programs of Debian, each against Pebble. What is typed is what docs/how-to/tls.md says."""

from __future__ import annotations

import os
import re
import shlex
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from tests.main.asking import asking, connected
from tests.packaging.doors import NAME, ROOT, UPSTREAM, exchanged, program, running
from tests.trials.authority import Authority, pebble
from tests.world import World, free_port

pytestmark = pytest.mark.trial
HOOK = ROOT / "packaging/acme/deploy-hook"
PAGE = (ROOT / "docs/how-to/tls.md").read_text("utf-8")


class Box:
    """`signalcraft serve` with HTTPS of its own, as the page sets it up, on ports of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.plain = free_port(), free_port()
        self.tls, self.webroot = folder / "tls", folder / "www"
        self.tls.mkdir()
        self.webroot.mkdir()
        self.said = {
            "/etc/signalcraft/tls": str(self.tls), "/var/www/signalcraft": str(self.webroot),
            "/usr/share/signalcraft/acme-deploy-hook": str(HOOK), "-g signalcraft": f"-g {os.getegid()}",
        }  # fmt: skip
        self.types(_typed("openssl req"))

    def types(self, line: str, env: dict[str, str] | None = None) -> str:
        """A line of the page, with the folders of this test in it."""
        for old, new in self.said.items():
            line = line.replace(old, new)
        there = {**os.environ, **(env or {})}
        done = subprocess.run(["/bin/sh", "-ec", line], env=there, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        env = {
            "SIGNALCRAFT_HTTP__TLS_CERTIFICATE": str(self.tls / "fullchain.pem"),
            "SIGNALCRAFT_HTTP__TLS_KEY": str(self.tls / "privkey.pem"),
            "SIGNALCRAFT_HTTP__REDIRECT_LISTEN": f"127.0.0.1:{self.plain}",
            "SIGNALCRAFT_HTTP__ACME_WEBROOT": str(self.webroot),
            "SIGNALCRAFT_HTTP__PUBLIC_URL": f"https://{NAME}",
        }
        listen = ["--data-dir", str(self.folder / "data"), "--listen", f"127.0.0.1:{self.port}"]
        log = self.folder / "serve.log"
        with running([sys.executable, "-m", "signalcraft", "serve", *listen], log, env) as process:
            until = time.monotonic() + 120  # a busy machine takes its time
            while self.issuer() == "":
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, "it does not serve"
                time.sleep(0.1)
            yield process

    def hook(self, process: subprocess.Popen[bytes]) -> dict[str, str]:
        """What the deploy hook finds in its environment here, where systemd does not know the process."""
        return {
            "SIGNALCRAFT_TLS": str(self.tls), "SIGNALCRAFT_GROUP": str(os.getegid()),
            "SIGNALCRAFT_PID": str(process.pid),
        }  # fmt: skip

    def certificate(self) -> x509.Certificate | None:
        """What a new connection is shown."""
        return shown(self.port)

    def issuer(self) -> str:
        found = self.certificate()
        return found.issuer.rfc4514_string() if found else ""


def shown(port: int) -> x509.Certificate | None:
    """The certificate that a new connection is shown, None where none is."""
    try:
        with connected(port, NAME) as sock:
            der = sock.getpeercert(binary_form=True)
    except OSError:
        return None
    return x509.load_der_x509_certificate(der) if der else None


def _typed(beginning: str) -> str:
    """A command of the page, in one line."""
    page = PAGE.replace("\\\n", " ")
    (line,) = {" ".join(found.split()) for found in re.findall(rf"(?m)^{beginning}.*$", page)}
    return line


def _waits(box: Box, before: x509.Certificate | None, seconds: float = 15) -> x509.Certificate:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        now = box.certificate()
        if now is not None and now != before:
            return now
        time.sleep(0.1)
    raise AssertionError("the certificate stays the same: " + (box.folder / "serve.log").read_text()[-2000:])


def _by(authority: Authority, found: x509.Certificate) -> None:
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME]
    assert "Pebble" in found.issuer.rfc4514_string()
    assert authority.root.read_text().startswith("-----BEGIN CERTIFICATE-----")


def test_certbot_gets_and_renews_while_requests_come_in(tmp_path: Path) -> None:
    program("certbot", "certbot")
    box = Box(tmp_path)
    with box.serving() as process, pebble(tmp_path / "pebble", box.plain, box.port) as authority:
        own = " ".join(f"--{what}-dir {shlex.quote(str(tmp_path / what))}" for what in ("config", "work", "logs"))
        there = f"--server {authority.directory}"
        more = f"{own} {there} -m ops@example.com --agree-tos --non-interactive"
        env = {"REQUESTS_CA_BUNDLE": str(authority.trust), **box.hook(process)}
        before = box.certificate()
        with asking(box.port, NAME, pause_s=0.02) as lost:
            box.types(f"{_typed('certbot certonly')} {more}", env)
            first = _waits(box, before)
            _by(authority, first)
            assert oct((box.tls / "privkey.pem").stat().st_mode & 0o777) == "0o640"
            said = box.types(f"certbot renew {own} --non-interactive --no-random-sleep-on-renew --dry-run {there}", env)
            assert "success" in said
            box.types(f"certbot renew {own} --non-interactive --no-random-sleep-on-renew --force-renewal", env)
            _by(authority, _waits(box, first))
            time.sleep(4)  # the server before it has ended by now
        assert lost == []
        assert not list((box.webroot / ".well-known/acme-challenge").glob("*"))


def test_lego_gets_one_too(tmp_path: Path) -> None:
    program("lego", "lego")
    box = Box(tmp_path)
    with box.serving() as process, pebble(tmp_path / "pebble", box.plain, box.port) as authority:
        env = {"LEGO_CA_CERTIFICATES": str(authority.trust), **box.hook(process)}
        before = box.certificate()
        line = _typed("lego --accept-tos").replace(
            "lego ", f"lego --server {authority.directory} --path {tmp_path}/lego ", 1
        )
        box.types(line, env)
        _by(authority, _waits(box, before))


def test_caddy_gets_one_by_itself(tmp_path: Path) -> None:
    """The sample as it lies there, for the name that it says."""
    command = program("caddy", "caddy")
    plain, port = free_port(), free_port()
    settings = {"http.public_url": f"https://{NAME}", "http.trusted_proxies": "127.0.0.1"}
    with (
        World(tmp_path / "data", **settings) as world,
        pebble(tmp_path / "pebble", plain, port) as authority,
    ):
        site = exchanged(ROOT / "config/Caddyfile", {UPSTREAM: f"127.0.0.1:{world.api.base_url.port}"})
        options = [
            "admin off", f"http_port {plain}", f"https_port {port}", "skip_install_trust",
            f"acme_ca {authority.directory}", f"acme_ca_root {authority.trust}",
        ]  # fmt: skip
        file, log = tmp_path / "Caddyfile", tmp_path / "caddy.log"
        file.write_text("{\n\t" + "\n\t".join(options) + "\n}\n" + site)
        env = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "share"), "XDG_CONFIG_HOME": str(tmp_path / "c")}
        began = time.monotonic()
        with running([command, "run", "--adapter", "caddyfile", "--config", str(file)], log, env) as process:
            found = None
            while found is None:
                assert process.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() - began < 60, log.read_text()[-2000:]
                time.sleep(0.1)
                found = shown(port)
            print(f"Caddy had its certificate after {time.monotonic() - began:.1f} s")
            _by(authority, found)
            trust = ssl.create_default_context(cafile=str(authority.root))
            with (
                socket.create_connection(("127.0.0.1", port), 5) as raw,
                trust.wrap_socket(raw, server_hostname=NAME) as sock,
            ):
                sock.sendall(f"GET /health/live HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
                assert sock.recv(200).startswith(b"HTTP/1.1 200")
