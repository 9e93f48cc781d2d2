"""HTTPS with certificates made on the spot: served, checked at the start, renewed while connections come in."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from signalcraft.config import load
from signalcraft.errors import BadSetting
from signalcraft.http.redirect import redirect_app
from signalcraft.main import Program, certificate, front
from signalcraft.main.handover import Handover
from signalcraft.main.systemd import Systemd
from tests.http.browsing import PASSWORD, QUIET, Browser, person
from tests.main.asking import asking
from tests.main.pairs import pair
from tests.world import World, free_port


class Secure(World):
    """A world that is served over TLS; its own client trusts the certificate."""

    def restarted(self) -> Secure:
        port = free_port()
        settings = {
            "data.dir": str(self.data_dir), "http.listen": f"127.0.0.1:{port}",
            "http.public_url": f"https://localhost:{port}", "slack.api_url": self.slack.base_url, **self.settings,
        }  # fmt: skip
        self.program = Program(load(overrides=settings, environ={}).settings)
        self._call(self.program.start())
        self.running = True
        trusted = ssl.create_default_context(cafile=self.settings["http.tls_certificate"])
        self.api = httpx.Client(base_url=f"https://localhost:{port}", verify=trusted, timeout=20, trust_env=False)
        self.port = port
        return self

    def serial(self) -> str:
        """Which certificate a new connection is shown."""
        return ssl.get_server_certificate(("127.0.0.1", self.port))


@contextmanager
def standing_in(folder: Path) -> Iterator[Secure]:
    plain = free_port()
    settings = {**pair(folder / "tls"), "http.redirect_listen": f"127.0.0.1:{plain}", **QUIET}
    with Secure(folder / "data", **settings) as it:
        it.plain = plain  # type: ignore[attr-defined]
        yield it


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """One for all tests that only ask it something."""
    with standing_in(tmp_path_factory.mktemp("standing")) as it:
        yield it


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Secure]:
    """One whose certificate a test may exchange."""
    with standing_in(tmp_path) as it:
        yield it


def held(box: Secure, trusted: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection on which nothing was asked yet."""
    return trusted.wrap_socket(socket.create_connection(("127.0.0.1", box.port), 20), server_hostname="localhost")


def test_over_tls_everything_is_as_strict_as_it_can_be(standing: Secure) -> None:
    person(standing, "sam@example.com", "owner")
    answer = standing.api.get("/health")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    with Browser(standing) as sam:
        sam.client.close()
        sam.client = standing.api
        answer = sam.signs_in("sam@example.com", PASSWORD)
        assert answer.status_code == 200, answer.text
        cookies = answer.headers.get_list("set-cookie")
        assert len(cookies) == 2
        for cookie in cookies:
            assert cookie.startswith("__Host-")
            assert "Secure" in cookie
            assert "SameSite" in cookie
            assert "Path=/" in cookie
            assert "Domain" not in cookie
        assert "HttpOnly" in cookies[0]
        assert sam.get("/api/auth/state")["transport"] == "tls"


