"""The program as a file that can be replaced: `<prefix>/versions/<version>/signalcraft`, and `<prefix>/current`, a link
to the folder of the one in use. The link is switched by a rename, so that there is always one; the last three are kept.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from signalcraft.errors import BadSetting, Conflict, Fault, Invalid
from signalcraft.storage import before, children, copies

BINARY: Final = "signalcraft"
KEEP: Final = 3
_CURRENT: Final = "current"
_VERSIONS: Final = "versions"
_NOTE: Final = "installed.json"
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,60}")
_PATIENCE_S: Final = 3600.0


class Installed(Struct, frozen=True, kw_only=True):
    """One version on disk. `after`: the version that was in use when this one came, "" for none."""

    version: str
    sha256: str
    installed_ms: int
    after: str = ""
    current: bool = False


class Place:
    """Where versions of the program lie. `entry`: a plain file that people run so far, which a link will replace."""

    def __init__(self, prefix: Path, entry: Path | None = None) -> None:
        self.prefix = prefix
        self.entry = entry

    @property
    def versions_dir(self) -> Path:
        """The folder of all versions."""
        return self.prefix / _VERSIONS

    def binary(self, version: str) -> Path:
        """The file of a version."""
        return self.versions_dir / version / BINARY

    def current(self) -> str:
        """The version in use; "" where none is."""
        try:
            return Path(os.readlink(self.prefix / _CURRENT)).name
        except OSError:
            return ""

    def versions(self) -> list[Installed]:
        """What is there, the newest installation first."""
        found, current = [], self.current()
        for note in self.versions_dir.glob(f"*/{_NOTE}"):
            try:
                one = msgspec.json.decode(note.read_bytes(), type=Installed)
            except (OSError, msgspec.MsgspecError):
                continue
            if one.version == note.parent.name and self.binary(one.version).is_file():
                found.append(msgspec.structs.replace(one, current=one.version == current))
        return sorted(found, key=lambda one: (one.installed_ms, one.version), reverse=True)

    def incoming(self) -> Path:
        """A file to be written, on the same disk as the versions. Raises BadSetting where nothing may be written."""
        folder = self.versions_dir / ".incoming"
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            (folder / BINARY).unlink(missing_ok=True)
        except OSError as problem:
            raise BadSetting(
                f"{self.prefix} cannot be written: {problem.strerror}; run this as who installed it", path="--prefix"
            ) from None
        return folder / BINARY

    def add(self, file: Path, version: str, sha256: str, now_ms: int) -> None:
        """A file that `incoming` named becomes a version. Raises Fault; what was there stays."""
        folder = self.versions_dir / version
        note = Installed(version=version, sha256=sha256, installed_ms=now_ms, after=self.current())
        try:
            folder.mkdir(mode=0o755, exist_ok=True)
            file.chmod(0o755)
            file.rename(folder / BINARY)
            before.write(folder / _NOTE, msgspec.json.encode(note))
            for path, mode in (
                (self.prefix, 0o755),
                (self.versions_dir, 0o755),
                (folder, 0o755),
                (folder / _NOTE, 0o644),
            ):
                path.chmod(mode)  # the umask of a command is for its owner alone
            copies.sync_folder(folder)
            copies.sync_folder(self.versions_dir)
        except OSError as problem:
            raise Fault(f"{folder} cannot be written: {problem.strerror}") from None

    def add_tree(self, tree: Path, version: str, sha256: str, now_ms: int) -> None:
        """A folder that a package brought becomes a version, by hard links where the disk is the same: what runs keeps
        its files when the package manager puts others in that folder. Raises Fault; what was there stays.
        """
        folder, draft = self.versions_dir / version, self.versions_dir / ".incoming"
        note = Installed(version=version, sha256=sha256, installed_ms=now_ms, after=self._before(version))
        try:
            self.versions_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(tree, draft, symlinks=True, copy_function=_linked)
            before.write(draft / _NOTE, msgspec.json.encode(note))
            (draft / _NOTE).chmod(0o644)
            for path in (self.versions_dir, *(one for one in (draft, *draft.rglob("*")) if one.is_dir())):
                path.chmod(0o755)
            gone = self.versions_dir / ".gone"
            shutil.rmtree(gone, ignore_errors=True)
            if folder.exists():
                folder.rename(gone)
            draft.rename(folder)
            copies.sync_folder(self.versions_dir)
            shutil.rmtree(gone, ignore_errors=True)
        except OSError as problem:
            raise Fault(f"{folder} cannot be written: {problem.strerror}") from None

    def _before(self, version: str) -> str:
        """What a version follows: the one in use, or, where it is that itself, what it followed already."""
        now = self.current()
        known = {one.version: one.after for one in self.versions()}
        return known.get(version, "") if now == version else now

    def switch(self, version: str) -> None:
        """That version is the one in use from now on. Raises Conflict where it is not there."""
        if not self.binary(version).is_file():
            raise Conflict(f"version {version} is not in {self.versions_dir}")
        _link(self.prefix / _CURRENT, f"{_VERSIONS}/{version}")
        if self.entry is not None and not self.entry.is_symlink():
            _link(self.entry, str(self.prefix / _CURRENT / BINARY))

    def adopt(self, version: str, now_ms: int) -> None:
        """The plain file that runs now becomes the first version, so that there is a way back to it."""
        if self.entry is None or self.entry.is_symlink() or self.current():
            return
        draft = self.incoming()
        shutil.copyfile(self.entry, draft)
        self.add(draft, version, copies.sha256_of(draft), now_ms)
        _link(self.prefix / _CURRENT, f"{_VERSIONS}/{version}")

    def earlier(self) -> str:
        """The version to go back to: the one before the present, or the newest other. Raises Conflict."""
        known = self.versions()
        after = next((one.after for one in known if one.current), "")
        others = [one.version for one in known if not one.current]
        if after in others:
            return after
        if not others:
            raise Conflict(f"no other version is in {self.versions_dir}: there is nothing to go back to")
        return others[0]

    def prune(self) -> list[str]:
        """Removes all but the last three, never the present one nor the one before it; what went."""
        known = self.versions()
        safe = {one.version for one in known[:KEEP]} | {self.current()}
        safe |= {one.after for one in known if one.current}
        gone = [one.version for one in known if one.version not in safe]
        for version in gone:
            shutil.rmtree(self.versions_dir / version, ignore_errors=True)
        return gone


def find(prefix: Path | None) -> Place:
    """Where this program's versions lie. Raises Conflict, saying what to do instead, where no file can be replaced."""
    if prefix is not None:
        return Place(prefix.absolute())
    if not getattr(sys, "frozen", False):
        raise Conflict(
            f"this SignalCraft runs inside the Python environment {sys.prefix}, which is not replaced from within: "
            "install the new version there (`pip install --upgrade signalcraft`, or `git pull && make build`) and "
            "restart; its `signalcraft migrate check` tells beforehand what it will do to the database, and `serve` "
            "makes a backup before. Versions of the one-file program lie under a prefix of their own: --prefix DIR"
        )
    real = children.program_file().resolve()
    if real.parent.parent.name == _VERSIONS:
        return Place(real.parent.parent.parent)
    if (real.parent / "_internal").is_dir():
        raise Conflict(
            f"{real} came with a package: upgrade it with the package manager (for the .deb: `apt install ./FILE.deb`)"
        )
    return Place(real.parent.parent / "lib" / BINARY, entry=real)


