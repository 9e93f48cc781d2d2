"""packaging/install.sh: what it picks for which machine, and what it refuses. The release is signed here; programs in
the path play the machine.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from tests.house.tree import ROOT

SCRIPT = ROOT / "packaging/install.sh"
KEY = SigningKey(bytes(range(32)))
KEY_ID = b"8 bytes."
PUBLIC = base64.b64encode(b"Ed" + KEY_ID + bytes(KEY.verify_key)).decode()
FILES = {
    "signalcraft_1.9.0_amd64.deb": b"deb 1.9.0",
    "signalcraft_1.10.0_amd64.deb": b"deb 1.10.0",
    "signalcraft_1.10.0_arm64.deb": b"deb for arm64",
    "signalcraft-1.10.0-1.x86_64.rpm": b"rpm 1.10.0",
    "signalcraft-1.10.0-linux-x86_64": b"#!/bin/sh\n",
}
# What the script finds on any machine; who verifies and who installs is each test's to say.
BASE = ("sh", "base64", "cat", "chmod", "cp", "cut", "dirname", "grep", "head", "mkdir", "mktemp", "mv", "od", "rm",
        "sed", "sha256sum", "sort", "tail")  # fmt: skip
VERIFIERS = [name for name in ("openssl", "minisign") if shutil.which(name)]


def sign(sums: Path, key: SigningKey = KEY, how: bytes = b"ED") -> None:
    """minisign's two forms (https://jedisct1.github.io/minisign/#signature-format)."""
    message = hashlib.blake2b(sums.read_bytes(), digest_size=64).digest() if how == b"ED" else sums.read_bytes()
    signature = key.sign(message).signature
    whole = key.sign(signature + b"made for a test").signature
    sums.with_name("SHA256SUMS.minisig").write_text(
        f"untrusted comment: signature\n{base64.b64encode(how + KEY_ID + signature).decode()}\n"
        f"trusted comment: made for a test\n{base64.b64encode(whole).decode()}\n"
    )


