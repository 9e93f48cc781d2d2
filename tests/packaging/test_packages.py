"""The .deb and the .rpm, built from a small tree: what lies where, what their scripts do, and that they are the same
bytes each time.
"""

from __future__ import annotations

import hashlib
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT

BUILD = runpy.run_path(str(ROOT / "packaging/nfpm/build.py"))  # another `packaging` is a library
build, packaged = BUILD["build"], BUILD["packaged"]
SCRIPTS = sorted((ROOT / "packaging/nfpm").glob("*.sh"))
SHELL = [*SCRIPTS, ROOT / "packaging/install.sh"]
NEEDED = {
    "/usr/lib/signalcraft/program/signalcraft": "-rwxr-xr-x root/root",
    "/usr/lib/signalcraft/program/_internal/part.so": "-rw-r--r-- root/root",
    "/usr/bin/signalcraft": "lrwxrwxrwx root/root",
    "/etc/signalcraft/": "drwxr-x--- root/signalcraft",
    "/etc/signalcraft/signalcraft.toml": "-rw-r----- root/signalcraft",
    "/usr/lib/systemd/system/signalcraft.service": "-rw-r--r-- root/root",
    "/usr/lib/systemd/system/signalcraft-again.service": "-rw-r--r-- root/root",
    "/usr/lib/systemd/system/signalcraft.socket": "-rw-r--r-- root/root",
    "/usr/share/signalcraft/acme-deploy-hook": "-rwxr-xr-x root/root",
    "/usr/share/signalcraft/small.conf": "-rw-r--r-- root/root",
    "/usr/share/doc/signalcraft/copyright": "-rw-r--r-- root/root",
    "/usr/share/doc/signalcraft/Caddyfile": "-rw-r--r-- root/root",
    "/usr/share/doc/signalcraft/nginx.conf": "-rw-r--r-- root/root",
}


