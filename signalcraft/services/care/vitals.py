"""What the process and its box are like: memory, disk, clock, certificate, and how late the loop is for its own work.

Everything is read from the kernel, cheaply, every few seconds; health and metrics show what was read last.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from signalcraft.config import Settings

HOUR_MS: Final = 3_600_000
_SAMPLE_MS: Final = 60_000
_SAMPLES: Final = 360
FORECAST_LEAST_MS: Final = 15 * 60_000
"""How long the disk must have been watched before it is said when it will be full."""
_TIME_ERROR: Final = 5
_CGROUP: Final = Path("/sys/fs/cgroup")
_TIMESYNC: Final = Path("/run/systemd/timesync")


class Memory(Struct, frozen=True):
    """Bytes. `limit`: of the settings, the control group or the box; `of`: which. None where nothing tells it."""

    used: int | None
    limit: int | None
    of: str


class Disk(Struct, frozen=True):
    """Bytes. `full_in_h`: hours until it is full, as it has been filling; None where it is not, or not known yet."""

    free: int
    total: int
    full_in_h: float | None


class Clock(Struct, frozen=True):
    """`synchronized`: whether the kernel says that something keeps the clock right; None where it does not say.

    `error_s`: by how much it may be wrong, as the kernel estimates; `stepped_s`: its last step against the steady
    clock, `stepped_ms`: when.
    """

    synchronized: bool | None
    error_s: float | None
    stepped_s: float
    stepped_ms: int | None


class Seen(Struct, frozen=True):
    """All of it at one moment. `certificate_ms`: until when the box's own certificate holds, None without one.

    `load`: the average of one minute; `network`: bytes that came in and went out, without loopback.
    """

    at_ms: int
    memory: Memory
    disk: Disk
    clock: Clock
    certificate_ms: int | None
    load: float | None
    network: tuple[int, int] | None


class Vitals:
    """One instance. `look` blocks for less than a millisecond on a sound disk: call it on a thread."""

    def __init__(self, settings: Settings, data_dir: Path, now: Callable[[], int]) -> None:
        self._settings = settings
        self._dir = data_dir
        self._now = now
        self.steady: Callable[[], float] = time.monotonic
        self.certificate: Callable[[], int | None] = lambda: None
        self.kernel: Callable[[], tuple[bool | None, float | None]] = kernel_clock
        self.usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage
        self.resident: Callable[[], int | None] = resident
        self.allowed: Callable[[], tuple[int | None, str]] = memory_limit
        self.lag_s = 0.0
        """The longest by which the loop was late within the last minute."""
        self._used: deque[tuple[int, int]] = deque(maxlen=_SAMPLES)
        self._mark: tuple[int, float] | None = None
        self._stepped: tuple[float, int | None] = (0.0, None)
        self.seen: Seen | None = None

    def goes_by(self, steady: Callable[[], float]) -> None:
        """Another steady clock, in seconds: nothing that was seen by the one before is held against it."""
        self.steady, self._mark = steady, None

    def look(self) -> Seen:
        """Reads all of it."""
        now_ms = self._now()
        self.seen = Seen(
            now_ms,
            self._memory(),
            self._disk(now_ms),
            self._clock(now_ms),
            self.certificate(),
            load(),
            network(),
        )
        return self.seen

    def _memory(self) -> Memory:
        if self._settings.monitoring.memory_mb:
            return Memory(self.resident(), self._settings.monitoring.memory_mb << 20, "monitoring.memory_mb")
        limit, of = self.allowed()
        return Memory(self.resident(), limit, of)

    def _disk(self, now_ms: int) -> Disk:
        total, used, free = self.usage(self._dir)
        if self._used and now_ms < self._used[-1][0]:
            self._used.clear()
        if not self._used or now_ms - self._used[-1][0] >= _SAMPLE_MS:
            self._used.append((now_ms, used))
        return Disk(free, total, full_in_h(self._used, free))

    def _clock(self, now_ms: int) -> Clock:
        steady_s = self.steady()
        if self._mark is not None:
            before_ms, before_s = self._mark
            step_s = (now_ms - before_ms) / 1000 - (steady_s - before_s)
            if abs(step_s) >= self._settings.monitoring.clock_seconds:
                self._stepped = (step_s, now_ms)
        self._mark = (now_ms, steady_s)
        synchronized, error_s = self.kernel()
        return Clock(synchronized, error_s, *self._stepped)


def size(count: int) -> str:
    """Bytes for people: `1.4 GB`, by thousands as disks are sold and as the dashboard says them."""
    left, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while left >= 999.5 and len(units) > 1:
        left /= 1000
        units.pop(0)
    return f"{left:.0f} {units[0]}" if units[0] == "B" or left >= 100 else f"{left:.1f} {units[0]}"


def full_in_h(samples: deque[tuple[int, int]], free: int) -> float | None:
    """Hours until the disk is full, by the straight line through what was seen; None where it is not filling."""
    if len(samples) < 2 or samples[-1][0] - samples[0][0] < FORECAST_LEAST_MS:
        return None
    n = len(samples)
    middle_ms = sum(at_ms for at_ms, _ in samples) / n
    middle = sum(used for _, used in samples) / n
    spread = sum((at_ms - middle_ms) ** 2 for at_ms, _ in samples)
    per_ms = sum((at_ms - middle_ms) * (used - middle) for at_ms, used in samples) / spread
    return free / (per_ms * HOUR_MS) if per_ms > 0 else None


def resident() -> int | None:
    """Resident bytes of this process (https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html)."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None