class Site:
    """A release in a folder, and a machine that is to install it."""

    def __init__(self, root: Path) -> None:
        self.release = root / "release"
        self.release.mkdir()
        self.bin = root / "bin"
        self.bin.mkdir()
        self.calls = root / "calls"
        self.calls.touch()
        self.root = root
        for name, content in FILES.items():
            (self.release / name).write_bytes(content)
        lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in FILES.items()]
        self.sums = self.release / "SHA256SUMS"
        self.sums.write_text("".join(lines))
        sign(self.sums)
        for name in BASE:
            self.bin.joinpath(name).symlink_to(shutil.which(name) or f"/usr/bin/{name}")
        self.play("id", "echo 0")
        self.play("uname", 'case "$1" in -s) echo Linux ;; -m) echo x86_64 ;; esac')
        self.play("getconf", "echo glibc 2.36")

    def play(self, name: str, text: str = "") -> None:
        """A program that writes down how it was called."""
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {self.calls}\n{text}\n')
        (self.bin / name).chmod(0o755)

    def debian(self) -> Site:
        self.play("dpkg")
        self.play("apt-get", f'for it; do case $it in *.deb) cat "$it" >> {self.calls} ;; esac; done')
        return self

    def verified_by(self, *names: str) -> Site:
        for name in names:
            (self.bin / name).symlink_to(str(shutil.which(name)))
        return self

    def run(self, *words: str, code: int = 0, key: str = PUBLIC) -> str:
        """The script; what it said. A refusal is one line."""
        done = subprocess.run(
            [str(self.bin / "sh"), str(SCRIPT), *(["--key", key] if key else []), *words, str(self.release)],
            env={"PATH": str(self.bin), "HOME": str(self.root), "TMPDIR": str(self.root)},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        if code:
            assert done.stderr.count("\n") == 1, done.stderr
            assert "apt-get install" not in self.calls.read_text()
        assert list(self.root.glob("tmp.*")) == [], "nothing is left behind"
        return done.stdout + done.stderr


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("how", [b"ED", b"Ed"])
@pytest.mark.parametrize("verifier", VERIFIERS)
def test_the_newest_package_is_installed_once_its_signature_holds(site: Site, verifier: str, how: bytes) -> None:
    sign(site.sums, how=how)
    said = site.debian().verified_by(verifier).run()
    assert "signature and SHA-256 hold" in said
    assert "apt-get install" in site.calls.read_text()
    assert site.calls.read_text().endswith("deb 1.10.0"), "1.10 is above 1.9"


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_another_signature_another_key_and_other_bytes_are_refused(site: Site, verifier: str) -> None:
    site.debian().verified_by(verifier)
    other = base64.b64encode(b"Ed" + KEY_ID + bytes(SigningKey(bytes(32)).verify_key)).decode()
    assert "does not hold" in site.run(key=other, code=1)
    whose = base64.b64encode(b"Ed" + b"another." + bytes(KEY.verify_key)).decode()
    assert "does not hold" in site.run(key=whose, code=1)
    text = site.sums.read_text()
    site.sums.write_text(text.replace("1.9.0", "1.9.1"))
    assert "does not hold" in site.run(code=1)
    site.sums.write_text(text)
    (site.release / "signalcraft_1.10.0_amd64.deb").write_bytes(b"changed on its way")
    assert "is not what the release says" in site.run(code=1)
    site.sums.with_name("SHA256SUMS.minisig").unlink()
    assert "is not signed" in site.run(code=1)


def test_without_a_key_or_somebody_who_verifies_nothing_is_installed(site: Site) -> None:
    site.debian()
    assert "install minisign" in site.run(code=1)
    assert "no key is trusted" in site.verified_by(VERIFIERS[0]).run(key="", code=1)


@pytest.mark.parametrize(
    ("libc", "said"),
    [
        ("echo glibc 2.35", "this system has 2.35"),
        ("echo glibc 2.4", "this system has 2.4"),
        ("exit 1", "another C library"),
    ],
)
def test_a_c_library_that_is_too_old_is_told_in_one_line(site: Site, libc: str, said: str) -> None:
    site.debian().play("getconf", libc)
    site.play("ldd", "echo 'musl libc (x86_64)' >&2; exit 1")
    answer = site.run(code=1)
    assert "needs glibc 2.36 or newer" in answer
    assert said in answer


def test_each_machine_gets_its_own(site: Site) -> None:
    site.verified_by(VERIFIERS[0])
    assert "signalcraft-1.10.0-linux-x86_64 would be installed" in site.run("--dry-run")
    site.play("rpm")
    site.play("dnf")
    assert "signalcraft-1.10.0-1.x86_64.rpm would be installed" in site.run("--dry-run")
    site.debian()
    assert "signalcraft_1.10.0_amd64.deb would be installed" in site.run("--dry-run")
    assert "signalcraft_1.9.0_amd64.deb would be installed" in site.run("--dry-run", "--version", "1.9.0")
    assert "holds no deb for x86_64 of version 3.0.0" in site.run("--version", "3.0.0", code=1)
    site.play("uname", 'case "$1" in -s) echo Linux ;; -m) echo aarch64 ;; esac')
    assert "signalcraft_1.10.0_arm64.deb would be installed" in site.run("--dry-run")
    site.play("uname", 'case "$1" in -s) echo Linux ;; -m) echo riscv64 ;; esac')
    assert "no SignalCraft for riscv64" in site.run("--dry-run", code=1)
    site.play("uname", "echo Darwin")
    assert "runs on Linux" in site.run("--dry-run", code=1)


def test_who_is_not_root_is_told_and_may_fetch_it(site: Site) -> None:
    site.debian().verified_by(VERIFIERS[0]).play("id", "echo 1000")
    assert "as root" in site.run(code=1)
    site.run("--download", str(site.root / "here"))
    assert (site.root / "here/signalcraft_1.10.0_amd64.deb").read_bytes() == b"deb 1.10.0"


def test_where_no_package_manager_is_known_the_one_file_is_put_into_the_path(site: Site) -> None:
    site.verified_by(VERIFIERS[0]).play("id", "echo 1000")
    site.run()
    program = site.root / ".local/bin/signalcraft"
    assert program.read_bytes() == FILES["signalcraft-1.10.0-linux-x86_64"]
    assert os.access(program, os.X_OK)


def test_to_start_it_may_be_left_to_somebody(site: Site) -> None:
    site.debian().verified_by(VERIFIERS[0]).play("apt-get", f'echo "start: $SIGNALCRAFT_START" >> {site.calls}')
    site.run("--no-start")
    assert "start: no" in site.calls.read_text()
    site.run()
    assert "start: yes" in site.calls.read_text()
