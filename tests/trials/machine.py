"""A throw-away Debian with a booted systemd, made by fresh-machine beside this file: as root, on a Debian.

$SIGNALCRAFT_FRESH_MACHINE may name another program that makes them. Its verbs are `up NAME [--include packages]
[--bind DIR:DIR] [--memory 2G]`, `put NAME FROM TO`, `run NAME -- COMMAND`, `down NAME`; exit code 125 says that it
cannot make one here. The machine has the host's network.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.given import GIVEN

TOOL = GIVEN["SIGNALCRAFT_FRESH_MACHINE"] or str(Path(__file__).with_name("fresh-machine"))


class Machine:
    """One of them. `up` skips the test, loudly, where none can be made."""

    def __init__(self, name: str) -> None:
        self.name = name

    def up(self, *options: str) -> None:
        self.down()
        self.do("up", *options)

    def down(self) -> None:
        self.do("down", code=None)

    def do(self, verb: str, *args: str, code: int | None = 0) -> str:
        """A verb; what it said. `code` None: whatever it ends with."""
        done = subprocess.run([TOOL, verb, self.name, *args], capture_output=True, text=True, timeout=900)
        if done.returncode == 125 and verb == "up":
            pytest.skip(f"!! NOT RUN: no machine can be made here: {done.stderr.strip().splitlines()[-1]}")
        assert code is None or done.returncode == code, f"{args}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def sh(self, command: str, code: int | None = 0) -> str:
        """A line that a person types there, as root."""
        return self.do("run", "--", "sh", "-c", command, code=code)

    def put(self, file: Path, place: str) -> None:
        self.do("put", str(file), place)

    def write(self, place: str, text: str) -> None:
        """A file of root's, readable by all."""
        folder = place.rpartition("/")[0]
        self.sh(f"mkdir -p {folder} && cat > {place} <<'END_OF_FILE'\n{text}\nEND_OF_FILE")

    def shown(self, unit: str, *properties: str) -> dict[str, str]:
        """What systemd knows of a unit."""
        said = self.sh(f"systemctl show {unit} -p {','.join(properties)}")
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
