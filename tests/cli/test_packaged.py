"""`unpacked`, as a package's script calls it: small trees that run this program under another version and schema."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from pathlib import Path

import pytest

from signalcraft.cli import packaged, upgrading
from signalcraft.cli.options import Where
from signalcraft.errors import Conflict, Fault
from signalcraft.storage import before, installed, masterkey, migrate
from signalcraft.storage.rehearsal import level_of
from tests.cli.conftest import Box
from tests.cli.prefix import GOOD, release

ME = pwd.getpwuid(os.geteuid()).pw_name


class Package:
    """A box whose packages are unpacked into one folder, each over the one before."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.place = installed.Place(box.root / "lib/signalcraft")
        self.tree = self.place.prefix / "program"

    def unpack(self, version: str, *more: tuple[int, str, str]) -> None:
        """As dpkg does: each file is written under another name, and renamed."""
        self.tree.mkdir(parents=True, exist_ok=True)
        file = release(self.box.root / "releases", version, *more)
        for name, text, mode in (("signalcraft", file.read_text(), 0o755), ("part", version, 0o644)):
            draft = self.tree / f"{name}.dpkg-new"
            draft.write_text(text)
            draft.chmod(mode)
            draft.rename(self.tree / name)

    def configure(self, problem: str = "") -> None:
        """What the package's script asks for; the program plays its own version."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("signalcraft.__version__", (self.tree / "part").read_text())
            patch.setattr(installed, "version_of", lambda binary: (binary.parent / "part").read_text())
            patch.setattr(installed, "ask", lambda *_: {"ok": not problem, "problem": problem})
            words = [str(self.tree), "--owner", ME, "--data-dir", str(self.box.data)]
            packaged.unpacked.main(words, standalone_mode=False)

    def install(self, version: str, *more: tuple[int, str, str]) -> None:
        self.unpack(version, *more)
        self.configure()


@pytest.fixture
def package(box: Box) -> Package:
    return Package(box)


def test_a_first_install_makes_the_key_and_a_version_that_keeps_its_files(package: Package) -> None:
    package.install("1.0.0")
    key = package.box.data / "master.key"
    assert stat.S_IMODE(package.box.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    known = masterkey.read_file(key)
    assert known is not None
    running = package.place.versions_dir / "1.0.0"
    assert (running / "part").stat().st_ino == (package.tree / "part").stat().st_ino, "by hard links: no second copy"
    assert stat.S_IMODE(running.stat().st_mode) == 0o755
    package.unpack("1.1.0")
    assert (running / "part").read_text() == "1.0.0", "what runs keeps its files while others are unpacked"
    assert package.place.current() == "1.0.0", "until the script says so"
    package.configure()
    assert (package.place.current(), package.place.earlier()) == ("1.1.0", "1.0.0")
    assert masterkey.read_file(key) == known
    package.install("1.1.0")
    assert package.place.earlier() == "1.0.0", "installed once more, it follows what it followed"


def test_a_key_that_is_elsewhere_is_not_made_again(
    package: Package, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    where = Where(None, package.box.data)
    store = tmp_path / "credstore"
    store.mkdir()
    monkeypatch.setattr(packaged, "STORES", (store,))
    (store / packaged.CREDENTIAL).touch()
    packaged._furnished(where, ME)
    assert not (package.box.data / "master.key").exists()
    (store / packaged.CREDENTIAL).unlink()
    database = package.box.data / "signalcraft.db"
    database.touch()
    packaged._furnished(where, ME)
    assert not (package.box.data / "master.key").exists(), "a database hangs on a key of its own"
    database.unlink()
    packaged._furnished(where, ME)
    assert (package.box.data / "master.key").exists()


def test_what_cannot_migrate_is_not_put_to_use(package: Package) -> None:
    package.install("1.0.0")
    package.unpack("2.0.0")
    with pytest.raises(Conflict, match=r"2\.0\.0 cannot migrate this database: no room; 1\.0\.0 stays in use"):
        package.configure(problem="no room")
    assert package.place.current() == "1.0.0"
    assert [one.version for one in package.place.versions()] == ["1.0.0"]


@pytest.mark.whole
def test_an_older_package_takes_the_database_back(package: Package) -> None:
    """The newer program, which is kept, does it."""
    package.install("1.0.0")
    package.box.run("migrate", "up")
    package.install("1.1.0", GOOD)
    newer = [str(package.place.prefix / "current/signalcraft"), "migrate", "up"]
    subprocess.run(newer, env=package.box.env, check=True, capture_output=True)
    file = package.box.data / "signalcraft.db"
    assert level_of(file) == 9001
    package.install("1.0.0")
    assert (package.place.current(), level_of(file)) == ("1.0.0", migrate.newest())
    assert [one.schema for one in before.kept(package.box.data) if one.newer] == [9001]


def test_a_service_that_does_not_come_up_is_as_it_was(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    package.install("1.0.0")
    package.unpack("1.1.0")
    asked: list[tuple[str, str]] = []

    def refused(_: Where, place: installed.Place, version: str, was: str) -> bool:
        asked.append((version, was))
        place.switch(was)
        raise Fault(f"version {version} did not come up; {was} is in use again")

    monkeypatch.setattr(upgrading, "_restarted", refused)
    with pytest.raises(Fault, match=r"1\.0\.0 is in use again"):
        package.configure()
    assert asked == [("1.1.0", "1.0.0")]
    assert package.place.current() == "1.0.0"


def test_the_last_three_are_kept(package: Package) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0", "1.10.0"):
        package.install(version)
    assert sorted(one.version for one in package.place.versions()) == ["1.1.0", "1.10.0", "1.2.0"]