def present() -> Place | None:
    """The same for the page that shows it; None where this program is not one of several versions."""
    real = children.program_file().resolve()
    framed = getattr(sys, "frozen", False) and real.parent.parent.name == _VERSIONS
    return Place(real.parent.parent.parent) if framed else None


def ask(binary: Path, *arguments: str) -> Any:
    """What another version says as JSON, whatever its exit code. Raises Invalid where that is no JSON."""
    try:
        done = subprocess.run(  # noqa: S603  # a file that the operator named, checked against its sum before
            [str(binary), *arguments], env=children.environment(), capture_output=True, timeout=_PATIENCE_S, check=False
        )
    except OSError as problem:
        raise Invalid(f"{binary.name} cannot be run on this box: {problem.strerror}") from None
    except subprocess.TimeoutExpired:
        raise Invalid(f"{binary.name} {' '.join(arguments[:2])} does not end") from None
    try:
        return json.loads(done.stdout)
    except ValueError:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise Invalid(
            f"`{' '.join(arguments[:2])}` of the other version failed: {said[-1] if said else 'in silence'}"
        ) from None


def version_of(binary: Path) -> str:
    """Which version a file is, by its own word. Raises Invalid."""
    said = ask(binary, "version", "--json")
    found = said.get("version") if isinstance(said, dict) else None
    if not isinstance(found, str) or not _VERSION.fullmatch(found):
        raise Invalid("the file does not say which version of SignalCraft it is")
    return found


def order(version: str) -> tuple[tuple[int, str], ...]:
    """Versions in order: 1.10.0 is above 1.9.3, and 2.0.0rc1 below 2.0.0."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    head = numbers[0] if numbers else ""
    rest = version[len(head) :]
    parts = [(int(part), "") for part in head.split(".") if part]
    return (*parts, (-1 if rest and not rest.startswith("+") else 0, rest))


def unit_of(pid: int) -> str:
    """The systemd service that a process belongs to; "" for none."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return ""
    names = {line.rpartition("/")[2] for line in groups}
    return next((name for name in sorted(names) if name.endswith(".service") and not name.startswith("user@")), "")


def systemctl(*words: str) -> None:
    """Asks systemd. Raises Fault with what it said."""
    found = shutil.which("systemctl")
    if found is None:
        raise Fault("systemctl is not on this box")
    done = subprocess.run(  # noqa: S603  # our own words
        [found, *words], env=children.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Fault(f"systemctl {' '.join(words)} failed: {said[-1] if said else done.returncode}")


def in_trouble(unit: str) -> str:
    """Why a service that was started will not come up: it ended, and is tried again or not. "" while it may."""
    found = shutil.which("systemctl")
    if found is None:
        return ""
    done = subprocess.run(  # noqa: S603  # our own words
        [found, "show", unit, "--property=ActiveState,SubState,Result"],
        env=children.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    state = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if state.get("ActiveState") == "failed" or state.get("SubState") == "auto-restart":
        return f"the service ended at its start ({state.get('Result', 'failed')})"
    return ""


def _linked(source: str, target: str) -> str:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another disk, or one that knows no hard links
        shutil.copy2(source, target)
    return target


def _link(place: Path, target: str) -> None:
    draft = place.with_name(f".{place.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.rename(place)
    copies.sync_folder(place.parent)
