"""Follows a page: its files are written, its commands run in order, what they print is held against what it says."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

PRINTED = "text printed"
BESIDE = "bash in the background"


class Done(NamedTuple):
    """One block that was run: what it printed, and the seconds that it took."""

    text: str
    said: str
    seconds: float


def blocks(page: Path) -> list[tuple[str, str]]:
    """(info string, text) of each fenced block, in order."""
    return re.findall(r"^```(\S.*?)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def differs(wanted: str, said: str) -> str:
    """The first line that was not printed as the page says, "" for none. `…` is any text, a line `⋮` any lines."""
    pattern = ""
    for line in wanted.splitlines():
        pattern += "(?:.*\n)*?" if line == "⋮" else ".*?".join(map(re.escape, line.split("…"))) + "\n"
        if re.match(pattern, said) is None:
            return line or "(a blank line)"
    return "" if re.fullmatch(pattern, said) or wanted.endswith("⋮\n") else "it ends later"


def follow(page: Path, desk: Path, env: dict[str, str], begin: Callable[[str], Callable[[], str]]) -> Iterator[Done]:
    """Runs every block in `desk`. `begin` starts what runs beside, and returns what asks for its output so far."""
    beside: Callable[[], str] = str
    said = ""
    for info, text in blocks(page):
        if info == BESIDE:
            beside = begin(text)
        elif info == "bash":
            began = time.monotonic()
            done = subprocess.run(
                ["bash", "-eu", "-c", text],
                cwd=desk,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            said = done.stdout
            assert done.returncode == 0, f"{text}\n{said}"
            yield Done(text, said, time.monotonic() - began)
        elif info == PRINTED:
            shown = said or beside()
            assert (wrong := differs(text, shown if shown.endswith("\n") else f"{shown}\n")) == "", (
                f"{wrong!r} in:\n{shown}"
            )
        elif info.startswith("toml "):
            (desk / info.split()[1]).write_text(text)
        if info == BESIDE:
            said = ""


def machine(box: Any, command: str) -> tuple[Path, dict[str, str]]:
    """An empty directory, and an environment in which `signalcraft` is this command."""
    shims, desk = box.root / "bin", box.root / "empty directory"
    shims.mkdir()
    (shims / "signalcraft").write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    (shims / "signalcraft").chmod(0o700)
    desk.mkdir()
    env = {name: value for name, value in box.env.items() if not name.startswith("SIGNALCRAFT_")}
    return desk, {**env, "PATH": f"{shims}:{os.environ['PATH']}"}
