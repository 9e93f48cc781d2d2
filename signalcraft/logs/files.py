"""Log files: one a day, each of bounded size, readable by their owner alone, gone after their time.

The day is a record's own (UTC). A disk that is full costs lines, which are counted and told once there is room; it
never costs the program.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from signalcraft.errors import BadSetting

_MODE: Final = 0o600
_AGAIN_S: Final = 5.0


class DailyFile(logging.Handler):
    """Appends to `path`; what is of an earlier day, or too large, becomes `path.2026-03-01.gz` (`.1.gz`, …)."""

    def __init__(self, path: Path, days: int, bytes_max: int) -> None:
        super().__init__()
        self.path = path
        self.lost = 0
        self._days = days
        self._bytes_max = bytes_max
        self._fd: int | None = None
        self._day = date.min
        self._size = 0
        self._torn = False
        self._retry_s = 0.0
        self._packing: list[threading.Thread] = []

    def open(self) -> None:
        """Opens the file at the start. Raises BadSetting where it cannot be written."""
        try:
            self._open()
        except OSError as problem:
            raise BadSetting(f"{self.path} cannot be written: {problem.strerror}", path="log.file") from None

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line; whatever goes wrong, the caller does not notice."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        except Exception:
            self.lost += 1
            return
        if self.lost and record.created < self._retry_s:
            self.lost += 1
            return
        try:
            self._write(line, record.created)
        except (OSError, RuntimeError):  # no room, or no thread to pack with
            self.lost += 1
            self._retry_s = record.created + _AGAIN_S
            self._let_go()

    def _write(self, line: bytes, at_s: float) -> None:
        day = datetime.fromtimestamp(at_s, UTC).date()
        if self._fd is None or self._moved(self._fd):
            self._let_go()
            self._open()
        if (day > self._day or self._size + len(line) > self._bytes_max) and self._size:
            self._rotate(day)
        self._day = max(day, self._day)
        if self.lost:
            told = f'{{"level":"warning","message":"log lines could not be written","lines":{self.lost}}}\n'
            self._append(told.encode())
            self.lost = 0
        self._append(line)

    def _append(self, line: bytes) -> None:
        if self._torn:
            line = b"\n" + line
        written = os.write(-1 if self._fd is None else self._fd, line)
        self._size += written
        self._torn = written < len(line)
        if self._torn:
            raise OSError("the disk is full")

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        os.fchmod(self._fd, _MODE)
        state = os.fstat(self._fd)
        self._size = state.st_size
        if state.st_size:
            self._day = datetime.fromtimestamp(state.st_mtime, UTC).date()
            with self.path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                self._torn = file.read(1) != b"\n"

    def _moved(self, fd: int) -> bool:
        """Whether somebody else (logrotate) has put the file away."""
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return True
        return there.st_ino != os.fstat(fd).st_ino

    def _rotate(self, today: date) -> None:
        name = f"{self.path.name}.{self._day.isoformat()}"
        number, target = 0, self.path.with_name(name)
        while target.exists() or target.with_name(f"{target.name}.gz").exists():
            number += 1
            target = self.path.with_name(f"{name}.{number}")
        self.path.rename(target)
        self._let_go()
        self._open()
        self._day = today
        # Packing a large file takes seconds, and whoever logs would wait.
        thread = threading.Thread(target=_pack, args=(target,), name="log-pack", daemon=True)
        self._packing = [one for one in self._packing if one.is_alive()] + [thread]
        thread.start()
        self._prune(today)

    def _prune(self, today: date) -> None:
        oldest = today - timedelta(days=self._days)
        shape = re.compile(rf"{re.escape(self.path.name)}\.(\d{{4}}-\d\d-\d\d)(?:\.\d+)?(?:\.gz)?")
        for file in self.path.parent.iterdir():
            found = shape.fullmatch(file.name)
            # Days written so sort as text; a name with a day that there never was is somebody else's, or past, too.
            if found and found[1] < oldest.isoformat():
                file.unlink(missing_ok=True)

    def _let_go(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            try:
                os.close(fd)
            except OSError:
                return  # what could not be written was counted

    def settle(self) -> None:
        """Waits until what was put away is packed."""
        for thread in self._packing:
            thread.join(30)

    def close(self) -> None:
        """Closes the file."""
        with self.lock or threading.Lock():
            self._let_go()
        super().close()


def _pack(file: Path) -> None:
    import gzip
    import shutil

    packed = file.with_name(f"{file.name}.gz")
    half = file.with_name(f".{file.name}.half")
    try:
        handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
        with file.open("rb") as plain, os.fdopen(handle, "wb") as raw, gzip.open(raw, "wb") as out:
            shutil.copyfileobj(plain, out)
        half.rename(packed)
        file.unlink()
    except OSError:
        half.unlink(missing_ok=True)  # it stays as it is, and goes with its day