def test_nothing_older_than_tls_1_2_and_nothing_in_the_clear(standing: Secure) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", standing.port), 5) as sock, pytest.raises(ssl.SSLError):
        old.wrap_socket(sock)
    with socket.create_connection(("127.0.0.1", standing.port), 5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not sock.recv(100).startswith(b"HTTP")
    new = ssl.create_default_context(cafile=standing.settings["http.tls_certificate"])
    new.maximum_version = ssl.TLSVersion.TLSv1_2
    with held(standing, new) as sock:
        assert sock.version() == "TLSv1.2"


@pytest.mark.parametrize(
    "path", ["/", "/api/people?q=a%20b&x=1", "/a%2fb", "//evil.example.com/x", "/%0d%0aSet-Cookie:%20a=b"]
)
def test_the_plain_port_sends_people_to_https(standing: Secure, path: str) -> None:
    with socket.create_connection(("127.0.0.1", standing.plain), 5) as sock:  # type: ignore[attr-defined]
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: evil.example.com\r\nContent-Length: 0\r\n\r\n".encode())
        answer = sock.recv(4096).decode()
    head, _, _ = answer.partition("\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    assert head.startswith("HTTP/1.1 308 ")
    assert lines["location"] == f"https://localhost:{standing.port}{path}"
    assert "set-cookie" not in lines
    assert "strict-transport-security" not in lines
    assert lines["x-content-type-options"] == "nosniff"


def test_the_plain_port_of_a_box_that_knows_no_address_of_its_own(tmp_path: Path) -> None:
    """It names the host that it was asked by, where that is one."""
    listen = {"http.listen": "127.0.0.1:8443", "http.redirect_listen": "127.0.0.1:8080"}
    app = redirect_app(load(overrides={**pair(tmp_path), **listen}, environ={"HOME": str(tmp_path)}).settings)

    def asked(*headers: tuple[bytes, bytes]) -> tuple[int, bytes | None]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"method": "GET", "path": "/x", "raw_path": b"/x", "query_string": b"a=1", "headers": headers}
        asyncio.run(app(scope, None, send))  # type: ignore[arg-type]
        return sent[0]["status"], dict(sent[0]["headers"]).get(b"location")

    assert asked((b"host", b"alerts:80")) == (308, b"https://alerts:8443/x?a=1")
    assert asked((b"host", b"evil.example.com/@x")) == asked() == (400, None)


def test_a_renewed_certificate_serves_without_losing_a_connection(
    secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "CHANGE_S", 3.0)
    before = secure.serial()
    with asking(secure.port, people=4) as lost:
        fresh = pair(tmp_path / "fresh")
        for path, file in fresh.items():
            shutil.copyfile(file, secure.settings[path])
        secure._loop.call_soon_threadsafe(secure.program.renew)  # type: ignore[union-attr]
        deadline = time.monotonic() + 30
        while secure.serial() == before and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(4)  # the old server has ended by now
    assert secure.serial() != before
    assert lost == []
    assert not secure.program._stop.is_set()  # type: ignore[union-attr]
    deadline = time.monotonic() + 30
    while len(secure.program._front._servers) > 2 and time.monotonic() < deadline:  # type: ignore[union-attr]
        time.sleep(0.1)
    assert len(secure.program._front._servers) == 2, "one of them for the plain port"  # type: ignore[union-attr]


def test_two_changes_right_after_each_other_serve_the_last(secure: Secure, tmp_path: Path) -> None:
    for name in ("one", "two"):
        before = secure.serial()
        silent = held(secure, ssl._create_unverified_context())
        for path, file in pair(tmp_path / name).items():
            shutil.copyfile(file, secure.settings[path])
        secure._loop.call_soon_threadsafe(secure.program.renew)  # type: ignore[union-attr]
        deadline = time.monotonic() + 30  # the one before it has not ended yet
        while secure.serial() == before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert secure.serial() != before, name
        with silent:  # what the old server had taken in it still answers
            silent.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert silent.recv(100).startswith(b"HTTP/1.1 200 "), name


def test_a_renewed_certificate_that_cannot_be_used_changes_nothing(
    secure: Secure, caplog: pytest.LogCaptureFixture
) -> None:
    before = secure.serial()
    Path(secure.settings["http.tls_certificate"]).write_text("rubbish")
    secure._loop.call_soon_threadsafe(secure.program.renew)  # type: ignore[union-attr]
    deadline = time.monotonic() + 30
    while "the old one stays" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "the old one stays" in caplog.text
    assert secure.serial() == before
    assert secure.api.get("/live").status_code == 200


def test_what_was_said_of_a_certificate_is_over_with_it(tmp_path: Path) -> None:
    warnings: list[str] = ["another's"]
    settings = load(overrides=pair(tmp_path, days=5, began_days=85), environ={"HOME": str(tmp_path)}).settings
    its = front.Front(settings, None, lambda: time.time_ns() // 1_000_000, warnings, Handover(Systemd()))
    its.look()
    assert len(warnings) == 2
    pair(tmp_path)
    its.look()
    assert warnings == ["another's"]


def test_a_renewed_key_of_a_kind_that_cannot_be_served_changes_nothing(
    secure: Secure, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The embedded server ends the whole process when it is given one."""
    before = secure.serial()
    for path, file in pair(tmp_path / "odd", key=ec.generate_private_key(ec.SECP521R1())).items():
        shutil.copyfile(file, secure.settings[path])
    secure._loop.call_soon_threadsafe(secure.program.renew)  # type: ignore[union-attr]
    deadline = time.monotonic() + 30
    while "the old one stays" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "the old one stays" in caplog.text
    assert secure.serial() == before


def spoilt(files: dict[str, str], how: str, folder: Path) -> dict[str, str]:
    certificate_file, key_file = Path(files["http.tls_certificate"]), Path(files["http.tls_key"])
    if how == "no certificate in it":
        certificate_file.write_text("hello")
    elif how == "no key in it":
        key_file.write_text("hello")
    elif how == "another's key":
        key_file.write_bytes(Path(pair(folder, "other")["http.tls_key"]).read_bytes())
    elif how == "a password":
        return pair(folder, "locked", password=b"secret")
    elif how == "a large curve":
        return pair(folder, "curve", key=ec.generate_private_key(ec.SECP521R1()))
    elif how == "a short key":
        return pair(folder, "short", key=rsa.generate_private_key(65537, 1024))
    elif how == "readable by everybody":
        key_file.chmod(0o644)
    return files


@pytest.mark.parametrize(
    ("how", "path", "words"),
    [
        ("no certificate in it", "http.tls_certificate", "holds no certificate in PEM"),
        ("no key in it", "http.tls_key", "holds no private key in PEM"),
        ("another's key", "http.tls_key", "is not the key of"),
        ("a password", "http.tls_key", "is locked with a password"),
        ("a large curve", "http.tls_key", "is of a kind that cannot be served"),
        ("a short key", "http.tls_key", "is of a kind that cannot be served"),
        ("readable by everybody", "http.tls_key", "can be read by everybody on this box (mode 0644)"),
    ],
)
def test_what_cannot_be_used_stops_the_start_in_one_sentence(tmp_path: Path, how: str, path: str, words: str) -> None:
    files = spoilt(pair(tmp_path), how, tmp_path)
    settings: Any = load(overrides=files, environ={"HOME": str(tmp_path)}).settings
    with pytest.raises(BadSetting) as caught:
        certificate.read(settings)
    assert caught.value.path == path
    assert words in caught.value.detail
    assert "\n" not in caught.value.detail


def test_a_file_that_is_not_there_is_told_with_the_settings(tmp_path: Path) -> None:
    files = pair(tmp_path)
    os.unlink(files["http.tls_key"])
    with pytest.raises(BadSetting) as caught:
        load(overrides=files, environ={"HOME": str(tmp_path)})
    assert caught.value.path == "http.tls_key"


@pytest.mark.parametrize(
    ("days", "began_days", "public_url", "words"),
    [
        (-1, 90, "https://localhost", "has expired"),
        (90, -3, "https://localhost", "not valid yet"),
        (5, 85, "https://localhost", "ends in 4 days"),
        (90, 1, "https://alerts.example.com", "is for localhost, 127.0.0.1, not for alerts.example.com"),
        (90, 1, "https://localhost", ""),
        (13, 32, "https://localhost", ""),  # of 45 days, as authorities give them from 2028 on
        (10, 35, "https://localhost", "ends in 9 days"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_a_warning(
    tmp_path: Path, days: int, began_days: int, public_url: str, words: str
) -> None:
    files = pair(tmp_path, days=days, began_days=began_days)
    settings = load(overrides={**files, "http.public_url": public_url}, environ={"HOME": str(tmp_path)}).settings
    found = certificate.read(settings)
    assert found is not None
    warnings = found.warnings(settings.http.public_url, time.time_ns() // 1_000_000)
    assert [words in warning for warning in warnings] == ([True] if words else [])
