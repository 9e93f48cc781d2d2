"""What stands on a recovery sheet, and typing it: for the tests of recovering."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def commands(sheet: str, verb: str) -> list[str]:
    """The commands of a verb that the sheet shows, each in one line as a shell would read it."""
    lines = sheet.replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line.strip().startswith(f"signalcraft {verb} ")] + [
        line.strip() for line in lines if line.strip() == f"signalcraft {verb}"
    ]


def typed(command: str, folder: Path, home: Path) -> str:
    """Runs a line in a shell with an empty environment; what was said. `signalcraft` is this program."""
    program = f'signalcraft() {{ "{sys.executable}" -m signalcraft "$@"; }}'
    done = subprocess.run(
        ["/usr/bin/env", "-i", f"HOME={home}", "PATH=/usr/bin:/bin", "/bin/bash", "-c", f"{program}\n{command}"],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
