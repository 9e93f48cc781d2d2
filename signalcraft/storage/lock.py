"""One process at a time owns a data directory: an advisory lock that the kernel gives back when the process ends.

It is taken before anything in the directory is opened: two servers on one address would share its connections in
silence (SO_REUSEPORT), and two writers would mint the same ids.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from msgspec import Struct

from signalcraft.errors import BadSetting, Conflict

LOCK = "lock"


class Held(Conflict):
    """Another process has the data directory."""


class Holder(Struct, frozen=True):
    """Who holds the lock, as it wrote itself down. `pid` is 0 where it had no time to."""

    pid: int
    verb: str


class DataLock:
    """The lock of one data directory. The directory is made, for its owner alone, where it is missing."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._fd: int | None = None

    def take(self, verb: str) -> None:
        """Takes it; `verb` (`serve`) is what others are told.

        Raises Held where another process has it, BadSetting where the directory cannot be used.
        """
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            why = f"data.dir: {self.data_dir} cannot be used: {fault.strerror}; set data.dir to a directory of your own"
            raise BadSetting(why, path="data.dir") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise Held(self._told()) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} {verb}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Gives it back; nothing happens where it is not held."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def holder(self) -> Holder:
        """What the file says of the one who has it. Worth something only while the lock is refused."""
        try:
            pid, _, verb = (self.data_dir / LOCK).read_text("utf-8").strip().partition(" ")
            return Holder(int(pid), verb)
        except (OSError, ValueError):
            return Holder(0, "")

    def _told(self) -> str:
        holder = self.holder()
        who = f"process {holder.pid} (signalcraft {holder.verb})" if holder.pid else "another signalcraft process"
        return f"{self.data_dir} is in use by {who}"
