"""Versions of the program below a prefix: small files that run this program under another version and schema."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from signalcraft.storage import before
from signalcraft.storage.rehearsal import level_of
from tests.cli.conftest import Box, free_port, wait_ready
from tests.house.tree import ROOT
from tests.storage.schemas import draw

SCRIPT = """#!{python}
import sys
sys.path.insert(0, {root!r})
import signalcraft
signalcraft.__version__ = {version!r}
from signalcraft.storage import migrate
known = migrate.steps()
more = {more!r}
migrate.steps = lambda: [*known, *more]
from signalcraft.cli import main
main()
"""
GOOD = (9001, "next", "create table after_it (id integer primary key) strict;")
BAD = (9001, "next", "alter table nowhere add column x integer;")


def release(folder: Path, version: str, *more: tuple[int, str, str]) -> Path:
    """The file of a release, with its sum beside it."""
    folder.mkdir(exist_ok=True)
    file = folder / f"signalcraft-{version}"
    file.write_text(SCRIPT.format(python=sys.executable, root=str(ROOT), version=version, more=list(more)))
    file.chmod(0o755)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n")
    return file


class Prefix:
    """A box with versions of the program below a prefix."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.path = box.root / "prefix"
        self.files = box.root / "releases"

    def upgrade(self, source: object, *more: str, code: int = 0) -> dict[str, object]:
        done = self.box.run("upgrade", str(source), "--prefix", str(self.path), "--json", *more, code=code)
        return json.loads(done.stdout) if code == 0 else {"stderr": done.stderr}

    def rollback(self, *more: str, code: int = 0) -> dict[str, object]:
        done = self.box.run("rollback", "--prefix", str(self.path), "--json", *more, code=code)
        return json.loads(done.stdout) if code == 0 else {"stderr": done.stderr}

    def current(self) -> str:
        return os.readlink(self.path / "current")

    def versions(self) -> list[str]:
        return sorted(one.name for one in (self.path / "versions").iterdir() if not one.name.startswith("."))


def installed_once(box: Box) -> Path:
    """A box with version 1.0.0 and a database with something in it, from which others are copied; its folder."""
    it = Prefix(box)
    box.run("migrate", "up")
    it.upgrade(release(it.files, "1.0.0"))
    return box.root


def laid(box: Box, made: Path) -> Prefix:
    """This box as the one that was made before."""
    shutil.copytree(made, box.root, symlinks=True, dirs_exist_ok=True)
    return Prefix(box)


def ahead(prefix: Prefix) -> Path:
    """A later version with a migration of its own has served a database of an early schema; the database's file."""
    file = prefix.box.data / "signalcraft.db"
    file.unlink()
    draw.laid(9, prefix.box.data)
    prefix.box.run("migrate", "up")
    before.prune(prefix.box.data, 0)
    prefix.upgrade(release(prefix.files, "1.1.0", GOOD))
    served(prefix)
    assert level_of(file) == 9001
    return file


def served(prefix: Prefix) -> None:
    """The version in use starts on the data directory, and ends."""
    port = free_port()
    process = subprocess.Popen(
        [str(prefix.path / "current" / "signalcraft"), "serve", "--listen", f"127.0.0.1:{port}"],
        env=prefix.box.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=prefix.box.root,
    )  # fmt: skip
    prefix.box.adopt(process)
    wait_ready(f"http://127.0.0.1:{port}", process)
    code, _, log = prefix.box.ended(process)
    assert code == 0, log