def tool(name: str, package: str) -> str:
    """The path of a program of this machine; a test that needs it is skipped, and counted, where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"!! NOT CHECKED: {name} is not on this machine (Debian's package {package} has it)")
    return found


def said(*command: object, **more: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return str(done.stdout)


def tree_in(place: Path, version: str = "1.2.0") -> Path:
    """A program that only says its version."""
    (place / "_internal").mkdir(parents=True)
    (place / "_internal/part.so").write_bytes(b"x" * 4096)
    program = place / "signalcraft"
    program.write_text(f'#!/bin/sh\necho \'{{"version": "{version}"}}\'\n')
    program.chmod(0o700)  # who built it had umask 077
    return place


@pytest.fixture(scope="module", autouse=True)
def _one_time() -> Iterator[None]:
    """A commit in the middle of a test would be another time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        yield


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One .deb and one .rpm."""
    root = tmp_path_factory.mktemp("packages")
    made = build(tree_in(root / "tree"), root / "out", "1.2.0")
    return {path.suffix: path for path in made}


def test_they_are_named_as_each_family_names_them(packages: dict[str, Path]) -> None:
    assert packages[".deb"].name == "signalcraft_1.2.0_amd64.deb"
    assert packages[".rpm"].name == "signalcraft-1.2.0-1.x86_64.rpm"
    assert [packaged(one) for one in ("1.2.0", "1.2.0rc1", "2.0.0.dev3", "1.2.0+build.7")] == [
        "1.2.0", "1.2.0~rc1", "2.0.0~dev3", "1.2.0+build.7",
    ]  # fmt: skip


def test_the_deb_puts_each_thing_where_it_belongs(packages: dict[str, Path]) -> None:
    listed = {}
    for line in said(tool("dpkg-deb", "dpkg"), "--contents", packages[".deb"]).splitlines():
        mode, owner, _, _, _, name, *_ = line.split()
        listed[name.removeprefix(".")] = f"{mode.replace('l---------', 'lrwxrwxrwx')} {owner}"
    assert {name: listed.get(name) for name in NEEDED} == NEEDED
    control = said("dpkg-deb", "--info", packages[".deb"])
    assert "Depends: libc6 (>= 2.36)" in control
    assert said("dpkg-deb", "--info", packages[".deb"], "conffiles").strip() == "/etc/signalcraft/signalcraft.toml"
    for script, name in {
        "preinst": "preinstall",
        "postinst": "postinstall",
        "prerm": "preremove",
        "postrm": "postremove",
    }.items():
        source = ROOT / f"packaging/nfpm/{name}.sh"
        assert said("dpkg-deb", "--info", packages[".deb"], script).strip() == source.read_text().strip()


def test_the_rpm_holds_the_same(packages: dict[str, Path]) -> None:
    rpm = [tool("rpm", "rpm"), "-qp", "--nosignature"]
    listed = {}
    form = "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME}\\n]"
    for line in said(*rpm, "--queryformat", form, packages[".rpm"]).splitlines():
        name, _, rest = line.partition(" ")
        listed[name] = rest.replace("l---------", "lrwxrwxrwx")
    assert {name: listed.get(name.rstrip("/")) for name in NEEDED} == NEEDED
    requires = said(*rpm, "--requires", packages[".rpm"]).splitlines()
    assert "glibc >= 2.36" in requires
    assert said(*rpm, "--configfiles", packages[".rpm"]).split() == ["/etc/signalcraft/signalcraft.toml"]
    scripts = said(*rpm, "--scripts", packages[".rpm"])
    for source in SCRIPTS:
        assert source.read_text().strip() in scripts, source.name


def test_the_same_tree_makes_the_same_bytes(packages: dict[str, Path], tmp_path: Path) -> None:
    again = build(tree_in(tmp_path / "another place"), tmp_path / "out", "1.2.0")
    for path in again:
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(packages[path.suffix].read_bytes()).digest()


def test_make_packages_asks_the_tree_for_its_version(tmp_path: Path) -> None:
    program = [sys.executable, ROOT / "packaging/nfpm/build.py", tree_in(tmp_path / "tree", "3.1.4"), tmp_path / "out"]
    assert "signalcraft_3.1.4_amd64.deb" in said(*program)
    assert "packaging/nfpm/build.py .build/dist/signalcraft-dir .build/dist" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_scripts_are_plain_shell_without_a_finding(path: Path) -> None:
    for shell in ("dash", "bash"):
        said(tool(shell, shell), "-n", path)
    said(tool("shellcheck", "shellcheck"), "--shell=sh", "--severity=style", path)


# -- the scripts, with a program, systemctl and the like that only say what they were asked ----------------------------


class Machine:
    """A folder with programs that write down how they were called, first in the path of a script."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls = root / "calls"
        self.bin = root / "bin"
        self.bin.mkdir(parents=True)
        self.answers: dict[str, int] = {}
        for name in ("systemctl", "groupadd", "useradd", "userdel", "groupdel", "getent", "deb-systemd-invoke"):
            self.put(name)

    def put(self, name: str, text: str = "") -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.calls}\n{text}\n')
        path.chmod(0o755)

    def run(self, script: str, *words: str, code: int = 0, **env: str) -> str:
        """The script with every absolute path below this folder; what it said."""
        text = (ROOT / f"packaging/nfpm/{script}.sh").read_text()
        for place in ("/usr/lib/signalcraft", "/etc/", "/var/lib/signalcraft", "/run/systemd/system"):
            text = text.replace(place, f"{self.root}{place}")
        text = text.replace("PATH=/usr/sbin:/usr/bin:/sbin:/bin", f"PATH={self.bin}:/usr/bin:/bin")
        self.calls.write_text("")
        done = subprocess.run(
            ["/bin/sh", "-c", text, script, *words], capture_output=True, text=True,
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", **env},
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()

    def installed(self, code: int = 0) -> None:
        """The files are there, and systemd runs."""
        program = self.root / "usr/lib/signalcraft/program"
        program.mkdir(parents=True)
        (program / "signalcraft").write_text(f'#!/bin/sh\necho "signalcraft $*" >> {self.calls}\nexit {code}\n')
        (program / "signalcraft").chmod(0o755)
        (self.root / "run/systemd/system").mkdir(parents=True)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_user_of_its_own_is_made_once(machine: Machine) -> None:
    machine.put("getent", "exit 2")
    machine.run("preinstall", "install")
    called = machine.called()
    assert "groupadd --system signalcraft" in called
    assert any(one.startswith("useradd --system --gid signalcraft --home-dir") for one in called)
    machine.put("getent")
    machine.run("preinstall", "upgrade", "1.0.0")
    assert [one for one in machine.called() if "add" in one] == []


@pytest.mark.parametrize("word", ["configure", "1"])
def test_a_first_install_puts_it_to_use_enables_and_starts_it(machine: Machine, word: str) -> None:
    machine.installed()
    assert "SignalCraft runs" in machine.run("postinstall", word)
    called = machine.called()
    assert called[0] == "systemctl daemon-reload"
    assert called[1].endswith("/usr/lib/signalcraft/program --owner signalcraft")
    assert called.index("systemctl preset signalcraft.service") < called.index(
        "deb-systemd-invoke start signalcraft.service"
    )


def test_to_enable_and_start_it_may_be_left_to_somebody(machine: Machine) -> None:
    machine.installed()
    assert "not started" in machine.run("postinstall", "configure", SIGNALCRAFT_START="no")
    called = machine.called()
    assert "systemctl disable signalcraft.service" in called
    assert not any("start signalcraft" in one for one in called)
    machine.put("systemctl", 'case "$*" in *is-enabled*) exit 1 ;; esac')  # the administrator's preset says no
    assert "not started" in machine.run("postinstall", "configure")
    assert not any(" start " in one for one in machine.called())


def test_an_upgrade_never_enables_and_helps_one_that_had_given_up(machine: Machine) -> None:
    machine.installed()
    (machine.root / "usr/lib/signalcraft/current").symlink_to("versions/1.0.0")
    machine.run("postinstall", "configure", "1.0.0")
    assert not any("preset" in one or "start" in one for one in machine.called())
    machine.put("systemctl", 'case "$*" in *is-active*) echo failed; exit 3 ;; esac')
    machine.run("postinstall", "2")
    assert machine.called()[-1] == "systemctl --no-block restart signalcraft.service"


def test_an_upgrade_that_does_not_come_up_fails_and_is_told(machine: Machine) -> None:
    machine.installed(code=1)
    machine.run("postinstall", "configure", "1.0.0", code=1)
    assert not any("preset" in one for one in machine.called())


@pytest.mark.parametrize(
    ("words", "ends"), [(["remove"], True), (["0"], True), (["upgrade", "2"], False), (["1"], False)]
)
def test_it_runs_on_over_an_upgrade_and_ends_when_it_is_removed(machine: Machine, words: list[str], ends: bool) -> None:
    machine.run("preremove", *words)
    assert ("systemctl disable --now signalcraft.service" in machine.called()) == ends


def test_remove_keeps_settings_and_data_and_purge_nothing(machine: Machine) -> None:
    machine.installed()
    kept = [machine.root / name for name in ("etc/signalcraft", "var/lib/signalcraft")]
    versions = machine.root / "usr/lib/signalcraft/versions/1.0.0"
    more = [machine.root / "etc/systemd/system/signalcraft.service.d", machine.root / "etc/credstore/signalcraft-x"]
    for path in (*kept, versions, *more):
        path.mkdir(parents=True)
        (path / "file").touch()
    machine.run("postremove", "upgrade", "2.0.0")
    assert versions.exists()
    assert "stay" in machine.run("postremove", "remove")
    assert not versions.exists()
    assert all(path.exists() for path in kept)
    (more[1] / "file").unlink()
    more[1].rmdir()
    more[1].touch()
    machine.run("postremove", "purge")
    assert [path for path in (*kept, *more) if path.exists()] == []
    assert "userdel signalcraft" in machine.called()
