"""The image of packaging/container built and run by buildah, on a Debian 12 that debootstrap makes.

Needs root, buildah and debootstrap (Debian's packages) and the program's folder, which `make binary` builds.
$SIGNALCRAFT_DEBIAN_TAR may name a tar of a Debian 12 that is there already.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.given import GIVEN
from tests.trials.tools import ROOT, ran
from tests.world import free_port

pytestmark = pytest.mark.trial
TREE = ROOT / ".build/dist/signalcraft-dir"
NOT_SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists", "var/log")
"""What the slim image of Debian leaves out too."""
ROOT_TAR = "SIGNALCRAFT_DEBIAN_TAR"
COMPRESSED_MAX_MB = 150


class Images:
    """A store of images of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = [
            "buildah", "--storage-driver", "vfs", "--root", str(folder / "store"), "--runroot", str(folder / "run"),
        ]  # fmt: skip

    def do(self, *words: str) -> str:
        return ran(*self.command, *words).strip()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """With the image `signalcraft` in it."""
    ready = GIVEN[ROOT_TAR]
    needed = ("buildah", "tar") if ready else ("buildah", "debootstrap")
    lacking = [name for name in needed if shutil.which(name) is None]
    if lacking or os.geteuid() != 0:
        pytest.skip(f"NOT RUN: an image is built by root with buildah and debootstrap; missing: {lacking or 'root'}")
    if not (TREE / "signalcraft").is_file():
        pytest.skip("NOT RUN: there is no .build/dist/signalcraft-dir; `make binary` builds it")
    folder = tmp_path_factory.mktemp("container")
    base, context = folder / "base", folder / "context"
    base.mkdir()
    make = (
        ["tar", "-xf", ready, "-C", str(base)] if ready else ["debootstrap", "--variant=minbase", "bookworm", str(base)]
    )
    done = subprocess.run(make, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"NOT RUN: no Debian can be made here: {done.stdout.strip()[-200:]}")
    for part in NOT_SLIM:
        shutil.rmtree(base / part, ignore_errors=True)
        (base / part).mkdir()
    it = Images(folder)
    made = it.do("from", "scratch").splitlines()[-1]
    it.do("add", "-q", made, str(base), "/")
    it.do("commit", "-q", made, "localhost/debian:12-slim")
    it.do("rm", made)
    shutil.rmtree(base)
    shutil.copytree(TREE, context / ".build/dist/signalcraft-dir", copy_function=os.link, symlinks=True)
    (context / "secret.txt").write_text("what lies beside the program")
    file = ROOT / "packaging/container/Containerfile"
    words = ("--format", "docker", "--isolation", "chroot", "--build-arg", "BASE=localhost/debian:12-slim")
    it.do(
        "build",
        "-q",
        *words,
        "-f",
        str(file),
        "--ignorefile",
        f"{file}.dockerignore",
        "-t",
        "signalcraft",
        str(context),
    )
    yield it
    shutil.rmtree(folder, ignore_errors=True)


def test_the_image_is_small_and_says_what_it_is(images: Images) -> None:
    said: dict[str, Any] = json.loads(images.do("inspect", "--type", "image", "signalcraft"))["Docker"]["config"]
    assert said["User"] == "10001:10001"
    assert said["Healthcheck"]["Test"] == ["CMD", "signalcraft", "status", "--json"]
    assert (said["Healthcheck"]["Interval"], said["Healthcheck"]["Retries"]) == (10_000_000_000, 5)
    assert said["Volumes"] == {"/var/lib/signalcraft": {}}
    archive = images.folder / "image.tar"
    images.do("push", "-q", "signalcraft", f"oci-archive:{archive}")
    compressed = archive.stat().st_size / 1e6
    made = images.do("from", "signalcraft").splitlines()[-1]
    root = Path(images.do("mount", made))
    whole = sum(file.lstat().st_size for file in root.rglob("*") if file.is_file() and not file.is_symlink()) / 1e6
    print(f"the image: {compressed:.1f} MB to fetch, {whole:.0f} MB on the disk")
    assert compressed < COMPRESSED_MAX_MB
    assert not list(root.rglob("secret.txt"))
    data = (root / "var/lib/signalcraft").stat()
    assert (data.st_uid, data.st_gid, oct(data.st_mode & 0o777)) == (10001, 10001, "0o700")
    ours = [file for file in (root / "usr/lib/signalcraft").rglob("*") if not file.is_symlink()]
    assert ours
    assert not [file for file in ours if file.stat().st_uid == 10001 or file.stat().st_mode & 0o022]
    setuid = [str(file.relative_to(root)) for file in ours if file.stat().st_mode & 0o6000]
    assert setuid == []
    images.do("umount", made)
    images.do("rm", made)


def test_it_serves_as_a_user_and_ends_when_it_is_told(images: Images) -> None:
    made = images.do("from", "signalcraft").splitlines()[-1]
    port = free_port()
    words = ("--isolation", "chroot", "--user", "10001:10001", "--env", f"SIGNALCRAFT_HTTP__LISTEN=127.0.0.1:{port}")
    run = [*images.command, "run", *words, made, "--"]
    began = time.monotonic()
    said = images.folder / "serve.log"
    with said.open("ab") as log:
        process = subprocess.Popen([*run, "signalcraft", "serve"], stdout=log, stderr=log)
    try:
        while True:
            try:
                health = httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False, timeout=5)
                break
            except httpx.HTTPError:
                assert process.poll() is None, said.read_text()
                assert time.monotonic() - began < 120
                time.sleep(0.2)
        assert health.status_code == 200
        print(f"it answers {time.monotonic() - began:.1f} s after buildah was asked to run it")
        server = _listening(port)
        status = Path(f"/proc/{server}/status").read_text()
        assert "Uid:\t10001\t10001\t10001\t10001" in status
        ran(*run, "signalcraft", "status", "--json")
        wrote = subprocess.run([*run, "/usr/bin/touch", "/usr/lib/signalcraft/x"], capture_output=True, text=True)
        assert "Permission denied" in wrote.stderr
        os.kill(server, signal.SIGTERM)
        assert process.wait(60) == 0
        stopped = subprocess.run([*run, "signalcraft", "status", "--json"], capture_output=True, text=True)
        assert stopped.returncode != 0
    finally:
        process.kill()
        process.wait()
        images.do("rm", made)


def _listening(port: int) -> int:
    """The process that listens on a port of this machine."""
    wanted = f":{port:04X}"
    inode = next(
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(wanted) and line.split()[3] == "0A"
    )
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(file) == f"socket:[{inode}]" for file in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            continue
    raise AssertionError("nobody listens there")