def memory_limit(root: Path = _CGROUP, own: Path = Path("/proc/self/cgroup")) -> tuple[int | None, str]:
    """The least limit of this process's control groups (https://docs.kernel.org/admin-guide/cgroup-v2.html), else the
    box's memory; and which it is."""
    try:
        path = next(line[3:] for line in own.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        path = "/"
    limits = []
    group = root / path.strip().lstrip("/")
    for folder in (group, *group.parents):
        try:
            text = (folder / "memory.max").read_text().strip()
        except OSError:
            text = "max"
        if text.isdigit():
            limits.append(int(text))
        if folder == root:
            break
    if limits:
        return min(limits), "its control group (MemoryMax)"
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "the box"
    except (OSError, ValueError):
        return None, "nothing"


def load() -> float | None:
    """The box's load average of one minute."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def network(table: Path = Path("/proc/net/dev")) -> tuple[int, int] | None:
    """Bytes in and out of every interface but loopback (https://man7.org/linux/man-pages/man5/proc_pid_net.5.html)."""
    try:
        lines = table.read_text("ascii", "replace").splitlines()[2:]
        rows = [(name.strip(), rest.split()) for name, _, rest in (line.partition(":") for line in lines)]
        return (
            sum(int(row[0]) for name, row in rows if name != "lo"),
            sum(int(row[8]) for name, row in rows if name != "lo"),
        )
    except (OSError, ValueError, IndexError):
        return None


class _Timex(ctypes.Structure):
    # https://man7.org/linux/man-pages/man2/adjtimex.2.html; what stands behind `esterror` is not looked at.
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_clock(timesync: Path = _TIMESYNC) -> tuple[bool | None, float | None]:
    """Whether the kernel says that the clock is kept right, and by how many seconds it may be wrong; None: unknown.

    A service that may not set the clock may not ask the kernel either (ProtectClock= of systemd.exec(5)): then it goes
    by the mark of systemd-timesyncd, where that is what keeps the clock.
    """
    try:
        call = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None, None
    timex = _Timex()
    state = call(ctypes.byref(timex))
    if state < 0:
        return ((timesync / "synchronized").exists() if timesync.is_dir() else None), None
    return state != _TIME_ERROR, timex.maxerror / 1_000_000
